//! What a product is computed in: how a step of k is multiplied and added, for each arithmetic and instruction set.

mod bf16;
mod floats;
mod int8;

use crate::aligned::AlignedVec;
use crate::gemm::dispatch::WeightKind;
use crate::gemm::pack::Weights;
use crate::gemm::product::Product;
use crate::layout::Layout;
use crate::simd::Simd;

pub(crate) use bf16::{Bf16Pairs, Pairs};
pub(crate) use floats::{Bf16Weights, Floats};
pub(crate) use int8::{Int8, Quantised, staged_stride};

/// The arithmetic of a product. What comes in and what goes out is `f32` in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// 32-bit floating point.
    F32,
    /// Weights and inputs rounded to bfloat16, summed in 32-bit floating point. Where the CPU has no instruction for
    /// that, weights rounded to bfloat16, and inputs and arithmetic in `f32`.
    Bf16,
    /// Weights rounded to 8-bit integers with a scale for each column (to seven bits where the instruction would cut off
    /// more: AVX2), inputs to 8-bit integers with a scale for each row; products are summed exactly.
    Int8,
}

/// A product's way of multiplying. A value is the proof that its instructions run here.
///
/// A step takes [`DEPTH`](Dot::DEPTH) values of k: those of one row against those of one vector of columns.
pub(crate) trait Dot: Copy {
    type S: Simd;
    /// An input as it is multiplied.
    type Input: Copy;
    /// A packed weight.
    type Weight: Weight;
    /// One vector of columns, or one row's inputs for all of them: DEPTH / PARTS values each.
    type Operand: Copy;
    /// One vector of sums.
    type Sum: Copy;
    const DEPTH: usize;
    /// Instructions that a step is multiplied in, one after the other.
    const PARTS: usize = 1;
    /// Values of k that lie side by side in a panel: a whole step, or one, with the parts of a step in rows.
    const INTERLEAVED: usize = Self::DEPTH;
    /// Whether inputs are multiplied in another form than they come in.
    const STAGED: bool;
    /// What is added to each input before it is multiplied.
    const INPUT_OFFSET: i32 = 0;
    /// The largest magnitude of an integer weight.
    const LARGEST_WEIGHT: f32 = 0.0;

    fn simd(self) -> Self::S;

    /// Where the weights of a vector of columns lie in a step of a panel of `vectors`.
    #[inline(always)]
    fn offset(vectors: usize, vector: usize, part: usize) -> usize {
        let row = if Self::INTERLEAVED == 1 { part * vectors } else { 0 };
        (row + vector) * Self::S::LANES * Self::INTERLEAVED
    }

    /// # Safety
    /// A vector of columns, INTERLEAVED weights each, is readable at `from`; `part` < PARTS.
    unsafe fn weights(self, from: *const Self::Weight, part: usize) -> Self::Operand;
    /// # Safety
    /// DEPTH inputs are readable at `from`; `part` < PARTS.
    unsafe fn inputs(self, from: *const Self::Input, part: usize) -> Self::Operand;
    fn dot(self, inputs: Self::Operand, weights: Self::Operand, sum: Self::Sum) -> Self::Sum;
    /// What the sums of a vector of columns start from.
    ///
    /// # Safety
    /// `columns` are those of this arithmetic, a vector of them from `first` on.
    unsafe fn start(self, columns: Columns, first: usize) -> Self::Sum;
    /// The value of a finished sum; `scale` is its row's.
    ///
    /// # Safety
    /// As for `start`.
    unsafe fn finish(self, sum: Self::Sum, columns: Columns, first: usize, scale: f32) -> <Self::S as Simd>::F;
    /// Turns the product's inputs into what is multiplied.
    ///
    /// # Safety
    /// The product's input layout lies in `input` for all of its taps, and `staging` holds what
    /// [`Weights::staging`] says.
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], staging: &mut Staging) -> Staged<Self::Input>;
}

/// An operation over a way of multiplying, to be compiled for each.
pub(crate) trait DotKernel {
    /// Implementations are `#[inline(always)]`, as for [`Kernel`](crate::simd::Kernel).
    fn run<D: Dot>(self, dot: D);
}

/// The columns of a panel: where its bias, and for integers its scales and starting sums, lie.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) bias: *const f32,
    pub(crate) scales: *const f32,
    pub(crate) offsets: *const i32,
}

/// Inputs as they are multiplied: where their rows lie, and for integers the scale of each row.
pub(crate) struct Staged<T> {
    pub(crate) input: *const T,
    pub(crate) layout: Layout,
    /// One for each row, or null where rows have no scale.
    pub(crate) scales: *const f32,
}

impl<T> Staged<T> {
    /// The scale of a row.
    ///
    /// # Safety
    /// `row` is a row of the layout.
    #[inline(always)]
    pub(crate) unsafe fn scale(&self, row: usize) -> f32 {
        if self.scales.is_null() {
            return 1.0;
        }
        // SAFETY: the caller vouches for the row; scales has one value for each.
        unsafe { *self.scales.add(row) }
    }
}

/// Working memory for inputs in another arithmetic than `f32`; allocated once per thread, large enough for every
/// product that it is used for.
#[derive(Debug)]
pub struct Staging {
    pub(crate) values: AlignedVec<f32>,
    pub(crate) scales: AlignedVec<f32>,
}

/// What a product needs of a [`Staging`]; the larger of two needs serves both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagingSize {
    /// Values, in the size of an `f32`.
    pub values: usize,
    /// Scales of rows.
    pub scales: usize,
}

impl Staging {
    /// Memory of this size.
    pub fn new(size: StagingSize) -> Staging {
        Staging { values: AlignedVec::zeroed(size.values), scales: AlignedVec::zeroed(size.scales) }
    }

    pub(crate) fn holds(&self, size: StagingSize) -> bool {
        self.values.len() >= size.values && self.scales.len() >= size.scales
    }
}

impl StagingSize {
    /// Enough for either.
    pub fn max(self, other: StagingSize) -> StagingSize {
        StagingSize { values: self.values.max(other.values), scales: self.scales.max(other.scales) }
    }
}

/// A type of packed weights.
pub(crate) trait Weight: Copy + 'static {
    const KIND: WeightKind;
    /// The panels of weights of this type.
    fn panels(weights: &Weights) -> &[Self];
}
