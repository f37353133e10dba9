//! Eight lanes: AVX2 with FMA.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// Private to this file's `run`, which only `dispatch` calls after detection: see SAFETY notes below.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(kernel: impl Kernel) {
    kernel.run(Avx2(()));
}

// SAFETY of every block below: an `Avx2` is made only inside `run`, whose caller vouches for the instructions; the
// pointer operations hand their caller's promise on.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one argument, above, for all")]
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
