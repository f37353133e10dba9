//! Executor that runs tasks on AWS Lambda, dispatched by a Step Functions state machine.
//!
//! In: a payload with its options ([`ExecutionInput`]), and the ARN of a state machine made from `deploy/lambda`. Out:
//! an execution, followed to its end, and the report that it wrote to storage. The state machine dispatches the tasks;
//! this module has no scheduler. A process can stop following an execution and follow it again at any time.

mod billed;
mod cloud;
mod lambda_logs;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pipeline::event::{Event, EventSink};
use pipeline::finished::finished;
use pipeline::results::Results;
use pipeline::unattended::{run_report, set_end_from_tasks};
use records::ExecutorKind;
use records::plan::{MAX_PLAN_BYTES, Plan};
use records::report::{Billed, MAX_RUN_REPORT_BYTES, RunReport};
use records::request::{ExecutionInput, RunState};
use serde::Deserialize;

pub use cloud::{Cloud, CloudError, Counts, Execution, Status};
pub use lambda_logs::{Line, lines};

use crate::run_events::{record_end, record_newly_finished};
use crate::{Executor, ExecutorError};

/// Wait between the first checks of an execution.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for the last lines of Lambda's logs.
const LOGS_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait between two checks of an execution.
const CHECK_EVERY_MAX: Duration = Duration::from_secs(5);
/// Largest number of failed checks in a row. They bridge a short loss of the network.
const FAILED_CHECKS_MAX: usize = 10;
/// Error of an execution that ended with unfinished tasks, after it wrote the report.
const MISSING_RANKS: &str = "MissingRanks";

/// Execution of a state machine.
#[derive(Debug)]
pub struct StepFunctions {
    /// Clients of AWS.
    pub cloud: Cloud,
    /// ARN of the execution.
    pub execution: String,
    /// Results folder of the run.
    pub results: Results,
    /// Wait between the first checks of the execution. It grows up to 5 seconds.
    pub check_every: Duration,
    /// Longest wait for the last lines of Lambda's logs, which arrive some seconds late.
    pub logs_patience: Duration,
    /// True if [`stop`](Executor::stop) was called.
    is_stopped: AtomicBool,
    /// True if the execution ended with a report of its own, even if it was to be stopped.
    has_report: AtomicBool,
}

impl StepFunctions {
    /// Follows the execution with this ARN, whose results are in this folder.
    pub fn new(cloud: Cloud, execution: String, results: Results) -> Self {
        Self {
            cloud,
            execution,
            results,
            check_every: CHECK_EVERY,
            logs_patience: LOGS_PATIENCE,
            is_stopped: AtomicBool::new(false),
            has_report: AtomicBool::new(false),
        }
    }

    /// Starts an execution of a state machine and returns its ARN. The name becomes the run id of a new run.
    ///
    /// # Errors
    /// The request to AWS fails.
    pub async fn start(
        cloud: &Cloud,
        state_machine: &str,
        start: &ExecutionInput,
        name: &str,
    ) -> Result<String, CloudError> {
        cloud.start(state_machine, name, &start.to_json().to_string()).await
    }

    /// Waits until the run is planned, and returns the plan.
    ///
    /// # Errors
    /// A request fails, the execution ends before it has planned the run, or its output is not the expected one.
    pub async fn planned(&self) -> Result<Plan, ExecutorError> {
        let (mut wait, mut has_ended) = (self.check_every, None);
        loop {
            if let Some(output) = self.cloud.output_of(&self.execution, "Initialize").await? {
                let state: RunState = serde_json::from_str(&output).map_err(|error| self.unexpected_output(&error))?;
                let json = self.results.read_plan().await?;
                let plan = json.and_then(|json| Plan::parse(&json).ok()).filter(|plan| plan.run_id == state.run.run_id);
                return Ok(plan.ok_or_else(|| self.unexpected_output(&format!("no plan in `{}`", self.results.url())))?);
            }
            // An execution may end between two checks, and its history may lag behind. So report the end one check
            // later.
            if let Some(execution) = has_ended {
                return Err(ended(&execution).into());
            }
            let execution = self.cloud.describe(&self.execution).await?;
            has_ended = (execution.status != Status::Running).then_some(execution);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(CHECK_EVERY_MAX);
        }
    }

    /// Reads the bill of the invocations of a run from Lambda's logs. Waits for late lines.
    async fn read_billed(&self, report: &RunReport) -> Result<Billed, CloudError> {
        let execution = self.cloud.describe(&self.execution).await?;
        let groups = self.cloud.log_groups(&self.execution).await?;
        let dispatched =
            self.dispatched().await.map_err(|error| CloudError::new("read the bill from Lambda's logs", &error))?;
        let finished = report.tasks.iter().map(|task| task.rank);
        let ranks: Vec<usize> = finished.filter(|rank| dispatched.contains(rank)).collect();
        let mut left = self.logs_patience;
        loop {
            let lines = lambda_logs::lines(&self.cloud, &groups, &execution, None).await?;
            match billed::billed(&lines, &report.run_id, &ranks) {
                Ok(billed) => return Ok(billed),
                Err(incomplete) if left.is_zero() => {
                    return Err(CloudError::new("read the bill from Lambda's logs", &incomplete));
                }
                Err(_) => {
                    let wait = left.min(CHECK_EVERY_MAX);
                    tokio::time::sleep(wait).await;
                    left -= wait;
                }
            }
        }
    }

