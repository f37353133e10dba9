//! How optimised results are compared with naive ones, and on which instruction sets.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::isa::Isa;

/// The instruction sets under test: all that this CPU has, or the one in `COSMICAI_ISA`, which must then exist.
pub(crate) fn every_isa() -> Vec<Isa> {
    match std::env::var("COSMICAI_ISA") {
        Ok(name) => vec![name.parse().expect("COSMICAI_ISA names an instruction set of this CPU")],
        Err(_) => Isa::available().collect(),
    }
}

/// Fails unless every value is finite and within `tolerance`·max(1, |expected|) of the expected one.
pub(crate) fn assert_all_within(values: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(values.len(), expected.len(), "{what}: lengths differ");
    for (index, (value, expected)) in values.iter().zip(expected).enumerate() {
        let error = (f64::from(*value) - expected).abs() / expected.abs().max(1.0);
        // Written so that a NaN on either side fails.
        assert!(error <= tolerance, "{what}: [{index}] is {value}, not {expected} (error {error:e})");
    }
}

/// Whether `call` panics.
pub(crate) fn refuses(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// Seeded values, uniform in −1 to 1 (a 64-bit linear congruential generator; nothing here needs a better one).
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
fn the_judge_sees_nan_infinity_length_and_small_errors() {
    let judge = |values: &[f32], expected: &[f64]| !refuses(|| assert_all_within(values, expected, 1e-6, "judge"));
    assert!(judge(&[0.0, 1.0, -2e6], &[-0.0, 1.0, -2e6]));
    assert!(judge(&[1e-40], &[0.0]));
    assert!(judge(&[2e6 + 1.0], &[2e6]));
    assert!(!judge(&[1.0 + 1e-5], &[1.0]));
    assert!(!judge(&[f32::NAN], &[f64::NAN]));
    assert!(!judge(&[f32::NAN], &[1.0]));
    assert!(!judge(&[1.0], &[f64::NAN]));
    assert!(!judge(&[f32::INFINITY], &[1.0]));
    assert!(!judge(&[f32::INFINITY], &[f64::INFINITY]));
    assert!(!judge(&[1.0], &[1.0, 2.0]));
}

#[test]
fn random_values_fill_their_range() {
    let values = Random::new(1).floats(10_000);
    assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
    let mean = values.iter().sum::<f32>() / 10_000.0;
    assert!(mean.abs() < 0.03, "{mean}");
    assert!(values.iter().any(|x| *x < -0.99) && values.iter().any(|x| *x > 0.99));
}
