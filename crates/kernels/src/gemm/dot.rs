//! The trait [`Dot`]: how one step of k is multiplied and added, for each arithmetic and instruction set.

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

/// Arithmetic of a product. Inputs and outputs are `f32` in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// 32-bit floating point.
    F32,
    /// Weights and inputs are rounded to bfloat16, products are summed in `f32`. If the CPU has no instruction for
    /// that, only the weights are rounded, and inputs are multiplied in `f32`.
    Bf16,
    /// Weights are rounded to 8-bit integers with one scale per column, inputs to 8-bit integers with one scale per
    /// row. Products are summed exactly. With AVX2, weights have seven bits, because the instruction saturates its
    /// sums.
    Int8,
}

/// One way to multiply: an arithmetic on an instruction set. A value of the implementing type proves that this CPU has
/// the instructions.
///
/// One step multiplies [`DEPTH`](Dot::DEPTH) values of k of one row by those of one vector of columns.
pub(crate) trait Dot: Copy {
    /// Vector type of the finished values.
    type S: Simd;
    /// Input in the type in which it is multiplied.
    type Input: Copy;
    /// Packed weight.
    type Weight: Weight;
    /// Operand of the multiplication: the weights of one vector of columns, or the inputs of one row repeated for every
    /// column. DEPTH / PARTS values of k for each column.
    type Operand: Copy;
    /// One vector of sums.
    type Sum: Copy;
    /// Values of k in one step.
    const DEPTH: usize;
    /// Number of multiply instructions in one step, run one after the other.
    const PARTS: usize = 1;
    /// Number of neighbouring values of k of one column in a panel: DEPTH, or 1 if each part of a step has a row of its
    /// own.
    const INTERLEAVED: usize = Self::DEPTH;
    /// True if inputs are converted to another type before they are multiplied.
    const STAGED: bool;
    /// Number added to each input before it is multiplied.
    const INPUT_OFFSET: i32 = 0;
    /// Largest magnitude of an integer weight.
    const LARGEST_WEIGHT: f32 = 0.0;

    /// Largest number of values in a chain of multiply-adds, for sums of k values. After a chain, its sums are added to
    /// the totals of the tile. By default there is one chain: sums of integers are exact, and rounding factors to
    /// bfloat16 changes a sum much more than rounding a long chain does.
    #[inline(always)]
    fn chain_len(k: usize) -> usize {
        k.max(1)
    }

    fn simd(self) -> Self::S;

    /// Offset of the weights of one vector of columns within a step, in a panel of `vectors` vectors.
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
    /// Initial sum of the next chain. `total` is the sum of all chains before it.
    #[inline(always)]
    fn next_chain(self, total: Self::Sum) -> Self::Sum {
        total
    }
    /// Sum of all chains up to one that `next_chain` started. `total` is the sum of the chains before it, `sum` is its
    /// result.
    #[inline(always)]
    fn join_chains(self, total: Self::Sum, sum: Self::Sum) -> Self::Sum {
        let _ = total;
        sum
    }
    /// Initial sums of the vector of columns that starts at column `first`.
    ///
    /// # Safety
    /// `columns` belong to weights of this arithmetic and hold one vector of columns from `first` on.
    unsafe fn start(self, columns: Columns, first: usize) -> Self::Sum;
    /// Converts finished sums to values; `scale` is the scale of the row.
    ///
    /// # Safety
    /// The conditions of [`start`](Dot::start) hold.
    unsafe fn finish(self, sum: Self::Sum, columns: Columns, first: usize, scale: f32) -> <Self::S as Simd>::F;
    /// Converts the inputs of the product to [`Self::Input`].
    ///
    /// # Safety
    /// All rows of the product's input layout, with all their taps, are inside `input`, and `staging` has at least the
    /// size that [`Weights::staging`] returns.
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], staging: &mut Staging) -> Staged<Self::Input>;
}

/// Operation that is generic over [`Dot`] and compiled for each of them.
pub(crate) trait DotKernel {
    /// Implementations must be `#[inline(always)]`, as for [`Kernel`](crate::simd::Kernel).
    fn run<D: Dot>(self, dot: D);
}

/// Pointers to the values that belong to the columns of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) bias: *const f32,
    /// Scale of each column; null if weights are not integers.
    pub(crate) scales: *const f32,
    /// Initial sum of each column; null if weights are not integers.
    pub(crate) offsets: *const i32,
}

/// Inputs in the type in which they are multiplied, and where their rows start.
pub(crate) struct Staged<T> {
    pub(crate) input: *const T,
    pub(crate) layout: Layout,
    /// Scale of each row; null if rows have no scale.
    pub(crate) scales: *const f32,
}

impl<T> Staged<T> {
    /// Scale of `row`; 1 if rows have no scale.
    ///
    /// # Safety
    /// `row` is less than the number of rows of the layout.
    #[inline(always)]
    pub(crate) unsafe fn scale(&self, row: usize) -> f32 {
        if self.scales.is_null() {
            return 1.0;
        }
        // SAFETY: the caller guarantees that the row exists; `scales` has one value for each row.
        unsafe { *self.scales.add(row) }
    }
}

/// Working memory for converted inputs. Allocate one per thread, large enough for every product that uses it.
///
/// Products in [`Arithmetic::F32`] need none: their [`StagingSize`] is zero.
#[derive(Debug)]
pub struct Staging {
    pub(crate) values: AlignedVec<f32>,
    pub(crate) scales: AlignedVec<f32>,
}

/// Size of the [`Staging`] that a product needs. [`StagingSize::max`] of several products fits all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagingSize {
    /// Room for converted inputs, in units of one `f32` (4 bytes).
    pub values: usize,
    /// Number of row scales.
    pub scales: usize,
}

impl Staging {
    /// Allocates staging memory of `size`.
    pub fn new(size: StagingSize) -> Staging {
        Staging { values: AlignedVec::zeroed(size.values), scales: AlignedVec::zeroed(size.scales) }
    }

    pub(crate) fn holds(&self, size: StagingSize) -> bool {
        self.values.len() >= size.values && self.scales.len() >= size.scales
    }
}

impl StagingSize {
    /// Smallest size that is enough for both.
    pub fn max(self, other: StagingSize) -> StagingSize {
        StagingSize { values: self.values.max(other.values), scales: self.scales.max(other.scales) }
    }
}

/// Type of a packed weight: `f32`, `u16` (bfloat16), `i16` or `i8`.
pub(crate) trait Weight: Copy + 'static {
    const KIND: WeightKind;
    /// Panels of `weights`, which must be packed in this type.
    fn panels(weights: &Weights) -> &[Self];
}
