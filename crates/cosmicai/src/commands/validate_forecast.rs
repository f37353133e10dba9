//! `cosmicai validate-forecast`: measured executions beside their forecasts.

use std::io::Read;
use std::path::PathBuf;

use accounting::forecast::conditions;
use accounting::forecast::replay::{FITTED, MAX_TABLE_BYTES, PredictedConfiguration, Replay, configurations, replay};
use anyhow::{Context, Result, bail, ensure};

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::{self, Printer};
use crate::report::figures;

/// Compare forecasts with measured executions.
///
/// Forecasts the total times of executions on AWS Lambda from the times of their workers alone, to show how far to
/// trust `cosmicai forecast`. A few assumptions are fitted to a few of the configurations; the other configurations
/// test the forecast. The two tables are in the format of the CAI study (Staylor et al., arXiv:2501.06249), which
/// published worker times and total execution times of its configurations. WORKERS.csv has the columns
/// `partition (MB)`, `data (GB)`, `run` and `total_cpu_time (seconds)`; TOTALS.csv has `partition(MB)`, `data(GB)`,
/// `num_worlds` and `duration`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai validate-forecast worker_times.csv total_execution_time.csv",
    "cosmicai validate-forecast worker_times.csv total_execution_time.csv \\",
    "    --fit-on 14 --plot forecast.svg",
]))]
pub(crate) struct Options {
    /// Table of worker times.
    #[arg(value_name = "WORKERS.csv")]
    workers: PathBuf,
    /// Table of total times.
    #[arg(value_name = "TOTALS.csv")]
    totals: PathBuf,
    /// Number of configurations to fit assumptions to.
    #[arg(long, value_name = "N", default_value_t = 7)]
    fit_on: usize,
    /// Replace the value of an assumption. Repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    assume: Vec<String>,
    /// Also plot forecast against measured times, as SVG or PNG.
    #[arg(long, value_name = "F.svg|F.png")]
    plot: Option<PathBuf>,
}

pub(crate) fn validate_forecast(options: &Options, printer: &Printer) -> Result<Outcome> {
    let read = |path: &PathBuf| {
        let place = || format!("`{}`", path.display());
        let mut table = Vec::new();
        let file = std::fs::File::open(path).with_context(place)?;
        file.take(MAX_TABLE_BYTES + 1).read_to_end(&mut table).with_context(place)?;
        ensure!(table.len() as u64 <= MAX_TABLE_BYTES, "{}: more than {MAX_TABLE_BYTES} bytes", place());
        Ok(table)
    };
    let [workers, totals] = [&options.workers, &options.totals].map(read);
    let found = configurations(&workers?, &totals?)?;
    let is_fitted = |given: &&String| FITTED.iter().any(|(name, _)| given.split('=').next() == Some(name.name()));
    if let Some(given) = options.assume.iter().find(is_fitted) {
        bail!("--assume {given}: this assumption is fitted; leave it out");
    }
    let mut conditions = conditions::of_study();
    for assignment in &options.assume {
        conditions.set(assignment).context("--assume")?;
    }
    let forecast = replay(&found, options.fit_on, &conditions).context("--fit-on")?;
    if let Some(path) = &options.plot {
        figures::write_replay(&forecast, path)?;
    }
    printer.print(&forecast, human)?;
    Ok(Outcome::Done)
}

fn human(replay: &Replay) -> String {
    let rows = replay.forecast.iter().map(|one| {
        let PredictedConfiguration {
            configuration,
            measured_s,
            predicted_s,
            interval_s: [low, high],
            error,
            fitted_on,
        } = one;
        [
            format!("{} MB, {} GB", configuration.partition_mb, configuration.data_gb),
            configuration.tasks.to_string(),
            format!("{measured_s:.1}"),
            format!("{predicted_s:.1} ({low:.1}–{high:.1})"),
            format!("{:+.0} %", 100.0 * error),
            if *fitted_on { "fitted".to_owned() } else { "forecast".to_owned() },
        ]
    });
    let mut text = printer::table(["configuration", "tasks", "measured (s)", "forecast (s, 90 %)", "error", ""], rows);
    let fitted: Vec<String> = replay.fitted.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
    text +=
        &format!("fitted to {} of {} configurations: {}\n", replay.fitted_on, replay.forecast.len(), fitted.join(", "));
    text += &format!(
        "90 % intervals: the fit leaves a scatter of σ = {:.3} in the logarithm; {} of the single runs not used in the \
         fit are within\n",
        replay.between_totals,
        replay.within_interval_forecast.map_or_else(|| "–".to_owned(), |part| format!("{:.0} %", 100.0 * part))
    );
    text + &format!(
        "error of total time: median {:.1} % for all, {} for those not used in the fit; largest {:.1} %\n",
        100.0 * replay.median_error,
        replay.median_error_forecast.map_or_else(|| "–".to_owned(), |error| format!("{:.1} %", 100.0 * error)),
        100.0 * replay.largest_error
    )
}
