//! Portable vectors of four lanes, which the compiler maps to the instructions of the target.

use super::{Simd, bf16};
use crate::gemm::{Int8, Pairs};

/// Token for portable code, which every CPU supports.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

type F = [f32; 4];

#[inline(always)]
fn zip(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Simd for Scalar {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;
    type F = F;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F {
        // SAFETY: the caller guarantees LANES readable floats; an array of f32 needs only the alignment of f32.
        unsafe { from.cast::<F>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: F) {
        // SAFETY: the caller guarantees LANES writable floats; an array of f32 needs only the alignment of f32.
        unsafe { to.cast::<F>().write(v) }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        // This rounds twice. `mul_add` would be a slow library call on targets without such an instruction.
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    fn exp2_whole(self, biased: F) -> F {
        biased.map(|biased| f32::from_bits(biased.to_bits() << 23))
    }
    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> F {
        // SAFETY: the caller guarantees 2 × LANES readable values; an array of u16 needs only the alignment of u16.
        let pairs = unsafe { from.cast::<[[u16; 2]; 4]>().read() };
        pairs.map(|pair| bf16::to_f32(pair[0]))
    }
    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16) -> F {
        // SAFETY: the caller guarantees 2 × LANES readable values; an array of u16 needs only the alignment of u16.
        let pairs = unsafe { from.cast::<[[u16; 2]; 4]>().read() };
        pairs.map(|pair| bf16::to_f32(pair[1]))
    }
    #[inline(always)]
    fn prefetch(self, _: *const u8) {}
    #[inline(always)]
    fn swap<const DISTANCE: usize>(self, v: F) -> F {
        std::array::from_fn(|lane| v[lane ^ DISTANCE])
    }
}

/// Portable version of an instruction for pairs of bfloat16. It is slow; it shows on any CPU how much accuracy is lost
/// by rounding both inputs and weights.
impl Pairs for Scalar {
    type S = Scalar;
    type Operand = [F; 2];

    #[inline(always)]
    fn simd(self) -> Scalar {
        self
    }
    #[inline(always)]
    unsafe fn load(self, from: *const u16) -> [F; 2] {
        // SAFETY: guaranteed by the caller.
        unsafe { [self.load_bf16_first(from), self.load_bf16_second(from)] }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const u16) -> [F; 2] {
        // SAFETY: the caller guarantees a readable pair.
        let pair = unsafe { [*from, *from.add(1)] };
        pair.map(|x| [bf16::to_f32(x); 4])
    }
    #[inline(always)]
    fn dot(self, a: [F; 2], b: [F; 2], sum: F) -> F {
        self.fma(a[0], b[0], self.fma(a[1], b[1], sum))
    }
    #[inline(always)]
    unsafe fn round(self, v: F, to: *mut u16) {
        // SAFETY: the caller guarantees LANES writable values; an array of u16 needs only the alignment of u16.
        unsafe { to.cast::<[u16; 4]>().write(v.map(bf16::from_f32)) }
    }
}

/// Pairs of 16-bit integers.
impl Int8 for Scalar {
    type S = Scalar;
    type Input = i16;
    type Weight = i16;
    type Vector = [i32; 4];
    const DEPTH: usize = 2;

    #[inline(always)]
    fn simd(self) -> Scalar {
        self
    }
    #[inline(always)]
    unsafe fn load(self, from: *const i16) -> [i32; 4] {
        // SAFETY: the caller guarantees 2 × LANES readable values.
        unsafe { from.cast::<[i32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const i16) -> [i32; 4] {
        // SAFETY: the caller guarantees a readable pair.
        [unsafe { from.cast::<i32>().read_unaligned() }; 4]
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const i32) -> [i32; 4] {
        // SAFETY: the caller guarantees LANES readable values.
        unsafe { from.cast::<[i32; 4]>().read() }
    }
    #[inline(always)]
    fn dot(self, inputs: [i32; 4], weights: [i32; 4], sums: [i32; 4]) -> [i32; 4] {
        // The order of the two halves of a lane does not matter, because their products are added.
        let (low, high) = (|x: i32| i32::from(x as i16), |x: i32| x >> 16);
        std::array::from_fn(|lane| {
            let (a, b) = (inputs[lane], weights[lane]);
            sums[lane].wrapping_add(low(a) * low(b)).wrapping_add(high(a) * high(b))
        })
    }
    #[inline(always)]
    fn to_float(self, sums: [i32; 4]) -> F {
        sums.map(|sum| sum as f32)
    }
    #[inline(always)]
    unsafe fn quantise(self, v: F, to: *mut i16) {
        // SAFETY: the caller guarantees LANES writable values.
        unsafe { to.cast::<[i16; 4]>().write(v.map(|x| x.round_ties_even() as i16)) }
    }
}
