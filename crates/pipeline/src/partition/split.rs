//! Splits a partition into parts of a given size: `1.pt … N.pt`.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::error::PartitionError;
use super::reader::Partition;
use super::size::samples_per_part;
use super::upload::{COPY_BYTES, IN_MEMORY, Upload};
use super::writer::{Layout, Writer};
use crate::objects::{Objects, objects_key};

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
        let mut upload = Upload::start(Arc::clone(&store), path, 0);
        let copied = match copy(&mut upload, partition, rows).await {
            Ok(fingerprint) => put_objects(&*store, upload.path(), objects.as_ref(), &fingerprint).await,
            Err(error) => Err(error),
        };
        if let Err(error) = copied {
            upload.abort().await;
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

/// Writes the part with `rows` of `partition`, and returns its fingerprint.
async fn copy(
    upload: &mut Upload,
    partition: &Partition,
    rows: std::ops::Range<usize>,
) -> Result<String, PartitionError> {
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
        upload.put(std::mem::take(writer.get_mut())).await?;
    }
    let (rest, fingerprint) = writer.finish_with_fingerprint(&magnitudes, redshift.as_deref()).expect(IN_MEMORY);
    upload.put(rest).await?;
    Ok(fingerprint)
}
