//! Reads a partition: opens it, validates its layout, and fetches rows by byte range.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use astromae::torch::Dtype;
use futures::future::try_join3;
use object_store::ObjectStore;
use object_store::path::Path;

use super::column::{Column, FetchLimits};
use super::error::PartitionError;
use super::fingerprint::fingerprint;
use super::limits::MAX_BATCH_BYTES;
use super::opening;
use super::source::Source;

/// Open partition with a valid layout. Opening reads the zip directory and the pickle, but no images.
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
    /// Magnitudes u g r i z, (n, 5) row-major; float32 values are widened.
    pub magnitudes: Vec<f64>,
    /// Spectroscopic redshifts, (n); `None` if the partition has none.
    pub redshift: Option<Vec<f64>>,
    /// Bytes fetched from storage by this call. The first call may also fetch all magnitudes and redshifts.
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

impl Partition {
    /// Opens the partition at `path`. With the `e_tag` of a listing, opening fails if the object has another version.
    /// Later reads return data of the opened version, or fail.
    ///
    /// # Errors
    /// Every kind of error except [`PartitionError::BatchTooLarge`].
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, e_tag: Option<String>) -> Result<Self, PartitionError> {
        Self::open_with_limits(store, path, e_tag, FetchLimits::DEFAULT).await
    }

    /// Opens a partition with other limits. Tests use it to fetch small files like large ones.
    pub(super) async fn open_with_limits(
        store: Arc<dyn ObjectStore>,
        path: Path,
        e_tag: Option<String>,
        limits: FetchLimits,
    ) -> Result<Self, PartitionError> {
        let mut source = Source::open(store, path, e_tag).await?;
        let opening::Columns { images, magnitudes, redshift } = opening::read(&mut source, limits).await?;
        Ok(Self { source, images, magnitudes, redshift })
    }

    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a partition of zero images does not open")]
    pub fn len(&self) -> usize {
        self.images.shape()[0]
    }

    /// Number of bands of an image, always [`BANDS`](super::BANDS).
    pub fn bands(&self) -> usize {
        self.images.shape()[1]
    }

    /// Height of an image in pixels.
    pub fn height(&self) -> usize {
        self.images.shape()[2]
    }

    /// Width of an image in pixels.
    pub fn width(&self) -> usize {
        self.images.shape()[3]
    }

    /// Type of the magnitudes as stored, float32 or float64.
    pub fn magnitude_dtype(&self) -> Dtype {
        self.magnitudes.dtype()
    }

    /// Type of the redshifts as stored, float32 or float64; `None` if the partition has none.
    pub fn redshift_dtype(&self) -> Option<Dtype> {
        self.redshift.as_ref().map(Column::dtype)
    }

    /// Bytes of the image and magnitudes of one sample, as stored: 20,520 in the partitions of the CAI study.
    pub fn bytes_per_sample(&self) -> usize {
        self.images.row_bytes() + self.magnitudes.row_bytes()
    }

    /// Size of the whole object in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Fingerprint of the partition: the checksums of its images and magnitudes and the offsets of their first
    /// elements. It distinguishes the partition from all others except copies. `None` if the file has no checksums.
    pub fn fingerprint(&self) -> Option<String> {
        let part = |column: &Column| Some((column.crc32()?, column.offset()));
        Some(fingerprint(part(&self.images)?, part(&self.magnitudes)?))
    }

    /// Path of the partition in its store.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Fetches the magnitudes of `rows`, which must be rows of the partition, without their images.
    pub(super) async fn read_magnitudes(&self, rows: Range<usize>) -> Result<Vec<f64>, PartitionError> {
        self.magnitudes.read_f64(&self.source, rows, &AtomicU64::new(0)).await
    }

    /// Fetches the images of `rows`, which must be rows of the partition, without their magnitudes.
    pub(super) async fn read_images(&self, rows: Range<usize>) -> Result<Vec<f32>, PartitionError> {
        self.images.read_f32(&self.source, rows, &AtomicU64::new(0)).await
    }

    /// Fetches the redshifts of `rows`, which must be rows of the partition; empty if it has none.
    pub(super) async fn read_redshift(&self, rows: Range<usize>) -> Result<Vec<f64>, PartitionError> {
        match &self.redshift {
            Some(redshift) => redshift.read_f64(&self.source, rows, &AtomicU64::new(0)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Fetches and decodes `rows`. If every row is read once, in any order, the data are checked against the checksums
    /// in the file, and the last read reports damage.
    ///
    /// # Errors
    /// [`PartitionError::Storage`], [`PartitionError::Changed`], [`PartitionError::BatchTooLarge`], and
    /// [`PartitionError::Malformed`] if the data are damaged.
    ///
    /// # Panics
    /// Panics if `rows` exceed [`Partition::len`].
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
