//! Driver of a run, shared by all executors: execute, stop at the budget or at an interrupt, report, summarize.

use pipeline::event::{Event, EventSink, StopCause};
use pipeline::storage::StorageError;
use pipeline::summary::{SummaryError, read_summary, summarize, write_report};
use records::plan::Plan;
use records::report::RunReport;
use records::summary::Summary;

use crate::budget::{Budget, Meter};
use crate::{Executor, ExecutorError, Interrupts};

/// Largest number of failed requests to stop a run at its budget. With the interval of the meter, they bridge half a
/// minute without an answer.
const FAILED_STOPS_MAX: usize = 120;

/// Error that ended a run early.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The executor cannot start or cannot continue.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The report cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The results cannot be summarized.
    #[error(transparent)]
    Summary(#[from] SummaryError),
}

/// End of [`drive`].
#[derive(Debug)]
pub enum Driven {
    /// The run ended.
    Ended(Box<EndedRun>),
    /// An interrupt detached this process. The tasks continue on other machines.
    Detached,
    /// An interrupt ended the run immediately, without a new summary: the second interrupt, or one after the last task.
    Killed,
}

/// Run that ended, complete or not.
#[derive(Debug)]
pub struct EndedRun {
    /// Report of the tasks.
    pub report: RunReport,
    /// Summary of the results.
    pub summary: Summary,
    /// Reason why the run was stopped; `None` if it ended by itself.
    pub stopped: Option<StopCause>,
    /// Messages about parts that are missing from the report, one for each.
    pub warnings: Vec<String>,
}

/// Drives a run from its plan to its summary.
///
/// Stops the run if its running bill exceeds the budget. The first interrupt stops a run in this process, and its
/// finished tasks are reported as usual. A second interrupt, or one after the last task, ends it immediately. If the
/// tasks run on other machines, an interrupt only detaches this process.
///
/// Writes `report.json` if the run ends, and `combined_data.json` and `summary.json` if all tasks are finished.
///
/// # Errors
/// The executor cannot continue, or the results cannot be read or written. Finished tasks keep their results.
pub async fn drive(
    executor: &dyn Executor,
    plan: &Plan,
    budget: Option<&Budget>,
    events: &dyn EventSink,
    interrupts: &mut Interrupts,
) -> Result<Driven, DriveError> {
    let meter = Meter::new(events, budget);
    let mut execution = executor.execute(plan, &meter);
    let (mut stopped, mut is_interrupted, mut failed_stops) = (None, false, 0);
    let report = loop {
        let cause = tokio::select! {
            report = &mut execution => break report?,
            bill_usd = meter.exceeded(), if stopped.is_none() => StopCause::Budget { bill_usd },
            () = interrupts.next() => {
                if !executor.ends_with_this_process() {
                    return Ok(Driven::Detached);
                }
                if is_interrupted {
                    return Ok(Driven::Killed);
                }
                is_interrupted = true;
                StopCause::Interrupt
            }
        };
        match executor.stop(cause.reason()).await {
            Ok(()) => {
                events.record(&Event::Stopping { cause });
                // A run that was stopped at its budget stays so if the user also interrupts it.
                stopped.get_or_insert(cause);
            }
            // The bill grows until the run is stopped, so try again at the next check of the bill.
            Err(_) if matches!(cause, StopCause::Budget { .. }) && failed_stops < FAILED_STOPS_MAX => failed_stops += 1,
            Err(error) => return Err(error.into()),
        }
    };
    drop(execution);

    let is_local = executor.ends_with_this_process();
    let (report, warnings) = tokio::select! {
        completed = complete_report(executor, report, budget) => completed?,
        // The bill of AWS takes half a minute. The report of a run in this process has no bill, and is always written.
        () = interrupts.next(), if !is_local => return Ok(Driven::Detached),
    };
    let summary = tokio::select! {
        summary = summary_of(executor, plan, &report) => summary?,
        () = interrupts.next() => return Ok(if is_local { Driven::Killed } else { Driven::Detached }),
    };
    Ok(Driven::Ended(Box::new(EndedRun { report, summary, stopped, warnings })))
}

/// Adds the bill and the forecast to the report of a run, and writes it. Returns messages about what is missing.
async fn complete_report(
    executor: &dyn Executor,
    mut report: RunReport,
    budget: Option<&Budget>,
) -> Result<(RunReport, Vec<String>), DriveError> {
    let mut warnings = Vec::new();
    let as_executed = report.clone();
    if let Err(error) = executor.add_bill(&mut report).await {
        warnings.push(format!("the bill of this run is unknown: {error}"));
    }
    if let Some(budget) = budget {
        budget.add_forecast(&mut report);
    }
    let results = executor.results();
    if !executor.has_written_report() {
        report = write_report(results, &report).await?;
    } else if report != as_executed {
        match write_report(results, &report).await {
            Ok(written) => report = written,
            Err(error) => warnings.push(format!(
                "cannot add the bill and the forecast to report.json; they are only printed here: {error}"
            )),
        }
    }
    Ok((report, warnings))
}

/// Summary of the results: the one that a worker wrote with its report, or a new one.
async fn summary_of(executor: &dyn Executor, plan: &Plan, report: &RunReport) -> Result<Summary, DriveError> {
    let results = executor.results();
    match read_summary(results).await? {
        Some(summary) if summary.run_id == plan.run_id && executor.has_written_report() && report.is_complete() => {
            Ok(summary)
        }
        _ => Ok(summarize(results, plan).await?),
    }
}
