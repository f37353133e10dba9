//! Products with inputs and weights both rounded to bfloat16, summed in `f32`.

use super::{Columns, Dot, Staged, Staging};
use crate::gemm::product::Product;
use crate::simd::Simd;

/// Instruction that multiplies pairs of bfloat16 and adds both products to an `f32`.
pub(crate) trait Pairs: Copy {
    type S: Simd;
    /// Vector of pairs.
    type Operand: Copy;

    fn simd(self) -> Self::S;
    /// # Safety
    /// A vector of pairs is readable at `from`.
    unsafe fn load(self, from: *const u16) -> Self::Operand;
    /// # Safety
    /// A pair is readable at `from`.
    unsafe fn splat(self, from: *const u16) -> Self::Operand;
    fn dot(self, a: Self::Operand, b: Self::Operand, sum: <Self::S as Simd>::F) -> <Self::S as Simd>::F;
    /// Rounds a vector to bfloat16, to nearest even; NaN stays NaN.
    ///
    /// # Safety
    /// LANES values are writable at `to`.
    unsafe fn round(self, v: <Self::S as Simd>::F, to: *mut u16);
}

/// [`Dot`] that multiplies with the instruction [`Pairs`].
#[derive(Clone, Copy)]
pub(crate) struct Bf16Pairs<P>(pub(crate) P);

impl<P: Pairs> Dot for Bf16Pairs<P> {
    type S = P::S;
    type Input = u16;
    type Weight = u16;
    type Operand = P::Operand;
    type Sum = <P::S as Simd>::F;
    const DEPTH: usize = 2;
    const STAGED: bool = true;

    #[inline(always)]
    fn simd(self) -> P::S {
        self.0.simd()
    }
    #[inline(always)]
    unsafe fn weights(self, from: *const u16, _: usize) -> P::Operand {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load(from) }
    }
    #[inline(always)]
    unsafe fn inputs(self, from: *const u16, _: usize) -> P::Operand {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.splat(from) }
    }
    #[inline(always)]
    fn dot(self, inputs: P::Operand, weights: P::Operand, sum: Self::Sum) -> Self::Sum {
        self.0.dot(inputs, weights, sum)
    }
    #[inline(always)]
    unsafe fn start(self, columns: Columns, first: usize) -> Self::Sum {
        // SAFETY: guaranteed by the caller.
        unsafe { self.simd().load(columns.bias.add(first)) }
    }
    #[inline(always)]
    unsafe fn finish(self, sum: Self::Sum, _: Columns, _: usize, _: f32) -> Self::Sum {
        sum
    }
    /// Rounds all values from the first to the last row once, because rows of a convolution share values.
    #[inline(always)]
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], staging: &mut Staging) -> Staged<u16> {
        let s = self.simd();
        let rounded = staging.values.as_mut_ptr().cast::<u16>();
        let len = product.input_extent();
        let whole = len / P::S::LANES * P::S::LANES;
        // SAFETY: the caller guarantees `len` inputs, and staging for as many values rounded up to whole vectors.
        unsafe {
            for at in (0..whole).step_by(P::S::LANES) {
                self.0.round(s.load(input.as_ptr().add(at)), rounded.add(at));
            }
            if whole < len {
                self.0.round(s.load_part(input.as_ptr().add(whole), len - whole), rounded.add(whole));
            }
        }
        Staged { input: rounded, layout: product.input, scales: std::ptr::null() }
    }
}
