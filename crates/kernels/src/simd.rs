//! One vector type per instruction set, and [`dispatch`], which runs an operation with the vector type of an [`Isa`].
//!
//! An operation is a struct of its arguments that implements [`Kernel`]. All functions that it calls are
//! `#[inline(always)]`, so that the whole operation is compiled inside the function that enables the instructions.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod bf16;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

use crate::isa::{Isa, Kind};

/// Number of `f32` lanes in the widest vector of any instruction set.
pub(crate) const LANES_MAX: usize = 16;

/// 1.5·2²³ + 127. Adding this number rounds to the nearest integer n, because `f32` of this size are integers. The
/// lowest bits of the sum are n + 127, which is the exponent field of 2ⁿ, so a shift turns the sum into 2ⁿ.
pub(crate) const EXP2_BIAS: f32 = 12_583_039.0;

/// Vectors of `f32`. A value of the implementing type proves that this CPU supports its instructions.
///
/// `min` and `max` return NaN if their second argument is NaN. Callers pass the data second and the bound first, so
/// that a bound never hides a NaN. If only the first argument is NaN, NEON returns NaN and the others return the
/// second.
pub(crate) trait Simd: Copy {
    /// Number of `f32` in a vector.
    const LANES: usize;
    /// Rows of a GEMM tile: MR.
    const TILE_ROWS: usize;
    /// Vectors in a row of a GEMM tile: NR / LANES. The sums of a tile fit the vector registers.
    const TILE_VECTORS: usize;
    type F: Copy;

    fn splat(self, x: f32) -> Self::F;
    /// # Safety
    /// `LANES` floats are readable at `from`.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// # Safety
    /// `LANES` floats are writable at `to`.
    unsafe fn store(self, to: *mut f32, v: Self::F);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// a·b + c
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Loads the first value of each pair of bfloat16, widened to `f32`.
    ///
    /// # Safety
    /// 2 × `LANES` values are readable at `from`.
    unsafe fn load_bf16_first(self, from: *const u16) -> Self::F;
    /// Loads the second value of each pair of bfloat16, widened to `f32`.
    ///
    /// # Safety
    /// 2 × `LANES` values are readable at `from`.
    unsafe fn load_bf16_second(self, from: *const u16) -> Self::F;
    /// Prefetches a cache line. This is a hint that reads nothing, so any address is allowed.
    fn prefetch(self, line: *const u8);
    /// Computes 2ⁿ from n + [`EXP2_BIAS`], for integers n from −126 to 127. Other lanes are unspecified.
    fn exp2_whole(self, biased: Self::F) -> Self::F;
    /// Exchanges lanes whose indices differ by the bit `DISTANCE`, which is 1, 2, 4 or 8 and less than `LANES`.
    fn swap<const DISTANCE: usize>(self, v: Self::F) -> Self::F;

    /// Returns the lanes as an array; the remaining elements are zero.
    #[inline(always)]
    fn lanes(self, v: Self::F) -> [f32; LANES_MAX] {
        let mut lanes = [0.0; LANES_MAX];
        // SAFETY: LANES ≤ LANES_MAX floats are written into an array of LANES_MAX.
        unsafe { self.store(lanes.as_mut_ptr(), v) };
        lanes
    }

    /// Sums the lanes, always in the same order.
    #[inline(always)]
    fn sum(self, v: Self::F) -> f32 {
        let mut sum = v;
        if Self::LANES > 8 {
            sum = self.add(sum, self.swap::<8>(sum));
        }
        if Self::LANES > 4 {
            sum = self.add(sum, self.swap::<4>(sum));
        }
        sum = self.add(sum, self.swap::<2>(sum));
        sum = self.add(sum, self.swap::<1>(sum));
        self.lanes(sum)[0]
    }

    /// Loads the first `count` lanes and sets the others to zero.
    ///
    /// # Safety
    /// `count` ≤ `LANES` floats are readable at `from`.
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F {
        let mut lanes = [0.0; LANES_MAX];
        // SAFETY: the caller guarantees `count` readable floats; the array holds LANES_MAX ≥ LANES ≥ count.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            self.load(lanes.as_ptr())
        }
    }

    /// Stores the first `count` lanes.
    ///
    /// # Safety
    /// `count` ≤ `LANES` floats are writable at `to`.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, v: Self::F, count: usize) {
        let lanes = self.lanes(v);
        // SAFETY: the caller guarantees `count` writable floats; the array holds at least as many.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) };
    }
}

/// Operation with its arguments, generic over the vector type.
pub(crate) trait Kernel {
    /// Implementations must be `#[inline(always)]`; the documentation of the module explains why.
    fn run<S: Simd>(self, simd: S);
}

/// Runs `kernel` with the instructions of `isa`.
#[inline]
pub(crate) fn dispatch(isa: Isa, kernel: impl Kernel) {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => {
            // SAFETY: an `Isa` of this kind exists only if detection found these features on this CPU.
            unsafe { avx512::run(kernel) }
        }
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            // SAFETY: an `Isa` of this kind exists only if detection found these features on this CPU.
            unsafe { avx2::run(kernel) }
        }
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => neon::run(kernel),
        Kind::Scalar => kernel.run(scalar::Scalar),
    }
}

/// Number of `f32` lanes in a vector of `isa`.
pub(crate) fn lanes(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => avx512::Avx512::LANES,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => avx2::Avx2::LANES,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => neon::Neon::LANES,
        Kind::Scalar => scalar::Scalar::LANES,
    }
}
