//! Errors of partitions.

use object_store::path::Path;

use super::limits::MAX_BATCH_BYTES;
use crate::storage::explain;

/// Error of opening, reading or writing a partition.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// A store failed. `error` decides if a retry can help.
    #[error("partition `{path}`: {doing} failed: {}", explain(error))]
    Storage {
        /// Path of the partition.
        path: Path,
        /// Action that failed, such as `reading it`.
        doing: &'static str,
        /// Error of the store. Not a `source`, because the message already includes it through [`explain`].
        error: object_store::Error,
    },
    /// The file is damaged, hostile, or of another kind. A retry cannot help.
    #[error("partition `{path}`: {what}")]
    Malformed {
        /// Path of the partition.
        path: Path,
        /// Description of the problem and, if known, of what to do.
        what: String,
    },
    /// The partition holds no images. A retry cannot help.
    #[error("partition `{path}`: no images in it")]
    Empty {
        /// Path of the partition.
        path: Path,
    },
    /// The object is not the version that was listed or opened. A retry cannot help; plan the run again.
    #[error(
        "partition `{path}`: changed since it was listed or opened ({what}); when no program writes to it, plan again \
         with `--resume`"
    )]
    Changed {
        /// Path of the partition.
        path: Path,
        /// Difference between the versions.
        what: String,
    },
    /// A batch would need too much memory.
    #[error(
        "partition `{path}`: a batch of {rows} images takes {bytes} bytes, more than {MAX_BATCH_BYTES}; use a smaller \
         batch size"
    )]
    BatchTooLarge {
        /// Path of the partition.
        path: Path,
        /// Number of rows requested.
        rows: usize,
        /// Bytes of the images of these rows.
        bytes: usize,
    },
}
