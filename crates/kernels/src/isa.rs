//! Which instruction set runs: a token that only detection hands out.

use std::fmt;
use std::str::FromStr;

use crate::gemm::{Arithmetic, panel_shape};

/// An instruction set that this CPU has. Holding one is the proof that its instructions run here: values come only
/// from [`Isa::available`], [`Isa::detect`] and parsing, all of which ask the CPU.
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

/// Instructions beside a kind's own, which only some of its CPUs have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Extensions {
    /// Products of bfloat16.
    pub(crate) bf16: bool,
    /// Products of 8-bit integers.
    pub(crate) int8: bool,
}

/// Every name that [`Isa`] answers to on some CPU.
const NAMES: [&str; 4] = ["avx512", "avx2", "neon", "scalar"];

impl Isa {
    /// The fastest instruction set of this CPU.
    pub fn detect() -> Isa {
        Isa::available().next().unwrap_or(Isa { kind: Kind::Scalar, extensions: Extensions::default() })
    }

    /// The instruction sets of this CPU, fastest first; `scalar` is always there.
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

    /// The instruction that multiplies in `arithmetic` here; none where this CPU has no good one.
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

    /// Whether this CPU has an instruction that multiplies bfloat16.
    pub fn multiplies_bf16(self) -> bool {
        self.extensions.bf16
    }

    /// Whether products in `arithmetic` are possible here over runs of `run` inputs, which must be whole steps of k.
    pub fn multiplies(self, arithmetic: Arithmetic, run: usize) -> bool {
        self.instruction(arithmetic).is_some() && run.is_multiple_of(panel_shape(self, arithmetic).depth)
    }

    /// `avx512`, `avx2`, `neon` or `scalar`.
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

/// A name that is no instruction set, or one that this CPU has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownIsa {
    name: String,
}

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here: Vec<&str> = Isa::available().map(Isa::name).collect();
        let what = if NAMES.contains(&self.name.as_str()) { "this CPU has not" } else { "is unknown" };
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
    fn an_absent_or_unknown_isa_is_refused_by_name() {
        let absent = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
        let message = absent.parse::<Isa>().unwrap_err().to_string();
        assert!(message.contains(absent) && message.contains("has not"), "{message}");
        let message = "mmx".parse::<Isa>().unwrap_err().to_string();
        assert!(message.contains("unknown") && message.contains("scalar"), "{message}");
    }
}
