//! Magnitudes and fluxes in u g r i z: between magnitudes, colours and nanomaggies; what measuring adds; what the dust
//! of our Galaxy takes.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// u g r i z
pub const BANDS: usize = 5;
/// u−g, g−r, r−i, i−z
pub(super) const COLOURS: usize = BANDS - 1;
/// The band that samples are limited in.
pub(super) const R: usize = 2;
/// AB magnitude of one nanomaggy.
const ZERO_POINT: f64 = 22.5;

/// The part of a magnitude's error that no signal lowers: calibration and the model of the galaxy (Padmanabhan et al.
/// 2008: 2 % in u, 1 % in g r i z).
const CALIBRATION: [f64; BANDS] = [0.02, 0.01, 0.01, 0.01, 0.015];
/// Galaxies with a band whose photometry is broken, by a neighbour or a satellite's trail: 1 of 5,000 in the catalogue
/// that the relations were fitted to, and a few more that are less plain.
const BROKEN_FRACTION: f64 = 0.001;
/// By how many magnitudes, 1 σ.
const BROKEN_MAGNITUDES: f64 = 0.7;
/// Extinction in magnitudes per unit of E(B−V) (Schlafly & Finkbeiner 2011, table 6, R_V = 3.1).
const EXTINCTION: [f64; BANDS] = [4.239, 3.303, 2.285, 1.698, 1.263];

/// AB magnitudes u g r i z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Magnitudes(pub(super) [f64; BANDS]);

impl Magnitudes {
    pub(super) fn of_colours(r: f64, [ug, gr, ri, iz]: [f64; COLOURS]) -> Magnitudes {
        Magnitudes([r + gr + ug, r + gr, r, r - ri, r - ri - iz])
    }

    pub(super) fn colours(&self) -> [f64; COLOURS] {
        std::array::from_fn(|c| self.0[c] - self.0[c + 1])
    }

    /// Nanomaggies.
    pub(super) fn flux(&self) -> [f64; BANDS] {
        self.0.map(|magnitude| 10f64.powf(0.4 * (ZERO_POINT - magnitude)))
    }

    /// The same light behind the dust of our Galaxy, of colour excess E(B−V).
    pub(super) fn reddened(&self, colour_excess: f64) -> Magnitudes {
        Magnitudes(std::array::from_fn(|band| self.0[band] + EXTINCTION[band] * colour_excess))
    }

    /// What a survey measures of them, where the sky's noise under the galaxy is `sky_error` nanomaggies.
    pub(super) fn measured(&self, sky_error: [f64; BANDS], rng: &mut impl Rng) -> Magnitudes {
        let flux = self.flux();
        let mut measured: [f64; BANDS] = std::array::from_fn(|band| {
            let calibration: f64 = StandardNormal.sample(rng);
            let sky: f64 = StandardNormal.sample(rng);
            // A flux below a third of itself would be no detection; such a galaxy is not in a catalogue.
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
    fn colours_and_fluxes_are_those_of_the_magnitudes() {
        let magnitudes = Magnitudes::of_colours(17.0, [1.8, 0.9, 0.4, 0.3]);
        let expected = [19.7, 17.9, 17.0, 16.6, 16.3];
        assert!(magnitudes.0.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{magnitudes:?}");
        assert!((magnitudes.colours()[3] - 0.3).abs() < 1e-12);
        assert_eq!(Magnitudes([22.5; BANDS]).flux(), [1.0; BANDS]);
        assert!((magnitudes.reddened(0.1).0[R] - 17.2285).abs() < 1e-12);
    }

    #[test]
    fn errors_of_measurement_are_as_large_as_the_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let truth = Magnitudes([20.0, 18.0, 17.0, 16.6, 16.3]);
        let sky = [0.5, 0.0, 0.0, 0.0, 0.0];
        let errors: Vec<f64> = (0..4000).map(|_| truth.measured(sky, &mut rng).0[0] - 20.0).collect();
        let mean = errors.iter().sum::<f64>() / 4000.0;
        let deviation = (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // 10 nanomaggies ± 0.5 is 0.054 magnitudes, and 0.02 from the calibration; broken ones add to it.
        assert!((0.055..0.07).contains(&deviation), "σ = {deviation}");
    }
}
