//! `cosmicai summarize`: a run's combined records and summary from what is there.

use std::path::PathBuf;

use anyhow::{Result, bail};
use pipeline::elsewhere::{end_with_tasks, run_report};
use pipeline::finished::finished;
use pipeline::output::Format;
use pipeline::payload::PredictionsFormat;
use pipeline::plan::Plan;
use pipeline::results::Results;
use pipeline::summary::{Summary, merge_predictions, summarize as sum_up, write_report};

use super::{Outcome, folder, metrics, new_file, run};
use crate::executor::slurm::Jobs;
use crate::printer::{Printer, bytes, grouped, table};
use crate::settings::Settings;

/// Rebuild a run's combined records and summary from what is there, saying what is missing.
///
/// Only the ranks of the run's own plan.json count, and only those whose results are complete. combined_data.json is
/// written when none is missing, and so are the predictions of all tasks in one file where --predictions asks for it.
///
/// Example: cosmicai summarize sky/results --store s3 --predictions catalogue.parquet
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of the results: path or URL, or with --store a bucket and a folder in it (`bucket/results`).
    #[arg(value_name = "RESULT_URL")]
    results: String,
    /// Where the buckets are: a folder, `s3` (or `gs`, `az`), or a URL.
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
    /// Also write the predictions of all tasks, with every column, into one file in the order of the plan.
    #[arg(long, value_name = "F.parquet")]
    predictions: Option<PathBuf>,
    /// Also write report.json, for a run whose workers nobody waited for: what each task did, which failed and why, and
    /// what SLURM says of its jobs.
    #[arg(long)]
    report: bool,
}

/// Name of the executor in the report of a run whose workers somebody else started.
const WORKERS: &str = "workers";

pub(crate) async fn summarize(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let results = folder::results(&options.results, options.store.as_deref(), settings).await?;
    let plan = folder::plan(&results).await?;
    if options.predictions.is_some() && plan.payload.predictions == PredictionsFormat::None {
        bail!("--predictions: the run in `{}` kept none, as its payload asks (`predictions`)", results.url());
    }
    if let Some(path) = &options.predictions
        && Format::of(&path.to_string_lossy()) != Some(Format::Parquet)
    {
        bail!("--predictions `{}`: a name ending in .parquet is expected", path.display());
    }
    if options.report {
        report(&results, &plan, printer).await?;
    }
    let summary = sum_up(&results, &plan).await?;
    if let Some(path) = options.predictions.as_deref().filter(|_| summary.is_complete()) {
        new_file::write(path, &merge_predictions(&results, &plan).await?)?;
        printer.tell(&format!("predictions of {} images in {}", grouped(summary.samples), path.display()));
    }
    printer.print(&summary, |summary| human(summary, &results.url()))?;
    if summary.is_complete() {
        return Ok(Outcome::Done);
    }
    printer.tell(&format!(
        "{} of {} tasks are missing: {}; `cosmicai run` with the run's payload and --resume predicts them",
        summary.missing.len(),
        summary.tasks,
        run::list(&summary.missing)
    ));
    Ok(Outcome::Incomplete)
}

async fn report(results: &Results, plan: &Plan, printer: &Printer) -> Result<()> {
    let report = match folder::submission(results, plan).await? {
        Some(submission) => match folder::slurm(results.clone(), &submission).await {
            Ok(slurm) => slurm.report(plan, &submission, &mut Jobs::new()).await?,
            Err(error) => {
                printer.tell(&format!("report.json is left as it is, as SLURM cannot be asked: {error:#}"));
                return Ok(());
            }
        },
        None => of_workers(results, plan).await?,
    };
    Ok(write_report(results, &report).await?)
}

/// The report of a run of which nothing is known but what lies in its folder.
async fn of_workers(results: &Results, plan: &Plan) -> Result<pipeline::report::RunReport> {
    let tasks = finished(results, plan).await?;
    let mut report = run_report(results, plan, tasks, WORKERS, plan.created.clone(), 1).await?;
    end_with_tasks(&mut report);
    Ok(report)
}

fn human(summary: &Summary, url: &str) -> String {
    let mut text = summary.accuracy.as_ref().map_or_else(String::new, metrics::human);
    let rows = [
        ["tasks".to_owned(), format!("{} of {}", grouped(summary.finished as u64), grouped(summary.tasks as u64))],
        ["images".to_owned(), grouped(summary.samples)],
        ["data".to_owned(), bytes(summary.bytes)],
        ["flagged rows".to_owned(), grouped(summary.flagged.rows)],
    ];
    text += &table(["run", &summary.run_id], rows);
    text + &format!("results in {url}\n")
}
