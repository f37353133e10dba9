//! From the results of the tasks to those of the run: `combined_data.json`, `summary.json`, `report.json`.
//!
//! In: a plan and the folder of its results. Only this plan's ranks are looked at, whatever else lies there. Out: a
//! [`Summary`] that says what is missing; what sums up all tasks is written once all are finished, not before.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finished::{READS_AT_ONCE, finished};
use crate::metrics::{Metrics, metrics};
use crate::output::{MAX_PREDICTIONS_BYTES, OutputError, Table, merge};
use crate::payload::PredictionsFormat;
use crate::plan::Plan;
use crate::report::{FlagCounts, MAX_RUN_REPORT_BYTES, RunReport, TaskReport, check_format};
use crate::results::Results;
use crate::storage::StorageError;
use crate::task::json;

/// The version of `summary.json`.
pub const SUMMARY_FORMAT: u32 = 1;
/// The largest `summary.json` that is read, in bytes.
const MAX_SUMMARY_BYTES: u64 = 16 << 20;
/// The largest record of the study that is read, in bytes: one that lists the names of a hundred thousand files.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Why results could not be summed up.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// A store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Predictions of the run cannot be read.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A record of the run cannot be read.
    #[error("record `{url}`: {problem}; delete it and `--resume`")]
    Record {
        /// The record.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format: [`SUMMARY_FORMAT`].
    pub format_version: u32,
    /// The plan's run.
    pub run_id: String,
    /// Tasks of the plan.
    pub tasks: usize,
    /// Finished tasks.
    pub finished: usize,
    /// Ranks of the tasks that are not finished; none in a `summary.json`.
    pub missing: Vec<usize>,
    /// Images predicted by the finished tasks.
    pub samples: u64,
    /// Bytes of their images and magnitudes, as stored.
    pub bytes: u64,
    /// Their rows by flag.
    pub flagged: FlagCounts,
    /// How good the predictions of the finished tasks are; None where predictions were not kept.
    pub accuracy: Option<Metrics>,
}

impl Summary {
    /// Whether every task is finished, and `combined_data.json` therefore written.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The `summary.json` of a folder; None where there is none that this code can read.
    pub async fn read(results: &Results) -> Result<Option<Self>, StorageError> {
        let json = results.bucket().read_if_there(&results.summary(), MAX_SUMMARY_BYTES, "a summary").await?;
        let is_known = |json: &Bytes| check_format(json, SUMMARY_FORMAT).is_ok();
        Ok(json.filter(is_known).and_then(|json| serde_json::from_slice(&json).ok()))
    }
}

/// Sums up what is there. Writes `combined_data.json` and `summary.json` if every task of the plan is finished.
pub async fn summarize(results: &Results, plan: &Plan) -> Result<Summary, SummaryError> {
    summarize_finished(results, plan, &finished(results, plan).await?).await
}

/// As [`summarize`], of a plan whose finished tasks are known.
pub async fn summarize_finished(
    results: &Results,
    plan: &Plan,
    reports: &[TaskReport],
) -> Result<Summary, SummaryError> {
    let mut is_finished = vec![false; plan.tasks.len()];
    let mut summary = Summary {
        format_version: SUMMARY_FORMAT,
        run_id: plan.run_id.clone(),
        tasks: plan.tasks.len(),
        finished: reports.len(),
        missing: Vec::new(),
        samples: 0,
        bytes: 0,
        flagged: FlagCounts::default(),
        accuracy: None,
    };
    for report in reports {
        is_finished[report.rank] = true;
        summary.samples += report.samples;
        summary.bytes += report.bytes;
        summary.flagged.add(report.flagged);
    }
    summary.missing = (0..plan.tasks.len()).filter(|&rank| !is_finished[rank]).collect();
    let ranks: Vec<usize> = ranks_with_results(plan).filter(|&rank| is_finished[rank]).collect();
    if summary.is_complete() {
        let combined = combine(results, &ranks).await?;
        results.bucket().write(&results.combined(), combined).await?;
    }
    // Last, as it needs the most memory.
    if plan.payload.predictions == PredictionsFormat::Parquet {
        summary.accuracy = Some(metrics(&predictions(results, &ranks).await?));
    }
    if summary.is_complete() {
        results.bucket().write(&results.summary(), json(&summary)).await?;
    }
    Ok(summary)
}

/// The predictions of a run whose tasks are all finished, as one Parquet file in the order of its plan.
///
/// # Errors
/// Where a task's predictions are not there, or cannot be read.
pub async fn merge_predictions(results: &Results, plan: &Plan) -> Result<Bytes, SummaryError> {
    let parts: Vec<(String, Bytes)> = futures::stream::iter(ranks_with_results(plan).collect::<Vec<_>>())
        .map(|rank| async move {
            let key = results.predictions(rank);
            let bytes = results.bucket().read(&key, MAX_PREDICTIONS_BYTES, "predictions").await?;
            Ok::<_, SummaryError>((results.bucket().url(&key), bytes))
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(merge(&parts)?)
}

/// A task without files is finished without a record or predictions.
fn ranks_with_results(plan: &Plan) -> impl Iterator<Item = usize> {
    plan.tasks.iter().filter(|task| !task.files.is_empty()).map(|task| task.rank)
}

/// Writes `report.json`, with what earlier executions of the run took by the one that it replaces.
pub async fn write_report(results: &Results, report: &RunReport) -> Result<(), StorageError> {
    let earlier = results.bucket().read_if_there(&results.report(), MAX_RUN_REPORT_BYTES, "a run's report").await;
    let mut report = report.clone();
    // One that cannot be read is replaced as well: what was done now must not be lost for it.
    if let Some(earlier) = earlier.ok().flatten().and_then(|json| RunReport::parse(&json).ok()) {
        report.follow(&earlier);
    }
    results.bucket().write(&results.report(), json(&report)).await
}

/// The study's records of these ranks as one array, each as it is written.
async fn combine(results: &Results, ranks: &[usize]) -> Result<Bytes, SummaryError> {
    let records: Vec<Value> = futures::stream::iter(ranks.to_vec())
        .map(|rank| async move {
            let key = results.record(rank);
            let json = results.bucket().read(&key, MAX_RECORD_BYTES, "a record").await?;
            let malformed =
                |problem: &str| SummaryError::Record { url: results.bucket().url(&key), problem: problem.to_owned() };
            match serde_json::from_slice(&json) {
                Ok(record @ Value::Object(_)) => Ok(record),
                Ok(_) => Err(malformed("not an object")),
                Err(error) => Err(malformed(&error.to_string())),
            }
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(json(&records))
}

async fn predictions(results: &Results, ranks: &[usize]) -> Result<Table, SummaryError> {
    let mut all = Table::default();
    let mut tables = futures::stream::iter(ranks.to_vec())
        .map(|rank| async move {
            let key = results.predictions(rank);
            let bytes = results.bucket().read(&key, MAX_PREDICTIONS_BYTES, "predictions").await?;
            Ok::<_, SummaryError>(Table::read(bytes, &results.bucket().url(&key))?)
        })
        .buffered(READS_AT_ONCE);
    while let Some(mut table) = tables.try_next().await? {
        // Accuracy needs no names, which would be the larger part.
        table.data_path.clear();
        all.append(table);
    }
    Ok(all)
}
