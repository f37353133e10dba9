//! Vectors of four lanes: NEON, which every 64-bit Arm CPU has, and its extension for 8-bit integers.

use std::arch::aarch64::*;

use super::{Kernel, Simd};
use crate::gemm::{DotKernel, Int8, Quantised};

/// Token for NEON. It needs no detection, because NEON is part of the target.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

pub(super) fn run(kernel: impl Kernel) {
    kernel.run(Neon);
}

/// # Safety
/// The CPU has the dot product extension (FEAT_DotProd).
pub(crate) unsafe fn run_int8(kernel: impl DotKernel) {
    kernel.run(Quantised(DotProd(Neon)));
}

// SAFETY of every block below: NEON is enabled for the whole target. The callers of pointer operations guarantee that
// the pointers are valid.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
#[allow(unused_unsafe, reason = "newer compilers declare these intrinsics safe if the target enables them")]
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
    unsafe fn load_bf16_first(self, from: *const u16) -> float32x4_t {
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_u16(vld1q_u16(from)))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16) -> float32x4_t {
        unsafe {
            let upper = vdupq_n_u32(0xffff_0000);
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u16(vld1q_u16(from)), upper))
        }
    }
    #[inline(always)]
    fn prefetch(self, line: *const u8) {
        unsafe { std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, readonly)) }
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

/// Groups of four bytes, multiplied by `sdot`. The instruction is written in assembly, because its intrinsic is not
/// stable. Only `run_int8` makes this token.
#[derive(Clone, Copy)]
pub(crate) struct DotProd(Neon);

// SAFETY of every block below: a `DotProd` is made only in `run_int8`, whose caller guarantees that the CPU has the
// extension; the rest of the comment at `impl Simd for Neon` applies.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all blocks")]
#[allow(unused_unsafe, reason = "newer compilers declare these intrinsics safe if the target enables them")]
impl Int8 for DotProd {
    type S = Neon;
    type Input = i8;
    type Weight = i8;
    type Vector = int32x4_t;
    const DEPTH: usize = 4;

    #[inline(always)]
    fn simd(self) -> Neon {
        self.0
    }
    #[inline(always)]
    unsafe fn load(self, from: *const i8) -> int32x4_t {
        unsafe { vreinterpretq_s32_s8(vld1q_s8(from)) }
    }
    #[inline(always)]
    unsafe fn splat(self, from: *const i8) -> int32x4_t {
        unsafe { vdupq_n_s32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const i32) -> int32x4_t {
        unsafe { vld1q_s32(from) }
    }
    #[inline(always)]
    fn dot(self, inputs: int32x4_t, weights: int32x4_t, sums: int32x4_t) -> int32x4_t {
        let mut sums = sums;
        unsafe {
            std::arch::asm!(
                ".arch_extension dotprod",
                "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
                sums = inout(vreg) sums, a = in(vreg) inputs, b = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sums
    }
    #[inline(always)]
    fn to_float(self, sums: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(sums) }
    }
    #[inline(always)]
    unsafe fn quantise(self, v: float32x4_t, to: *mut i8) {
        unsafe {
            let halves = vqmovn_s32(vcvtnq_s32_f32(v));
            let bytes = vqmovn_s16(vcombine_s16(halves, halves));
            to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(bytes)));
        }
    }
}
