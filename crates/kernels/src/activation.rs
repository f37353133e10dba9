//! ReLU, GELU and SiLU, and the exponential under them and the softmax, lane by lane.
//!
//! Each states its largest error, found by the tests over the whole range on every instruction set. NaN stays NaN.

use crate::simd::Simd;

/// What a product or a convolution does to its result, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x
    Identity,
    /// max(0, x); NaN stays NaN, as in PyTorch
    Relu,
    /// x·Φ(x), exact (erf), within 3e-7 of it in absolute terms
    Gelu,
    /// x/(1 + e⁻ˣ), within 4e-7 of it relative to max(1, |x|)
    Silu,
}

impl Activation {
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
        match self {
            Activation::Identity => x,
            Activation::Relu => relu(s, x),
            Activation::Gelu => gelu(s, x),
            Activation::Silu => silu(s, x),
        }
    }
}

#[inline(always)]
fn relu<S: Simd>(s: S, x: S::F) -> S::F {
    s.max(s.splat(0.0), x)
}

/// x·Φ(x) = max(0, x) − |x|·Φ(−|x|). The second term is below 6e-9 beyond |x| = 6; on 0 to 6 it is a polynomial in
/// |x|/3 − 1, whose coefficients (highest power first) are a Chebyshev fit of u·erfc(u/√2)/2: neither exponential nor
/// division.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    const BOUND: f32 = 6.0;
    const COEFFICIENTS: [f32; 18] = [
        2.7991282e-2,
        -2.0045223e-2,
        -1.5380953e-1,
        1.5844324e-1,
        3.142008e-1,
        -5.122874e-1,
        -1.43812e-1,
        7.8475213e-1,
        -5.1118684e-1,
        -3.210179e-1,
        8.0233157e-1,
        -5.623001e-1,
        -7.716079e-4,
        3.28793e-1,
        -2.9910597e-1,
        1.396126e-1,
        -3.583767e-2,
        4.04964e-3,
    ];
    let zero = s.splat(0.0);
    let magnitude = s.max(s.sub(zero, x), x);
    let t = s.fma(s.min(s.splat(BOUND), magnitude), s.splat(2.0 / BOUND), s.splat(-1.0));
    let mut tail = s.splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        tail = s.fma(tail, t, s.splat(*coefficient));
    }
    s.sub(s.max(zero, x), tail)
}

#[inline(always)]
fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(x, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// eˣ within 2e-7 relative for −87 ≤ x ≤ 88; the value at the nearer bound beyond them.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // ln 2 in two parts, the first short enough that its product with a whole number is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // (eʳ − 1 − r)/r² on |r| ≤ ln 2 / 2 by weighted least squares, highest power first.
    const COEFFICIENTS: [f32; 5] = [1.394_645_8e-3, 8.369_159e-3, 4.166_626e-2, 1.666_651_7e-1, 0.5];
    let x = s.max(s.splat(-87.0), s.min(s.splat(88.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-LN2_HIGH), x);
    let r = s.fma(n, s.splat(-LN2_LOW), r);
    let mut q = s.splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        q = s.fma(q, r, s.splat(*coefficient));
    }
    let e = s.fma(s.mul(q, r), r, s.add(r, s.splat(1.0)));
    s.mul(e, s.exp2_whole(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::simd::{Kernel, dispatch};
    use crate::testing::{assert_all_within, every_isa};

    /// Applies an activation, or the exponential when there is none, to a slice of any length.
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
                (Activation::Gelu, 3e-7),
                (Activation::Silu, 4e-7),
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

    #[test]
    fn exp_is_relative_everywhere_and_bounded_outside() {
        let x = grid(-87.0, 88.0);
        for isa in every_isa() {
            let mut y = vec![0.0; x.len()];
            dispatch(isa, Map(None, &x, &mut y));
            let error =
                x.iter().zip(&y).map(|(x, y)| (f64::from(*y) / f64::from(*x).exp() - 1.0).abs()).fold(0.0, f64::max);
            assert!(error <= 2e-7, "{isa}: {error:e}");
            let mut y = [0.0; 4];
            dispatch(isa, Map(None, &[f32::NEG_INFINITY, -1e30, 1e30, f32::INFINITY], &mut y));
            assert!(y[0] < 1e-37 && y[1] < 1e-37 && y[2] > 1e38 && y[3] > 1e38, "{isa}: {y:?}");
        }
    }

    #[test]
    fn nan_stays_nan() {
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
    fn odd_lengths_touch_only_their_elements() {
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
