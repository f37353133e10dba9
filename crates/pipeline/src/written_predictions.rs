//! Reads the predictions of a finished task, and checks that they are what the task wrote.
//!
//! The report of the task has the SHA-256 of the file. Reports of older versions have none; for them, the rows must be
//! those of the task: its files, and as many rows as it predicted.

use bytes::Bytes;
use records::plan::Task;
use records::report::TaskReport;
use sha2::{Digest, Sha256};

use crate::output::{MAX_PREDICTIONS_BYTES, Table};
use crate::results::Results;
use crate::summary::SummaryError;

/// SHA-256 of a file of predictions, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the predictions of a task. Returns their URL and bytes. `report` is the report of the task, if it is known.
pub(crate) async fn read(
    results: &Results,
    task: &Task,
    report: Option<&TaskReport>,
) -> Result<(String, Bytes), SummaryError> {
    let key = results.predictions(task.rank);
    let url = results.bucket().url(&key);
    let bytes = results.bucket().read(&key, MAX_PREDICTIONS_BYTES, "predictions").await?;
    let problem = match report {
        None => None,
        Some(TaskReport { predictions_sha256: Some(written), .. }) => {
            let found = digest(&bytes);
            (found != *written).then(|| format!("its SHA-256 is {found}, but the task wrote {written}"))
        }
        Some(report) => other_rows(&Table::read(bytes.clone(), &url)?, task, report),
    };
    match problem {
        None => Ok((url, bytes)),
        Some(problem) => Err(SummaryError::Damaged { url, problem }),
    }
}

/// Describes a difference between the rows and those that the task predicted.
fn other_rows(table: &Table, task: &Task, report: &TaskReport) -> Option<String> {
    let is_of_task = |path: &String| task.files.iter().any(|file| file.key == *path);
    let mut before = None;
    for (row, path) in table.data_path.iter().enumerate() {
        // Rows of one file follow each other.
        if before != Some(path) && !is_of_task(path) {
            return Some(format!("row {row} (from 0) is of `{}`, which is no file of the task", path.escape_debug()));
        }
        before = Some(path);
    }
    let rows = table.len() as u64;
    (rows != report.samples).then(|| format!("{rows} rows, but the task predicted {}", report.samples))
}
