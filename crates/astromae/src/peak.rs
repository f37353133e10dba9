//! The most that this CPU gives in a precision, to measure a model against.

use kernels::Isa;

use crate::Precision;

/// Runs `rounds` rounds of the multiply-adds that products of this precision are made of, on registers alone, and
/// returns the operations done, a multiply-add counting as two. Time it to know the peak of one thread.
pub fn peak_operations(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    kernels::multiply_adds(isa, precision.arithmetic(), rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_grow_with_rounds_in_every_precision() {
        for precision in Precision::ALL {
            let one = peak_operations(Isa::detect(), precision, 1_000);
            assert!(one >= 1_000.0 * 2.0, "{precision}: {one}");
            assert_eq!(peak_operations(Isa::detect(), precision, 3_000), 3.0 * one, "{precision}");
        }
    }

    #[test]
    fn precisions_parse_from_their_own_names() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
    }
}
