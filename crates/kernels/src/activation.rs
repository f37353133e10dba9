//! ReLU, GELU and SiLU, and the exponential that SiLU and the softmax use, lane by lane.
//!
//! Each function states its largest error, which the tests check over the whole range on every instruction set. The
//! result for NaN is NaN.

use crate::simd::{EXP2_BIAS, Simd};

/// Function that a product or a convolution applies to each value of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x
    Identity,
    /// max(0, x). The result for NaN is NaN, as in PyTorch.
    Relu,
    /// x·Φ(x), the exact GELU that uses erf. Largest error: 5e-7, relative to max(1, |x·Φ(x)|).
    Gelu,
    /// x/(1 + e⁻ˣ). Largest error: 3e-7, relative to max(1, |x/(1 + e⁻ˣ)|).
    Silu,
}

impl Activation {
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        let [value] = self.apply_all(s, [x]);
        value
    }

    /// Applies the activation to several vectors. This is faster than one after another: constants are loaded once, and
    /// the CPU overlaps the dependent operations of different vectors.
    #[inline(always)]
    pub(crate) fn apply_all<S: Simd, const V: usize>(self, s: S, x: [S::F; V]) -> [S::F; V] {
        match self {
            Activation::Identity => x,
            Activation::Relu => relu(s, x),
            Activation::Gelu => gelu(s, x),
            Activation::Silu => silu(s, x),
        }
    }
}

#[inline(always)]
fn relu<S: Simd, const V: usize>(s: S, mut x: [S::F; V]) -> [S::F; V] {
    for x in &mut x {
        *x = s.max(s.splat(0.0), *x);
    }
    x
}

/// x·Φ(x) = x·(½ + x·g(x²)) with the smooth function g(s) = erf(√(s/2))/(2·√s). It needs neither an exponential nor a
/// division.
///
/// For |x| ≤ 5.5, g is a polynomial in 2·s/5.5² − 1, fitted to minimise the largest error of Φ, 8e-9. The last bits of
/// its three lowest coefficients are chosen so that rounding makes Φ(5.5) exactly 1; all large x would have its error.
/// Outside, Φ has its value at ±5.5, and x is clamped to −5.5 from below.
#[inline(always)]
fn gelu<S: Simd, const V: usize>(s: S, mut x: [S::F; V]) -> [S::F; V] {
    const BOUND: f32 = 5.5;
    // Highest power first.
    const COEFFICIENTS: [f32; 16] = [
        -2.364_177_3e-4,
        6.315_599_3e-4,
        -5.291_319_7e-4,
        7.201_037e-4,
        -2.418_649_6e-3,
        4.621_784e-3,
        -6.819_91e-3,
        1.022_782_55e-2,
        -1.499_907_9e-2,
        2.036_456_8e-2,
        -2.604_826e-2,
        3.207_026e-2,
        -3.879_278_5e-2,
        4.773_762_4e-2,
        -6.417_233_5e-2,
        1.285_519_3e-1,
    ];
    let (mut inside, mut t) = (x, x);
    for v in 0..V {
        x[v] = s.max(s.splat(-BOUND), x[v]);
        inside[v] = s.min(s.splat(BOUND), x[v]);
        t[v] = s.fma(s.mul(inside[v], s.splat(2.0 / (BOUND * BOUND))), inside[v], s.splat(-1.0));
    }
    let odd = polynomial(s, COEFFICIENTS, t);
    for v in 0..V {
        x[v] = s.mul(x[v], s.fma(inside[v], odd[v], s.splat(0.5)));
    }
    x
}

#[inline(always)]
fn silu<S: Simd, const V: usize>(s: S, mut x: [S::F; V]) -> [S::F; V] {
    let exponential = exp_signed::<S, V, true>(s, x);
    for (x, exponential) in x.iter_mut().zip(exponential) {
        *x = s.div(*x, s.add(s.splat(1.0), exponential));
    }
    x
}

/// eˣ for −87 ≤ x ≤ 87, with a relative error of at most 3e-7 + 8e-8·|x|. Outside, the value at the nearer bound.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let [value] = exp_signed::<S, 1, false>(s, [x]);
    value
}

/// eˣ, or e⁻ˣ if NEGATIVE, computed as 2ⁿ·2ᶠ with an integer n and |f| ≤ ½.
#[inline(always)]
fn exp_signed<S: Simd, const V: usize, const NEGATIVE: bool>(s: S, x: [S::F; V]) -> [S::F; V] {
    const BOUND: f32 = 87.0;
    // Polynomial for 2ᶠ on |f| ≤ ½ with the smallest largest relative error, 7.5e-8. Highest power first.
    const COEFFICIENTS: [f32; 6] =
        [1.327_647_1e-3, 9.675_541e-3, 5.550_713e-2, 2.402_212e-1, 6.931_469_4e-1, 1.000_000_1];
    let factor = s.splat(if NEGATIVE { -std::f32::consts::LOG2_E } else { std::f32::consts::LOG2_E });
    let bias = s.splat(EXP2_BIAS);
    let (mut biased, mut f) = (x, x);
    for v in 0..V {
        let x = s.max(s.splat(-BOUND), s.min(s.splat(BOUND), x[v]));
        biased[v] = s.fma(x, factor, bias);
        f[v] = s.fma(x, factor, s.sub(bias, biased[v]));
    }
    let mut value = polynomial(s, COEFFICIENTS, f);
    for (value, biased) in value.iter_mut().zip(biased) {
        *value = s.mul(*value, s.exp2_whole(biased));
    }
    value
}

