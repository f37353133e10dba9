//! Which tasks of a plan are finished, judged by what lies in its folder and by nothing else.

use futures::{StreamExt, TryStreamExt};

use crate::payload::PredictionsFormat;
use crate::plan::{Plan, Task};
use crate::report::{MAX_TASK_REPORT_BYTES, TaskReport};
use crate::results::Results;
use crate::storage::StorageError;

/// Objects read at once.
pub(crate) const READS_AT_ONCE: usize = 16;

/// The reports of the finished tasks, by rank. A task is finished if its report says that this run predicted these
/// very files (key, size, version) with this very model, batch size and precision, and if its other results are there.
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

/// The report of one task, if it is finished. Asks for its own objects only, one of them where it is not.
pub async fn finished_task(results: &Results, plan: &Plan, task: &Task) -> Result<Option<TaskReport>, StorageError> {
    let Some(report) = report(results, plan, task).await? else { return Ok(None) };
    for key in needed(results, plan, task) {
        if results.bucket().find(&key).await?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(report))
}

/// What must lie beside a task's report.
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
    Ok(report.filter(|report| is_of(report, plan, task)))
}

fn is_of(report: &TaskReport, plan: &Plan, task: &Task) -> bool {
    report.run_id == plan.run_id
        && report.rank == task.rank
        && report.model_sha256 == plan.model.sha256
        && report.files == task.files
        && report.batch_size == plan.payload.batch_size
        && report.precision == plan.payload.precision.to_string()
}
