//! One tensor of a partition: fetches and decodes rows in the way that suits the memory layout of the tensor.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use astromae::torch::tensor::span;
use astromae::torch::zip::Entry;
use astromae::torch::{Dtype, TensorSpec, TensorView, TorchError};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::checksum::Checksum;
use super::error::PartitionError;
use super::source::Source;

/// Sizes that decide how a tensor is fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchLimits {
    /// Largest storage, in bytes, that is fetched as a whole to save requests.
    pub(super) small_storage_bytes: u64,
    /// Largest storage, in bytes, that is kept in memory if its rows cannot be fetched by range.
    pub(super) held_bytes: u64,
    /// Largest number of bytes fetched at once, unless one row needs more. The memory of a batch is its values and one
    /// such piece.
    pub(super) piece_bytes: u64,
}

impl FetchLimits {
    /// Limits for use outside tests.
    pub(super) const DEFAULT: Self =
        Self { small_storage_bytes: 8 << 20, held_bytes: 128 << 20, piece_bytes: 32 << 20 };
}

/// Largest ratio of the range that holds the elements of a row to their size for which the row is fetched by range.
const MAX_SPREAD: u64 = 4;

/// Tensor whose first dimension is the samples.
#[derive(Debug)]
pub(super) struct Column {
    spec: TensorSpec,
    entry: Entry,
    access: Access,
    piece_bytes: u64,
    /// Whole storage, for [`Access::Whole`].
    storage: OnceCell<Bytes>,
    /// Offset in the file of the first byte of the storage.
    data_start: OnceCell<u64>,
    checksum: Mutex<Checksum>,
}

#[derive(Debug, PartialEq)]
enum Access {
    /// The storage is fetched once and kept in memory.
    Whole,
    /// Rows are fetched by range. Each row is in a range of about its own size.
    ByRows,
}

impl Column {
    /// Makes a column of the tensor `spec` with the storage `entry`.
    ///
    /// # Errors
    /// The elements of a row are too far apart, and the storage is too large to be kept in memory.
    pub(super) fn new(name: &str, spec: TensorSpec, entry: Entry, limits: FetchLimits) -> Result<Self, TorchError> {
        let row_elements: u64 = spec.shape.iter().skip(1).map(|&length| length as u64).product();
        let row_span = row_span(&spec);
        let access = if entry.bytes <= limits.small_storage_bytes {
            Access::Whole
        } else if row_span <= row_elements.saturating_mul(MAX_SPREAD) {
            Access::ByRows
        } else if entry.bytes <= limits.held_bytes {
            Access::Whole
        } else {
            return Err(TorchError::Unsupported(format!(
                "{name}: each row spans {row_span} elements (strides {:?}), too many for a storage of {} bytes; save \
                 the tensor with .contiguous()",
                spec.strides, entry.bytes
            )));
        };
        let checksum = Mutex::new(Checksum::new(entry.bytes));
        Ok(Self {
            spec,
            entry,
            piece_bytes: limits.piece_bytes,
            access,
            storage: OnceCell::new(),
            data_start: OnceCell::new(),
            checksum,
        })
    }

    /// Shape of the tensor.
    pub(super) fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    /// Type of the elements.
    pub(super) fn dtype(&self) -> Dtype {
        self.spec.dtype
    }

    /// Offset of the first element in the storage, in elements.
    pub(super) fn offset(&self) -> u64 {
        self.spec.offset
    }

    /// CRC-32 of the storage; `None` if the file has none.
    pub(super) fn crc32(&self) -> Option<u32> {
        Some(self.entry.crc32).filter(|&crc32| crc32 != 0)
    }

    /// Bytes of the elements of one row.
    pub(super) fn row_bytes(&self) -> usize {
        self.spec.shape.iter().skip(1).fold(self.spec.dtype.bytes(), |bytes, &length| bytes.saturating_mul(length))
    }

