//! Report of one task: `tasks/<rank>.json`.

use serde::{Deserialize, Serialize};

use super::{FlagCounts, REPORT_FORMAT, StoreRequests};
use crate::format::{FormatError, check_format};
use crate::plan::FileIdentity;

/// Largest `tasks/<rank>.json` that is read, in bytes.
pub const MAX_TASK_REPORT_BYTES: u64 = 64 << 20;

/// Report of one task. A worker writes it after the results, so its presence means that the results are complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Version of this format: [`REPORT_FORMAT`].
    pub format_version: u32,
    /// Run id of the plan.
    pub run_id: String,
    /// Rank of the task.
    pub rank: usize,
    /// SHA-256 of the model that predicted, in hexadecimal.
    pub model_sha256: String,
    /// Files of the task, as planned.
    pub files: Vec<FileIdentity>,
    /// Images in a batch.
    pub batch_size: usize,
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Instruction set that the kernels used.
    pub isa: String,
    /// Number of compute threads.
    pub threads: usize,
    /// Number of images predicted.
    pub samples: u64,
    /// Bytes of images and magnitudes, as stored.
    pub bytes: u64,
    /// Bytes of rows fetched from storage, without the bytes read to open the files.
    pub bytes_fetched: u64,
    /// Number of flagged rows.
    pub flagged: FlagCounts,
    /// Time at which the executor had the task ready, RFC 3339.
    pub queued: String,
    /// Start of the attempt that succeeded, RFC 3339.
    pub started: String,
    /// Time at which the results were written, RFC 3339.
    pub finished: String,
    /// Wall seconds by phase of the attempt that succeeded.
    pub seconds: PhaseSeconds,
    /// Processor seconds of the threads that convert and predict, without the time that the system spends on files and
    /// sockets.
    pub cpu_seconds: f64,
    /// Peak resident memory of the worker's process at the end of the task, in binary MB.
    pub memory_peak_mb: f64,
    /// Number of attempts, including the one that succeeded.
    pub attempts: u32,
    /// True if the worker had run a task before and still held the model.
    pub warm: bool,
    /// SHA-256 of the file of predictions, in hexadecimal; `None` if the task wrote none. Workers before version 0.3 did
    /// not compute it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions_sha256: Option<String>,
    /// Requests to S3; `None` if the task used other stores only. Workers before version 0.3 did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<StoreRequests>,
}

/// Wall seconds by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSeconds {
    /// Reading and packing the model; 0 in a warm worker.
    pub init: f64,
    /// Finding and opening the files.
    pub list: f64,
    /// Waiting for rows. Reading that overlaps with predicting does not count.
    pub read: f64,
    /// Converting and cropping rows for the model.
    pub decode: f64,
    /// Running the model.
    pub infer: f64,
    /// Encoding and writing the results, without the report of the task itself.
    pub write: f64,
}

impl TaskReport {
    /// Reads a `tasks/<rank>.json`.
    ///
    /// # Errors
    /// The bytes are not a report of this version.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, REPORT_FORMAT)?;
        Ok(serde_json::from_slice(json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_missing_fields_and_other_versions() {
        assert!(TaskReport::parse(br#"{"format_version": 1}"#).unwrap_err().to_string().contains("run_id"));
        assert!(TaskReport::parse(br#"{"format_version": 2}"#).unwrap_err().to_string().contains("version 2"));
    }
}
