//! SDSS as a camera (York et al. 2000; Gunn et al. 1998): pixels, seeing, sky, photons.

use super::magnitudes::BANDS;

/// Width of a pixel.
pub(super) const PIXEL_ARCSEC: f64 = 0.396;
/// Full width at half maximum of the seeing in r: median in arcseconds, and the scatter of its logarithm.
pub(super) const SEEING_FWHM: (f64, f64) = (1.3, 0.12);
/// The seeing in each band over that in r.
pub(super) const SEEING_BY_BAND: [f64; BANDS] = [1.16, 1.09, 1.0, 0.95, 0.97];
/// The point spread function: two Gaussians; σ of the second over that of the first, and its share of the light.
pub(super) const SEEING_WING: (f64, f64) = (2.2, 0.2);
/// Full width at half maximum of the two Gaussians together, in σ of the first, to a hundredth of it.
pub(super) const FWHM_IN_SIGMA: f64 = 2.44;
/// Noise of a pixel of empty sky, nanomaggies: the photons of a sky of 22.1, 21.8, 20.9, 20.2, 18.9 mag/arcsec² at the
/// sensitivity below, and the camera's own noise in u.
pub(super) const SKY_NOISE: [f64; BANDS] = [0.045, 0.0175, 0.029, 0.046, 0.185];
/// Scatter of the logarithm of the sky's noise from field to field.
pub(super) const SKY_SCATTER: f64 = 0.13;
/// Photoelectrons of one nanomaggy: the gain over the calibration's nanomaggies per count.
pub(super) const PHOTONS_PER_NANOMAGGY: [f64; BANDS] = [180.0, 970.0, 950.0, 660.0, 134.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeing_is_as_wide_as_stated() {
        let (ratio, share) = SEEING_WING;
        // Surface brightness at a radius in σ of the first Gaussian.
        let at =
            |r: f64| (1.0 - share) * (-0.5 * r * r).exp() + share / ratio.powi(2) * (-0.5 * (r / ratio).powi(2)).exp();
        let of_peak = |width: f64| at(width / 2.0) / at(0.0);
        assert!(of_peak(0.99 * FWHM_IN_SIGMA) > 0.5, "{} of the peak", of_peak(0.99 * FWHM_IN_SIGMA));
        assert!(of_peak(1.01 * FWHM_IN_SIGMA) < 0.5, "{} of the peak", of_peak(1.01 * FWHM_IN_SIGMA));
    }
}
