//! Cutting a partition into parts of a given size: one partition in, `1.pt … N.pt` out.

use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt as _;

use super::{BANDS, Layout, Partition, PartitionError, Writer};
use crate::objects::{Objects, objects_key};

/// Bytes of images held at a time while splitting.
const COPY_BYTES: usize = 8 << 20;
/// Parts are written in multipart pieces of this size beyond it, in one request below.
const UPLOAD_BYTES: usize = 8 << 20;
/// Pieces of a part under way at once.
const UPLOADS_AT_ONCE: usize = 2;
/// More parts are refused: the size was a slip.
const MAX_PARTS: usize = 1_000_000;

/// A part that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where, in the destination store.
    pub path: Path,
    /// Samples in it.
    pub samples: usize,
    /// Bytes of the object.
    pub bytes: u64,
}

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "size `{0}`: a number of bytes expected, or one with a unit such as `25MB` or `1GB` (binary: 1 MB is 1,048,576 bytes)"
)]
pub struct SizeError(String);

/// Bytes of a size such as `25MB`, `100 MB`, `1.5GB` or `4096`. Units are binary, as the study counts.
///
/// # Errors
/// When it is no number with a unit of B, KB, MB, GB, TB or PB, or not positive.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.to_owned());
    let trimmed = text.trim();
    let unit_at = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_at);
    let unit_bytes: u64 = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" | "KIB" => 1 << 10,
        "MB" | "MIB" => 1 << 20,
        "GB" | "GIB" => 1 << 30,
        "TB" | "TIB" => 1 << 40,
        "PB" | "PIB" => 1 << 50,
        _ => return Err(error()),
    };
    let number = number.trim();
    let digits_only = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| digits_only).ok_or_else(error)?;
    let bytes = number * unit_bytes as f64;
    if (1.0..u64::MAX as f64).contains(&bytes) { Ok(bytes as u64) } else { Err(error()) }
}

/// Samples in each part (but the last) of `size_bytes`, as the study counts them: it divides by
/// float32 pixels and magnitudes and an 8-byte redshift (20,508 bytes for 32×32 pixels) and rounds
/// down, though it stores magnitudes as float64. For 10, 25, 50, 75 and 100 MB that gives its 511,
/// 1,278, 2,556, 3,834 and 5,113 samples. At least 1.
pub fn samples_per_part(size_bytes: u64, height: usize, width: usize) -> usize {
    let counted_bytes = 4 * (BANDS * height * width + BANDS) + 8;
    usize::try_from(size_bytes / counted_bytes as u64).unwrap_or(usize::MAX).max(1)
}

/// Writes the samples of `partition`, in order, to `1.pt … N.pt` under `prefix`, each of `size_bytes`
/// as [`samples_per_part`] counts them. `written` hears of each part once it is complete; a part
/// appears under its name whole or not at all, after the file that says who its galaxies are: where there are
/// `objects`, theirs; where not, none stays there.
///
/// # Errors
/// Those of reading, and [`PartitionError::Storage`] with the part's path where writing fails. Parts
/// written before stay.
///
/// # Panics
/// When there are not as many `objects` as samples.
pub async fn split(
    partition: &Partition,
    objects: Option<&Objects>,
    size_bytes: u64,
    store: Arc<dyn ObjectStore>,
    prefix: &Path,
    mut written: impl FnMut(&Part),
) -> Result<Vec<Part>, PartitionError> {
    assert!(objects.is_none_or(|objects| objects.len() == partition.len()), "one identity for each sample");
    let samples = samples_per_part(size_bytes, partition.height(), partition.width());
    let count = partition.len().div_ceil(samples);
    if count > MAX_PARTS {
        return Err(PartitionError::Malformed {
            path: partition.path().clone(),
            what: format!("{count} parts of {size_bytes} bytes, more than {MAX_PARTS}; choose a larger size"),
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
            // The first error is the one to report; a failing abort only leaves a temporary object.
            let _ = upload.upload.abort().await;
            return Err(error);
        }
        let part = upload.finish(samples).await?;
        written(&part);
        parts.push(part);
    }
    Ok(parts)
}

/// Says beside a part, before it appears, who its galaxies are; or takes away what is said there of others.
async fn put_objects(
    store: &dyn ObjectStore,
    part: &Path,
    objects: Option<&Objects>,
    fingerprint: &str,
) -> Result<(), PartitionError> {
    let path = Path::from(objects_key(part.as_ref()));
    let failed =
        |source| PartitionError::Storage { path: part.clone(), doing: "saying beside it who its galaxies are", source };
    match objects {
        Some(objects) => {
            let bytes = objects.encode(Some(fingerprint)).expect("what was read can be written");
            store.put(&path, bytes.into()).await.map_err(failed)?;
        }
        None => match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        },
    }
    Ok(())
}

struct Upload {
    upload: BufWriter,
    path: Path,
    bytes: u64,
}

impl Upload {
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

    /// Makes the part appear. Aborts by itself where that fails.
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

    fn failed(&self, source: object_store::Error) -> PartitionError {
        PartitionError::Storage { path: self.path.clone(), doing: "writing it", source }
    }
}

/// The writer's only errors are those of what it writes to.
const IN_MEMORY: &str = "writing to memory never fails";
