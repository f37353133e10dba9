//! Vectors of sixteen lanes: AVX-512F, and its extensions for bfloat16 and 8-bit integers.

use std::arch::x86_64::*;

use super::{Kernel, Simd};
use crate::gemm::{Bf16Pairs, DotKernel, Int8, Pairs, Quantised};

/// Token for AVX-512F. Only the `run…` functions of this file make it, and their callers have detected the CPU's
/// features.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// # Safety
/// The CPU has AVX-512F (and with it AVX2 and FMA).
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn run(kernel: impl Kernel) {
    kernel.run(Avx512(()));
}

/// # Safety
/// The CPU has AVX-512F and AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
pub(crate) unsafe fn run_bf16(kernel: impl DotKernel) {
    kernel.run(Bf16Pairs(Bf16(Avx512(()))));
}

/// # Safety
/// The CPU has AVX-512F and AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
pub(crate) unsafe fn run_int8(kernel: impl DotKernel) {
    kernel.run(Quantised(Vnni(Avx512(()))));
}

// SAFETY of every block below: an `Avx512` is made only in the `run…` functions above, whose callers guarantee that the
// CPU has the instructions. The callers of pointer operations guarantee that the pointers are valid.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
impl Simd for Avx512 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;
    type F = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn exp2_whole(self, biased: __m512) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(biased))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> __m512 {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_loadu_si512(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16) -> __m512 {
        unsafe {
            let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(from.cast()), upper))
        }
    }
    #[inline(always)]
    fn prefetch(self, line: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
    #[inline(always)]
    fn swap<const DISTANCE: usize>(self, v: __m512) -> __m512 {
        unsafe {
            match DISTANCE {
                8 => _mm512_shuffle_f32x4::<0b01_00_11_10>(v, v),
                4 => _mm512_shuffle_f32x4::<0b10_11_00_01>(v, v),
                2 => _mm512_permute_ps::<0b01_00_11_10>(v),
                1 => _mm512_permute_ps::<0b10_11_00_01>(v),
                _ => unreachable!("a swap over {DISTANCE} lanes"),
            }
        }
    }
}

/// Pairs of bfloat16, multiplied by `vdpbf16ps`. Only `run_bf16` makes this token.
#[derive(Clone, Copy)]
pub(crate) struct Bf16(Avx512);

// SAFETY of every block below: a `Bf16` is made only in `run_bf16`; the rest of the comment at `impl Simd for Avx512`
// applies.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
impl Pairs for Bf16 {
    type S = Avx512;
    type Operand = __m512i;

    #[inline(always)]
    fn simd(self) -> Avx512 {
        self.0
    }
    #[inline(always)]
    unsafe fn load(self, from: *const u16) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const u16) -> __m512i {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    fn dot(self, a: __m512i, b: __m512i, sum: __m512) -> __m512 {
        // There are no loads for the type that the intrinsic takes; the bits are the same.
        let pairs = |v| unsafe { std::mem::transmute::<__m512i, __m512bh>(v) };
        unsafe { _mm512_dpbf16_ps(sum, pairs(a), pairs(b)) }
    }
    #[inline(always)]
    unsafe fn round(self, v: __m512, to: *mut u16) {
        unsafe { _mm256_storeu_si256(to.cast(), std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v))) }
    }
}

/// Groups of four bytes: `vpdpbusd` multiplies unsigned inputs by signed weights. Only `run_int8` makes this token.
#[derive(Clone, Copy)]
pub(crate) struct Vnni(Avx512);

// SAFETY of every block below: a `Vnni` is made only in `run_int8`; the rest of the comment at `impl Simd for Avx512`
// applies.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
impl Int8 for Vnni {
    type S = Avx512;
    type Input = u8;
    type Weight = i8;
    type Vector = __m512i;
    const DEPTH: usize = 4;
    const INPUT_OFFSET: i32 = 128;

    #[inline(always)]
    fn simd(self) -> Avx512 {
        self.0
    }
    #[inline(always)]
    unsafe fn load(self, from: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const u8) -> __m512i {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const i32) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, inputs: __m512i, weights: __m512i, sums: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sums, inputs, weights) }
    }
    #[inline(always)]
    fn to_float(self, sums: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
    #[inline(always)]
    unsafe fn quantise(self, v: __m512, to: *mut u8) {
        unsafe {
            let whole = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(Self::INPUT_OFFSET));
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(whole));
        }
    }
}
