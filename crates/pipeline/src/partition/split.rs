//! Splits a partition into parts of a given size: `1.pt … N.pt`.

use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt as _;

use super::error::PartitionError;
use super::reader::Partition;
use super::size::samples_per_part;
use super::writer::{Layout, Writer};
use crate::objects::{Objects, objects_key};

/// Bytes of images in memory at a time while splitting.
const COPY_BYTES: usize = 8 << 20;
/// Size of a piece of a multipart upload, in bytes. A smaller part is written in one request.
const UPLOAD_BYTES: usize = 8 << 20;
/// Number of pieces of a part that are uploaded at the same time.
const UPLOADS_AT_ONCE: usize = 2;
/// Largest number of parts. More are rejected, because the size is probably a mistake.
const MAX_PARTS: usize = 1_000_000;

/// Part of a partition, written to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Path in the destination store.
    pub path: Path,
    /// Number of samples.
    pub samples: usize,
    /// Size of the object in bytes.
    pub bytes: u64,
}

/// Writes the samples of `partition`, in order, to `1.pt … N.pt` under `prefix`. Each part has `size_bytes`, as
/// [`samples_per_part`] counts them. Calls `written` after each complete part.
///
/// A part appears under its name as a whole or not at all. Its objects file is written before it, if there are
/// `objects`. Otherwise, an objects file that already exists under that name is deleted.
///
/// # Errors
/// Errors of reading, and [`PartitionError::Storage`] with the path of the part if writing fails. Parts that are
/// already complete remain.
///
/// # Panics
/// Panics if the number of `objects` is not the number of samples.
pub async fn split(
    partition: &Partition,
    objects: Option<&Objects>,
    size_bytes: u64,
    store: Arc<dyn ObjectStore>,
    prefix: &Path,
    mut written: impl FnMut(&Part),
) -> Result<Vec<Part>, PartitionError> {
    assert!(objects.is_none_or(|objects| objects.len() == partition.len()), "one object per sample is required");
    let samples = samples_per_part(size_bytes, partition.height(), partition.width());
    let count = partition.len().div_ceil(samples);
    if count > MAX_PARTS {
        return Err(PartitionError::Malformed {
            path: partition.path().clone(),
            what: format!("{count} parts of {size_bytes} bytes, more than {MAX_PARTS}; use a larger size"),
        });
    }
    let mut parts = Vec::with_capacity(count);
    for index in 0..count {
        let path = prefix.clone().join(format!("{}.pt", index + 1));
        let rows = index * samples..((index + 1) * samples).min(partition.len());
        let samples = rows.len();
        let objects = objects.map(|objects| objects.slice(rows.clone()));
        let upload = BufWriter::with_capacity(Arc::clone(&store), path.clone(), UPLOAD_BYTES)
            .with_max_concurrency(UPLOADS_AT_ONCE);
        let mut upload = Upload { upload, path, bytes: 0 };
        let copied = match upload.copy(partition, rows).await {
            Ok(fingerprint) => put_objects(&*store, &upload.path, objects.as_ref(), &fingerprint).await,
            Err(error) => Err(error),
        };
        if let Err(error) = copied {
            // Report the first error. An abort that fails only leaves a temporary object.
            let _ = upload.upload.abort().await;
            return Err(error);
        }
        let part = upload.finish(samples).await?;
        written(&part);
        parts.push(part);
    }
    Ok(parts)
}

/// Writes the objects file of a part before the part appears, or deletes an old objects file if there are no objects.
async fn put_objects(
    store: &dyn ObjectStore,
    part: &Path,
    objects: Option<&Objects>,
    fingerprint: &str,
) -> Result<(), PartitionError> {
    let path = Path::from(objects_key(part.as_ref()));
    let failed = |error| PartitionError::Storage { path: part.clone(), doing: "writing its objects file", error };
    match objects {
        Some(objects) => {
            let bytes = objects.encode(Some(fingerprint)).expect("objects that were read can be encoded");
            store.put(&path, bytes.into()).await.map_err(failed)?;
        }
        None => match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        },
    }
    Ok(())
}

/// Upload of one part.
struct Upload {
    upload: BufWriter,
    path: Path,
    bytes: u64,
}

impl Upload {
    /// Writes the part with `rows` of `partition`, and returns its fingerprint.
    async fn copy(&mut self, partition: &Partition, rows: std::ops::Range<usize>) -> Result<String, PartitionError> {
        let layout = Layout {
            samples: rows.len(),
            height: partition.height(),
            width: partition.width(),
            magnitude_dtype: partition.magnitude_dtype(),
            redshift_dtype: partition.redshift_dtype(),
        };
        let rows_at_once = (COPY_BYTES / partition.bytes_per_sample()).max(1);
        let mut magnitudes = Vec::new();
        let mut redshift = partition.redshift_dtype().map(|_| Vec::new());
        let mut writer = Writer::new(Vec::new(), layout).expect(IN_MEMORY);
        let end = rows.end;
        for start in rows.step_by(rows_at_once) {
            let batch = partition.read(start..(start + rows_at_once).min(end)).await?;
            writer.write_images(&batch.images).expect(IN_MEMORY);
            magnitudes.extend(batch.magnitudes);
            if let (Some(redshift), Some(batch)) = (&mut redshift, batch.redshift) {
                redshift.extend(batch);
            }
            self.put(std::mem::take(writer.get_mut())).await?;
        }
        let (rest, fingerprint) = writer.finish_with_fingerprint(&magnitudes, redshift.as_deref()).expect(IN_MEMORY);
        self.put(rest).await?;
        Ok(fingerprint)
    }

    /// Completes the upload, which makes the part appear. A failed upload is aborted.
    async fn finish(mut self, samples: usize) -> Result<Part, PartitionError> {
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

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), PartitionError> {
        self.bytes += bytes.len() as u64;
        let result = self.upload.put(Bytes::from(bytes)).await;
        result.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: object_store::Error) -> PartitionError {
        PartitionError::Storage { path: self.path.clone(), doing: "writing it", error }
    }
}

/// Reason why a [`Writer`] to memory cannot fail: its only errors are those of the underlying writer.
const IN_MEMORY: &str = "writing to memory never fails";
