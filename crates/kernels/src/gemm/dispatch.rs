//! Chooses the [`Dot`] for an instruction set and an arithmetic.

use super::{Arithmetic, Bf16Pairs, Bf16Weights, Dot, DotKernel, Floats, Quantised, Weight};
use crate::isa::{Isa, Kind};
#[cfg(target_arch = "aarch64")]
use crate::simd::neon;
use crate::simd::{Kernel, Simd, dispatch, scalar};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2, avx512};

/// Runs `kernel` with the [`Dot`] that `isa` has for `arithmetic`, for runs of `run` inputs.
///
/// # Panics
/// If `isa` has no instruction for `arithmetic`; [`Isa::instruction`] then returns `None`.
#[inline]
pub(crate) fn dispatch_dot(isa: Isa, arithmetic: Arithmetic, run: usize, kernel: impl DotKernel) {
    match arithmetic {
        // The CPU predicts the end of a chain if the loop has few iterations, so a step takes four values if it can.
        Arithmetic::F32 if run.is_multiple_of(4) => dispatch(isa, WithFloats::<_, 4>(kernel)),
        Arithmetic::F32 => dispatch(isa, WithFloats::<_, 1>(kernel)),
        Arithmetic::Bf16 => match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if isa.extensions().bf16 => {
                // SAFETY: `extensions` lists only what detection found on this CPU.
                unsafe { avx512::run_bf16(kernel) }
            }
            Kind::Scalar => kernel.run(Bf16Pairs(scalar::Scalar)),
            _ => dispatch(isa, WithBf16Weights(kernel)),
        },
        Arithmetic::Int8 => match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if isa.extensions().int8 => {
                // SAFETY: `extensions` lists only what detection found on this CPU.
                unsafe { avx512::run_int8(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx2 => {
                // SAFETY: an `Isa` of these kinds exists only if the CPU has AVX2.
                unsafe { avx2::run_int8(kernel) }
            }
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => {
                assert!(isa.extensions().int8, "this CPU has no instruction for int8");
                // SAFETY: the line above asserts what detection found on this CPU.
                unsafe { neon::run_int8(kernel) }
            }
            Kind::Scalar => kernel.run(Quantised(scalar::Scalar)),
        },
    }
}

/// Shape and type of packed panels for an instruction set and an arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PanelShape {
    /// `f32` lanes of a vector.
    pub(crate) lanes: usize,
    /// Vectors of columns in a panel: NR = vectors × lanes.
    pub(crate) vectors: usize,
    /// Values of k in one step: [`Dot::DEPTH`].
    pub(crate) depth: usize,
    /// Neighbouring values of k of one column: [`Dot::INTERLEAVED`].
    pub(crate) interleaved: usize,
    pub(crate) kind: WeightKind,
    /// Bytes of a staged input; 0 if inputs are not staged.
    pub(crate) staged_bytes: usize,
    /// Number added to each input for instructions that take unsigned integers: [`Dot::INPUT_OFFSET`].
    pub(crate) input_offset: i32,
    /// Largest magnitude of an integer weight.
    pub(crate) largest_weight: f32,
}

/// Type of a packed weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WeightKind {
    #[default]
    F32,
    Bf16,
    I16,
    I8,
}

/// Shape of the panels that `arithmetic` needs on `isa`.
pub(crate) fn panel_shape(isa: Isa, arithmetic: Arithmetic) -> PanelShape {
    struct Shape<'a>(&'a mut PanelShape);
    impl DotKernel for Shape<'_> {
        #[inline(always)]
        fn run<D: Dot>(self, _: D) {
            *self.0 = PanelShape {
                lanes: D::S::LANES,
                vectors: D::S::TILE_VECTORS,
                depth: D::DEPTH,
                interleaved: D::INTERLEAVED,
                kind: D::Weight::KIND,
                staged_bytes: if D::STAGED { size_of::<D::Input>() } else { 0 },
                input_offset: D::INPUT_OFFSET,
                largest_weight: D::LARGEST_WEIGHT,
            };
        }
    }
    let mut shape = PanelShape::default();
    // A run of 1 is allowed for every arithmetic here, and `f32` has the same panels for all runs.
    dispatch_dot(isa, arithmetic, 1, Shape(&mut shape));
    shape
}

struct WithFloats<K, const STEP: usize>(K);

impl<K: DotKernel, const STEP: usize> Kernel for WithFloats<K, STEP> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(Floats::<S, STEP>(s));
    }
}

struct WithBf16Weights<K>(K);

impl<K: DotKernel> Kernel for WithBf16Weights<K> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(Bf16Weights(s));
    }
}
