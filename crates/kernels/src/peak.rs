//! The most that this CPU's multiply-add units give, to measure everything else against.

use crate::isa::Isa;
use crate::simd::{Kernel, Simd, dispatch};

/// Chains of multiply-adds that depend on nothing but themselves: enough to hide the latency of two units.
const CHAINS: usize = 12;

/// Runs `rounds` rounds of independent fused multiply-adds in registers and returns the floating-point operations
/// done. Time it to know the peak of one thread.
pub fn multiply_adds(isa: Isa, rounds: usize) -> f64 {
    let mut sums = [0.0];
    let mut operations = 0.0;
    dispatch(isa, Chains { rounds, sums: &mut sums, operations: &mut operations });
    std::hint::black_box(sums);
    operations
}

struct Chains<'a> {
    rounds: usize,
    sums: &'a mut [f32; 1],
    operations: &'a mut f64,
}

impl Kernel for Chains<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Opaque, so that no chain is computed at compile time; 0.999… keeps the values from growing.
        let factor = s.splat(std::hint::black_box(0.999_999));
        let addend = s.splat(std::hint::black_box(1e-6));
        let mut chains = [s.splat(1.0); CHAINS];
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = s.fma(*chain, factor, addend);
            }
        }
        let total = chains.iter().fold(s.splat(0.0), |total, chain| s.add(total, *chain));
        self.sums[0] = s.sum(total);
        *self.operations = (self.rounds * CHAINS * S::LANES * 2) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::every_isa;

    #[test]
    fn counts_what_it_runs() {
        for isa in every_isa() {
            let operations = multiply_adds(isa, 1000);
            assert!(operations >= 1000.0 * CHAINS as f64 * 2.0, "{isa}");
            assert_eq!(multiply_adds(isa, 2000), 2.0 * operations, "{isa}");
        }
    }
}
