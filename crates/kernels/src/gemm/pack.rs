//! Weights in the order in which the micro-kernel reads them.

use crate::aligned::AlignedVec;
use crate::isa::Isa;
use crate::simd::tile_shape;

/// A weight matrix (n, k) and its bias (n), packed for one instruction set.
///
/// Panels of NR columns (NR is the tile's vectors × lanes) follow each other, each holding its k rows of NR weights;
/// the last panel has only as many vectors as the columns left need. Columns beyond n are zero.
#[derive(Debug)]
pub struct Weights {
    isa: Isa,
    n: usize,
    k: usize,
    panels: AlignedVec,
    bias: AlignedVec,
}

impl Weights {
    /// Packs `weight` (n, k), row-major, as `torch.nn.Linear` keeps it, and `bias` (n).
    ///
    /// # Panics
    /// Where the lengths do not fit each other.
    pub fn pack(isa: Isa, n: usize, k: usize, weight: &[f32], bias: &[f32]) -> Weights {
        assert_eq!(weight.len(), n * k, "weight is not (n, k)");
        assert_eq!(bias.len(), n, "bias is not (n)");
        let (lanes, _, vectors) = tile_shape(isa);
        let padded = n.next_multiple_of(lanes);
        let mut panels = AlignedVec::zeroed(padded * k);
        let panel_columns = vectors * lanes;
        for first in (0..padded).step_by(panel_columns) {
            let width = panel_columns.min(padded - first);
            let panel = &mut panels[first * k..][..width * k];
            for column in 0..width.min(n - first) {
                let row = &weight[(first + column) * k..][..k];
                for (slot, value) in panel[column..].iter_mut().step_by(width).zip(row) {
                    *slot = *value;
                }
            }
        }
        let mut padded_bias = AlignedVec::zeroed(padded);
        padded_bias[..n].copy_from_slice(bias);
        Weights { isa, n, k, panels, bias: padded_bias }
    }

    /// Columns of the result.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs to each element of the result.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Multiply-adds of one row.
    pub fn multiply_adds(&self) -> usize {
        self.n * self.k
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.panels.len() + self.bias.len()) * size_of::<f32>()
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    pub(super) fn panels(&self) -> &[f32] {
        &self.panels
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }
}