/// Value at each `t` of the polynomial with `coefficients`, highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize, const V: usize>(s: S, coefficients: [f32; N], t: [S::F; V]) -> [S::F; V] {
    let mut sum = [s.splat(coefficients[0]); V];
    for coefficient in &coefficients[1..] {
        let coefficient = s.splat(*coefficient);
        for v in 0..V {
            sum[v] = s.fma(sum[v], t[v], coefficient);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::naive;
    use crate::simd::{Kernel, dispatch};
    use crate::testing::{assert_all_within, every_isa};

    /// Applies an activation, or the exponential if it is `None`, to a slice of any length.
    struct Map<'a>(Option<Activation>, &'a [f32], &'a mut [f32]);

    impl Kernel for Map<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for (x, y) in self.1.chunks(S::LANES).zip(self.2.chunks_mut(S::LANES)) {
                // SAFETY: both chunks have the same length, at most LANES.
                unsafe {
                    let x = s.load_part(x.as_ptr(), x.len());
                    let value = match self.0 {
                        Some(activation) => activation.apply(s, x),
                        None => exp(s, x),
                    };
                    s.store_part(y.as_mut_ptr(), value, y.len());
                }
            }
        }
    }

    fn grid(low: f32, high: f32) -> Vec<f32> {
        (0..=200_000).map(|i| low + (high - low) * i as f32 / 200_000.0).collect()
    }

    #[test]
    fn activations_stay_within_their_stated_errors() {
        let x = grid(-30.0, 30.0);
        for isa in every_isa() {
            for (activation, tolerance) in [
                (Activation::Identity, 0.0),
                (Activation::Relu, 0.0),
                (Activation::Gelu, 5e-7),
                (Activation::Silu, 3e-7),
            ] {
                let mut y = vec![0.0; x.len()];
                dispatch(isa, Map(Some(activation), &x, &mut y));
                let error = x
                    .iter()
                    .zip(&y)
                    .map(|(x, y)| {
                        let exact = naive::activate(activation, f64::from(*x));
                        (f64::from(*y) - exact).abs() / exact.abs().max(1.0)
                    })
                    .fold(0.0, f64::max);
                assert!(error <= tolerance, "{isa} {activation:?}: {error:e}");
            }
        }
    }

    /// Root mean square of the error of GELU, for normally distributed values of this standard deviation.
    fn gelu_error(isa: Isa, deviation: f32) -> f64 {
        let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 1000.0 * deviation).collect();
        let density = |x: f32| (-0.5 * f64::from(x / deviation).powi(2)).exp();
        let mut y = vec![0.0; x.len()];
        dispatch(isa, Map(Some(Activation::Gelu), &x, &mut y));
        let squares = x.iter().zip(&y).map(|(x, y)| {
            let error = f64::from(*y) - naive::activate(Activation::Gelu, f64::from(*x));
            error * error * density(*x)
        });
        (squares.sum::<f64>() / x.iter().map(|x| density(*x)).sum::<f64>()).sqrt()
    }

    #[test]
    fn gelu_rounds_little_at_every_scale() {
        for isa in every_isa() {
            // PyTorch's errors are 0.6e-8, 4.0e-8, 12.4e-8 and 14.8e-8.
            for (deviation, limit) in [(0.3, 0.8e-8), (1.0, 4e-8), (2.0, 8e-8), (4.0, 10e-8)] {
                let error = gelu_error(isa, deviation);
                assert!(error <= limit, "{isa}, values of {deviation}: {error:e}");
            }
        }
    }

    #[test]
    fn gelu_of_large_values_is_exact() {
        let x = grid(5.6, 1e4);
        for isa in every_isa() {
            let mut y = vec![0.0; x.len()];
            dispatch(isa, Map(Some(Activation::Gelu), &x, &mut y));
            assert_eq!(x, y, "{isa}");
        }
    }

    #[test]
    fn exp_stays_within_its_stated_error_and_is_bounded_outside() {
        let x = grid(-87.0, 87.0);
        for isa in every_isa() {
            let mut y = vec![0.0; x.len()];
            dispatch(isa, Map(None, &x, &mut y));
            for (x, y) in x.iter().zip(&y) {
                let error = (f64::from(*y) / f64::from(*x).exp() - 1.0).abs();
                assert!(error <= 3e-7 + 8e-8 * f64::from(x.abs()), "{isa}: exp({x}) is {y}, {error:e} off");
            }
            let mut y = [0.0; 4];
            dispatch(isa, Map(None, &[f32::NEG_INFINITY, -1e30, 1e30, f32::INFINITY], &mut y));
            assert!(y[0] < 1e-37 && y[1] < 1e-37 && y[2] > 1e37 && y[3] > 1e37, "{isa}: {y:?}");
        }
    }

    #[test]
    fn activation_of_nan_is_nan() {
        for isa in every_isa() {
            for activation in [
                Some(Activation::Identity),
                Some(Activation::Relu),
                Some(Activation::Gelu),
                Some(Activation::Silu),
                None,
            ] {
                let x = [1.0, f32::NAN, -2.0];
                let mut y = [0.0; 3];
                dispatch(isa, Map(activation, &x, &mut y));
                assert!(y[1].is_nan(), "{isa} {activation:?}");
                assert!(y[0].is_finite() && y[2].is_finite(), "{isa} {activation:?}");
            }
        }
    }

    #[test]
    fn partial_vectors_change_only_their_elements() {
        for isa in every_isa() {
            for len in 0..40 {
                let x: Vec<f32> = (0..len).map(|i| i as f32 - 7.5).collect();
                let mut y = vec![0.0; len];
                dispatch(isa, Map(Some(Activation::Relu), &x, &mut y));
                let expected: Vec<f64> = x.iter().map(|x| f64::from(x.max(0.0))).collect();
                assert_all_within(&y, &expected, 0.0, &format!("{isa} {len}"));
            }
        }
    }
}
