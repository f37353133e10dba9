//! Four lanes: NEON, which every 64-bit Arm CPU has.

use std::arch::aarch64::*;

use super::{Kernel, Simd};

/// NEON is part of the target, so the token needs no detection.
#[derive(Clone, Copy)]
pub(super) struct Neon;

pub(super) fn run(kernel: impl Kernel) {
    kernel.run(Neon);
}

// SAFETY of every block below: NEON is enabled for the whole target; the pointer operations hand their caller's
// promise on.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one argument, above, for all")]
#[allow(unused_unsafe, reason = "these intrinsics became safe functions where the target enables them")]
impl Simd for Neon {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 4;
    type F = float32x4_t;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn exp2_whole(self, biased: float32x4_t) -> float32x4_t {
        unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(biased))) }
    }
    #[inline(always)]
    fn swap<const DISTANCE: usize>(self, v: float32x4_t) -> float32x4_t {
        unsafe {
            match DISTANCE {
                2 => vextq_f32::<2>(v, v),
                1 => vrev64q_f32(v),
                _ => unreachable!("a swap over {DISTANCE} lanes"),
            }
        }
    }
}
