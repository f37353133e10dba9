//! Partitions: an object in storage in, its images, magnitudes and redshifts out, a batch at a time.
//!
//! A partition is a `TensorDataset` that `torch.save` wrote: images float32 (n, 5, H, W), magnitudes
//! float32 or float64 (n, 5), and redshift float32 or float64 (n) or (n, 1), which may be missing.
//! [`Partition::open`] reads the zip directory and the pickle and validates the layout;
//! [`Partition::read`] fetches rows by byte range, so memory depends on the batch and not on the file.
//! [`Writer`] writes the same format, [`split`](split()) cuts one partition into many.
//!
//! Never here: code from the pickle, which may name nothing but the classes of such a file.

mod checksum;
mod column;
mod layout;
mod source;
mod split;
mod writer;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::future::try_join3;
use object_store::ObjectStore;
use object_store::path::Path;

pub use astromae::torch::Dtype;
pub use split::{Part, SizeError, parse_size, samples_per_part, split};
pub use writer::{Layout, Writer};

use column::{Column, Limits};
use source::Source;

/// Bands of an image and of its magnitudes: u g r i z.
pub const BANDS: usize = 5;
/// Higher or wider images are refused.
pub const MAX_IMAGE_SIDE: usize = 1_024;
/// A batch that would take more memory is refused.
pub const MAX_BATCH_BYTES: usize = 1 << 30;

/// Why a partition cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The storage failed; whether to try again depends on `source`.
    #[error("partition `{path}`: {doing} failed")]
    Storage {
        /// The partition.
        path: Path,
        /// What was asked of the storage.
        doing: &'static str,
        /// The storage's own error.
        source: object_store::Error,
    },
    /// Damaged, hostile, or another kind of file. Trying again cannot help.
    #[error("partition `{path}`: {what}")]
    Malformed {
        /// The partition.
        path: Path,
        /// What is wrong and, where known, what to do.
        what: String,
    },
    /// A partition of zero images. Trying again cannot help.
    #[error("partition `{path}`: no images in it")]
    Empty {
        /// The partition.
        path: Path,
    },
    /// The object is no longer the one that was listed or opened. Opening it anew may help.
    #[error("partition `{path}`: changed while it was read ({what}); run again once nothing writes to it")]
    Changed {
        /// The partition.
        path: Path,
        /// The difference.
        what: String,
    },
    /// So many rows at once would take too much memory.
    #[error(
        "partition `{path}`: a batch of {rows} images would take {bytes} bytes, more than {MAX_BATCH_BYTES}; use a smaller batch size"
    )]
    BatchTooLarge {
        /// The partition.
        path: Path,
        /// Rows asked for.
        rows: usize,
        /// Bytes of their images.
        bytes: usize,
    },
}

/// A partition whose directory and pickle were read and whose layout is valid; no image was read.
#[derive(Debug)]
pub struct Partition {
    source: Source,
    images: Column,
    magnitudes: Column,
    redshift: Option<Column>,
}

/// Consecutive rows of a partition.
#[derive(Clone, PartialEq)]
pub struct Rows {
    /// Pixels, (n, 5, H, W) row-major.
    pub images: Vec<f32>,
    /// Magnitudes u g r i z, (n, 5) row-major; float32 ones widened.
    pub magnitudes: Vec<f64>,
    /// Spectroscopic redshifts, (n); `None` where the partition has none.
    pub redshift: Option<Vec<f64>>,
    /// Bytes that came from the storage for this call. The first call may also fetch all magnitudes
    /// and redshifts.
    pub bytes_fetched: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { images, magnitudes, redshift, bytes_fetched } = self;
        write!(
            f,
            "Rows({} pixels, {} magnitudes, {:?} redshifts, {bytes_fetched} bytes fetched)",
            images.len(),
            magnitudes.len(),
            redshift.as_ref().map(Vec::len)
        )
    }
}

