//! Properties of SDSS images (York et al. 2000; Gunn et al. 1998): pixels, seeing, sky and photons.

use super::magnitudes::BANDS;

/// Width of a pixel in arcseconds.
pub(super) const PIXEL_ARCSEC: f64 = 0.396;
/// Full width at half maximum of the seeing in r: median in arcseconds, and the scatter of its natural logarithm.
pub(super) const SEEING_FWHM: (f64, f64) = (1.3, 0.12);
/// Ratio of the seeing in each band to the seeing in r.
pub(super) const SEEING_BY_BAND: [f64; BANDS] = [1.16, 1.09, 1.0, 0.95, 0.97];
/// Second of the two Gaussians of the point spread function: the ratio of its σ to the first one's, and its share of
/// the light.
pub(super) const SEEING_WING: (f64, f64) = (2.2, 0.2);
/// Full width at half maximum of the point spread function, in σ of its first Gaussian. Accurate to 1 %.
pub(super) const FWHM_IN_SIGMA: f64 = 2.44;
/// Noise of a pixel of empty sky, in nanomaggies: photon noise of a sky of 22.1, 21.8, 20.9, 20.2, 18.9 mag/arcsec² at
/// the sensitivity [`PHOTONS_PER_NANOMAGGY`], plus the noise of the camera in u.
pub(super) const SKY_NOISE: [f64; BANDS] = [0.045, 0.0175, 0.029, 0.046, 0.185];
/// Scatter of the natural logarithm of the sky noise from field to field.
pub(super) const SKY_SCATTER: f64 = 0.13;
/// Number of photoelectrons per nanomaggy: the gain divided by the calibration in nanomaggies per count.
pub(super) const PHOTONS_PER_NANOMAGGY: [f64; BANDS] = [180.0, 970.0, 950.0, 660.0, 134.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_spread_function_has_the_stated_width() {
        let (ratio, share) = SEEING_WING;
        // Surface brightness at a radius, which is in σ of the first Gaussian.
        let at =
            |r: f64| (1.0 - share) * (-0.5 * r * r).exp() + share / ratio.powi(2) * (-0.5 * (r / ratio).powi(2)).exp();
        let of_peak = |width: f64| at(width / 2.0) / at(0.0);
        assert!(of_peak(0.99 * FWHM_IN_SIGMA) > 0.5, "{} of the peak", of_peak(0.99 * FWHM_IN_SIGMA));
        assert!(of_peak(1.01 * FWHM_IN_SIGMA) < 0.5, "{} of the peak", of_peak(1.01 * FWHM_IN_SIGMA));
    }
}
