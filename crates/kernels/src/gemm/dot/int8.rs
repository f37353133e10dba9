//! Exact sums of products of 8-bit integers.
//!
//! A weight is `scale[column]·q`, an input `scale[row]·q`, both with whole q of magnitudes up to 127 (weights up to 64
//! where the instruction would cut off more) and a scale that makes the largest value of its column or row the largest
//! q. Rows are scaled as they come, so that no value is cut off and no calibration is needed.

use super::{Columns, Dot, Staged, Staging, Weight};
use crate::gemm::product::Product;
use crate::layout::Layout;
use crate::simd::Simd;

/// The largest magnitude of a quantised input.
const LARGEST: f32 = 127.0;

/// A row below this is all zeros: its scale's inverse would not be finite.
const TINY: f32 = 1e-30;

/// Instructions that multiply groups of small integers and add their products to 32-bit sums.
pub(crate) trait Int8: Copy {
    type S: Simd;
    /// An input as the instruction takes it.
    type Input: Copy;
    type Weight: Weight;
    /// A vector of 32-bit sums, or of as many groups of DEPTH inputs or weights.
    type Vector: Copy;
    const DEPTH: usize;
    /// What is added to an input so that it has no sign.
    const INPUT_OFFSET: i32 = 0;
    /// The largest magnitude of a weight.
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
    /// Rounds values of −127 to 127 to the nearest input, ties to even.
    ///
    /// # Safety
    /// LANES inputs are writable at `to`.
    unsafe fn quantise(self, v: <Self::S as Simd>::F, to: *mut Self::Input);
}

/// Products by such instructions.
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
        // SAFETY: handed on from the caller.
        unsafe { self.0.load(from) }
    }
    #[inline(always)]
    unsafe fn inputs(self, from: *const I::Input, _: usize) -> I::Vector {
        // SAFETY: handed on from the caller.
        unsafe { self.0.splat(from) }
    }
    #[inline(always)]
    fn dot(self, inputs: I::Vector, weights: I::Vector, sum: I::Vector) -> I::Vector {
        self.0.dot(inputs, weights, sum)
    }
    #[inline(always)]
    unsafe fn start(self, columns: Columns, first: usize) -> I::Vector {
        // SAFETY: handed on from the caller.
        unsafe { self.0.load_sums(columns.offsets.add(first)) }
    }
    #[inline(always)]
    unsafe fn finish(self, sum: I::Vector, columns: Columns, first: usize, scale: f32) -> <I::S as Simd>::F {
        let s = self.simd();
        // SAFETY: handed on from the caller.
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
            // SAFETY: the caller vouches for k inputs in each row, and for staging to hold rows × stride inputs.
            *scale = unsafe { self.quantise_row(input.as_ptr().add(from.advance()), k, values.add(row * stride)) };
        }
        Staged { input: values, layout: Layout::plain(rows, stride), scales: staging.scales.as_ptr() }
    }
}

/// Distance between staged rows: whole vectors of the widest instruction set, since they are written as such.
pub(crate) fn staged_stride(k: usize) -> usize {
    k.next_multiple_of(crate::simd::LANES_MAX)
}

impl<I: Int8> Quantised<I> {
    /// Quantises k inputs and returns their scale: NaN where one of them is not finite.
    ///
    /// # Safety
    /// k inputs are readable at `from`, and `staged_stride(k)` writable at `to`.
    #[inline(always)]
    unsafe fn quantise_row(self, from: *const f32, k: usize, to: *mut I::Input) -> f32 {
        let s = self.simd();
        let (lanes, whole) = (I::S::LANES, k / I::S::LANES * I::S::LANES);
        let zero = s.splat(0.0);
        let (mut largest, mut spoilt) = (zero, zero);
        let mut see = |v| {
            largest = s.max(largest, s.max(s.sub(zero, v), v));
            // 0 for every finite value, else NaN, which a maximum might lose.
            spoilt = s.fma(v, zero, spoilt);
        };
        // SAFETY: handed on from the caller; the last vector's lanes beyond k are zero.
        unsafe {
            for at in (0..whole).step_by(lanes) {
                see(s.load(from.add(at)));
            }
            if whole < k {
                see(s.load_part(from.add(whole), k - whole));
            }
            let largest = s.lanes(largest)[..lanes].iter().fold(0.0f32, |a, b| a.max(*b));
            let inverse = s.splat(if largest > TINY { LARGEST / largest } else { 0.0 });
            for at in (0..whole).step_by(lanes) {
                self.0.quantise(s.mul(s.load(from.add(at)), inverse), to.add(at));
            }
            if whole < k {
                self.0.quantise(s.mul(s.load_part(from.add(whole), k - whole), inverse), to.add(whole));
            }
            largest / LARGEST + s.sum(spoilt)
        }
    }
}
