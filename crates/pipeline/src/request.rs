//! What a state machine asks of its workers, and what they answer: small JSON objects that pass between its states.
//!
//! In: the machine's input, and what it knows of its own execution. Out: a [`Request`] for one of three actions, and a
//! [`Standing`] that says what is left. Never here: what is done about it; and nothing that grows with the number of
//! tasks, as 256 KiB is all that may pass from one state to the next.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::payload::{MAX_TASKS, Payload, PayloadError};
use crate::plan::{PLAN_FORMAT, Plan, Task};
use crate::prepare::IfTaken;
use crate::results::Results;
use crate::task::compact_json;

/// The most bytes that pass from one state to the next on AWS.
pub const MAX_STATE_BYTES: usize = 256 << 10;
/// What is kept free of them for what the state machine adds: names, times, the Map's own words.
const STATE_RESERVE_BYTES: usize = 16 << 10;
/// Tasks at a time where a payload does not say: what an AWS account runs at a time unless it has asked for more.
const DEFAULT_CONCURRENCY: usize = 1_000;
/// Failed tasks in percent at which the others are stopped, where a payload does not say: never, as on one machine.
const DEFAULT_TOLERATED_FAILURE_PERCENTAGE: f64 = 100.0;

/// Why a request is refused. But for a task that is too large, which the plan tells, nothing was written on its account.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The input of the state machine is not a payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// It is neither a payload nor one with options around it.
    #[error(
        "input: {0}; a payload is expected, or {{\"payload\": …}} with `model` (a URL or a key in `bucket`) or `if_taken` \
         (`refuse`, `resume`, `overwrite`) beside it"
    )]
    Input(String),
    /// It is not one of the three actions, or not whole.
    #[error("request: {0}; the state machine and its functions are of different versions, deploy both again")]
    Malformed(String),
    /// A task with too many files to be handed out.
    #[error(
        "task {rank}: its {files} files take {bytes} bytes in the list of tasks, but {limit} pass between two states of \
         a state machine; give a larger `world_size`"
    )]
    TaskTooLarge {
        /// The task.
        rank: usize,
        /// Its files.
        files: usize,
        /// What it would take, with what every task is told.
        bytes: usize,
        /// What there is.
        limit: usize,
    },
}

/// One action of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Request {
    /// Plan the run, claim its folder, and write the list of its tasks.
    Initialize {
        /// The state machine's input (see [`Start::parse`]).
        input: Value,
        /// The execution that it is the input of.
        #[serde(default)]
        execution: Execution,
    },
    /// Do one task.
    Infer {
        /// The plan without its tasks.
        run: Plan,
        /// The task.
        task: Task,
        /// The state that asks.
        #[serde(default)]
        state: State,
    },
    /// Sum up what is there, and say what is missing.
    Summarize {
        /// What the state before it said.
        standing: Standing,
        /// The execution.
        #[serde(default)]
        execution: Execution,
    },
}

impl Request {
    /// Reads a request.
    pub fn parse(json: Value) -> Result<Self, RequestError> {
        let request: Self = serde_json::from_value(json).map_err(|error| RequestError::Malformed(error.to_string()))?;
        match &request {
            Self::Infer { run, .. } | Self::Summarize { standing: Standing { run, .. }, .. }
                if run.format_version != PLAN_FORMAT =>
            {
                let found = run.format_version;
                Err(RequestError::Malformed(format!("format_version {found} found, {PLAN_FORMAT} expected")))
            }
            _ => Ok(request),
        }
    }
}

/// An execution of a state machine, as its context object tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// ARN of the execution.
    pub id: String,
    /// Its name, unique within the state machine: the run's id. Empty where it is not told.
    pub name: String,
    /// When it began, RFC 3339. Empty where it is not told.
    pub start_time: String,
    /// How often it was redriven.
    pub redrive_count: u32,
}

/// A state, as the context object tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    /// When it was entered, RFC 3339. Empty where it is not told.
    pub entered_time: String,
    /// How often it was tried again before.
    pub retry_count: u32,
}

/// The input of a state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// What is asked for.
    pub payload: Payload,
    /// The model instead of the payload's: a URL, or a key in its bucket.
    pub model: Option<String>,
    /// What to do where the folder holds a run.
    pub if_taken: IfTaken,
}

impl Start {
    /// Reads a payload, or one with options around it: `{"payload": {…}, "model": "…", "if_taken": "resume"}`.
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

    /// As [`parse`](Self::parse) reads it.
    pub fn to_json(&self) -> Value {
        let payload = Value::Object(self.payload.written().clone());
        let mut input = serde_json::json!({"payload": payload, "if_taken": self.if_taken});
        if let Some(model) = &self.model {
            input["model"] = model.clone().into();
        }
        input
    }
}

/// Where the list of tasks lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
}

/// Where a run stands between two states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The plan without its tasks.
    pub run: Plan,
    /// The tasks that are left.
    pub items: Items,
    /// Their number. 0: there is nothing to hand out.
    pub tasks_left: usize,
    /// Tasks at a time.
    pub max_concurrency: usize,
    /// Failed tasks in percent at which the others are stopped. Not a whole number, as some interpreters insist.
    pub tolerated_failure_percentage: f64,
    /// Redrives of the execution for which tasks were handed out again.
    pub redrives_served: u32,
    /// Why the Map ended early, where it did.
    #[serde(default, skip_serializing)]
    pub map_error: Option<MapError>,
}

/// An error as a state machine catches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MapError {
    /// Its name.
    pub error: String,
    /// What it said.
    #[serde(default)]
    pub cause: String,
}

impl Standing {
    /// What is to be done of a plan whose `left` tasks are not finished.
    pub fn new(plan: &Plan, results: &Results, left: usize, execution: &Execution) -> Self {
        let payload = &plan.payload;
        Self {
            run: plan.without_tasks(),
            items: Items { bucket: payload.bucket.clone(), key: results.items() },
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

/// The list of tasks, each small enough to be handed to a worker together with what all are told.
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
