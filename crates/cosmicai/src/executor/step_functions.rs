//! Tasks on AWS Lambda, handed out by a state machine of Step Functions.
//!
//! In: a payload with its options ([`Start`]), and the ARN of a state machine made from `deploy/lambda`. Out: its
//! execution, followed to its end, and the report that it left in storage. Never here: a scheduler. The state machine
//! hands out the tasks; whoever follows may stop and begin again to follow at any time.

mod billed;
mod cloud;
mod lambda_logs;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::event::{Event, EventSink};
use pipeline::plan::{MAX_PLAN_BYTES, Plan};
use pipeline::report::{MAX_RUN_REPORT_BYTES, RunReport};
use pipeline::request::{Standing, Start};
use pipeline::results::Results;
use serde::Deserialize;

pub use cloud::{Cloud, CloudError, Counts, Execution, Status};
pub use lambda_logs::{Line, lines};

use super::{Executor, ExecutorError};

/// The longest wait between two looks at an execution.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// So many looks in a row may fail, of some seconds each: an execution outlives a line that is down for a while.
const FAILED_LOOKS_MAX: usize = 10;
/// The error with which an execution ends whose tasks are not all finished; what is there is summed up.
const MISSING_RANKS: &str = "MissingRanks";

/// Follows one execution.
#[derive(Debug)]
pub struct StepFunctions {
    /// The services.
    pub cloud: Cloud,
    /// ARN of the execution.
    pub execution: String,
    /// The folder of its results.
    pub results: Results,
    /// The wait between the first looks at it; it grows to some seconds.
    pub look_every: Duration,
}

impl StepFunctions {
    /// Starts an execution of a state machine, under a name that will be the run's id if it is a new run.
    pub async fn start(cloud: &Cloud, state_machine: &str, start: &Start, name: &str) -> Result<String, CloudError> {
        cloud.start(state_machine, name, &start.to_json().to_string()).await
    }

    /// Waits until the run is planned.
    pub async fn planned(&self) -> Result<Plan, ExecutorError> {
        let (mut wait, mut has_ended) = (self.look_every, None);
        loop {
            if let Some(output) = self.cloud.output_of(&self.execution, "Initialize").await? {
                let standing: Standing = serde_json::from_str(&output).map_err(|error| self.strange(&error))?;
                let json = self.results.read_plan().await?;
                let plan =
                    json.and_then(|json| Plan::parse(&json).ok()).filter(|plan| plan.run_id == standing.run.run_id);
                return Ok(plan.ok_or_else(|| self.strange(&format!("no plan in `{}`", self.results.url())))?);
            }
            // One that ended may have done so between two looks, and its history may lag behind: it is looked at again.
            if let Some(execution) = has_ended {
                return Err(ended(&execution).into());
            }
            let execution = self.cloud.describe(&self.execution).await?;
            has_ended = (execution.status != Status::Running).then_some(execution);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_EVERY_MAX);
        }
    }

    /// Adds to a report what Lambda says of its invocations, as far as its logs can be read and are complete.
    ///
    /// # Errors
    /// Where they cannot be read, or do not speak of all invocations within `patience`.
    pub async fn add_billed(&self, report: &mut RunReport, patience: Duration) -> Result<(), CloudError> {
        let execution = self.cloud.describe(&self.execution).await?;
        let groups = self.cloud.log_groups(&self.execution).await?;
        let handed_out = self.handed_out().await.map_err(|error| CloudError::new("read what Lambda billed", &error))?;
        let finished = report.tasks.iter().map(|task| task.rank);
        let ranks: Vec<usize> = finished.filter(|rank| handed_out.contains(rank)).collect();
        let mut left = patience;
        loop {
            let lines = lambda_logs::lines(&self.cloud, &groups, &execution, None).await?;
            match billed::billed(&lines, &report.run_id, &ranks) {
                Ok(billed) => {
                    report.billed = Some(billed);
                    return Ok(());
                }
                Err(incomplete) if left.is_zero() => {
                    return Err(CloudError::new("read what Lambda billed", &incomplete));
                }
                Err(_) => {
                    let wait = left.min(LOOK_EVERY_MAX);
                    tokio::time::sleep(wait).await;
                    left -= wait;
                }
            }
        }
    }

    fn strange(&self, said: &dyn std::fmt::Display) -> CloudError {
        CloudError::new("follow the execution", &format!("{said}; was its state machine made from `deploy/lambda`?"))
    }

    /// The ranks of the tasks that this execution hands out.
    async fn handed_out(&self) -> Result<HashSet<usize>, ExecutorError> {
        #[derive(Deserialize)]
        struct Item {
            rank: usize,
        }
        let json = self.results.bucket().read(&self.results.items(), MAX_PLAN_BYTES, "a list of tasks").await?;
        let items: Vec<Item> = serde_json::from_slice(&json).map_err(|error| self.strange(&error))?;
        Ok(items.into_iter().map(|item| item.rank).collect())
    }

    /// The execution as it stands; tells of the tasks that are new among the finished ones in storage.
    async fn look(
        &self,
        plan: &Plan,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<Execution, ExecutorError> {
        let execution = self.cloud.describe(&self.execution).await?;
        let keys = self.results.list_task_reports().await?;
        for task in &plan.tasks {
            if keys.contains(&self.results.task_report(task.rank)) && seen.insert(task.rank) {
                let bytes = task.bytes();
                events.record(&Event::BatchPredicted { rank: task.rank, samples: 0, bytes });
                events.record(&Event::TaskFinished { rank: task.rank, samples: 0, seconds: 0.0 });
            }
        }
        // Who may not ask for it follows the run all the same.
        if let Ok(Some(Counts { running, failed, .. })) = self.cloud.counts(&self.execution).await {
            events.record(&Event::Counted { running, failed, waiting: None });
        }
        Ok(execution)
    }
}

