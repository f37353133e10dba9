//! Events that several executors record: tasks that finished on other machines, and the end of a run.

use std::collections::HashSet;

use pipeline::event::{Event, EventSink};
use pipeline::results::Results;
use pipeline::storage::StorageError;
use records::plan::Plan;
use records::report::RunReport;

/// Records an event for every task that has a report in storage and is not in `seen`, and adds its rank to `seen`.
///
/// The number of images and the duration are 0 in these events, because the reports are not read.
pub(crate) async fn record_newly_finished(
    results: &Results,
    plan: &Plan,
    seen: &mut HashSet<usize>,
    events: &dyn EventSink,
) -> Result<(), StorageError> {
    let keys = results.list_task_reports().await?;
    for task in &plan.tasks {
        if keys.contains(&results.task_report(task.rank)) && seen.insert(task.rank) {
            events.record(&Event::BatchPredicted { rank: task.rank, samples: 0, bytes: task.bytes() });
            events.record(&Event::TaskFinished { rank: task.rank, samples: 0, seconds: 0.0 });
        }
    }
    Ok(())
}

/// Records the failed tasks and the end of a run whose tasks ran on other machines.
pub(crate) fn record_end(report: &RunReport, events: &dyn EventSink) {
    for failed in &report.failed {
        let (rank, attempts, error) = (failed.rank, failed.attempts, failed.error.clone());
        events.record(&Event::TaskFailed { rank, attempts, error });
    }
    events.record(&Event::RunFinished {
        finished: report.tasks.len(),
        failed: report.failed.len(),
        left: report.left.len(),
    });
}
