//! The rule that separates redshifts from values that only mark an unknown one.
//!
//! Catalogues mark an unknown redshift with a number that no galaxy can have: −9999, −999, −99, −9, −1, 99, 999, 9999.
//! `ingest`, predictions and metrics follow this one rule.

/// Smallest and largest redshift of a galaxy, both excluded. At −1 the wavelength of light would be 0, and the most
/// distant galaxies known have redshifts near 14.
pub const REDSHIFTS: (f64, f64) = (-1.0, 20.0);

/// Returns the redshift, or None if the value is NaN, infinite, −1 or less, or 20 or more: it then marks an unknown
/// redshift.
pub fn known(redshift: f64) -> Option<f64> {
    Some(redshift).filter(|redshift| *redshift > REDSHIFTS.0 && *redshift < REDSHIFTS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_unknown_and_redshifts_are_known() {
        for sentinel in [-9999.0, -999.0, -99.0, -9.0, -1.0, 99.0, 999.0, 9999.0, 20.0] {
            assert_eq!(known(sentinel), None, "{sentinel}");
        }
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(known(broken), None, "{broken}");
        }
        // Stars and the nearest galaxies move towards us.
        for redshift in [-0.001, 0.0, 0.1, 7.0, 14.4] {
            assert_eq!(known(redshift), Some(redshift));
        }
    }
}
