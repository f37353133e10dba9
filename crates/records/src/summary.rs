//! Summary of a run: `summary.json`.

use serde::{Deserialize, Serialize};

use crate::format::{FormatError, check_format};
use crate::metrics::Metrics;
use crate::report::FlagCounts;

/// Version of `summary.json` that this program writes and reads.
pub const SUMMARY_FORMAT: u32 = 1;
/// Largest `summary.json` that is read, in bytes.
pub const MAX_SUMMARY_BYTES: u64 = 16 << 20;

/// Counts and accuracy of the finished tasks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format: [`SUMMARY_FORMAT`].
    pub format_version: u32,
    /// Run id of the plan.
    pub run_id: String,
    /// Number of tasks in the plan.
    pub tasks: usize,
    /// Number of finished tasks.
    pub finished: usize,
    /// Ranks of the tasks that are not finished; empty in a `summary.json`, which is written for complete runs only.
    pub missing: Vec<usize>,
    /// Number of images predicted by the finished tasks.
    pub samples: u64,
    /// Bytes of the images and magnitudes of the finished tasks, as stored.
    pub bytes: u64,
    /// Number of flagged rows of the finished tasks.
    pub flagged: FlagCounts,
    /// Accuracy of the predictions of the finished tasks; `None` if predictions were not kept.
    pub accuracy: Option<Metrics>,
}

impl Summary {
    /// Returns true if every task is finished, in which case `combined_data.json` exists.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Reads a `summary.json`.
    ///
    /// # Errors
    /// The bytes are not a summary of this version.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, SUMMARY_FORMAT)?;
        Ok(serde_json::from_slice(json)?)
    }
}