    fn unexpected_output(&self, problem: &dyn std::fmt::Display) -> CloudError {
        let problem = format!("{problem}; check that its state machine was made from `deploy/lambda` of this version");
        CloudError::new("follow the execution", &problem)
    }

    /// Makes the report of an execution that was stopped before its last state wrote one.
    async fn report_of_stopped(&self, plan: &Plan, execution: &Execution) -> Result<RunReport, ExecutorError> {
        let tasks = finished(&self.results, plan).await?;
        let workers = plan.payload.max_concurrency.unwrap_or(plan.tasks.len());
        let (kind, started) = (ExecutorKind::StepFunctions, execution.started.clone());
        let mut report = run_report(&self.results, plan, tasks, kind, started, workers).await?;
        set_end_from_tasks(&mut report);
        Ok(report)
    }

    /// Ranks of the tasks that this execution dispatches.
    async fn dispatched(&self) -> Result<HashSet<usize>, ExecutorError> {
        #[derive(Deserialize)]
        struct Item {
            rank: usize,
        }
        let json = self.results.bucket().read(&self.results.items(), MAX_PLAN_BYTES, "a list of tasks").await?;
        let items: Vec<Item> = serde_json::from_slice(&json).map_err(|error| self.unexpected_output(&error))?;
        Ok(items.into_iter().map(|item| item.rank).collect())
    }

    /// Describes the execution. Records newly finished tasks and the counts of tasks as events.
    async fn check(
        &self,
        plan: &Plan,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<Execution, ExecutorError> {
        let execution = self.cloud.describe(&self.execution).await?;
        record_newly_finished(&self.results, plan, seen, events).await?;
        // The counts need a permission that the user may not have. The run can be followed without them.
        if let Ok(Some(Counts { running, failed, .. })) = self.cloud.counts(&self.execution).await {
            events.record(&Event::Counted { running, failed, waiting: None });
        }
        Ok(execution)
    }
}

#[async_trait]
impl Executor for StepFunctions {
    fn results(&self) -> &Results {
        &self.results
    }

    async fn stop(&self, reason: &str) -> Result<(), ExecutorError> {
        self.is_stopped.store(true, Ordering::Relaxed);
        Ok(self.cloud.stop(&self.execution, reason).await?)
    }

    fn has_written_report(&self) -> bool {
        self.has_report.load(Ordering::Relaxed)
    }

    async fn add_bill(&self, report: &mut RunReport) -> Result<(), ExecutorError> {
        if !self.has_report.load(Ordering::Relaxed) {
            let problem = "the execution was stopped, and its running tasks still add to the bill";
            return Err(CloudError::new("read the bill from Lambda's logs", &problem).into());
        }
        report.billed = Some(self.read_billed(report).await?);
        Ok(())
    }

    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let dispatched = self.dispatched().await?;
        let unfinished = plan.tasks.iter().filter(|task| dispatched.contains(&task.rank));
        let ranks = plan.tasks.iter().map(|task| task.rank);
        let mut seen: HashSet<usize> = ranks.filter(|rank| !dispatched.contains(rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: seen.len(),
            bytes: unfinished.map(|task| task.bytes()).sum(),
        });
        let (mut wait, mut failed_checks) = (self.check_every, 0);
        let execution = loop {
            match self.check(plan, &mut seen, events).await {
                Ok(execution) if execution.status != Status::Running => break execution,
                Ok(_) => failed_checks = 0,
                Err(error) if failed_checks == FAILED_CHECKS_MAX => return Err(error),
                Err(_) => failed_checks += 1,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(CHECK_EVERY_MAX);
        };
        let has_report = execution.status == Status::Succeeded || execution.error.as_deref() == Some(MISSING_RANKS);
        self.has_report.store(has_report, Ordering::Relaxed);
        let report = if has_report {
            let json =
                self.results.bucket().read(&self.results.report(), MAX_RUN_REPORT_BYTES, "a run's report").await?;
            RunReport::parse(&json).map_err(|error| self.unexpected_output(&error))?
        } else if self.is_stopped.load(Ordering::Relaxed) {
            self.report_of_stopped(plan, &execution).await?
        } else {
            return Err(ended(&execution).into());
        };
        record_end(&report, events);
        Ok(report)
    }
}

/// Error for an execution that ended without a report.
fn ended(execution: &Execution) -> CloudError {
    let error = execution.error.as_deref().unwrap_or("without an error name");
    let cause = execution.cause.as_deref().map_or_else(String::new, |cause| format!(": {}", message(cause)));
    CloudError::new("the execution ended", &format!("{}, {error}{cause}", execution.status))
}

/// Error message of a Lambda function, without the JSON around it.
fn message(cause: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(cause).ok();
    json.and_then(|json| json["errorMessage"].as_str().map(str::to_owned)).unwrap_or_else(|| cause.to_owned())
}
