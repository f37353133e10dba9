//! Flags of a prediction, as bits. A flagged row is kept: it is never dropped and never repaired.

/// Flag for a NaN or infinite pixel in the image given to the model. The prediction is then not finite either.
pub const NON_FINITE_PIXEL: u8 = 1;
/// Flag for a magnitude outside 0 to 40, which includes NaN and the sentinel values of catalogues (−9999, −99, 99).
pub const BAD_MAGNITUDE: u8 = 2;
/// Flag for a prediction that is not finite or outside 0 to 2.
pub const BAD_PREDICTION: u8 = 4;

/// Flag for a band whose pixels, as given to the model, all have one value, such as 0: there is no image in this band.
pub const BLANK_BAND: u8 = 8;

/// All flags, with their names in reports.
pub const NAMES: [(u8, &str); 4] = [
    (NON_FINITE_PIXEL, "non_finite_pixel"),
    (BAD_MAGNITUDE, "bad_magnitude"),
    (BAD_PREDICTION, "bad_prediction"),
    (BLANK_BAND, "blank_band"),
];

/// Plausible magnitudes of a galaxy.
const MAGNITUDES: std::ops::RangeInclusive<f64> = 0.0..=40.0;
/// Redshifts that the model was trained on.
const REDSHIFTS: std::ops::RangeInclusive<f32> = 0.0..=2.0;

/// Computes the flags of one row from its `pixels` as given to the model, band after band, its `magnitudes` as stored
/// (one for each band), and its predicted redshift.
pub fn flags(pixels: &[f32], magnitudes: &[f64], z_phot: f32) -> u8 {
    let mut flags = 0;
    if !pixels.iter().all(|pixel| pixel.is_finite()) {
        flags |= NON_FINITE_PIXEL;
    }
    if !magnitudes.iter().all(|magnitude| MAGNITUDES.contains(magnitude)) {
        flags |= BAD_MAGNITUDE;
    }
    if !REDSHIFTS.contains(&z_phot) {
        flags |= BAD_PREDICTION;
    }
    if has_blank_band(pixels, magnitudes.len()) {
        flags |= BLANK_BAND;
    }
    flags
}

/// Returns true if all pixels of a band are equal. A band of one pixel cannot tell.
fn has_blank_band(pixels: &[f32], bands: usize) -> bool {
    let size = pixels.len() / bands.max(1);
    size > 1 && pixels.chunks_exact(size).any(|band| band.iter().all(|&pixel| pixel == band[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_one_bit_per_problem() {
        let magnitudes = [18.0, 17.0, 16.0, 15.5, 15.0];
        assert_eq!(flags(&[0.0, -1.0, 1e30], &magnitudes, 0.1), 0);
        assert_eq!(flags(&[0.0, f32::NAN], &magnitudes, 0.1), NON_FINITE_PIXEL);
        assert_eq!(flags(&[f32::NEG_INFINITY], &magnitudes, f32::NAN), NON_FINITE_PIXEL | BAD_PREDICTION);
        for bad in [-9999.0, -99.0, 99.0, f64::NAN, f64::INFINITY, 40.001, -0.001] {
            assert_eq!(flags(&[0.0], &[18.0, bad], 0.1), BAD_MAGNITUDE, "{bad}");
        }
        assert_eq!(flags(&[0.0], &[0.0, 40.0], 2.0), 0);
        // Two bands of two pixels.
        assert_eq!(flags(&[0.0, 1.0, 2.0, 1.0], &[18.0, 17.0], 0.1), 0);
        for blank in [[0.0, 0.0, 2.0, 1.0], [0.0, 1.0, 2.0, 2.0], [0.0; 4], [-7.5; 4]] {
            assert_eq!(flags(&blank, &[18.0, 17.0], 0.1), BLANK_BAND, "{blank:?}");
        }
        assert_eq!(flags(&[f32::NAN; 4], &[18.0, 17.0], 0.1), NON_FINITE_PIXEL);
        for bad in [f32::NAN, f32::INFINITY, -0.001, 2.001] {
            assert_eq!(flags(&[0.0], &magnitudes, bad), BAD_PREDICTION, "{bad}");
        }
    }
}
