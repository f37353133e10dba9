//! A tensor that still lies in its file: type, shape, strides, and where.

use std::ops::Range;
use std::sync::Arc;

use crate::torch::tensor::span;
use crate::torch::zip::Entry;
use crate::torch::{Dtype, TensorView, TorchError, row_major_strides};

/// Bytes read at once of a tensor that needs no reordering: what a core's cache holds from the reading to the decoding.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes of a file that one or more tensors share.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) storage: Range<u64>,
    /// The archive's entry that it is, which may have a checksum.
    pub(super) entry: Option<Arc<Entry>>,
}

/// A tensor of a checkpoint, whose elements are read by [`Checkpoint::view`](super::Checkpoint::view).
#[derive(Debug, Clone)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    strides: Vec<usize>,
    place: Place,
    /// From its first element to its last, in the file.
    data: Range<u64>,
}

impl Tensor {
    /// A tensor whose first element lies `start` bytes behind the start of its storage.
    ///
    /// # Errors
    /// When its last element lies beyond.
    pub(super) fn new(
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
        place: Place,
        start: u64,
    ) -> Result<Self, TorchError> {
        let Range { start: first, end } = place.storage;
        let stored = (end - first - start) / dtype.bytes() as u64;
        let countable = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let span = span(&shape, &strides).filter(|_| countable.is_some() && shape.len() == strides.len());
        match span {
            Some(span) if span <= stored => {
                let from = first + start;
                Ok(Self { dtype, shape, strides, place, data: from..from + span * dtype.bytes() as u64 })
            }
            _ => Err(TorchError::malformed(format!(
                "a tensor of shape {shape:?} and strides {strides:?} in {stored} {dtype} elements"
            ))),
        }
    }

    /// Length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of its elements, each counted once for every index that shows it.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes())
    }

    pub(super) fn view<'b>(&self, data: &'b [u8]) -> Result<TensorView<'b>, TorchError> {
        TensorView::new(self.dtype, self.shape.clone(), self.strides.clone(), data)
    }

    /// Whether its elements lie in the file in the order of their indices, without gaps.
    pub(super) fn is_row_major(&self) -> bool {
        self.strides == row_major_strides(&self.shape)
    }

    /// Its bytes in pieces of whole elements.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = self.data;
        (start..end).step_by(PIECE_BYTES).map(move |at| at..end.min(at + PIECE_BYTES as u64))
    }

    /// A piece's elements in a row.
    pub(super) fn flat<'b>(&self, piece: &'b [u8]) -> Result<TensorView<'b>, TorchError> {
        TensorView::new(self.dtype, vec![piece.len() / self.dtype.bytes()], vec![1], piece)
    }

    pub(super) fn data(&self) -> Range<u64> {
        self.data.clone()
    }

    pub(super) fn storage(&self) -> Range<u64> {
        self.place.storage.clone()
    }

    pub(super) fn storage_start(&self) -> u64 {
        self.place.storage.start
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        self.place.entry.as_deref()
    }
}
