//! Requests to Step Functions and CloudWatch Logs, and their responses.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;

/// Largest number of events in an execution's history that are read to find the output of a state.
const HISTORY_EVENTS_MAX: i32 = 100;
/// Largest number of executions that are listed.
const LISTED_MAX: usize = 1_000;

/// Error of a request to AWS, or of an execution.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {problem}")]
pub struct CloudError {
    action: &'static str,
    problem: String,
}

impl CloudError {
    pub(super) fn new(action: &'static str, problem: &dyn fmt::Display) -> Self {
        Self { action, problem: problem.to_string() }
    }

    fn service<E, R>(action: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let problem = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => {
                let mut innermost: &dyn std::error::Error = error;
                while let Some(source) = innermost.source() {
                    innermost = source;
                }
                format!(
                    "{innermost}; check the endpoint (--endpoint-url, AWS_ENDPOINT_URL) and the credentials \
                     (AWS_PROFILE)"
                )
            }
        };
        Self::new(action, &problem)
    }
}

/// Status of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The execution has not ended.
    Running,
    /// The execution ended and all tasks are finished.
    Succeeded,
    /// The execution ended with another status of AWS: `FAILED`, `TIMED_OUT` or `ABORTED`.
    #[serde(untagged)]
    Ended(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Ended(status) => status,
        })
    }
}

impl Status {
    fn new(status: &str) -> Self {
        match status {
            "RUNNING" | "PENDING_REDRIVE" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            other => Self::Ended(other.to_owned()),
        }
    }
}

/// Execution of a state machine, as AWS describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Execution {
    /// ARN of the execution.
    pub arn: String,
    /// Name of the execution.
    pub name: String,
    /// Status of the execution.
    pub status: Status,
    /// Start time, RFC 3339.
    pub started: String,
    /// End time, RFC 3339; `None` while the execution runs.
    pub ended: Option<String>,
    /// Name of the error, if the execution failed.
    pub error: Option<String>,
    /// Message of the error.
    pub cause: Option<String>,
    /// Input of the execution; `None` in a list.
    #[serde(skip)]
    pub input: Option<String>,
    /// Start and end time, in milliseconds since 1970.
    #[serde(skip)]
    pub milliseconds: (i64, Option<i64>),
}

/// Numbers of tasks of an execution by state, in all its Map Runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Number of tasks that have not started.
    pub pending: usize,
    /// Number of running tasks.
    pub running: usize,
    /// Number of finished tasks.
    pub succeeded: usize,
    /// Number of tasks that failed, timed out or were aborted.
    pub failed: usize,
}

/// Clients of Step Functions and CloudWatch Logs.
#[derive(Debug, Clone)]
pub struct Cloud {
    states: aws_sdk_sfn::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

impl Cloud {
    /// Makes clients from a configuration: credentials, region and endpoint.
    pub fn new(config: &SdkConfig) -> Self {
        Self { states: aws_sdk_sfn::Client::new(config), logs: aws_sdk_cloudwatchlogs::Client::new(config) }
    }

    pub(super) fn logs(&self) -> &aws_sdk_cloudwatchlogs::Client {
        &self.logs
    }

    /// Starts an execution, and returns its ARN.
    ///
    /// # Errors
    /// The request fails.
    pub async fn start(&self, state_machine: &str, name: &str, input: &str) -> Result<String, CloudError> {
        let request = self.states.start_execution().state_machine_arn(state_machine).name(name).input(input);
        let started = request.send().await.map_err(|error| CloudError::service("start an execution", &error))?;
        Ok(started.execution_arn().to_owned())
    }

    /// Describes an execution.
    ///
    /// # Errors
    /// The request fails.
    pub async fn describe(&self, arn: &str) -> Result<Execution, CloudError> {
        let request = self.states.describe_execution().execution_arn(arn);
        let found = request.send().await.map_err(|error| CloudError::service("describe the execution", &error))?;
        let ended = found.stop_date();
        Ok(Execution {
            arn: found.execution_arn().to_owned(),
            name: found.name().unwrap_or_default().to_owned(),
            status: Status::new(found.status().as_str()),
            started: found.start_date().to_string(),
            ended: ended.map(ToString::to_string),
            error: found.error().map(str::to_owned),
            cause: found.cause().map(str::to_owned),
            input: found.input().map(str::to_owned),
            milliseconds: (milliseconds(found.start_date()), ended.map(milliseconds)),
        })
    }

    /// Lists the executions of a state machine, latest first.
    ///
    /// # Errors
    /// A request fails.
    pub async fn executions(&self, state_machine: &str, limit: usize) -> Result<Vec<Execution>, CloudError> {
        let request = self.states.list_executions().state_machine_arn(state_machine);
        let mut pages = request.into_paginator().items().send();
        let mut executions = Vec::new();
        while executions.len() < limit.min(LISTED_MAX) {
            let Some(found) = pages.next().await else { break };
            let found = found.map_err(|error| CloudError::service("list executions", &error))?;
            let ended = found.stop_date();
            executions.push(Execution {
                arn: found.execution_arn().to_owned(),
                name: found.name().to_owned(),
                status: Status::new(found.status().as_str()),
                started: found.start_date().to_string(),
                ended: ended.map(ToString::to_string),
                error: None,
                cause: None,
                input: None,
                milliseconds: (milliseconds(found.start_date()), ended.map(milliseconds)),
            });
        }
        Ok(executions)
    }

