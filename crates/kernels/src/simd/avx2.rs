//! Vectors of eight lanes: AVX2 with FMA.

use std::arch::x86_64::*;

use super::{Kernel, Simd};
use crate::gemm::{DotKernel, Int8, Quantised};

/// Token for AVX2. Only `run` and `run_int8` of this file make it, and their callers have detected the CPU's features.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(kernel: impl Kernel) {
    kernel.run(Avx2(()));
}

/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn run_int8(kernel: impl DotKernel) {
    kernel.run(Quantised(Avx2(())));
}

// SAFETY of every block below: an `Avx2` is made only in `run` and `run_int8`, whose callers guarantee that the CPU has
// the instructions. The callers of pointer operations guarantee that the pointers are valid.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
impl Simd for Avx2 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;
    type F = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn exp2_whole(self, biased: __m256) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(biased))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> __m256 {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16) -> __m256 {
        unsafe {
            let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            _mm256_castsi256_ps(_mm256_and_si256(from.cast::<__m256i>().read_volatile(), upper))
        }
    }
    #[inline(always)]
    fn prefetch(self, line: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
    #[inline(always)]
    fn swap<const DISTANCE: usize>(self, v: __m256) -> __m256 {
        unsafe {
            match DISTANCE {
                4 => _mm256_permute2f128_ps::<1>(v, v),
                2 => _mm256_permute_ps::<0b01_00_11_10>(v),
                1 => _mm256_permute_ps::<0b10_11_00_01>(v),
                _ => unreachable!("a swap over {DISTANCE} lanes"),
            }
        }
    }
}

/// Groups of four bytes. `vpmaddubsw` multiplies unsigned inputs by signed weights and adds pairs of products to 16-bit
/// sums. `vpmaddwd` with ones then adds pairs of these sums. Weights have seven bits, so that no 16-bit sum saturates:
/// 255·64·2 < 2¹⁵.
// SAFETY of every block below: the comment at `impl Simd for Avx2` applies.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
impl Int8 for Avx2 {
    type S = Avx2;
    type Input = u8;
    type Weight = i8;
    type Vector = __m256i;
    const DEPTH: usize = 4;
    const INPUT_OFFSET: i32 = 128;
    const LARGEST_WEIGHT: f32 = 64.0;

    #[inline(always)]
    fn simd(self) -> Avx2 {
        self
    }
    #[inline(always)]
    unsafe fn load(self, from: *const i8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const u8) -> __m256i {
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const i32) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, inputs: __m256i, weights: __m256i, sums: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(inputs, weights);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    fn to_float(self, sums: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
    #[inline(always)]
    unsafe fn quantise(self, v: __m256, to: *mut u8) {
        unsafe {
            let whole = _mm256_cvtps_epi32(v);
            let words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            let words = _mm_add_epi16(words, _mm_set1_epi16(Self::INPUT_OFFSET as i16));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
}
