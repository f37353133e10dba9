//! The report of a run whose workers nobody waited for: made from what they left in storage.

use futures::{StreamExt, TryStreamExt};

use crate::event::{Machine, now, seconds_between};
use crate::finished::READS_AT_ONCE;
use crate::plan::Plan;
use crate::report::{FailedTask, MAX_TASK_REPORT_BYTES, REPORT_FORMAT, RunReport, TaskReport};
use crate::results::Results;
use crate::storage::StorageError;
use crate::task::json;

/// Leaves word of a task that failed, for the run's report.
pub async fn write_failure(results: &Results, failed: &FailedTask) -> Result<(), StorageError> {
    results.bucket().write(&results.failure(failed.rank), json(failed)).await
}

/// The report of a run of which `tasks` are finished; the others failed, as far as they left word, or were not run.
/// `started` is when this execution of it began, `workers` how many were asked for.
pub async fn run_report(
    results: &Results,
    plan: &Plan,
    tasks: Vec<TaskReport>,
    executor: &str,
    started: String,
    workers: usize,
) -> Result<RunReport, StorageError> {
    let mut is_finished = vec![false; plan.tasks.len()];
    tasks.iter().for_each(|report| is_finished[report.rank] = true);
    let missing: Vec<usize> = (0..plan.tasks.len()).filter(|&rank| !is_finished[rank]).collect();
    let words: Vec<Option<FailedTask>> = futures::stream::iter(missing.clone())
        .map(|rank| async move { failure(results, rank).await })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let left = missing.iter().zip(&words).filter(|(_, word)| word.is_none()).map(|(rank, _)| *rank).collect();
    let finished = now();
    Ok(RunReport {
        format_version: REPORT_FORMAT,
        run_id: plan.run_id.clone(),
        results_url: results.url(),
        model: plan.model.clone(),
        executor: executor.to_owned(),
        machine: Machine::detect(),
        isa: tasks.first().map_or_else(String::new, |task| task.isa.clone()),
        precision: plan.payload.precision.to_string(),
        workers: workers.min(plan.tasks.len()),
        threads: tasks.first().map_or(0, |task| task.threads),
        seconds: took(&started, &finished),
        seconds_before: 0.0,
        started,
        finished,
        tasks_planned: plan.tasks.len(),
        samples: tasks.iter().map(|task| task.samples).sum(),
        bytes: tasks.iter().map(|task| task.bytes).sum(),
        tasks,
        failed: words.into_iter().flatten().collect(),
        left,
        billed: None,
        billed_before: None,
        scheduled: None,
        foretold: None,
    })
}

/// Says of a run that has ended when its tasks did, and not when somebody looked: end, duration, and tasks at a time.
pub fn end_with_tasks(report: &mut RunReport) {
    // Times of one form and zone, so that they are ordered as texts are.
    let of_this = || report.tasks.iter().filter(|task| task.started >= report.started);
    let Some(last) = of_this().map(|task| task.finished.clone()).max() else { return };
    let running =
        |at: &TaskReport| of_this().filter(|task| task.started <= at.started && at.started < task.finished).count();
    report.workers = of_this().map(running).max().unwrap_or(1).max(1);
    report.seconds = took(&report.started, &last);
    report.finished = last;
}

/// Seconds from one time to another, not below 0: clocks of two machines differ.
fn took(start: &str, end: &str) -> f64 {
    seconds_between(start, end).unwrap_or_default().max(0.0)
}

async fn failure(results: &Results, rank: usize) -> Result<Option<FailedTask>, StorageError> {
    let json = results.bucket().read_if_there(&results.failure(rank), MAX_TASK_REPORT_BYTES, "a failure").await?;
    Ok(json.and_then(|json| serde_json::from_slice(&json).ok()).filter(|failed: &FailedTask| failed.rank == rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_less_than_no_time() {
        assert_eq!(took("2026-01-01T00:00:01Z", "2026-01-01T00:00:03.500Z"), 2.5);
        assert_eq!(took("2026-01-01T00:00:01Z", "2026-01-01T00:00:00.990Z"), 0.0, "another machine's clock is behind");
        assert_eq!(took("", "2026-01-01T00:00:00Z"), 0.0);
    }
}