    /// Fetches the values of `rows`, row-major, widened to float64. Adds the bytes fetched from storage to `fetched`.
    pub(super) async fn read_f64(
        &self,
        source: &Source,
        rows: Range<usize>,
        fetched: &AtomicU64,
    ) -> Result<Vec<f64>, PartitionError> {
        self.read(source, rows, fetched, |view, values| view.append_f64(values)).await
    }

    /// Fetches the values of `rows`, row-major, as float32. Adds the bytes fetched from storage to `fetched`.
    pub(super) async fn read_f32(
        &self,
        source: &Source,
        rows: Range<usize>,
        fetched: &AtomicU64,
    ) -> Result<Vec<f32>, PartitionError> {
        self.read(source, rows, fetched, |view, values| view.append_f32(values)).await
    }

    async fn read<T>(
        &self,
        source: &Source,
        rows: Range<usize>,
        fetched: &AtomicU64,
        append: fn(&TensorView<'_>, &mut Vec<T>),
    ) -> Result<Vec<T>, PartitionError> {
        let row_elements = self.row_bytes() / self.dtype().bytes();
        let mut values = Vec::with_capacity(rows.len() * row_elements);
        let mut decode = |piece: Range<usize>, bytes: &[u8]| {
            let mut shape = self.spec.shape.clone();
            shape[0] = piece.len();
            TensorView::new(self.dtype(), shape, self.spec.strides.clone(), bytes)
                .map(|view| append(&view, &mut values))
                .map_err(|error| source.torch_error(error))
        };
        match self.access {
            Access::Whole => {
                let storage = self.storage.get_or_try_init(|| source.fetch_entry(&self.entry, fetched)).await?;
                let start = self.byte_range(&rows).start as usize;
                decode(rows, &storage[start..])?;
            }
            Access::ByRows => {
                let data_start = *self.data_start.get_or_try_init(|| source.data_start(&self.entry, fetched)).await?;
                for piece in self.pieces(rows) {
                    let in_storage = self.byte_range(&piece);
                    let in_file = data_start + in_storage.start..data_start + in_storage.end;
                    let bytes = source.fetch(in_file, fetched).await?;
                    decode(piece, &bytes)?;
                    self.check(source, in_storage.start, &bytes)?;
                }
            }
        }
        Ok(values)
    }

    /// Divides `rows` into consecutive pieces that span at most `piece_bytes` each, or one row.
    fn pieces(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let stride_bytes = self.spec.strides[0] as u64 * self.dtype().bytes() as u64;
        let rows_at_once = match stride_bytes {
            0 => usize::MAX,
            stride => usize::try_from(self.piece_bytes / stride).unwrap_or(usize::MAX).max(1),
        };
        let mut start = rows.start;
        std::iter::from_fn(move || {
            let piece = start..start.saturating_add(rows_at_once).min(rows.end);
            start = piece.end;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Range of bytes in the storage from the first to the last element of `rows`.
    fn byte_range(&self, rows: &Range<usize>) -> Range<u64> {
        let element_bytes = self.dtype().bytes() as u64;
        if rows.is_empty() {
            return 0..0;
        }
        // This cannot overflow: the span of the whole tensor was checked and includes this range.
        let stride = self.spec.strides[0] as u64;
        let first = self.spec.offset + rows.start as u64 * stride;
        let elements = (rows.len() as u64 - 1) * stride + row_span(&self.spec);
        first * element_bytes..(first + elements) * element_bytes
    }

    /// Adds fetched bytes to the checksum, and compares it when it is complete.
    fn check(&self, source: &Source, start: u64, bytes: &[u8]) -> Result<(), PartitionError> {
        let complete = {
            let mut checksum = self.checksum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            checksum.add(start, bytes)
        };
        match complete {
            Some(crc32) => self.entry.check_crc32(crc32).map_err(|error| source.torch_error(error)),
            None => Ok(()),
        }
    }
}

/// Number of elements from the first to the last element of a row.
fn row_span(spec: &TensorSpec) -> u64 {
    let (shape, strides) = (spec.shape.get(1..).unwrap_or(&[]), spec.strides.get(1..).unwrap_or(&[]));
    span(shape, strides).unwrap_or(u64::MAX)
}
