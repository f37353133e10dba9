//! Errors under the names by which a state machine knows them.
//!
//! `deploy/lambda/state_machine.asl.json` tries again what is called `StorageUnavailable` or `DeadlineReached`, and
//! nothing else of these.

use std::fmt;

use lambda_runtime::Diagnostic;
use pipeline::TaskError;
use pipeline::model_file::ModelFileError;
use pipeline::output::OutputError;
use pipeline::prepare::PrepareError;
use pipeline::request::RequestError;
use pipeline::storage::StorageError;
use pipeline::summary::SummaryError;

/// An error with its name.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Fault {
    fn new(name: &'static str, error: &impl fmt::Display) -> Self {
        Self { name, message: error.to_string() }
    }

    /// A variable of the function's environment is wrong.
    pub(crate) fn of_setting(name: &str, error: &impl fmt::Display) -> Self {
        Self::new("BadSetting", &format!("environment variable {name}: {error}"))
    }

    /// The time is over before Lambda ends it.
    pub(crate) fn deadline(rank: usize, done: u64, bytes: u64) -> Self {
        let said = format!(
            "task {rank}: out of time after {done} images of {bytes} bytes of files; give the function more time or \
             memory, or the tasks fewer or smaller files (`world_size`)"
        );
        Self::new("DeadlineReached", &said)
    }

    /// As [`deadline`](Self::deadline), of what is no task.
    pub(crate) fn out_of_time() -> Self {
        Self::new("DeadlineReached", &"out of time; give the function more time or memory, or the run fewer files")
    }

    /// Some tasks of a run are not finished, and nothing more is done about it.
    pub(crate) fn missing_ranks(said: &str) -> Self {
        Self::new("MissingRanks", &said)
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
            PrepareError::Plan { .. } => Self::new("NothingToPredict", &error),
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
            error @ SummaryError::Record { .. } => Self::new("BadResults", &error),
        }
    }
}
