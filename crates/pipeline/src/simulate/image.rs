//! A galaxy's image: a Sérsic profile softened by the seeing, in every band, with sky and photon noise.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{BANDS, Galaxy};

/// SDSS pixels.
const PIXEL_ARCSEC: f64 = 0.396;
/// σ of the seeing: 1.3″ full width at half maximum.
const SEEING_ARCSEC: f64 = 0.55;
/// Sky noise of an SDSS pixel in u g r i z, nanomaggies.
const SKY_NOISE: [f64; BANDS] = [0.07, 0.025, 0.033, 0.045, 0.13];
/// Photons counted per nanomaggie, about (gain over the calibration's nanomaggies per count).
const PHOTONS_PER_NANOMAGGIE: [f64; BANDS] = [350.0, 880.0, 950.0, 680.0, 120.0];

/// Draws `galaxy` into `image` (5, size, size), nanomaggies.
pub(super) fn render(galaxy: &Galaxy, size: usize, rng: &mut ChaCha8Rng, image: &mut [f32]) {
    let profile = profile(galaxy, size);
    for (band, plane) in image.chunks_exact_mut(size * size).enumerate() {
        let flux = 10f64.powf(0.4 * (22.5 - galaxy.magnitudes[band]));
        for (pixel, share) in plane.iter_mut().zip(&profile) {
            let light = flux * share;
            let variance = SKY_NOISE[band].powi(2) + light / PHOTONS_PER_NANOMAGGIE[band];
            let noise: f64 = StandardNormal.sample(rng);
            *pixel = (light + variance.sqrt() * noise) as f32;
        }
    }
}

/// Each pixel's share of the galaxy's light: I(r) ∝ exp(−b·(r/R)^(1/n)), the radius softened by the seeing, which
/// stands in for a convolution with it.
fn profile(galaxy: &Galaxy, size: usize) -> Vec<f64> {
    let n = galaxy.sersic_index;
    let b = 2.0 * n - 1.0 / 3.0 + 0.009_876 / n;
    let (sin, cos) = galaxy.position_angle.sin_cos();
    let centre = (size as f64 - 1.0) / 2.0;
    let mut profile = Vec::with_capacity(size * size);
    for line in 0..size {
        for column in 0..size {
            let x = (column as f64 - centre - galaxy.offset_pixels[0]) * PIXEL_ARCSEC;
            let y = (line as f64 - centre - galaxy.offset_pixels[1]) * PIXEL_ARCSEC;
            let (major, minor) = (x * cos + y * sin, y * cos - x * sin);
            // √q and 1/√q keep the area within the half-light ellipse that of the circle.
            let squared = major.powi(2) * galaxy.axis_ratio + minor.powi(2) / galaxy.axis_ratio;
            let radius = (squared + SEEING_ARCSEC.powi(2)).sqrt();
            profile.push((-b * (radius / galaxy.radius_arcsec).powf(1.0 / n)).exp());
        }
    }
    let inside: f64 = profile.iter().sum();
    let total = inside / share_within(size as f64 / 2.0 * PIXEL_ARCSEC / galaxy.radius_arcsec, n, b);
    profile.iter_mut().for_each(|share| *share /= total);
    profile
}

/// The share of a Sérsic profile's light within `radius` half-light radii: the incomplete gamma function P(2n, b·x),
/// x = radius^(1/n), whose series ends for whole 2n.
fn share_within(radius: f64, n: f64, b: f64) -> f64 {
    let x = b * radius.powf(1.0 / n);
    let (mut term, mut sum) = (1.0, 1.0);
    for order in 1..(2.0 * n) as u32 {
        term *= x / f64::from(order);
        sum += term;
    }
    1.0 - (-x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_light_lies_within_the_half_light_radius() {
        for n in [1.0, 4.0] {
            let b = 2.0 * n - 1.0 / 3.0 + 0.009_876 / n;
            assert!((share_within(1.0, n, b) - 0.5).abs() < 2e-3, "n = {n}: {}", share_within(1.0, n, b));
            assert!(share_within(100.0, n, b) > 0.99);
        }
    }
}
