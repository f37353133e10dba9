//! Chooses the arithmetic in which each layer is packed, for a precision and an instruction set.

use kernels::{Arithmetic, Isa};

use crate::precision::Precision;

/// Layers with fewer inputs or fewer outputs than these stay in `f32`. They are the first layers of the magnitudes and
/// of the Inception network, whose inputs have the widest range, and the last layer, whose output is the redshift. They
/// take a negligible part of the time.
const SMALL_INPUTS: usize = 16;
const SMALL_OUTPUTS: usize = 4;

/// Instruction set and precision that weights are packed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
}

impl Packing {
    /// Arithmetic of a linear layer (n, k).
    pub(crate) fn of_linear(self, n: usize, k: usize) -> Arithmetic {
        self.or_f32(self.precision.arithmetic(), (n, k), k)
    }

    /// Arithmetic of a convolution (n, k) whose taps have `run` inputs each. It is never 8-bit integers: these need one
    /// scale per row of inputs, but the windows of a convolution share their inputs.
    pub(crate) fn of_convolution(self, n: usize, k: usize, run: usize) -> Arithmetic {
        let wanted = match self.precision {
            Precision::F32 => Arithmetic::F32,
            Precision::Bf16 => Arithmetic::Bf16,
            Precision::Int8 if self.isa.multiplies_bf16() => Arithmetic::Bf16,
            Precision::Int8 => Arithmetic::F32,
        };
        self.or_f32(wanted, (n, k), run)
    }

    /// Returns `wanted`, or `F32` if the layer is small or the CPU cannot multiply runs of `run` inputs in `wanted`.
    fn or_f32(self, wanted: Arithmetic, (n, k): (usize, usize), run: usize) -> Arithmetic {
        let small = k < SMALL_INPUTS || n < SMALL_OUTPUTS;
        if small || !self.isa.multiplies(wanted, run) { Arithmetic::F32 } else { wanted }
    }
}
