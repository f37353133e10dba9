//! `cosmicai summarize`: a run's combined records and summary from what is there.

use anyhow::{Result, bail};
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::summary::{Summary, summarize as sum_up};

use super::{Outcome, metrics, run};
use crate::printer::{Printer, bytes, grouped, table};
use crate::settings::Settings;

/// Rebuild a run's combined records and summary from what is there, saying what is missing.
///
/// Only the ranks of the run's own plan.json count, and only those whose results are complete. combined_data.json is
/// written when none is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of the results: path or URL, or with --store a bucket and a folder in it (`bucket/results`).
    #[arg(value_name = "RESULT_URL")]
    results: String,
    /// Where the buckets are: a folder, `s3` (or `gs`, `az`), or a URL.
    #[arg(long, value_name = "DIR|s3|URL")]
    store: Option<String>,
}

pub(crate) async fn summarize(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let results = match &options.store {
        Some(store) => {
            let (bucket, folder) = options.results.split_once('/').unwrap_or((&options.results, ""));
            Results::new(settings.stores(store).await?.bucket(bucket)?, folder)
        }
        None => Results::open(&settings.stores(".").await?, &options.results)?,
    };
    let Some(plan) = read_plan(&results).await? else {
        bail!("`{}` holds no plan.json: not the results of a run, or not of ours", results.url());
    };
    let summary = sum_up(&results, &plan).await?;
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
