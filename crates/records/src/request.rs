//! Messages between the states of a Step Functions state machine and its workers, as small JSON objects.
//!
//! The state machine sends a [`Request`] for one of three actions. A worker answers with a [`RunState`], which counts
//! the unfinished tasks. Never here: the actions themselves, and values that grow with the number of tasks, because at
//! most 256 KiB pass from one state to the next.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compact_json;
use crate::payload::{MAX_TASKS, Payload, PayloadError};
use crate::plan::{PLAN_FORMAT, Plan, Task};

/// Largest number of bytes that pass from one state to the next on AWS.
pub const MAX_STATE_BYTES: usize = 256 << 10;
/// Part of [`MAX_STATE_BYTES`] reserved for what the state machine adds: names, times, and fields of the Map.
pub const STATE_RESERVE_BYTES: usize = 16 << 10;
/// Default number of tasks at a time: the default limit of an AWS account on concurrent Lambda executions.
const DEFAULT_CONCURRENCY: usize = 1_000;
/// Default percentage of failed tasks at which the Map stops: never, as in a local run.
const DEFAULT_TOLERATED_FAILURE_PERCENTAGE: f64 = 100.0;

/// Error for an invalid request. Nothing was written to storage, except that the plan was written before
/// [`RequestError::TaskTooLarge`].
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The payload in the input is invalid.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The input is neither a payload nor an object with a payload and options.
    #[error(
        "input: {0}; expected a payload, or {{\"payload\": …}} with the optional keys `model` (a URL or a key in \
         `bucket`) and `if_taken` (`refuse`, `resume` or `overwrite`)"
    )]
    Input(String),
    /// The request is not one of the three actions, or a field is missing.
    #[error("request: {0}; the state machine and its functions have different versions, deploy both again")]
    Malformed(String),
    /// A task has too many files to be sent to a worker.
    #[error(
        "task {rank}: its {files} files take {bytes} bytes in the list of tasks, but a state machine passes at most \
         {limit} bytes between two states; set a larger `world_size`"
    )]
    TaskTooLarge {
        /// Rank of the task.
        rank: usize,
        /// Number of its files.
        files: usize,
        /// Size of the message to a worker: the task and the part of the plan that all tasks share.
        bytes: usize,
        /// Largest size of a message in bytes.
        limit: usize,
    },
}

/// Request for one action of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Request {
    /// Plan the run, claim the results folder, and write the list of tasks.
    Initialize {
        /// Input of the execution (see [`ExecutionInput::parse`]).
        input: Value,
        /// Execution of the state machine.
        #[serde(default)]
        execution: Execution,
    },
    /// Run one task.
    Infer {
        /// Plan without its tasks.
        run: Plan,
        /// Task to run.
        task: Task,
        /// State that sends the request.
        #[serde(default)]
        state: State,
    },
    /// Write the summary, and report the missing tasks.
    Summarize {
        /// Answer of the previous state.
        run_state: RunState,
        /// Execution of the state machine.
        #[serde(default)]
        execution: Execution,
    },
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// The JSON is not a request, or its plan has another version.
    pub fn parse(json: Value) -> Result<Self, RequestError> {
        let request: Self = serde_json::from_value(json).map_err(|error| RequestError::Malformed(error.to_string()))?;
        match &request {
            Self::Infer { run, .. } | Self::Summarize { run_state: RunState { run, .. }, .. }
                if run.format_version != PLAN_FORMAT =>
            {
                let found = run.format_version;
                Err(RequestError::Malformed(format!("format_version {found} found, {PLAN_FORMAT} expected")))
            }
            _ => Ok(request),
        }
    }
}

/// Execution of a state machine, as described by the `Execution` field of its context object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// ARN of the execution.
    pub id: String,
    /// Name of the execution, unique within the state machine, which becomes the run id; empty if unknown.
    pub name: String,
    /// Start of the execution, RFC 3339; empty if unknown.
    pub start_time: String,
    /// Number of redrives of the execution.
    pub redrive_count: u32,
}

/// State of a state machine, as described by the `State` field of its context object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// Time at which the state was entered, RFC 3339; empty if unknown.
    pub entered_time: String,
    /// Number of earlier retries of the state.
    pub retry_count: u32,
}

/// Input of an execution of the state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionInput {
    /// Payload that requests the run.
    pub payload: Payload,
    /// Model to use instead of the payload's: a URL, or a key in the payload's `bucket`; `None` for the payload's
    /// model.
    pub model: Option<String>,
    /// Action if the results folder already holds a run.
    pub if_taken: IfTaken,
}