#[async_trait]
impl Executor for StepFunctions {
    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let handed_out = self.handed_out().await?;
        let left = plan.tasks.iter().filter(|task| handed_out.contains(&task.rank));
        let ranks = plan.tasks.iter().map(|task| task.rank);
        let mut seen: HashSet<usize> = ranks.filter(|rank| !handed_out.contains(rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: seen.len(),
            bytes: left.map(|task| task.bytes()).sum(),
        });
        let (mut wait, mut failed_looks) = (self.look_every, 0);
        let execution = loop {
            match self.look(plan, &mut seen, events).await {
                Ok(execution) if execution.status != Status::Running => break execution,
                Ok(_) => failed_looks = 0,
                Err(error) if failed_looks == FAILED_LOOKS_MAX => return Err(error),
                Err(_) => failed_looks += 1,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_EVERY_MAX);
        };
        let is_told = execution.status == Status::Succeeded || execution.error.as_deref() == Some(MISSING_RANKS);
        if !is_told {
            return Err(ended(&execution).into());
        }
        let json = self.results.bucket().read(&self.results.report(), MAX_RUN_REPORT_BYTES, "a run's report").await?;
        let report = RunReport::parse(&json).map_err(|error| self.strange(&error))?;
        for failed in &report.failed {
            let (rank, attempts, error) = (failed.rank, failed.attempts, failed.error.clone());
            events.record(&Event::TaskFailed { rank, attempts, error });
        }
        events.record(&Event::RunFinished {
            finished: report.tasks.len(),
            failed: report.failed.len(),
            left: report.left.len(),
        });
        Ok(report)
    }
}

/// Why an execution ended without a report.
fn ended(execution: &Execution) -> CloudError {
    let error = execution.error.as_deref().unwrap_or("no error");
    let cause = execution.cause.as_deref().map_or_else(String::new, |cause| format!(": {}", message(cause)));
    CloudError::new("execution", &format!("{}, {error}{cause}", execution.status))
}

/// What a function said of its error, without the JSON around it.
fn message(cause: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(cause).ok();
    json.and_then(|json| json["errorMessage"].as_str().map(str::to_owned)).unwrap_or_else(|| cause.to_owned())
}
