//! One vector type per instruction set, and the door through which an operation is compiled for each of them.
//!
//! An operation is a struct of its arguments implementing [`Kernel`]; [`dispatch`] runs it with the vector type of an
//! [`Isa`]. Everything between is `#[inline(always)]`, so that the whole operation is compiled inside the function
//! that enables the instructions.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod bf16;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

use crate::isa::{Isa, Kind};

/// The widest vector of any instruction set, in lanes of `f32`.
pub(crate) const LANES_MAX: usize = 16;

/// 1.5·2²³ + 127. Numbers of this size are whole, so that adding it rounds to the nearest whole number n; and the sum's
/// lowest bits are n + 127, the exponent of 2ⁿ, so that a shift is all that is left to do.
pub(crate) const EXP2_BIAS: f32 = 12_583_039.0;

/// Vectors of `f32`. A value of the implementing type is the proof that its instructions run here.
///
/// `min` and `max` return NaN when their second argument is NaN: callers put the data there, so that NaN is never
/// swallowed by a bound. When only the first is NaN, NEON returns NaN and the others return the second.
pub(crate) trait Simd: Copy {
    /// `f32` in a vector.
    const LANES: usize;
    /// Rows and vectors of a GEMM tile (MR, and NR in vectors) that the register file holds.
    const TILE_ROWS: usize;
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
    /// The first of each pair of bfloat16, widened.
    ///
    /// # Safety
    /// 2 × `LANES` values are readable at `from`.
    unsafe fn load_bf16_first(self, from: *const u16) -> Self::F;
    /// The second of each pair of bfloat16, widened.
    ///
    /// # Safety
    /// As above.
    unsafe fn load_bf16_second(self, from: *const u16) -> Self::F;
    /// Asks for a cache line; a hint that reads nothing, so any address will do.
    fn prefetch(self, line: *const u8);
    /// 2ⁿ from n + [`EXP2_BIAS`], for whole n in −126 to 127; anything for other lanes.
    fn exp2_whole(self, biased: Self::F) -> Self::F;
    /// Each lane's value moved to the lane whose index differs by the bit `DISTANCE`: 1, 2, 4 or 8, below `LANES`.
    fn swap<const DISTANCE: usize>(self, v: Self::F) -> Self::F;

    /// The lanes as an array, the rest zero.
    #[inline(always)]
    fn lanes(self, v: Self::F) -> [f32; LANES_MAX] {
        let mut lanes = [0.0; LANES_MAX];
        // SAFETY: LANES ≤ LANES_MAX floats are written into an array of LANES_MAX.
        unsafe { self.store(lanes.as_mut_ptr(), v) };
        lanes
    }

    /// Sum of the lanes, always in the same order.
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

    /// Loads the first `count` lanes, the rest zero.
    ///
    /// # Safety
    /// `count` ≤ `LANES` floats are readable at `from`.
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F {
        let mut lanes = [0.0; LANES_MAX];
        // SAFETY: the caller vouches for `count` readable floats; the array holds LANES_MAX ≥ LANES ≥ count.
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
        // SAFETY: the caller vouches for `count` writable floats; the array holds at least as many.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) };
    }
}

/// An operation with its arguments, ready to be compiled for any vector type.
pub(crate) trait Kernel {
    /// Implementations are `#[inline(always)]`: see the module's first lines.
    fn run<S: Simd>(self, simd: S);
}

/// Runs `kernel` with the instructions of `isa`.
#[inline]
pub(crate) fn dispatch(isa: Isa, kernel: impl Kernel) {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => {
            // SAFETY: an `Isa` of this kind exists only where the CPU was found to have these features.
            unsafe { avx512::run(kernel) }
        }
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => {
            // SAFETY: as above.
            unsafe { avx2::run(kernel) }
        }
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => neon::run(kernel),
        Kind::Scalar => kernel.run(scalar::Scalar),
    }
}

/// Lanes of a vector of `isa`.
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
