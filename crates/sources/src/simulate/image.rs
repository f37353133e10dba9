//! Draws the image of a galaxy: turns its components into u g r i z pixels in nanomaggies, with seeing, neighbours, and
//! the noise of sky and photons.
//!
//! All light is a sum of Gaussians, so the seeing only widens each of them. A Gaussian is drawn column by column: along
//! a line, each pixel is the previous one times a factor, and that factor changes by a constant factor.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson};

use super::galaxy::{Component, Galaxy};
use super::magnitudes::{BANDS, Magnitudes};
use super::normal;
use super::profile::Profile;
use super::survey::{
    FWHM_IN_SIGMA, PHOTONS_PER_NANOMAGGY, PIXEL_ARCSEC, SEEING_BY_BAND, SEEING_FWHM, SEEING_WING, SKY_NOISE,
    SKY_SCATTER,
};

/// Distance from its centre, in σ, to which a Gaussian is drawn.
const REACH: f64 = 5.0;
/// Variance in pixels² that the width of a pixel adds.
const PIXEL_VARIANCE: f64 = 1.0 / 12.0;
/// Width in pixels below which Gaussians of a profile are drawn together as one point.
const POINT_SIGMA: f64 = 0.3;
/// Share of a component's light below which a Gaussian is left out. All of them together have less than 0.01 of it.
const LIGHT_MIN: f64 = 0.002;
/// Number of stars and galaxies brighter than the faintest [`NEIGHBOUR_R`] per square arcminute (Yasuda et al. 2001).
const NEIGHBOURS_PER_ARCMIN2: f64 = 5.0;
/// Magnitudes r of the brightest and the faintest neighbour. Their number grows as 10^(0.33 r).
const NEIGHBOUR_R: (f64, f64) = (15.0, 22.0);
/// Slope 0.33 of the logarithm of the number of neighbours with magnitude r.
const NEIGHBOUR_SLOPE: f64 = 0.33;
/// Maximum distance of a neighbour from the image, in arcseconds.
const NEIGHBOUR_MARGIN: f64 = 3.0;

/// Gaussian of light before the seeing.
#[derive(Clone, Copy)]
struct Blob {
    flux: [f64; BANDS],
    /// Column and line in pixels.
    centre: [f64; 2],
    /// Covariance in pixels²: (column, column), (column, line), (line, line).
    covariance: [f64; 3],
}

/// Working memory for drawing images. Reused from one image to the next.
#[derive(Default)]
pub(super) struct Canvas {
    blobs: Vec<Blob>,
    /// Pixels of one band, column by column.
    plane: Vec<f64>,
    /// Value of the Gaussian on each line of the current column.
    value: Vec<f64>,
    /// Factor from the value of each line to its value in the next column.
    change: Vec<f64>,
}

impl Canvas {
    /// Draws `galaxy` into `image`, shape (5, size, size), in nanomaggies.
    pub(super) fn render(&mut self, galaxy: &Galaxy, size: usize, rng: &mut impl Rng, image: &mut [f32]) {
        self.blobs.clear();
        let middle = (size as f64 - 1.0) / 2.0;
        let centre: [f64; 2] = std::array::from_fn(|_| middle + rng.random_range(-0.5..0.5));
        for component in &galaxy.components {
            self.add(component, centre);
        }
        self.add_neighbours(size, rng);

        let seeing = SEEING_FWHM.0 * (SEEING_FWHM.1 * normal(rng)).exp();
        let noise = (SKY_SCATTER * normal(rng)).exp();
        for (band, pixels) in image.chunks_exact_mut(size * size).enumerate() {
            let fwhm = seeing * SEEING_BY_BAND[band] * (0.03 * normal(rng)).exp() / PIXEL_ARCSEC;
            self.draw_band(band, fwhm / FWHM_IN_SIGMA, size);
            let sky_variance = (SKY_NOISE[band] * noise * (0.05 * normal(rng)).exp()).powi(2);
            for (index, pixel) in pixels.iter_mut().enumerate() {
                let light = self.plane[index % size * size + index / size];
                let variance = sky_variance + light / PHOTONS_PER_NANOMAGGY[band];
                *pixel = (light + variance.sqrt() * normal(rng)) as f32;
            }
        }
    }

    /// Adds the Gaussians of a component.
    fn add(&mut self, component: &Component, centre: [f64; 2]) {
        let (sin, cos) = component.position_angle.sin_cos();
        let mut point = 0.0;
        for (sigma, light) in component.profile.gaussians() {
            let sigma = sigma / PIXEL_ARCSEC;
            if sigma < POINT_SIGMA {
                point += light;
            } else if light > LIGHT_MIN {
                // σ is the width of a circle with the same area.
                let (major, minor) = (sigma.powi(2) / component.axis_ratio, sigma.powi(2) * component.axis_ratio);
                let covariance = [
                    major * cos * cos + minor * sin * sin,
                    (major - minor) * sin * cos,
                    major * sin * sin + minor * cos * cos,
                ];
                self.blobs.push(Blob { flux: component.flux.map(|flux| flux * light), centre, covariance });
            }
        }
        if point > LIGHT_MIN {
            self.blobs.push(Blob { flux: component.flux.map(|flux| flux * point), centre, covariance: [0.0; 3] });
        }
    }

