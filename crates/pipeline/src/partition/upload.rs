//! Upload of a partition that is written piece by piece. It appears under its name as a whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt as _;

use super::error::PartitionError;
use super::split::Part;

/// Bytes of images in memory at a time while copying.
pub(super) const COPY_BYTES: usize = 8 << 20;
/// Reason why a [`Writer`](super::Writer) to memory cannot fail: its only errors are those of the underlying writer.
pub(super) const IN_MEMORY: &str = "writing to memory never fails";
/// Smallest size of a piece of a multipart upload, in bytes. A smaller partition is written in one request.
const UPLOAD_BYTES: u64 = 8 << 20;
/// Largest number of pieces that an upload is planned with. S3 allows 10,000.
const PIECES_MAX: u64 = 9_000;
/// Number of pieces that are uploaded at the same time.
const UPLOADS_AT_ONCE: usize = 2;

/// Upload of one partition.
pub(super) struct Upload {
    upload: BufWriter,
    path: Path,
    bytes: u64,
}

impl Upload {
    /// Starts an upload of about `bytes`; 0 if it fits into [`PIECES_MAX`] pieces of the smallest size.
    pub(super) fn start(store: Arc<dyn ObjectStore>, path: Path, bytes: u64) -> Self {
        let piece = usize::try_from(UPLOAD_BYTES.max(bytes / PIECES_MAX)).unwrap_or(usize::MAX);
        let upload = BufWriter::with_capacity(store, path.clone(), piece).with_max_concurrency(UPLOADS_AT_ONCE);
        Self { upload, path, bytes: 0 }
    }

    /// Path of the partition.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    pub(super) async fn put(&mut self, bytes: Vec<u8>) -> Result<(), PartitionError> {
        self.bytes += bytes.len() as u64;
        let result = self.upload.put(Bytes::from(bytes)).await;
        result.map_err(|error| self.failed(error))
    }

    /// Gives up the upload. An abort that fails only leaves a temporary object, so the error that caused it counts.
    pub(super) async fn abort(mut self) {
        let _ = self.upload.abort().await;
    }

    /// Completes the upload, which makes the partition appear. A failed upload is aborted.
    pub(super) async fn finish(mut self, samples: usize) -> Result<Part, PartitionError> {
        match self.upload.shutdown().await {
            Ok(()) => Ok(Part { path: self.path, samples, bytes: self.bytes }),
            Err(error) => {
                let source = error
                    .downcast::<object_store::Error>()
                    .unwrap_or_else(|error| object_store::Error::Generic { store: "partition", source: error.into() });
                Err(self.failed(source))
            }
        }
    }

    fn failed(&self, error: object_store::Error) -> PartitionError {
        PartitionError::Storage { path: self.path.clone(), doing: "writing it", error }
    }
}
