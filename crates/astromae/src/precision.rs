//! [`Precision`]: the arithmetic of the matrix products of a model.

use std::fmt;
use std::str::FromStr;

use kernels::Arithmetic;

/// Arithmetic of the matrix products of a model. It parses from `f32`, `bf16` and `int8`.
///
/// Activations, norms, softmax and the residual stream are computed in `f32` in every precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// Weights are rounded to bfloat16; so are the inputs of products if the CPU has an instruction that multiplies
    /// bfloat16. Sums are in `f32`.
    Bf16,
    /// Linear layers in 8-bit integers, with one scale per output of the weights and one scale per row of inputs,
    /// computed at run time. Convolutions in bfloat16 if the CPU multiplies it, otherwise in `f32`.
    Int8,
}

impl Precision {
    /// All precisions, most exact first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

    /// Arithmetic of the large linear layers in this precision.
    pub fn arithmetic(self) -> Arithmetic {
        match self {
            Precision::F32 => Arithmetic::F32,
            Precision::Bf16 => Arithmetic::Bf16,
            Precision::Int8 => Arithmetic::Int8,
        }
    }

    /// Name of the precision: `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Precision, UnknownPrecision> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

/// Error for a name that is not a precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision `{0}` is unknown; available: f32, bf16, int8")]
pub struct UnknownPrecision(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_parses_from_its_name() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
    }
}
