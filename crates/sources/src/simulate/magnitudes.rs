//! Magnitudes, colours and fluxes in u g r i z: conversions, errors of measurement, and extinction by the dust of our
//! Galaxy.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

pub use pipeline::partition::BANDS;

/// Number of colours: u−g, g−r, r−i, i−z.
pub(super) const COLOURS: usize = BANDS - 1;
/// Index of the r band, in which samples have their magnitude limits.
pub(super) const R: usize = 2;
/// AB magnitude of one nanomaggy.
const ZERO_POINT: f64 = 22.5;

/// Error of a magnitude that does not depend on the signal: calibration and the model of the galaxy (Padmanabhan et al.
/// 2008: 2 % in u, 1 % in g r i z). One standard deviation, in magnitudes.
const CALIBRATION: [f64; BANDS] = [0.02, 0.01, 0.01, 0.01, 0.015];
/// Fraction of galaxies with wrong photometry in one band, because of a neighbour or a satellite trail. In the
/// catalogue that the relations were fitted to, it is 1 of 5,000, and a few less obvious cases.
const BROKEN_FRACTION: f64 = 0.001;
/// Error of wrong photometry, one standard deviation, in magnitudes.
const BROKEN_MAGNITUDES: f64 = 0.7;
/// Extinction in magnitudes per unit of E(B−V) (Schlafly & Finkbeiner 2011, table 6, R_V = 3.1).
const EXTINCTION: [f64; BANDS] = [4.239, 3.303, 2.285, 1.698, 1.263];

/// AB magnitudes u g r i z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Magnitudes(pub(super) [f64; BANDS]);

impl Magnitudes {
    /// Computes magnitudes from the magnitude r and the colours.
    pub(super) fn from_colours(r: f64, [ug, gr, ri, iz]: [f64; COLOURS]) -> Magnitudes {
        Magnitudes([r + gr + ug, r + gr, r, r - ri, r - ri - iz])
    }

    pub(super) fn colours(&self) -> [f64; COLOURS] {
        std::array::from_fn(|c| self.0[c] - self.0[c + 1])
    }

    /// Computes the flux in each band, in nanomaggies.
    pub(super) fn flux(&self) -> [f64; BANDS] {
        self.0.map(|magnitude| 10f64.powf(0.4 * (ZERO_POINT - magnitude)))
    }

    /// Adds extinction by the dust of our Galaxy, for a colour excess E(B−V).
    pub(super) fn reddened(&self, colour_excess: f64) -> Magnitudes {
        Magnitudes(std::array::from_fn(|band| self.0[band] + EXTINCTION[band] * colour_excess))
    }

    /// Draws the magnitudes that a survey measures. `sky_error` is the noise of the sky in each flux, in nanomaggies.
    pub(super) fn measured(&self, sky_error: [f64; BANDS], rng: &mut impl Rng) -> Magnitudes {
        let flux = self.flux();
        let mut measured: [f64; BANDS] = std::array::from_fn(|band| {
            let calibration: f64 = StandardNormal.sample(rng);
            let sky: f64 = StandardNormal.sample(rng);
            // A galaxy measured below a third of its flux would not be detected, so it would not be in a catalogue.
            let seen = (flux[band] + sky_error[band] * sky).max(flux[band] / 3.0);
            ZERO_POINT - 2.5 * seen.log10() + CALIBRATION[band] * calibration
        });
        if rng.random::<f64>() < BROKEN_FRACTION {
            let error: f64 = StandardNormal.sample(rng);
            measured[rng.random_range(0..BANDS)] += BROKEN_MAGNITUDES * error;
        }
        Magnitudes(measured)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn converts_between_magnitudes_colours_and_fluxes() {
        let magnitudes = Magnitudes::from_colours(17.0, [1.8, 0.9, 0.4, 0.3]);
        let expected = [19.7, 17.9, 17.0, 16.6, 16.3];
        assert!(magnitudes.0.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{magnitudes:?}");
        assert!((magnitudes.colours()[3] - 0.3).abs() < 1e-12);
        assert_eq!(Magnitudes([22.5; BANDS]).flux(), [1.0; BANDS]);
        assert!((magnitudes.reddened(0.1).0[R] - 17.2285).abs() < 1e-12);
    }

    #[test]
    fn errors_of_measurement_agree_with_the_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let truth = Magnitudes([20.0, 18.0, 17.0, 16.6, 16.3]);
        let sky = [0.5, 0.0, 0.0, 0.0, 0.0];
        let errors: Vec<f64> = (0..4000).map(|_| truth.measured(sky, &mut rng).0[0] - 20.0).collect();
        let mean = errors.iter().sum::<f64>() / 4000.0;
        let deviation = (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // 10 ± 0.5 nanomaggies give 0.054 magnitudes. The calibration adds 0.02, and wrong photometry a little more.
        assert!((0.055..0.07).contains(&deviation), "σ = {deviation}");
    }
}
