//! [`Isa`]: a token that proves that this CPU supports an instruction set.

use std::fmt;
use std::str::FromStr;

use crate::gemm::{Arithmetic, panel_shape};

/// Instruction set that this CPU supports.
///
/// A value proves that its instructions run here, because values come only from [`Isa::available`], [`Isa::detect`] and
/// parsing a name, and all of these ask the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa {
    kind: Kind,
    extensions: Extensions,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Scalar,
}

/// Additional instructions that only some CPUs with an instruction set have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Extensions {
    /// Multiplication of bfloat16.
    pub(crate) bf16: bool,
    /// Multiplication of 8-bit integers.
    pub(crate) int8: bool,
}

/// Names of all instruction sets, on any CPU.
const NAMES: [&str; 4] = ["avx512", "avx2", "neon", "scalar"];

impl Isa {
    /// Returns the fastest instruction set of this CPU.
    pub fn detect() -> Isa {
        Isa::available().next().unwrap_or(Isa { kind: Kind::Scalar, extensions: Extensions::default() })
    }

    /// Lists the instruction sets of this CPU, fastest first. `scalar` is always the last one.
    pub fn available() -> impl Iterator<Item = Isa> {
        let none = Extensions::default();
        let candidates = [
            #[cfg(target_arch = "x86_64")]
            (
                Kind::Avx512,
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma"),
                Extensions {
                    bf16: is_x86_feature_detected!("avx512bf16"),
                    int8: is_x86_feature_detected!("avx512vnni"),
                },
            ),
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"), none),
            #[cfg(target_arch = "aarch64")]
            (Kind::Neon, true, Extensions { int8: std::arch::is_aarch64_feature_detected!("dotprod"), ..none }),
            (Kind::Scalar, true, none),
        ];
        let present = candidates.into_iter().filter(|(_, present, _)| *present);
        present.map(|(kind, _, extensions)| Isa { kind, extensions })
    }

    /// Name of the instruction that multiplies in `arithmetic` on this CPU, or `None` if there is no suitable one.
    pub fn instruction(self, arithmetic: Arithmetic) -> Option<&'static str> {
        Some(match (arithmetic, self.kind) {
            (Arithmetic::F32, Kind::Scalar) => "multiply and add",
            #[cfg(target_arch = "x86_64")]
            (Arithmetic::F32, _) => "vfmadd",
            #[cfg(target_arch = "aarch64")]
            (Arithmetic::F32, _) => "fmla",
            #[cfg(target_arch = "x86_64")]
            (Arithmetic::Bf16, Kind::Avx512) if self.extensions.bf16 => "vdpbf16ps",
            (Arithmetic::Bf16, Kind::Scalar) => "multiply and add, both sides rounded",
            (Arithmetic::Bf16, _) => "weights in bfloat16, arithmetic in float32",
            #[cfg(target_arch = "x86_64")]
            (Arithmetic::Int8, Kind::Avx512) if self.extensions.int8 => "vpdpbusd",
            #[cfg(target_arch = "x86_64")]
            (Arithmetic::Int8, Kind::Avx512 | Kind::Avx2) => "vpmaddubsw",
            #[cfg(target_arch = "aarch64")]
            (Arithmetic::Int8, Kind::Neon) if self.extensions.int8 => "sdot",
            #[cfg(target_arch = "aarch64")]
            (Arithmetic::Int8, Kind::Neon) => return None,
            (Arithmetic::Int8, Kind::Scalar) => "multiply and add of integers",
        })
    }

    /// Returns true if this CPU has an instruction that multiplies bfloat16.
    pub fn multiplies_bf16(self) -> bool {
        self.extensions.bf16
    }

    /// Returns true if this CPU can multiply runs of `run` inputs in `arithmetic`. An instruction multiplies 1, 2 or 4
    /// neighbouring inputs, and `run` must be a multiple of that.
    pub fn multiplies(self, arithmetic: Arithmetic, run: usize) -> bool {
        self.instruction(arithmetic).is_some() && run.is_multiple_of(panel_shape(self, arithmetic).depth)
    }

    /// Name of the instruction set: `avx512`, `avx2`, `neon` or `scalar`.
    pub fn name(self) -> &'static str {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Scalar => "scalar",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    pub(crate) fn extensions(self) -> Extensions {
        self.extensions
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Isa, UnknownIsa> {
        Isa::available().find(|isa| isa.name() == name).ok_or_else(|| UnknownIsa { name: name.to_owned() })
    }
}

/// Error for a name that is not an instruction set, or an instruction set that this CPU does not support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownIsa {
    name: String,
}

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here: Vec<&str> = Isa::available().map(Isa::name).collect();
        let what = if NAMES.contains(&self.name.as_str()) { "is not supported by this CPU" } else { "is unknown" };
        write!(f, "instruction set `{}` {what}; available here: {}", self.name, here.join(", "))
    }
}

impl std::error::Error for UnknownIsa {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_isa_parses_from_its_own_name() {
        for isa in Isa::available() {
            assert_eq!(isa.name().parse::<Isa>(), Ok(isa));
        }
        assert_eq!(Isa::available().last().map(Isa::name), Some("scalar"));
    }

    #[test]
    fn rejects_unsupported_and_unknown_names() {
        let absent = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
        let message = absent.parse::<Isa>().unwrap_err().to_string();
        assert!(message.contains(absent) && message.contains("is not supported by this CPU"), "{message}");
        let message = "mmx".parse::<Isa>().unwrap_err().to_string();
        assert!(message.contains("unknown") && message.contains("scalar"), "{message}");
    }
}