impl ExecutionInput {
    /// Reads a payload, or an object with a payload and options:
    /// `{"payload": {…}, "model": "…", "if_taken": "resume"}`.
    ///
    /// # Errors
    /// The input has neither form, or the payload is invalid.
    pub fn parse(input: &Value) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Options {
            payload: Value,
            #[serde(default)]
            model: Option<String>,
            #[serde(default)]
            if_taken: IfTaken,
        }
        let has_options = input.as_object().is_some_and(|input| input.contains_key("payload"));
        let Options { payload, model, if_taken } = if has_options {
            Options::deserialize(input).map_err(|error| RequestError::Input(error.to_string()))?
        } else {
            Options { payload: input.clone(), model: None, if_taken: IfTaken::default() }
        };
        Ok(Self { payload: Payload::parse(payload.to_string().as_bytes())?, model, if_taken })
    }

    /// Converts the input to the JSON that [`parse`](Self::parse) reads.
    pub fn to_json(&self) -> Value {
        let payload = Value::Object(self.payload.submitted().clone());
        let mut input = serde_json::json!({"payload": payload, "if_taken": self.if_taken});
        if let Some(model) = &self.model {
            input["model"] = model.clone().into();
        }
        input
    }
}

/// Action for a results folder that already holds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfTaken {
    /// Keep the run unchanged and fail.
    #[default]
    Refuse,
    /// Continue the run: run the tasks that are missing, failed, or made from other files or another model.
    Resume,
    /// Delete the results of the run and start again.
    Overwrite,
}

/// Location of the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// Bucket of the list.
    pub bucket: String,
    /// Key of the list.
    pub key: String,
}

/// State of a run, passed from one state of the state machine to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Plan without its tasks.
    pub run: Plan,
    /// Location of the list of unfinished tasks.
    pub items: Items,
    /// Number of unfinished tasks; 0 if there is nothing to dispatch.
    pub tasks_left: usize,
    /// Number of tasks at a time.
    pub max_concurrency: usize,
    /// Percentage of failed tasks at which the Map stops. A float, because some interpreters reject integers.
    pub tolerated_failure_percentage: f64,
    /// Number of redrives of the execution for which tasks were dispatched again.
    pub redrives_served: u32,
    /// Error of the Map; absent if the Map did not stop early.
    #[serde(default, skip_serializing)]
    pub map_error: Option<MapError>,
}

/// Error that the state machine caught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MapError {
    /// Name of the error.
    pub error: String,
    /// Message of the error; empty if there is none.
    #[serde(default)]
    pub cause: String,
}

impl RunState {
    /// State of a run with `left` unfinished tasks, which the object `items_key` in the payload's bucket lists.
    pub fn new(plan: &Plan, items_key: String, left: usize, execution: &Execution) -> Self {
        let payload = &plan.payload;
        Self {
            run: plan.without_tasks(),
            items: Items { bucket: payload.bucket.clone(), key: items_key },
            tasks_left: left,
            max_concurrency: payload.max_concurrency.unwrap_or(DEFAULT_CONCURRENCY).min(MAX_TASKS),
            tolerated_failure_percentage: payload
                .tolerated_failure_percentage
                .unwrap_or(DEFAULT_TOLERATED_FAILURE_PERCENTAGE),
            redrives_served: execution.redrive_count,
            map_error: None,
        }
    }
}

/// Encodes a list of tasks as JSON for the Distributed Map.
///
/// # Errors
/// A task, together with the part of the plan that all tasks share, is larger than [`MAX_STATE_BYTES`].
pub fn items<'a>(plan: &Plan, left: impl IntoIterator<Item = &'a Task>) -> Result<Vec<u8>, RequestError> {
    let shared = compact_json(&plan.without_tasks()).len() + STATE_RESERVE_BYTES;
    let mut list = vec![b'['];
    for task in left {
        let item = compact_json(task);
        if shared + item.len() > MAX_STATE_BYTES {
            let (rank, files) = (task.rank, task.files.len());
            let bytes = shared + item.len();
            return Err(RequestError::TaskTooLarge { rank, files, bytes, limit: MAX_STATE_BYTES });
        }
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend(item);
    }
    list.push(b']');
    Ok(list)
}

#[cfg(test)]
mod tests;
