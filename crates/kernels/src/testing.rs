//! Test helpers: comparison with expected values, the instruction sets to test, and random values.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::isa::Isa;

/// Instruction sets to test: all that this CPU supports, or only the one named in `COSMICAI_ISA`.
///
/// # Panics
/// If `COSMICAI_ISA` names an instruction set that this CPU does not support.
pub(crate) fn every_isa() -> Vec<Isa> {
    match std::env::var("COSMICAI_ISA") {
        Ok(name) => vec![name.parse().expect("COSMICAI_ISA must name an instruction set of this CPU")],
        Err(_) => Isa::available().collect(),
    }
}

/// Panics unless every value is finite and differs from the expected one by at most `tolerance`·max(1, |expected|).
pub(crate) fn assert_all_within(values: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(values.len(), expected.len(), "{what}: lengths differ");
    for (index, (value, expected)) in values.iter().zip(expected).enumerate() {
        let error = (f64::from(*value) - expected).abs() / expected.abs().max(1.0);
        // This form of the comparison also fails if either side is NaN.
        assert!(error <= tolerance, "{what}: [{index}] is {value}, not {expected} (error {error:e})");
    }
}

/// Returns true if `call` panics.
pub(crate) fn panics(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// Seeded random values, uniform from −1 to 1. A 64-bit linear congruential generator is good enough for tests.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }
}

#[test]
fn assert_all_within_rejects_nan_infinity_other_lengths_and_small_errors() {
    let accepts = |values: &[f32], expected: &[f64]| !panics(|| assert_all_within(values, expected, 1e-6, "test"));
    assert!(accepts(&[0.0, 1.0, -2e6], &[-0.0, 1.0, -2e6]));
    assert!(accepts(&[1e-40], &[0.0]));
    assert!(accepts(&[2e6 + 1.0], &[2e6]));
    assert!(!accepts(&[1.0 + 1e-5], &[1.0]));
    assert!(!accepts(&[f32::NAN], &[f64::NAN]));
    assert!(!accepts(&[f32::NAN], &[1.0]));
    assert!(!accepts(&[1.0], &[f64::NAN]));
    assert!(!accepts(&[f32::INFINITY], &[1.0]));
    assert!(!accepts(&[f32::INFINITY], &[f64::INFINITY]));
    assert!(!accepts(&[1.0], &[1.0, 2.0]));
}

#[test]
fn random_values_cover_their_range() {
    let values = Random::new(1).floats(10_000);
    assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
    let mean = values.iter().sum::<f32>() / 10_000.0;
    assert!(mean.abs() < 0.03, "{mean}");
    assert!(values.iter().any(|x| *x < -0.99) && values.iter().any(|x| *x > 0.99));
}