/// Checksum and first element of the images and of the magnitudes, in words.
fn fingerprint(images: (u32, u64), magnitudes: (u32, u64)) -> String {
    let part = |(crc32, offset): (u32, u64)| format!("{crc32:08x}+{offset}");
    format!("crc32 images {} magnitudes {}", part(images), part(magnitudes))
}

impl Partition {
    /// Opens the partition at `path`. With the `e_tag` of a listing, another version of the object is
    /// refused; later reads see the version that was opened, or fail.
    ///
    /// # Errors
    /// All kinds but [`PartitionError::BatchTooLarge`].
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, e_tag: Option<String>) -> Result<Self, PartitionError> {
        Self::open_within(store, path, e_tag, Limits::DEFAULT).await
    }

    /// As [`Partition::open`], for tests that have no large files.
    async fn open_within(
        store: Arc<dyn ObjectStore>,
        path: Path,
        e_tag: Option<String>,
        limits: Limits,
    ) -> Result<Self, PartitionError> {
        let mut source = Source::open(store, path, e_tag).await?;
        let layout::Columns { images, magnitudes, redshift } = layout::read(&mut source, limits).await?;
        Ok(Self { source, images, magnitudes, redshift })
    }

    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a partition of zero images does not open")]
    pub fn len(&self) -> usize {
        self.images.shape()[0]
    }

    /// Bands of an image, always [`BANDS`].
    pub fn bands(&self) -> usize {
        self.images.shape()[1]
    }

    /// Rows of pixels of an image.
    pub fn height(&self) -> usize {
        self.images.shape()[2]
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.images.shape()[3]
    }

    /// Type of the magnitudes as stored, float32 or float64.
    pub fn magnitude_dtype(&self) -> Dtype {
        self.magnitudes.dtype()
    }

    /// Type of the redshifts as stored, float32 or float64; `None` where there are none.
    pub fn redshift_dtype(&self) -> Option<Dtype> {
        self.redshift.as_ref().map(Column::dtype)
    }

    /// Bytes of one sample's image and magnitudes as stored: 20,520 in the study's partitions.
    pub fn bytes_per_sample(&self) -> usize {
        self.images.row_bytes() + self.magnitudes.row_bytes()
    }

    /// Bytes of the whole object.
    pub fn file_bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// The checksums of its images and magnitudes and where they start, which tell it from every other partition but a
    /// copy of it; None where its writer recorded none.
    pub fn fingerprint(&self) -> Option<String> {
        let part = |column: &Column| Some((column.crc32()?, column.offset()));
        Some(fingerprint(part(&self.images)?, part(&self.magnitudes)?))
    }

    /// Where the partition lies in its store.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Fetches and decodes `rows`. Rows read once each, in any order, are checked against the
    /// checksums in the file; the last of them reports damage.
    ///
    /// # Errors
    /// [`PartitionError::Storage`], [`PartitionError::Changed`], [`PartitionError::BatchTooLarge`], and
    /// [`PartitionError::Malformed`] where the data are damaged.
    ///
    /// # Panics
    /// When `rows` go beyond [`Partition::len`].
    pub async fn read(&self, rows: Range<usize>) -> Result<Rows, PartitionError> {
        assert!(rows.start <= rows.end && rows.end <= self.len(), "rows {rows:?} of {}", self.len());
        let bytes = rows.len().saturating_mul(self.images.row_bytes());
        if bytes > MAX_BATCH_BYTES {
            return Err(PartitionError::BatchTooLarge { path: self.path().clone(), rows: rows.len(), bytes });
        }
        let fetched = AtomicU64::new(0);
        let redshift = async {
            match &self.redshift {
                Some(redshift) => Some(redshift.read_f64(&self.source, rows.clone(), &fetched).await).transpose(),
                None => Ok(None),
            }
        };
        let (images, magnitudes, redshift) = try_join3(
            self.images.read_f32(&self.source, rows.clone(), &fetched),
            self.magnitudes.read_f64(&self.source, rows.clone(), &fetched),
            redshift,
        )
        .await?;
        Ok(Rows { images, magnitudes, redshift, bytes_fetched: fetched.into_inner() })
    }
}

#[cfg(test)]
mod tests;