    /// Adds other stars and galaxies in the field.
    fn add_neighbours(&mut self, size: usize, rng: &mut impl Rng) {
        let margin = NEIGHBOUR_MARGIN / PIXEL_ARCSEC;
        let side = size as f64 + 2.0 * margin;
        let expected = NEIGHBOURS_PER_ARCMIN2 * (side * PIXEL_ARCSEC / 60.0).powi(2);
        let count: f64 = Poisson::new(expected).expect("a positive number is expected").sample(rng);
        for _ in 0..count as usize {
            let fainter: f64 = 1.0 - rng.random::<f64>();
            let r = (NEIGHBOUR_R.1 + fainter.log10() / NEIGHBOUR_SLOPE).max(NEIGHBOUR_R.0);
            // F to M stars and galaxies have g−r near 0.8. Their other colours are correlated with it.
            let gr = (0.8 + 0.4 * normal(rng)).clamp(0.2, 1.6);
            let colours = [0.6 + 1.1 * gr, gr, 0.45 * gr, 0.25 * gr].map(|colour| colour + 0.1 * normal(rng));
            let flux = Magnitudes::from_colours(r, colours).flux();
            let centre = std::array::from_fn(|_| rng.random_range(-0.5 - margin..size as f64 - 0.5 + margin));
            let is_star = rng.random::<f64>() < 0.4;
            let radius = if is_star { 0.0 } else { 0.8 * (0.4 * normal(rng)).exp() };
            self.add(
                &Component {
                    flux,
                    profile: Profile { index: 1.0, radius },
                    axis_ratio: rng.random_range(0.3..1.0),
                    position_angle: rng.random_range(0.0..std::f64::consts::PI),
                },
                centre,
            );
        }
    }

    /// Draws all blobs of a band into `plane`, widened by the seeing. `sigma` is the width of the seeing's first
    /// Gaussian, in pixels.
    fn draw_band(&mut self, band: usize, sigma: f64, size: usize) {
        self.plane.clear();
        self.plane.resize(size * size, 0.0);
        self.value.resize(size, 0.0);
        self.change.resize(size, 0.0);
        let (ratio, share) = SEEING_WING;
        for index in 0..self.blobs.len() {
            let blob = self.blobs[index];
            for (sigma, light) in [(sigma, 1.0 - share), (sigma * ratio, share)] {
                let width = sigma.powi(2) + PIXEL_VARIANCE;
                let [xx, xy, yy] = blob.covariance;
                self.draw_gaussian(blob.flux[band] * light, blob.centre, [xx + width, xy, yy + width], size);
            }
        }
    }

    /// Adds a Gaussian to `plane`.
    fn draw_gaussian(&mut self, flux: f64, [x0, y0]: [f64; 2], [xx, xy, yy]: [f64; 3], size: usize) {
        let within = |centre: f64, variance: f64| {
            let reach = REACH * variance.sqrt();
            let first = (centre - reach).ceil().clamp(0.0, size as f64) as usize;
            let last = (centre + reach).floor().clamp(-1.0, size as f64 - 1.0);
            first..(last + 1.0) as usize
        };
        let (columns, lines) = (within(x0, xx), within(y0, yy));
        if columns.is_empty() || lines.is_empty() {
            return;
        }
        let determinant = xx * yy - xy * xy;
        let (a, b, c) = (yy / determinant, -xy / determinant, xx / determinant);
        let peak = flux / (2.0 * std::f64::consts::PI * determinant.sqrt());
        let (value, change) = (&mut self.value[lines.clone()], &mut self.change[lines.clone()]);
        let x = columns.start as f64 - x0;
        for ((value, change), line) in value.iter_mut().zip(change.iter_mut()).zip(lines.clone()) {
            let y = line as f64 - y0;
            *value = peak * (-0.5 * (a * x * x + c * y * y) - b * x * y).exp();
            // value(x + 1) / value(x) = exp(−a·(x + ½) − b·y). This ratio changes by exp(−a) from x to x + 1.
            *change = (-a * (x + 0.5) - b * y).exp();
        }
        let factor = (-a).exp();
        for column in columns {
            let pixels = &mut self.plane[column * size..][lines.clone()];
            for ((pixel, value), change) in pixels.iter_mut().zip(value.iter_mut()).zip(change.iter_mut()) {
                *pixel += *value;
                *value *= *change;
                *change *= factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_gaussian_agrees_with_its_formula() {
        let size = 40;
        for (centre, covariance) in [
            ([19.3, 20.8], [4.0, 0.0, 4.0]),
            ([2.0, 38.5], [30.0, 18.0, 20.0]),
            ([-3.0, 10.0], [3.0, -1.0, 2.0]),
            ([20.0, 20.0], [900.0, -850.0, 900.0]),
        ] {
            let mut canvas = Canvas { plane: vec![0.0; size * size], ..Canvas::default() };
            canvas.value.resize(size, 0.0);
            canvas.change.resize(size, 0.0);
            canvas.draw_gaussian(7.0, centre, covariance, size);
            let [xx, xy, yy] = covariance;
            let determinant: f64 = xx * yy - xy * xy;
            let peak = 7.0 / (2.0 * std::f64::consts::PI * determinant.sqrt());
            for (index, value) in canvas.plane.iter().enumerate() {
                let (x, y) = ((index / size) as f64 - centre[0], (index % size) as f64 - centre[1]);
                let distance = (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant;
                let expected = peak * (-0.5 * distance).exp();
                assert!((value - expected).abs() < 1e-5 * peak, "{covariance:?} at {x}, {y}: {value}, not {expected}");
            }
        }
    }

    #[test]
    fn drawn_component_keeps_its_light() {
        let mut canvas = Canvas::default();
        let component = Component {
            flux: [100.0; BANDS],
            profile: Profile { index: 4.0, radius: 1.0 },
            axis_ratio: 0.5,
            position_angle: 0.7,
        };
        canvas.add(&component, [63.5, 63.5]);
        canvas.draw_band(2, 1.4, 128);
        let light: f64 = canvas.plane.iter().sum();
        assert!((light - 100.0).abs() < 2.0, "{light}");
        assert!(canvas.blobs.len() < 12, "{} blobs", canvas.blobs.len());
    }
}
