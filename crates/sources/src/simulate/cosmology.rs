//! Distances as functions of redshift, in megaparsecs, magnitudes, and kiloparsecs per arcsecond.
//!
//! The cosmology is flat ΛCDM with H₀ = 70 km/s/Mpc and Ω_m = 0.3 (Hogg 1999, astro-ph/9905116).

/// Hubble distance in Mpc.
const HUBBLE_DISTANCE_MPC: f64 = 4282.7;
const OMEGA_M: f64 = 0.3;
const ARCSEC_PER_RADIAN: f64 = 206_265.0;

/// 1/E(z), where E is the ratio of the Hubble parameter to H₀.
fn inverse_e(redshift: f64) -> f64 {
    (OMEGA_M * (1.0 + redshift).powi(3) + 1.0 - OMEGA_M).powf(-0.5)
}

/// Line-of-sight comoving distance, by Simpson's rule over dz/E(z). With 16 intervals, the relative error is below 1e-6
/// up to redshift 0.4.
pub(super) fn comoving_distance_mpc(redshift: f64) -> f64 {
    let step = redshift / 16.0;
    let inside: f64 = (1..16).map(|i| inverse_e(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    HUBBLE_DISTANCE_MPC * step / 3.0 * (inverse_e(0.0) + inside + inverse_e(redshift))
}

/// Distance modulus: 5·log₁₀ of the luminosity distance in units of 10 pc.
pub(super) fn distance_modulus(redshift: f64) -> f64 {
    5.0 * (comoving_distance_mpc(redshift) * (1.0 + redshift) * 1e5).log10()
}

/// Length in kiloparsecs that one arcsecond spans at the angular-diameter distance.
pub(super) fn kpc_per_arcsec(redshift: f64) -> f64 {
    comoving_distance_mpc(redshift) / (1.0 + redshift) * 1000.0 / ARCSEC_PER_RADIAN
}

/// Comoving volume element dV/dz of the whole sky, up to a constant factor.
pub(super) fn volume_element(redshift: f64) -> f64 {
    comoving_distance_mpc(redshift).powi(2) * inverse_e(redshift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_agree_with_published_values() {
        // D_C(0.1) = 418.4 Mpc, distance modulus 38.31, 1.844 kpc/″.
        assert!((comoving_distance_mpc(0.1) - 418.4).abs() < 0.3, "{}", comoving_distance_mpc(0.1));
        assert!((distance_modulus(0.1) - 38.315).abs() < 0.01, "{}", distance_modulus(0.1));
        assert!((kpc_per_arcsec(0.1) - 1.844).abs() < 0.005, "{}", kpc_per_arcsec(0.1));
    }

    #[test]
    fn volume_element_is_the_derivative_of_the_volume() {
        for redshift in [0.02, 0.1, 0.35] {
            let step = 1e-4;
            let cube = |z: f64| comoving_distance_mpc(z).powi(3) / 3.0 / HUBBLE_DISTANCE_MPC;
            let slope = (cube(redshift + step) - cube(redshift - step)) / (2.0 * step);
            assert!((volume_element(redshift) / slope - 1.0).abs() < 1e-4, "redshift {redshift}");
        }
    }
}
