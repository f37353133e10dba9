//! Peak speed of the CPU in a precision, for comparison with the speed of a model.

use kernels::Isa;

use crate::precision::Precision;

/// Runs `rounds` rounds of the multiply-adds that products in this precision consist of, and returns the number of
/// operations. A multiply-add counts as two operations. Time this function to measure the peak of one thread.
///
/// # Panics
/// If `isa` has no instruction for the arithmetic of `precision` ([`Isa::instruction`] returns `None`).
pub fn peak_operations(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    kernels::multiply_adds(isa, precision.arithmetic(), rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_proportional_to_rounds_in_every_precision() {
        for precision in Precision::ALL {
            let one = peak_operations(Isa::detect(), precision, 1_000);
            assert!(one >= 1_000.0 * 2.0, "{precision}: {one}");
            assert_eq!(peak_operations(Isa::detect(), precision, 3_000), 3.0 * one, "{precision}");
        }
    }
}
