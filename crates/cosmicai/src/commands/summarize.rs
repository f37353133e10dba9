//! `cosmicai summarize`: combined records and summary of a run, from its task results.

use std::path::PathBuf;

use anyhow::{Result, bail};
use executors::slurm::{self, Jobs};
use pipeline::finished::finished;
use pipeline::output::Format;
use pipeline::results::Results;
use pipeline::summary::{merge_predictions, summarize as sum_up, write_report};
use pipeline::unattended::{run_report, set_end_from_tasks};
use records::ExecutorKind;
use records::payload::PredictionsFormat;
use records::plan::Plan;
use records::summary::Summary;

use crate::help::examples;
use crate::metrics_table;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, bytes, grouped, table};
use crate::ranks_in_words::list_ranks;
use crate::run_target;
use crate::settings::Settings;

/// Write the summary of a run again from its task results.
///
/// Reads only the tasks in plan.json of the run, and only complete results. Prints missing tasks. If no task is
/// missing, the command also writes combined_data.json and, with --predictions, one file with the predictions of all
/// tasks.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai summarize sky/results --report",
    "cosmicai summarize sky/results --store s3 --predictions catalogue.parquet",
]))]
pub(crate) struct Options {
    /// Results folder of a run: path or URL.
    ///
    /// With --store, a bucket and a folder in it: `bucket/results`.
    #[arg(value_name = "RESULTS")]
    results: String,
    /// Folder or URL of the buckets, as in `cosmicai run`.
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// Also write all predictions to one file.
    ///
    /// The file has all columns. Its rows are in the order of the plan.
    #[arg(long, value_name = "F.parquet")]
    predictions: Option<PathBuf>,
    /// Also write report.json.
    ///
    /// For a run that `cosmicai run` did not follow to its end. The report has every task, failures with their causes,
    /// and the state of SLURM jobs.
    #[arg(long)]
    report: bool,
}

pub(crate) async fn summarize(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let results = run_target::open_results(&options.results, options.store.as_deref(), settings).await?;
    let plan = run_target::read_plan_of(&results).await?;
    if options.predictions.is_some() && plan.payload.predictions == PredictionsFormat::None {
        bail!(
            "--predictions: the run in `{}` has no predictions, because its payload disables them (`predictions`)",
            results.url()
        );
    }
    if let Some(path) = &options.predictions
        && Format::of(&path.to_string_lossy()) != Some(Format::Parquet)
    {
        bail!("--predictions `{}`: expected a name ending in .parquet", path.display());
    }
    if options.report {
        report(&results, &plan, printer).await?;
    }
    let summary = sum_up(&results, &plan).await?;
    if let Some(path) = options.predictions.as_deref().filter(|_| summary.is_complete()) {
        new_file::write(path, &merge_predictions(&results, &plan).await?)?;
        printer.tell(&format!("predictions of {} images are in {}", grouped(summary.samples), path.display()));
    }
    printer.print(&summary, |summary| human(summary, &results.url()))?;
    if summary.is_complete() {
        return Ok(Outcome::Done);
    }
    printer.tell(&format!(
        "{} of {} tasks are missing: {}; to predict them, run `cosmicai run PAYLOAD.json --resume` with the payload of \
         the run",
        summary.missing.len(),
        summary.tasks,
        list_ranks(&summary.missing)
    ));
    Ok(Outcome::Incomplete)
}

async fn report(results: &Results, plan: &Plan, printer: &Printer) -> Result<()> {
    let report = match slurm::read_submission(results, plan).await? {
        Some(submission) => match slurm::open_run(results.clone(), &submission).await {
            Ok(slurm) => slurm.report(plan, &submission, &mut Jobs::new()).await?,
            Err(error) => {
                printer.tell(&format!("report.json was not written, because SLURM cannot be queried: {error:#}"));
                return Ok(());
            }
        },
        None => of_workers(results, plan).await?,
    };
    write_report(results, &report).await?;
    Ok(())
}

/// Makes the report of a run that has no SLURM submission, from its results folder.
async fn of_workers(results: &Results, plan: &Plan) -> Result<records::report::RunReport> {
    let tasks = finished(results, plan).await?;
    let mut report = run_report(results, plan, tasks, ExecutorKind::Workers, plan.created.clone(), 1).await?;
    set_end_from_tasks(&mut report);
    Ok(report)
}

fn human(summary: &Summary, url: &str) -> String {
    let mut text = summary.accuracy.as_ref().map_or_else(String::new, metrics_table::human);
    let rows = [
        ["tasks".to_owned(), format!("{} of {}", grouped(summary.finished as u64), grouped(summary.tasks as u64))],
        ["images".to_owned(), grouped(summary.samples)],
        ["data".to_owned(), bytes(summary.bytes)],
        ["flagged rows".to_owned(), grouped(summary.flagged.rows)],
    ];
    text += &table(["run", &summary.run_id], rows);
    text + &format!("results in {url}\n")
}
