//! One tensor of a partition: rows in, values out, fetched as the tensor's layout allows.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use astromae::torch::tensor::span;
use astromae::torch::zip::Entry;
use astromae::torch::{Dtype, TensorSpec, TensorView, TorchError};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::PartitionError;
use super::checksum::Checksum;
use super::source::Source;

/// How a tensor's bytes are fetched, by their number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Storages up to here are fetched whole, once: it saves requests.
    pub(super) small_storage_bytes: u64,
    /// Storages up to here may be held in memory where rows cannot be fetched by range.
    pub(super) held_bytes: u64,
    /// At most this much is fetched at once (more if one row needs more), so that a batch's memory is
    /// its values and one piece.
    pub(super) piece_bytes: u64,
}

impl Limits {
    pub(super) const DEFAULT: Self =
        Self { small_storage_bytes: 8 << 20, held_bytes: 128 << 20, piece_bytes: 32 << 20 };
}

/// A row whose elements lie in a range this many times their size is fetched by range.
const MAX_SPREAD: u64 = 4;

/// A tensor whose first dimension is the samples.
#[derive(Debug)]
pub(super) struct Column {
    spec: TensorSpec,
    entry: Entry,
    access: Access,
    piece_bytes: u64,
    /// The whole storage, where [`Access::Held`].
    held: OnceCell<Bytes>,
    /// Where the storage's elements start in the file.
    data_start: OnceCell<u64>,
    checksum: Mutex<Checksum>,
}

#[derive(Debug, PartialEq)]
enum Access {
    /// The storage is fetched once and held.
    Held,
    /// Each row lies in a range of about its own size.
    ByRows,
}

impl Column {
    /// A column of the tensor `spec`, whose storage is `entry`.
    ///
    /// # Errors
    /// When a row is scattered over more bytes than may be held.
    pub(super) fn new(name: &str, spec: TensorSpec, entry: Entry, limits: Limits) -> Result<Self, TorchError> {
        let row_elements: u64 = spec.shape.iter().skip(1).map(|&length| length as u64).product();
        let row_span = row_span(&spec);
        let access = if entry.bytes <= limits.small_storage_bytes {
            Access::Held
        } else if row_span <= row_elements.saturating_mul(MAX_SPREAD) {
            Access::ByRows
        } else if entry.bytes <= limits.held_bytes {
            Access::Held
        } else {
            return Err(TorchError::Unsupported(format!(
                "{name}: each row is scattered over {row_span} elements (strides {:?}), too far for a storage of {} bytes; save the tensor with .contiguous()",
                spec.strides, entry.bytes
            )));
        };
        let checksum = Mutex::new(Checksum::new(entry.bytes));
        Ok(Self {
            spec,
            entry,
            piece_bytes: limits.piece_bytes,
            access,
            held: OnceCell::new(),
            data_start: OnceCell::new(),
            checksum,
        })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.spec.dtype
    }

    /// Where its elements start in its storage.
    pub(super) fn offset(&self) -> u64 {
        self.spec.offset
    }

    /// Checksum of its storage; None where none was recorded.
    pub(super) fn crc32(&self) -> Option<u32> {
        Some(self.entry.crc32).filter(|&crc32| crc32 != 0)
    }

    /// Bytes of one row's elements.
    pub(super) fn row_bytes(&self) -> usize {
        self.spec.shape.iter().skip(1).fold(self.spec.dtype.bytes(), |bytes, &length| bytes.saturating_mul(length))
    }

    /// Values of `rows`, row-major, widened to float64.
    pub(super) async fn read_f64(
        &self,
        source: &Source,
        rows: Range<usize>,
        fetched: &AtomicU64,
    ) -> Result<Vec<f64>, PartitionError> {
        self.read(source, rows, fetched, |view, values| view.append_f64(values)).await
    }

    /// Values of `rows`, row-major, as float32.
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
            Access::Held => {
                let storage = self.held.get_or_try_init(|| source.fetch_entry(&self.entry, fetched)).await?;
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

    /// `rows` in consecutive pieces that each span at most `piece_bytes`, or one row.
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

    /// The bytes of the storage from the first to the last element of `rows`.
    fn byte_range(&self, rows: &Range<usize>) -> Range<u64> {
        let element_bytes = self.dtype().bytes() as u64;
        if rows.is_empty() {
            return 0..0;
        }
        // No overflow: the spec's own span was checked and contains this one.
        let stride = self.spec.strides[0] as u64;
        let first = self.spec.offset + rows.start as u64 * stride;
        let elements = (rows.len() as u64 - 1) * stride + row_span(&self.spec);
        first * element_bytes..(first + elements) * element_bytes
    }

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

/// Elements from the first to the last one of a row.
fn row_span(spec: &TensorSpec) -> u64 {
    let (shape, strides) = (spec.shape.get(1..).unwrap_or(&[]), spec.strides.get(1..).unwrap_or(&[]));
    span(shape, strides).unwrap_or(u64::MAX)
}