    /// Stops an execution. The results of its tasks stay in storage.
    ///
    /// # Errors
    /// The request fails.
    pub async fn stop(&self, arn: &str, cause: &str) -> Result<(), CloudError> {
        let request = self.states.stop_execution().execution_arn(arn).cause(cause);
        request.send().await.map(drop).map_err(|error| CloudError::service("stop the execution", &error))
    }

    /// Output of a state that the execution has completed. `None` if it has not.
    ///
    /// # Errors
    /// The request fails.
    pub async fn output_of(&self, arn: &str, state: &str) -> Result<Option<String>, CloudError> {
        let request = self.states.get_execution_history().execution_arn(arn).max_results(HISTORY_EVENTS_MAX);
        let found =
            request.send().await.map_err(|error| CloudError::service("read the execution's history", &error))?;
        let exits = found.events().iter().filter_map(|event| event.state_exited_event_details());
        Ok(exits.filter(|exit| exit.name() == state).find_map(|exit| exit.output().map(str::to_owned)))
    }

    /// Counts the tasks of an execution by state. `None` if no Map has started, or if the service does not support Map
    /// Runs.
    ///
    /// # Errors
    /// A request fails.
    pub async fn counts(&self, arn: &str) -> Result<Option<Counts>, CloudError> {
        let request = self.states.list_map_runs().execution_arn(arn);
        let runs = match request.send().await {
            Ok(runs) => runs,
            // Emulators of AWS that do not support Map Runs respond with an error code.
            Err(error) if error.code().is_some() => return Ok(None),
            Err(error) => return Err(CloudError::service("list map runs", &error)),
        };
        let mut sum: Option<Counts> = None;
        for run in runs.map_runs() {
            let request = self.states.describe_map_run().map_run_arn(run.map_run_arn());
            let found = request.send().await.map_err(|error| CloudError::service("describe the map run", &error))?;
            let Some(items) = found.item_counts() else { continue };
            let count = |count: i64| usize::try_from(count).unwrap_or_default();
            let counts = sum.get_or_insert_default();
            counts.pending += count(items.pending());
            counts.running += count(items.running());
            counts.succeeded += count(items.succeeded());
            counts.failed += count(items.failed() + items.timed_out() + items.aborted());
        }
        Ok(sum)
    }

    /// Seconds from the start of the first Map Run of an execution to the end of the last one. `None` if one has not
    /// ended or none has started, or if the service does not support Map Runs.
    ///
    /// # Errors
    /// The request fails.
    pub async fn map_seconds(&self, arn: &str) -> Result<Option<f64>, CloudError> {
        let request = self.states.list_map_runs().execution_arn(arn);
        let found = match request.send().await {
            Ok(found) => found,
            // Emulators of AWS that do not support Map Runs respond with an error code.
            Err(error) if error.code().is_some() => return Ok(None),
            Err(error) => return Err(CloudError::service("list map runs", &error)),
        };
        let spans =
            found.map_runs().iter().map(|run| (milliseconds(run.start_date()), run.stop_date().map(milliseconds)));
        Ok(seconds_of_spans(spans))
    }

    /// Log groups of the functions that an execution calls.
    ///
    /// # Errors
    /// The request fails, or the definition of the state machine is not JSON.
    pub async fn log_groups(&self, arn: &str) -> Result<Vec<String>, CloudError> {
        let action = "read the execution's definition";
        let request = self.states.describe_state_machine_for_execution().execution_arn(arn);
        let found = request.send().await.map_err(|error| CloudError::service(action, &error))?;
        let definition: serde_json::Value =
            serde_json::from_str(found.definition()).map_err(|error| CloudError::new(action, &error))?;
        let mut groups = Vec::new();
        functions(&definition, &mut groups);
        Ok(groups)
    }
}

/// Seconds from the first start to the last end, both in milliseconds. `None` without spans, or if one has no end.
fn seconds_of_spans(spans: impl Iterator<Item = (i64, Option<i64>)>) -> Option<f64> {
    let mut whole: Option<(i64, i64)> = None;
    for (start, end) in spans {
        let (first, last) = whole.unwrap_or((start, end?));
        whole = Some((first.min(start), last.max(end?)));
    }
    whole.map(|(first, last)| (last - first).max(0) as f64 / 1e3)
}

/// Collects the log group `/aws/lambda/NAME` of every `FunctionName` in a definition.
fn functions(value: &serde_json::Value, groups: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            if let Some(function) = map.get("FunctionName").and_then(|name| name.as_str()) {
                // An ARN ends in `:function:NAME`, or in `:function:NAME:VERSION`.
                let name = function.split_once(":function:").map_or(function, |(_, name)| name);
                let group = format!("/aws/lambda/{}", name.split(':').next().unwrap_or(name));
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            map.values().for_each(|value| functions(value, groups));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| functions(value, groups)),
        _ => {}
    }
}

fn milliseconds(time: &aws_sdk_sfn::primitives::DateTime) -> i64 {
    time.to_millis().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::seconds_of_spans;

    #[test]
    fn map_time_is_from_the_first_start_to_the_last_end() {
        let of = |spans: &[(i64, Option<i64>)]| seconds_of_spans(spans.iter().copied());
        assert_eq!(of(&[(1_000, Some(3_500))]), Some(2.5));
        assert_eq!(of(&[(4_000, Some(9_000)), (1_000, Some(2_000))]), Some(8.0));
        assert_eq!(of(&[(1_000, Some(3_500)), (4_000, None)]), None, "one still runs");
        assert_eq!(of(&[]), None);
    }
}
