//! Errors with the names that the state machine matches.
//!
//! The state machine (`deploy/lambda/state_machine.asl.json`) retries `StorageUnavailable` in every state and
//! `DeadlineReached` in `Infer` only. It retries no other error of this module.

use std::fmt;

use lambda_runtime::Diagnostic;
use pipeline::TaskError;
use pipeline::model_file::ModelFileError;
use pipeline::output::OutputError;
use pipeline::planning::PlanError;
use pipeline::prepare::PrepareError;
use pipeline::storage::StorageError;
use pipeline::summary::SummaryError;
use records::request::RequestError;

/// Error with a name that the state machine matches.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Fault {
    fn new(name: &'static str, error: &impl fmt::Display) -> Self {
        Self { name, message: error.to_string() }
    }

    /// Error for an invalid environment variable.
    pub(crate) fn bad_setting(name: &str, error: &impl fmt::Display) -> Self {
        Self::new("BadSetting", &format!("environment variable {name}: {error}"))
    }

    /// Error for a task that does not finish before the time limit of the invocation. `done` counts its predicted
    /// images, `bytes` is the size of its files.
    pub(crate) fn task_deadline(rank: usize, done: u64, bytes: u64) -> Self {
        let message = format!(
            "task {rank}: out of time after {done} images, with {bytes} bytes of files in the task; increase the \
             timeout or the memory of the function, or use fewer or smaller files per task (a larger `world_size`)"
        );
        Self::new("DeadlineReached", &message)
    }

    /// Error for an `initialize` or `summarize` request that does not finish before the time limit of the invocation.
    pub(crate) fn request_deadline() -> Self {
        Self::new(
            "DeadlineReached",
            &"out of time; increase the timeout or the memory of the function, or use fewer files",
        )
    }

    /// Error for a run with unfinished tasks that are not dispatched again.
    pub(crate) fn missing_ranks(message: &str) -> Self {
        Self::new("MissingRanks", &message)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl From<Fault> for Diagnostic {
    fn from(fault: Fault) -> Self {
        Self { error_type: fault.name.to_owned(), error_message: fault.message }
    }
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        Self::new("BadPayload", &error)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::new(if error.is_transient() { "StorageUnavailable" } else { "StorageRefused" }, &error)
    }
}

impl From<ModelFileError> for Fault {
    fn from(error: ModelFileError) -> Self {
        match error {
            ModelFileError::Storage(error) => error.into(),
            error => Self::new("BadModel", &error),
        }
    }
}

impl From<PrepareError> for Fault {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Storage(error) => error.into(),
            PrepareError::Model(error) => error.into(),
            PrepareError::Plan { error: PlanError::NoPartitions { .. }, .. } => Self::new("NothingToPredict", &error),
            PrepareError::Plan { .. } => Self::new("BadResults", &error),
            PrepareError::TooLarge { .. } => Self::new("BadPayload", &error),
            PrepareError::Contended { .. } => Self::new("StorageUnavailable", &error),
            PrepareError::Taken { .. } | PrepareError::Occupied { .. } | PrepareError::Differs { .. } => {
                Self::new("FolderTaken", &error)
            }
        }
    }
}

impl From<OutputError> for Fault {
    fn from(error: OutputError) -> Self {
        Self::new("BadResults", &error)
    }
}

impl From<TaskError> for Fault {
    fn from(error: TaskError) -> Self {
        match error {
            error if error.retry_can_help() => Self::new("StorageUnavailable", &error),
            TaskError::Storage(error) => error.into(),
            TaskError::Output(error) => error.into(),
            error @ (TaskError::Predict(_) | TaskError::Objects(_)) => Self::new("MalformedPartition", &error),
        }
    }
}

impl From<SummaryError> for Fault {
    fn from(error: SummaryError) -> Self {
        match error {
            SummaryError::Storage(error) => error.into(),
            SummaryError::Output(error) => error.into(),
            error @ (SummaryError::Record { .. } | SummaryError::Damaged { .. }) => Self::new("BadResults", &error),
        }
    }
}
