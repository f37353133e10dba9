//! `cosmicai forecast --validate`: executions that were measured, foretold from what their workers took.

use std::io::Read;
use std::path::PathBuf;

use accounting::forecast::conditions;
use accounting::forecast::replay::{FITTED, Foretold, MAX_TABLE_BYTES, Replay, configurations, replay};
use anyhow::{Context, Result, bail, ensure};

use super::Options;
use crate::commands::Outcome;
use crate::printer::{self, Printer};
use crate::report::pictures;

pub(super) fn validate(options: &Options, tables: &[PathBuf], printer: &Printer) -> Result<Outcome> {
    let read = |path: &PathBuf| {
        let place = || format!("`{}`", path.display());
        let mut table = Vec::new();
        let file = std::fs::File::open(path).with_context(place)?;
        file.take(MAX_TABLE_BYTES + 1).read_to_end(&mut table).with_context(place)?;
        ensure!(table.len() as u64 <= MAX_TABLE_BYTES, "{}: more than {MAX_TABLE_BYTES} bytes", place());
        Ok(table)
    };
    let [workers, totals] = [&tables[0], &tables[1]].map(read);
    let found = configurations(&workers?, &totals?).map_err(anyhow::Error::msg).context("--validate")?;
    let is_fitted = |given: &&String| FITTED.iter().any(|(name, _)| given.split('=').next() == Some(*name));
    if let Some(given) = options.terms.assume.iter().find(is_fitted) {
        bail!("--assume {given}: this one is fitted here");
    }
    let conditions = options.terms.assume(conditions::of_study())?;
    let foretold = replay(&found, options.fit_on, &conditions).map_err(anyhow::Error::msg).context("--fit-on")?;
    if let Some(path) = &options.plot {
        pictures::replay(&foretold, path)?;
    }
    printer.print(&foretold, human)?;
    Ok(Outcome::Done)
}

fn human(replay: &Replay) -> String {
    let rows = replay.foretold.iter().map(|one| {
        let Foretold { configuration, measured_s, predicted_s, interval_s: [low, high], error, fitted_on } = one;
        [
            format!("{} MB, {} GB", configuration.partition_mb, configuration.data_gb),
            configuration.tasks.to_string(),
            format!("{measured_s:.1}"),
            format!("{predicted_s:.1} ({low:.1}–{high:.1})"),
            format!("{:+.0} %", 100.0 * error),
            if *fitted_on { "fitted on".to_owned() } else { "foretold".to_owned() },
        ]
    });
    let mut text = printer::table(["configuration", "tasks", "measured (s)", "foretold (s, 90 %)", "error", ""], rows);
    let fitted: Vec<String> = replay.fitted.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
    text += &format!("fitted on {} of {}: {}\n", replay.fitted_on, replay.foretold.len(), fitted.join(", "));
    text += &format!(
        "90 % intervals: σ of {:.3} of the logarithm is left unexplained by the fit; {} of the single runs not fitted on lie \
         within\n",
        replay.between_totals,
        replay.within_interval_foretold.map_or_else(|| "–".to_owned(), |part| format!("{:.0} %", 100.0 * part))
    );
    text + &format!(
        "error of total time: median {:.1} % of all, {} of those not fitted on; largest {:.1} %\n",
        100.0 * replay.median_error,
        replay.median_error_foretold.map_or_else(|| "–".to_owned(), |error| format!("{:.1} %", 100.0 * error)),
        100.0 * replay.largest_error
    )
}
