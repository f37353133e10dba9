//! Peak speed of the CPU's multiply-add units, for comparison with measured speeds.

use std::hint::black_box;

use crate::gemm::{Arithmetic, Columns, Dot, DotKernel, dispatch_dot};
use crate::isa::Isa;
use crate::simd::{LANES_MAX, Simd};

/// Inputs and vectors of weights in one round. Their 5 × 2 independent sums hide the latency of two multiply-add units.
/// Each round loads them again from the first-level cache, as a matrix product does.
const INPUTS: usize = 5;
const VECTORS: usize = 2;

/// Largest number of values of k in one step of any arithmetic.
const DEPTH_MAX: usize = 4;

/// Runs `rounds` rounds of independent multiply-adds in `arithmetic` and returns the number of operations. A
/// multiply-add counts as two operations.
///
/// Time this function to measure the peak of one thread. If the CPU cannot multiply bfloat16, [`Arithmetic::Bf16`] runs
/// in `f32`, as products do.
///
/// # Panics
/// If `isa` has no instruction for `arithmetic`.
pub fn multiply_adds(isa: Isa, arithmetic: Arithmetic, rounds: usize) -> f64 {
    let widened = arithmetic == Arithmetic::Bf16 && !isa.multiplies_bf16();
    let arithmetic = if widened { Arithmetic::F32 } else { arithmetic };
    let mut operations = 0.0;
    dispatch_dot(isa, arithmetic, DEPTH_MAX, PeakLoop { rounds, operations: &mut operations });
    operations
}

struct PeakLoop<'a> {
    rounds: usize,
    operations: &'a mut f64,
}

impl DotKernel for PeakLoop<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, dot: D) {
        // Zero bits are the number zero in every arithmetic, so sums do not grow. CPUs multiply zeros no faster.
        let zeros = [0.0f32; VECTORS * LANES_MAX * DEPTH_MAX];
        let columns = Columns { bias: zeros.as_ptr(), scales: zeros.as_ptr(), offsets: zeros.as_ptr().cast() };
        // SAFETY: the array holds VECTORS vectors of the largest step in the widest type, and more than INPUTS steps.
        unsafe {
            let mut sums: [[D::Sum; VECTORS]; INPUTS] = [[dot.start(columns, 0); VECTORS]; INPUTS];
            for _ in 0..self.rounds {
                // `black_box` prevents the compiler from computing a product once for all rounds.
                let from = black_box(zeros.as_ptr());
                for part in 0..D::PARTS {
                    let at = |v| D::offset(VECTORS, v, part);
                    let vector = |v| dot.weights(from.cast::<D::Weight>().add(at(v)), part);
                    let weights = [vector(0), vector(1)];
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let inputs = dot.inputs(from.cast::<D::Input>().add(r * D::DEPTH), part);
                        for (sum, weights) in sums.iter_mut().zip(weights) {
                            *sum = dot.dot(inputs, weights, *sum);
                        }
                    }
                }
            }
            for sum in sums.iter().flatten() {
                black_box(dot.simd().lanes(dot.finish(*sum, columns, 0, 1.0)));
            }
        }
        *self.operations = (self.rounds * INPUTS * VECTORS * D::S::LANES * D::DEPTH * 2) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::every_isa;

    #[test]
    fn operations_are_proportional_to_rounds() {
        for isa in every_isa() {
            for arithmetic in [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8] {
                if isa.instruction(arithmetic).is_none() {
                    continue;
                }
                let operations = multiply_adds(isa, arithmetic, 1000);
                assert!(operations >= 1000.0 * (INPUTS * VECTORS * 2) as f64, "{isa} {arithmetic:?}");
                assert_eq!(multiply_adds(isa, arithmetic, 2000), 2.0 * operations, "{isa} {arithmetic:?}");
            }
        }
    }
}
