//! Finds the finished tasks of a plan. Only the objects in its folder decide.

use futures::{StreamExt, TryStreamExt};
use records::payload::PredictionsFormat;
use records::plan::{Plan, Task};
use records::report::{MAX_TASK_REPORT_BYTES, TaskReport};

use crate::results::Results;
use crate::storage::StorageError;

/// Number of objects that are read at the same time.
pub(crate) const READS_AT_ONCE: usize = 16;

/// Reads the reports of the finished tasks, in the order of their ranks.
///
/// A task is finished if all its results exist and its report states the same run, files (key, size and version),
/// model, batch size and precision as the plan.
///
/// # Errors
/// Returns a [`StorageError`] if the folder cannot be listed or a report cannot be read.
pub async fn finished(results: &Results, plan: &Plan) -> Result<Vec<TaskReport>, StorageError> {
    let keys = results.list().await?;
    let is_candidate = |task: &Task| {
        keys.contains(&results.task_report(task.rank))
            && needed(results, plan, task).iter().all(|key| keys.contains(key))
    };
    let candidates: Vec<usize> = plan.tasks.iter().filter(|task| is_candidate(task)).map(|task| task.rank).collect();
    let reports = futures::stream::iter(candidates)
        .map(|rank| async move { report(results, plan, &plan.tasks[rank]).await })
        .buffered(READS_AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(reports.into_iter().flatten().collect())
}

/// Reads the report of one task, if the task is finished (see [`finished`]).
///
/// Requests only the objects of this task, and only its report if the task is not finished.
///
/// # Errors
/// Returns a [`StorageError`] if an object cannot be read.
pub async fn finished_task(results: &Results, plan: &Plan, task: &Task) -> Result<Option<TaskReport>, StorageError> {
    let Some(report) = report(results, plan, task).await? else { return Ok(None) };
    for key in needed(results, plan, task) {
        if results.bucket().find(&key).await?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(report))
}

/// Keys of the results that a finished task has besides its report.
fn needed(results: &Results, plan: &Plan, task: &Task) -> Vec<String> {
    match (task.files.is_empty(), plan.payload.predictions) {
        (true, _) => Vec::new(),
        (false, PredictionsFormat::None) => vec![results.record(task.rank)],
        (false, PredictionsFormat::Parquet) => vec![results.record(task.rank), results.predictions(task.rank)],
    }
}

async fn report(results: &Results, plan: &Plan, task: &Task) -> Result<Option<TaskReport>, StorageError> {
    let key = results.task_report(task.rank);
    let json = results.bucket().read_if_there(&key, MAX_TASK_REPORT_BYTES, "a task's report").await?;
    let report = json.and_then(|json| TaskReport::parse(&json).ok());
    Ok(report.filter(|report| matches_plan(report, plan, task)))
}

fn matches_plan(report: &TaskReport, plan: &Plan, task: &Task) -> bool {
    report.run_id == plan.run_id
        && report.rank == task.rank
        && report.model_sha256 == plan.model.sha256
        && report.files == task.files
        && report.batch_size == plan.payload.batch_size
        && report.precision == plan.payload.precision.to_string()
}
