//! Sixteen lanes: AVX-512F.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// Private to this file's `run`, which only `dispatch` calls after detection: see SAFETY notes below.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// # Safety
/// The CPU has AVX-512F (and with it AVX2 and FMA).
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn run(kernel: impl Kernel) {
    kernel.run(Avx512(()));
}

// SAFETY of every block below: an `Avx512` is made only inside `run`, whose caller vouches for the instructions; the
// pointer operations hand their caller's promise on.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one argument, above, for all")]
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
