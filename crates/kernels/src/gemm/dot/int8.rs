//! Products of 8-bit integers, summed exactly.
//!
//! A weight is `scale[column]·q` and an input is `scale[row]·q`, with an integer |q| ≤ 127 (|q| ≤ 64 for the weights of
//! instructions that saturate their sums). The scale maps the largest magnitude of a column or row to the largest q.
//! Scales of rows are computed from the row itself at run time, so no value is clipped and no calibration is needed.

use super::{Columns, Dot, Staged, Staging, Weight};
use crate::gemm::product::Product;
use crate::layout::Layout;
use crate::simd::Simd;

/// Largest magnitude of a quantised input.
const LARGEST: f32 = 127.0;

/// A row whose values are all smaller is treated as zeros, because the inverse of its scale would not be finite.
const TINY: f32 = 1e-30;

/// Instructions that multiply groups of small integers and add their products to 32-bit sums.
pub(crate) trait Int8: Copy {
    type S: Simd;
    /// Input in the type that the instruction takes.
    type Input: Copy;
    type Weight: Weight;
    /// Vector of 32-bit sums, or of as many groups of DEPTH inputs or weights.
    type Vector: Copy;
    /// Values of k that one instruction multiplies and adds to one sum.
    const DEPTH: usize;
    /// Number added to each input, for instructions that take unsigned inputs.
    const INPUT_OFFSET: i32 = 0;
    /// Largest magnitude of a weight.
    const LARGEST_WEIGHT: f32 = LARGEST;

    fn simd(self) -> Self::S;
    /// # Safety
    /// LANES × DEPTH weights are readable at `from`.
    unsafe fn load(self, from: *const Self::Weight) -> Self::Vector;
    /// # Safety
    /// DEPTH inputs are readable at `from`.
    unsafe fn splat(self, from: *const Self::Input) -> Self::Vector;
    /// # Safety
    /// LANES sums are readable at `from`.
    unsafe fn load_sums(self, from: *const i32) -> Self::Vector;
    fn dot(self, inputs: Self::Vector, weights: Self::Vector, sums: Self::Vector) -> Self::Vector;
    fn to_float(self, sums: Self::Vector) -> <Self::S as Simd>::F;
    /// Rounds values from −127 to 127 to the nearest integer, ties to even, and adds INPUT_OFFSET.
    ///
    /// # Safety
    /// LANES inputs are writable at `to`.
    unsafe fn quantise(self, v: <Self::S as Simd>::F, to: *mut Self::Input);
}

/// [`Dot`] that multiplies with the instructions [`Int8`].
#[derive(Clone, Copy)]
pub(crate) struct Quantised<I>(pub(crate) I);

impl<I: Int8> Dot for Quantised<I> {
    type S = I::S;
    type Input = I::Input;
    type Weight = I::Weight;
    type Operand = I::Vector;
    type Sum = I::Vector;
    const DEPTH: usize = I::DEPTH;
    const STAGED: bool = true;
    const INPUT_OFFSET: i32 = I::INPUT_OFFSET;
    const LARGEST_WEIGHT: f32 = I::LARGEST_WEIGHT;

    #[inline(always)]
    fn simd(self) -> I::S {
        self.0.simd()
    }
    #[inline(always)]
    unsafe fn weights(self, from: *const I::Weight, _: usize) -> I::Vector {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load(from) }
    }
    #[inline(always)]
    unsafe fn inputs(self, from: *const I::Input, _: usize) -> I::Vector {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.splat(from) }
    }
    #[inline(always)]
    fn dot(self, inputs: I::Vector, weights: I::Vector, sum: I::Vector) -> I::Vector {
        self.0.dot(inputs, weights, sum)
    }
    #[inline(always)]
    unsafe fn start(self, columns: Columns, first: usize) -> I::Vector {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load_sums(columns.offsets.add(first)) }
    }
    #[inline(always)]
    unsafe fn finish(self, sum: I::Vector, columns: Columns, first: usize, scale: f32) -> <I::S as Simd>::F {
        let s = self.simd();
        // SAFETY: guaranteed by the caller.
        let (scales, bias) = unsafe { (s.load(columns.scales.add(first)), s.load(columns.bias.add(first))) };
        s.fma(s.mul(self.0.to_float(sum), s.splat(scale)), scales, bias)
    }
    #[inline(always)]
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], staging: &mut Staging) -> Staged<I::Input> {
        let (k, rows) = (product.weights.k(), product.input.rows());
        let values = staging.values.as_mut_ptr().cast::<I::Input>();
        let stride = staged_stride(k);
        let mut from = product.input.cursor();
        for (row, scale) in staging.scales[..rows].iter_mut().enumerate() {
            // SAFETY: the caller guarantees k inputs in each row, and staging for rows × stride inputs.
            *scale = unsafe { self.quantise_row(input.as_ptr().add(from.advance()), k, values.add(row * stride)) };
        }
        Staged { input: values, layout: Layout::plain(rows, stride), scales: staging.scales.as_ptr() }
    }
}

/// Distance between staged rows: a multiple of the widest vector, because rows are written in whole vectors.
pub(crate) fn staged_stride(k: usize) -> usize {
    k.next_multiple_of(crate::simd::LANES_MAX)
}

impl<I: Int8> Quantised<I> {
    /// Quantises k inputs and returns their scale, which is NaN if an input is not finite.
    ///
    /// # Safety
    /// k inputs are readable at `from`, and `staged_stride(k)` writable at `to`.
    #[inline(always)]
    unsafe fn quantise_row(self, from: *const f32, k: usize, to: *mut I::Input) -> f32 {
        let s = self.simd();
        let (lanes, whole) = (I::S::LANES, k / I::S::LANES * I::S::LANES);
        let zero = s.splat(0.0);
        // `not_finite` is 0 while all values are finite, and NaN afterwards. `max` alone may lose a NaN.
        let (mut largest, mut not_finite) = (zero, zero);
        let mut inspect = |v| {
            largest = s.max(largest, s.max(s.sub(zero, v), v));
            not_finite = s.fma(v, zero, not_finite);
        };
        // SAFETY: guaranteed by the caller; `load_part` sets the lanes beyond k to zero.
        unsafe {
            for at in (0..whole).step_by(lanes) {
                inspect(s.load(from.add(at)));
            }
            if whole < k {
                inspect(s.load_part(from.add(whole), k - whole));
            }
            let largest = s.lanes(largest)[..lanes].iter().fold(0.0f32, |a, b| a.max(*b));
            let inverse = s.splat(if largest > TINY { LARGEST / largest } else { 0.0 });
            for at in (0..whole).step_by(lanes) {
                self.0.quantise(s.mul(s.load(from.add(at)), inverse), to.add(at));
            }
            if whole < k {
                self.0.quantise(s.mul(s.load_part(from.add(whole), k - whole), inverse), to.add(whole));
            }
            largest / LARGEST + s.sum(not_finite)
        }
    }
}
