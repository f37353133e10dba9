//! Report of a run whose workers ran unattended. It is made from the objects that they wrote to storage.

use futures::{StreamExt, TryStreamExt};
use records::plan::Plan;
use records::report::{FailedTask, MAX_TASK_REPORT_BYTES, REPORT_FORMAT, RunReport, TaskReport};
use records::time::seconds_between;
use records::{ExecutorKind, json};

use crate::event::{now, this_machine};
use crate::finished::READS_AT_ONCE;
use crate::results::Results;
use crate::storage::StorageError;

/// Writes the failure of a task, for the report of the run.
///
/// # Errors
/// Returns a [`StorageError`] if the write fails.
pub async fn write_failure(results: &Results, failed: &FailedTask) -> Result<(), StorageError> {
    results.bucket().write(&results.failure(failed.rank), json(failed).into()).await
}

/// Makes the report of a run.
///
/// `tasks` are the reports of its finished tasks. Every other task counts as failed if its worker wrote a failure, and
/// as left otherwise. `started` is the time at which this execution began (RFC 3339). `workers` is the number of
/// workers that were requested.
///
/// # Errors
/// Returns a [`StorageError`] if a failure cannot be read.
pub async fn run_report(
    results: &Results,
    plan: &Plan,
    tasks: Vec<TaskReport>,
    executor: ExecutorKind,
    started: String,
    workers: usize,
) -> Result<RunReport, StorageError> {
    let mut is_finished = vec![false; plan.tasks.len()];
    tasks.iter().for_each(|report| is_finished[report.rank] = true);
    let missing: Vec<usize> = (0..plan.tasks.len()).filter(|&rank| !is_finished[rank]).collect();
    let failures: Vec<Option<FailedTask>> = futures::stream::iter(missing.clone())
        .map(|rank| async move { failure(results, plan, rank).await })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let left = missing.iter().zip(&failures).filter(|(_, failed)| failed.is_none()).map(|(rank, _)| *rank).collect();
    let finished = now();
    Ok(RunReport {
        format_version: REPORT_FORMAT,
        run_id: plan.run_id.clone(),
        results_url: results.url(),
        model: plan.model.clone(),
        executor,
        machine: this_machine(),
        isa: tasks.first().map_or_else(String::new, |task| task.isa.clone()),
        precision: plan.payload.precision.to_string(),
        workers: workers.min(plan.tasks.len()),
        threads: tasks.first().map_or(0, |task| task.threads),
        seconds: seconds_from(&started, &finished),
        seconds_before: 0.0,
        started,
        finished,
        tasks_planned: plan.tasks.len(),
        samples: tasks.iter().map(|task| task.samples).sum(),
        bytes: tasks.iter().map(|task| task.bytes).sum(),
        tasks,
        failed: failures.into_iter().flatten().collect(),
        left,
        billed: None,
        billed_before: None,
        scheduled: None,
        forecast: None,
    })
}

/// Sets the end, the duration and the number of workers of a run from the times of its tasks.
///
/// The end becomes the end of the last task. The number of workers becomes the largest number of tasks that ran at one
/// time. Only tasks of this execution count; if there are none, nothing changes.
pub fn set_end_from_tasks(report: &mut RunReport) {
    // All times have the same format and time zone, so they can be compared as text.
    let own_tasks = || report.tasks.iter().filter(|task| task.started >= report.started);
    let Some(last) = own_tasks().map(|task| task.finished.clone()).max() else { return };
    let running =
        |at: &TaskReport| own_tasks().filter(|task| task.started <= at.started && at.started < task.finished).count();
    report.workers = own_tasks().map(running).max().unwrap_or(1).max(1);
    report.seconds = seconds_from(&report.started, &last);
    report.finished = last;
}

/// Seconds from one time to another, at least 0, because the clocks of two machines may differ.
fn seconds_from(start: &str, end: &str) -> f64 {
    seconds_between(start, end).unwrap_or_default().max(0.0)
}

/// Failure that the worker of a task wrote; `None` if there is none.
async fn failure(results: &Results, plan: &Plan, rank: usize) -> Result<Option<FailedTask>, StorageError> {
    let key = results.failure(rank);
    let json = results.bucket().read_if_there(&key, MAX_TASK_REPORT_BYTES, "a failure").await?;
    let Some(json) = json else { return Ok(None) };
    let found = serde_json::from_slice(&json).ok().filter(|failed: &FailedTask| failed.rank == rank);
    Ok(Some(found.unwrap_or_else(|| {
        let files = plan.tasks[rank].files.iter().map(|file| file.key.clone()).collect();
        let error = format!("its failure file `{key}` cannot be read");
        FailedTask { rank, files, attempts: 1, error }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_never_negative() {
        assert_eq!(seconds_from("2026-01-01T00:00:01Z", "2026-01-01T00:00:03.500Z"), 2.5);
        let behind = seconds_from("2026-01-01T00:00:01Z", "2026-01-01T00:00:00.990Z");
        assert_eq!(behind, 0.0, "the clock of the other machine is behind");
        assert_eq!(seconds_from("", "2026-01-01T00:00:00Z"), 0.0);
    }
}
