//! The few calls of Step Functions and CloudWatch Logs that are needed, and what they answer.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;

/// The most events of an execution's history that are read to find a state's output.
const HISTORY_EVENTS_MAX: i32 = 100;
/// The most executions that are listed.
const LISTED_MAX: usize = 1_000;

/// A service did not do what was asked, or the execution did not.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {said}")]
pub struct CloudError {
    action: &'static str,
    said: String,
}

impl CloudError {
    pub(super) fn new(action: &'static str, said: &dyn fmt::Display) -> Self {
        Self { action, said: said.to_string() }
    }

    fn service<E, R>(action: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let said = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => {
                let mut innermost: &dyn std::error::Error = error;
                while let Some(source) = innermost.source() {
                    innermost = source;
                }
                format!(
                    "{innermost}; is the endpoint right (--endpoint-url, AWS_ENDPOINT_URL), and who you are (AWS_PROFILE)?"
                )
            }
        };
        Self::new(action, &said)
    }
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Not ended.
    Running,
    /// All tasks are finished.
    Succeeded,
    /// It ended otherwise; in the words of AWS (`FAILED`, `TIMED_OUT`, `ABORTED`).
    #[serde(untagged)]
    Ended(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Ended(words) => words,
        })
    }
}

impl Status {
    fn new(words: &str) -> Self {
        match words {
            "RUNNING" | "PENDING_REDRIVE" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            other => Self::Ended(other.to_owned()),
        }
    }
}

/// An execution of a state machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: Status,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339; absent while it runs.
    pub ended: Option<String>,
    /// The name of its error.
    pub error: Option<String>,
    /// What the error said.
    pub cause: Option<String>,
    /// Its input; absent in a list.
    #[serde(skip)]
    pub input: Option<String>,
    /// When it began and ended, in milliseconds since 1970.
    #[serde(skip)]
    pub milliseconds: (i64, Option<i64>),
}

/// How the tasks of an execution stand, in all its Map Runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Not begun.
    pub pending: usize,
    /// Begun.
    pub running: usize,
    /// Finished.
    pub succeeded: usize,
    /// Failed, out of time or aborted.
    pub failed: usize,
}

/// The clients of both services.
#[derive(Debug, Clone)]
pub struct Cloud {
    states: aws_sdk_sfn::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

impl Cloud {
    /// Clients for an account, a region and an address.
    pub fn new(config: &SdkConfig) -> Self {
        Self { states: aws_sdk_sfn::Client::new(config), logs: aws_sdk_cloudwatchlogs::Client::new(config) }
    }

    pub(super) fn logs(&self) -> &aws_sdk_cloudwatchlogs::Client {
        &self.logs
    }

    /// Starts an execution; its ARN.
    pub async fn start(&self, state_machine: &str, name: &str, input: &str) -> Result<String, CloudError> {
        let asked = self.states.start_execution().state_machine_arn(state_machine).name(name).input(input);
        let answer = asked.send().await.map_err(|error| CloudError::service("start an execution", &error))?;
        Ok(answer.execution_arn().to_owned())
    }

    /// One execution.
    pub async fn describe(&self, arn: &str) -> Result<Execution, CloudError> {
        let asked = self.states.describe_execution().execution_arn(arn);
        let found = asked.send().await.map_err(|error| CloudError::service("describe the execution", &error))?;
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

    /// The executions of a state machine, the latest first.
    pub async fn executions(&self, state_machine: &str, limit: usize) -> Result<Vec<Execution>, CloudError> {
        let asked = self.states.list_executions().state_machine_arn(state_machine);
        let mut pages = asked.into_paginator().items().send();
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

    /// Ends an execution; what its tasks wrote stays.
    pub async fn stop(&self, arn: &str, cause: &str) -> Result<(), CloudError> {
        let asked = self.states.stop_execution().execution_arn(arn).cause(cause);
        asked.send().await.map(drop).map_err(|error| CloudError::service("stop the execution", &error))
    }

    /// The output of a state that an execution has left.
    pub async fn output_of(&self, arn: &str, state: &str) -> Result<Option<String>, CloudError> {
        let asked = self.states.get_execution_history().execution_arn(arn).max_results(HISTORY_EVENTS_MAX);
        let found = asked.send().await.map_err(|error| CloudError::service("read the execution's history", &error))?;
        let exits = found.events().iter().filter_map(|event| event.state_exited_event_details());
        Ok(exits.filter(|exit| exit.name() == state).find_map(|exit| exit.output().map(str::to_owned)))
    }

    /// How its tasks stand; None where no Map has begun, or where the service knows no Map Runs.
    pub async fn counts(&self, arn: &str) -> Result<Option<Counts>, CloudError> {
        let asked = self.states.list_map_runs().execution_arn(arn);
        let runs = match asked.send().await {
            Ok(runs) => runs,
            // Stand-ins for AWS that do not know Map Runs say so.
            Err(error) if error.code().is_some() => return Ok(None),
            Err(error) => return Err(CloudError::service("list map runs", &error)),
        };
        let mut sum: Option<Counts> = None;
        for run in runs.map_runs() {
            let asked = self.states.describe_map_run().map_run_arn(run.map_run_arn());
            let found = asked.send().await.map_err(|error| CloudError::service("describe the map run", &error))?;
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

    /// The log groups of the functions that an execution calls.
    pub async fn log_groups(&self, arn: &str) -> Result<Vec<String>, CloudError> {
        let action = "read the execution's definition";
        let asked = self.states.describe_state_machine_for_execution().execution_arn(arn);
        let found = asked.send().await.map_err(|error| CloudError::service(action, &error))?;
        let definition: serde_json::Value =
            serde_json::from_str(found.definition()).map_err(|error| CloudError::new(action, &error))?;
        let mut groups = Vec::new();
        functions(&definition, &mut groups);
        Ok(groups)
    }
}

/// `/aws/lambda/NAME` for every `FunctionName` in a definition.
fn functions(value: &serde_json::Value, groups: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            if let Some(function) = map.get("FunctionName").and_then(|name| name.as_str()) {
                // An ARN ends in `:function:NAME`, perhaps with a version behind it.
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
