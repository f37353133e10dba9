//! Summarizes a run: makes `combined_data.json`, `summary.json` and `report.json` from the results of its tasks.
//!
//! In: a plan and the folder of its results. Only the ranks of this plan are read. Out: a [`Summary`], which lists the
//! missing tasks. `combined_data.json` and `summary.json` are written only when all tasks are finished.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use records::json;
use records::metrics::metrics;
use records::payload::PredictionsFormat;
use records::plan::Plan;
use records::report::{FlagCounts, MAX_RUN_REPORT_BYTES, RunReport, TaskReport};
use records::summary::{MAX_SUMMARY_BYTES, SUMMARY_FORMAT, Summary};
use serde_json::Value;

use crate::finished::{READS_AT_ONCE, finished};
use crate::output::{OutputError, Table, merge};
use crate::results::Results;
use crate::storage::StorageError;
use crate::written_predictions;

/// Maximum size in bytes of a task's record. A record that lists 100,000 file names fits.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Error of summarizing a run.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// A request to a store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Predictions of the run cannot be read or merged.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The predictions of a task are not what the task wrote.
    #[error("predictions `{url}`: damaged: {problem}; delete the file and run again with `--resume`")]
    Damaged {
        /// URL of the file.
        url: String,
        /// Difference to what the task wrote.
        problem: String,
    },
    /// The record of a task is malformed.
    #[error("record `{url}`: {problem}; delete the record and run again with `--resume`")]
    Record {
        /// URL of the record.
        url: String,
        /// Description of the problem.
        problem: String,
    },
}

/// Reads the `summary.json` of a folder. Returns None if it does not exist, or if this version cannot read it.
///
/// # Errors
/// Returns a [`StorageError`] if the request fails.
pub async fn read_summary(results: &Results) -> Result<Option<Summary>, StorageError> {
    let json = results.bucket().read_if_there(&results.summary(), MAX_SUMMARY_BYTES, "a summary").await?;
    Ok(json.and_then(|json| Summary::parse(&json).ok()))
}

/// Summarizes the finished tasks of a run. Writes `combined_data.json` and `summary.json` if every task of the plan is
/// finished.
///
/// # Errors
/// Returns a [`SummaryError`] if a result cannot be read, is malformed, or cannot be written.
pub async fn summarize(results: &Results, plan: &Plan) -> Result<Summary, SummaryError> {
    summarize_finished(results, plan, &finished(results, plan).await?).await
}

/// Summarizes a run like [`summarize`]. `reports` are the reports of its finished tasks.
///
/// # Errors
/// Returns a [`SummaryError`] if a result cannot be read, is malformed, or cannot be written.
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
    // This step needs the most memory, so it comes last.
    if plan.payload.predictions == PredictionsFormat::Parquet {
        summary.accuracy = Some(metrics(predictions(results, plan, reports).await?.predictions()));
    }
    if summary.is_complete() {
        results.bucket().write(&results.summary(), json(&summary).into()).await?;
    }
    Ok(summary)
}

/// Merges the predictions of a finished run to one Parquet file, in the order of its plan.
///
/// # Errors
/// Returns a [`SummaryError`] if the predictions of a task do not exist, cannot be read, are not what the task wrote, or
/// do not fit the others.
pub async fn merge_predictions(results: &Results, plan: &Plan) -> Result<Bytes, SummaryError> {
    let reports: BTreeMap<usize, TaskReport> =
        finished(results, plan).await?.into_iter().map(|report| (report.rank, report)).collect();
    let parts: Vec<(String, Bytes)> = futures::stream::iter(ranks_with_results(plan).collect::<Vec<_>>())
        .map(|rank| written_predictions::read(results, &plan.tasks[rank], reports.get(&rank)))
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(merge(&parts)?)
}

/// Ranks of the tasks that have files. A task without files writes neither a record nor predictions.
fn ranks_with_results(plan: &Plan) -> impl Iterator<Item = usize> {
    plan.tasks.iter().filter(|task| !task.files.is_empty()).map(|task| task.rank)
}

/// Writes `report.json`, and returns what was written. Adds the time and cost of earlier executions from the report that
/// it replaces.
///
/// # Errors
/// Returns a [`StorageError`] if the write fails. A report of earlier executions that cannot be read is ignored.
pub async fn write_report(results: &Results, report: &RunReport) -> Result<RunReport, StorageError> {
    let earlier = results.bucket().read_if_there(&results.report(), MAX_RUN_REPORT_BYTES, "a run's report").await;
    let mut report = report.clone();
    // Replace an unreadable report too, so that the report of this execution is not lost.
    if let Some(earlier) = earlier.ok().flatten().and_then(|json| RunReport::parse(&json).ok()) {
        report.add_earlier_executions(&earlier);
    }
    results.bucket().write(&results.report(), json(&report).into()).await?;
    Ok(report)
}

/// Combines the records of these ranks to one JSON array. Does not change the records.
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
    Ok(json(&records).into())
}

/// Reads the predictions of the finished tasks.
async fn predictions(results: &Results, plan: &Plan, reports: &[TaskReport]) -> Result<Table, SummaryError> {
    let mut all = Table::default();
    let with_results = reports.iter().filter(|report| !plan.tasks[report.rank].files.is_empty());
    let mut tables = futures::stream::iter(with_results.collect::<Vec<_>>())
        .map(|report| async move {
            let (url, bytes) = written_predictions::read(results, &plan.tasks[report.rank], Some(report)).await?;
            Ok::<_, SummaryError>(Table::read(bytes, &url)?)
        })
        .buffered(READS_AT_ONCE);
    while let Some(mut table) = tables.try_next().await? {
        // The accuracy does not need the names, which take most of the memory.
        table.data_path.clear();
        all.append(table);
    }
    Ok(all)
}
