//! Packed [`Weights`]: panels in the order in which the micro-kernel reads them.

use crate::aligned::AlignedVec;
use crate::gemm::dispatch::{PanelShape, WeightKind, panel_shape};
use crate::gemm::dot::{Arithmetic, Columns, StagingSize, Weight, staged_stride};
use crate::isa::Isa;
use crate::layout::Layout;
use crate::simd::bf16;

/// Weight matrix (n, k) and bias (n), packed for one instruction set and arithmetic.
///
/// Memory holds one panel of NR columns after another (NR = vectors of a tile × lanes). For each step of k, a panel
/// holds its columns side by side, each with its values of k in that step. The last panel has only as many vectors as
/// the remaining columns need. Columns beyond n are zero.
#[derive(Debug)]
pub struct Weights {
    isa: Isa,
    arithmetic: Arithmetic,
    n: usize,
    k: usize,
    panels: Panels,
    bias: AlignedVec<f32>,
    /// Scale of each column; empty if weights are not integers.
    scales: AlignedVec<f32>,
    /// Initial sum of each column; empty if weights are not integers.
    offsets: AlignedVec<i32>,
    /// Bytes of a staged input; 0 if inputs are not staged.
    staged_bytes: usize,
}

#[derive(Debug)]
enum Panels {
    F32(AlignedVec<f32>),
    Bf16(AlignedVec<u16>),
    I16(AlignedVec<i16>),
    I8(AlignedVec<i8>),
}

impl Weights {
    /// Packs `weight` (n, k), row-major as in `torch.nn.Linear`, and `bias` (n).
    ///
    /// `run` is the number of consecutive inputs in each tap of the products that will use these weights
    /// ([`Taps::len`](crate::Taps)); for a linear layer it is k.
    ///
    /// # Panics
    /// If the lengths do not match (n, k), if `isa` cannot multiply runs of `run` inputs in this arithmetic (see
    /// [`Isa::multiplies`]), or if `arithmetic` is [`Arithmetic::Int8`] and `run` is not k.
    pub fn pack(
        isa: Isa,
        arithmetic: Arithmetic,
        (n, k): (usize, usize),
        run: usize,
        weight: &[f32],
        bias: &[f32],
    ) -> Weights {
        assert_eq!(weight.len(), n * k, "weight is not (n, k)");
        assert_eq!(bias.len(), n, "bias is not (n)");
        assert!(isa.multiplies(arithmetic, run), "{isa} cannot multiply runs of {run} inputs in {arithmetic:?}");
        assert!(arithmetic != Arithmetic::Int8 || run == k, "Int8 has one scale per row and supports only one tap");
        let shape = panel_shape(isa, arithmetic);
        let padded = n.next_multiple_of(shape.lanes);
        let order = PanelOrder { shape, n, k, padded };
        let mut padded_bias = AlignedVec::zeroed(padded);
        padded_bias[..n].copy_from_slice(bias);
        let mut weights = Weights {
            isa,
            arithmetic,
            n,
            k,
            panels: Panels::F32(AlignedVec::zeroed(0)),
            bias: padded_bias,
            scales: AlignedVec::zeroed(0),
            offsets: AlignedVec::zeroed(0),
            staged_bytes: shape.staged_bytes,
        };
        weights.panels = match shape.kind {
            WeightKind::F32 => Panels::F32(order.pack(|column, p| weight[column * k + p])),
            WeightKind::Bf16 => Panels::Bf16(order.pack(|column, p| bf16::from_f32(weight[column * k + p]))),
            WeightKind::I16 | WeightKind::I8 => {
                let quantised = weights.quantise(shape, weight);
                match shape.kind {
                    WeightKind::I16 => Panels::I16(order.pack(|column, p| i16::from(quantised[column * k + p]))),
                    _ => Panels::I8(order.pack(|column, p| quantised[column * k + p])),
                }
            }
        };
        weights
    }

    /// Quantises the weights (n, k) and stores one scale per column, and the initial sums that cancel the number which
    /// the instruction adds to its inputs.
    fn quantise(&mut self, shape: PanelShape, weight: &[f32]) -> Vec<i8> {
        self.scales = AlignedVec::zeroed(self.bias.len());
        self.offsets = AlignedVec::zeroed(self.bias.len());
        let mut quantised = Vec::with_capacity(weight.len());
        for (column, row) in weight.chunks_exact(self.k.max(1)).enumerate() {
            let largest = row.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            let finite = row.iter().all(|w| w.is_finite());
            self.scales[column] = if finite { largest / shape.largest_weight } else { f32::NAN };
            let inverse =
                if largest > 0.0 && finite { f64::from(shape.largest_weight) / f64::from(largest) } else { 0.0 };
            let mut sum = 0;
            for w in row {
                let q = (f64::from(*w) * inverse).round_ties_even() as i8;
                sum += i32::from(q);
                quantised.push(q);
            }
            self.offsets[column] = -shape.input_offset * sum;
        }
        quantised
    }

