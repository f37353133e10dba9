//! Products with inputs in `f32` and weights in `f32` or bfloat16, summed in `f32`.

use super::{Columns, Dot, Staged, Staging};
use crate::gemm::product::Product;
use crate::simd::Simd;

/// Largest number of values in a chain of multiply-adds. The rounding error of a chain grows with its length. Each chain
/// takes the time of about two more values: its sums are added to the totals, and a new loop starts.
const CHAIN: usize = 96;

/// Largest number of values in a chain of a sum of LONG_SUM values or more. Long sums round most.
const CHAIN_OF_LONG_SUM: usize = 48;
const LONG_SUM: usize = 1000;

/// [`Dot`] with weights in `f32` that takes STEP values of k in one step.
#[derive(Clone, Copy)]
pub(crate) struct Floats<S, const STEP: usize>(pub(crate) S);

impl<S: Simd, const STEP: usize> Dot for Floats<S, STEP> {
    type S = S;
    type Input = f32;
    type Weight = f32;
    type Operand = S::F;
    type Sum = S::F;
    const DEPTH: usize = STEP;
    const PARTS: usize = STEP;
    const INTERLEAVED: usize = 1;
    const STAGED: bool = false;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    unsafe fn weights(self, from: *const f32, _: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load(from) }
    }
    #[inline(always)]
    unsafe fn inputs(self, from: *const f32, part: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        self.0.splat(unsafe { *from.add(part) })
    }
    #[inline(always)]
    fn dot(self, inputs: S::F, weights: S::F, sum: S::F) -> S::F {
        self.0.fma(inputs, weights, sum)
    }
    #[inline(always)]
    fn chain_len(k: usize) -> usize {
        if k < LONG_SUM { CHAIN } else { CHAIN_OF_LONG_SUM }
    }
    #[inline(always)]
    fn next_chain(self, _: S::F) -> S::F {
        self.0.splat(0.0)
    }
    #[inline(always)]
    fn join_chains(self, total: S::F, sum: S::F) -> S::F {
        self.0.add(total, sum)
    }
    #[inline(always)]
    unsafe fn start(self, columns: Columns, first: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load(columns.bias.add(first)) }
    }
    #[inline(always)]
    unsafe fn finish(self, sum: S::F, _: Columns, _: usize, _: f32) -> S::F {
        sum
    }
    #[inline(always)]
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], _: &mut Staging) -> Staged<f32> {
        not_staged(product, input)
    }
}

/// [`Dot`] with weights in bfloat16, two values of k side by side. Each weight is widened exactly and multiplied in
/// `f32`.
#[derive(Clone, Copy)]
pub(crate) struct Bf16Weights<S>(pub(crate) S);

impl<S: Simd> Dot for Bf16Weights<S> {
    type S = S;
    type Input = f32;
    type Weight = u16;
    type Operand = S::F;
    type Sum = S::F;
    const DEPTH: usize = 2;
    const PARTS: usize = 2;
    const STAGED: bool = false;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    unsafe fn weights(self, from: *const u16, part: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        unsafe { if part == 0 { self.0.load_bf16_first(from) } else { self.0.load_bf16_second(from) } }
    }
    #[inline(always)]
    unsafe fn inputs(self, from: *const f32, part: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        self.0.splat(unsafe { *from.add(part) })
    }
    #[inline(always)]
    fn dot(self, inputs: S::F, weights: S::F, sum: S::F) -> S::F {
        self.0.fma(inputs, weights, sum)
    }
    #[inline(always)]
    unsafe fn start(self, columns: Columns, first: usize) -> S::F {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.load(columns.bias.add(first)) }
    }
    #[inline(always)]
    unsafe fn finish(self, sum: S::F, _: Columns, _: usize, _: f32) -> S::F {
        sum
    }
    #[inline(always)]
    unsafe fn stage(self, product: &Product<'_>, input: &[f32], _: &mut Staging) -> Staged<f32> {
        not_staged(product, input)
    }
}

/// Uses the inputs in place.
fn not_staged(product: &Product<'_>, input: &[f32]) -> Staged<f32> {
    Staged { input: input.as_ptr(), layout: product.input, scales: std::ptr::null() }
}
