//! [`Tensor`]: type, shape, strides and position of a tensor in its file.

use std::ops::Range;
use std::sync::Arc;

use crate::torch::tensor::span;
use crate::torch::zip::Entry;
use crate::torch::{Dtype, TensorView, TorchError, row_major_strides};

/// Number of bytes of a row-major tensor that are read at once. They stay in the cache of a core until they are
/// decoded.
const PIECE_BYTES: usize = 256 << 10;

/// Storage in a file, which one or more tensors share.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Bytes of the storage.
    pub(super) storage: Range<u64>,
    /// Zip entry of the storage, which may have a checksum; `None` for safetensors.
    pub(super) entry: Option<Arc<Entry>>,
}

/// Tensor of a checkpoint. [`Checkpoint::view`](super::Checkpoint::view) reads its elements.
#[derive(Debug, Clone)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    strides: Vec<usize>,
    place: Place,
    /// Bytes of the file from the first to the last element.
    data: Range<u64>,
}

impl Tensor {
    /// Makes a tensor whose first element is `start` bytes after the start of its storage.
    ///
    /// # Errors
    /// If its last element is outside the storage.
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
                "a tensor of shape {shape:?} and strides {strides:?} does not fit into {stored} {dtype} elements"
            ))),
        }
    }

    /// Length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size of all elements in bytes. An element that several indices share is counted for each index.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes())
    }

    pub(super) fn view<'b>(&self, data: &'b [u8]) -> Result<TensorView<'b>, TorchError> {
        TensorView::new(self.dtype, self.shape.clone(), self.strides.clone(), data)
    }

    /// Returns true if the elements are in row-major order in the file, without gaps.
    pub(super) fn is_row_major(&self) -> bool {
        self.strides == row_major_strides(&self.shape)
    }

    /// Splits the bytes of the tensor into pieces of whole elements.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = self.data;
        (start..end).step_by(PIECE_BYTES).map(move |at| at..end.min(at + PIECE_BYTES as u64))
    }

    /// View of the elements of a piece, as a tensor of one dimension.
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