    /// Number of columns of the output.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of inputs of each output value.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Arithmetic that the weights are packed for.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Number of multiply-adds for one row.
    pub fn multiply_adds(&self) -> usize {
        self.n * self.k
    }

    /// Bytes of memory that the weights take.
    pub fn bytes(&self) -> usize {
        let panels = match &self.panels {
            Panels::F32(panels) => panels.bytes(),
            Panels::Bf16(panels) => panels.bytes(),
            Panels::I16(panels) => panels.bytes(),
            Panels::I8(panels) => panels.bytes(),
        };
        panels + self.bias.bytes() + self.scales.bytes() + self.offsets.bytes()
    }

    /// Size of the staging that a product of `rows` rows needs, if the rows with all their taps span `extent` values.
    pub fn staging(&self, rows: usize, extent: usize) -> StagingSize {
        let values = match self.arithmetic {
            _ if self.staged_bytes == 0 => return StagingSize::default(),
            Arithmetic::Int8 => rows * staged_stride(self.k),
            _ => staged_stride(extent),
        };
        let scales = if self.arithmetic == Arithmetic::Int8 { rows } else { 0 };
        StagingSize { values: (values * self.staged_bytes).div_ceil(size_of::<f32>()), scales }
    }

    /// Size of the staging that a product of `rows` contiguous rows of k values needs.
    pub fn staging_of_rows(&self, rows: usize) -> StagingSize {
        self.staging(rows, Layout::plain(rows, self.k).extent(self.k))
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of columns, padding included.
    pub(super) fn padded(&self) -> usize {
        self.bias.len()
    }

    /// Bias, scales and initial sums of the columns from `first` on.
    pub(super) fn columns(&self, first: usize) -> Columns {
        Columns {
            bias: self.bias[first..].as_ptr(),
            scales: self.scales.get(first..).map_or(std::ptr::null(), <[f32]>::as_ptr),
            offsets: self.offsets.get(first..).map_or(std::ptr::null(), <[i32]>::as_ptr),
        }
    }
}

/// Sizes that define the order of values in packed panels.
struct PanelOrder {
    shape: PanelShape,
    n: usize,
    k: usize,
    padded: usize,
}

impl PanelOrder {
    /// Packs the values `value(column, p)`, p < k, into panels.
    fn pack<T: Copy + Default>(&self, value: impl Fn(usize, usize) -> T) -> AlignedVec<T> {
        let PanelShape { lanes, vectors, interleaved, .. } = self.shape;
        let mut panels = AlignedVec::zeroed(self.padded * self.k);
        let panel_columns = vectors * lanes;
        for first in (0..self.padded).step_by(panel_columns) {
            let width = panel_columns.min(self.padded - first);
            let panel = &mut panels[first * self.k..][..width * self.k];
            let columns = width.min(self.n.saturating_sub(first));
            for (step, values) in panel.chunks_exact_mut(width * interleaved).enumerate() {
                for (column, values) in values.chunks_exact_mut(interleaved).take(columns).enumerate() {
                    for (p, slot) in values.iter_mut().enumerate() {
                        *slot = value(first + column, step * interleaved + p);
                    }
                }
            }
        }
        panels
    }
}

impl Weight for f32 {
    const KIND: WeightKind = WeightKind::F32;

    fn panels(weights: &Weights) -> &[f32] {
        match &weights.panels {
            Panels::F32(panels) => panels,
            _ => unreachable!("weights are packed in another type"),
        }
    }
}

impl Weight for u16 {
    const KIND: WeightKind = WeightKind::Bf16;

    fn panels(weights: &Weights) -> &[u16] {
        match &weights.panels {
            Panels::Bf16(panels) => panels,
            _ => unreachable!("weights are packed in another type"),
        }
    }
}

impl Weight for i16 {
    const KIND: WeightKind = WeightKind::I16;

    fn panels(weights: &Weights) -> &[i16] {
        match &weights.panels {
            Panels::I16(panels) => panels,
            _ => unreachable!("weights are packed in another type"),
        }
    }
}

impl Weight for i8 {
    const KIND: WeightKind = WeightKind::I8;

    fn panels(weights: &Weights) -> &[i8] {
        match &weights.panels {
            Panels::I8(panels) => panels,
            _ => unreachable!("weights are packed in another type"),
        }
    }
}
