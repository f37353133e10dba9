//! In which arithmetic each layer is packed: what a precision means.

use kernels::{Arithmetic, Isa};

use crate::model::Precision;

/// Layers with fewer inputs or outputs stay in `f32`: the first of the magnitudes and of the Inception network, whose
/// inputs span the most, and the last, whose output is the redshift. They are nothing of the work.
const SMALL_INPUTS: usize = 16;
const SMALL_OUTPUTS: usize = 4;

/// What weights are packed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
}

impl Packing {
    /// The arithmetic of a linear layer (n, k): a row of inputs has a scale of its own.
    pub(crate) fn of_rows(self, n: usize, k: usize) -> Arithmetic {
        self.or_f32(self.precision.arithmetic(), (n, k), k)
    }

    /// The arithmetic of a convolution (n, k) over runs of `run` inputs. Windows share their inputs, so these have no
    /// scale of their own to be integers by.
    pub(crate) fn of_windows(self, n: usize, k: usize, run: usize) -> Arithmetic {
        let wanted = match self.precision {
            Precision::F32 => Arithmetic::F32,
            Precision::Bf16 => Arithmetic::Bf16,
            Precision::Int8 if self.isa.multiplies_bf16() => Arithmetic::Bf16,
            Precision::Int8 => Arithmetic::F32,
        };
        self.or_f32(wanted, (n, k), run)
    }

    fn or_f32(self, wanted: Arithmetic, (n, k): (usize, usize), run: usize) -> Arithmetic {
        let small = k < SMALL_INPUTS || n < SMALL_OUTPUTS;
        if small || !self.isa.multiplies(wanted, run) { Arithmetic::F32 } else { wanted }
    }
}
