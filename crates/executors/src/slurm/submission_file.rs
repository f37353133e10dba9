//! Reading and writing of `job/submission.json` in the results folder.

use pipeline::results::Results;
use pipeline::storage::StorageError;
use records::format::FormatError;
use records::submission::{MAX_SUBMISSION_BYTES, SUBMISSION_NAME, Submission};

/// Error of reading a submission. Jobs of the run may still be queued, but their ids are unknown.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The results folder cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file is not a valid submission.
    #[error("`{url}`: not a valid submission: {problem}; if no job of this run waits or runs, delete the file")]
    Malformed {
        /// URL of the file.
        url: String,
        /// Error in the file.
        problem: FormatError,
    },
}

/// Reads the submission in a results folder. `None` if there is none.
pub(super) async fn read(results: &Results) -> Result<Option<Submission>, SubmissionError> {
    let key = results.job(SUBMISSION_NAME);
    let json = results.bucket().read_if_there(&key, MAX_SUBMISSION_BYTES, "a submission").await?;
    let Some(json) = json else { return Ok(None) };
    let malformed = |problem| SubmissionError::Malformed { url: results.bucket().url(&key), problem };
    Submission::parse(&json).map(Some).map_err(malformed)
}

pub(super) async fn write(results: &Results, submission: &Submission) -> Result<(), StorageError> {
    results.bucket().write(&results.job(SUBMISSION_NAME), records::json(submission).into()).await
}
