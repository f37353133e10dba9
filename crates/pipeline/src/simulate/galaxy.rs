//! One galaxy: redshift, type, luminosity, colours, size and shape.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::BANDS;

/// Hubble distance in Mpc for H₀ = 70 km/s/Mpc.
const HUBBLE_DISTANCE_MPC: f64 = 4282.7;
/// Ω_m of a flat universe.
const OMEGA_M: f64 = 0.3;
/// The SDSS main sample's limit in r.
const R_LIMIT: f64 = 17.77;
const REDSHIFTS: std::ops::Range<f64> = 0.01..0.4;
/// A draw that falls outside the sample is drawn again, this often at most; about one in five stays.
const DRAWS_MAX: usize = 10_000;

/// Colours u−g, g−r, r−i, i−z at redshift 0 and their change per unit of redshift, and the scatter of each: early
/// types, then late ones. Rounded from the loci of the SDSS main sample; linear where the truth bends.
const COLOURS: [[(f64, f64, f64); BANDS - 1]; 2] = [
    [(1.75, 1.2, 0.12), (0.68, 2.9, 0.04), (0.35, 0.75, 0.025), (0.27, 0.55, 0.03)],
    [(1.15, 1.6, 0.18), (0.38, 2.1, 0.09), (0.22, 0.65, 0.05), (0.12, 0.75, 0.06)],
];

/// A simulated galaxy; everything its image needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Galaxy {
    /// True redshift.
    pub redshift: f64,
    /// u g r i z, AB.
    pub magnitudes: [f64; BANDS],
    /// Half-light radius in arcseconds.
    pub radius_arcsec: f64,
    /// Sérsic index: 4 for early types, 1 for late ones.
    pub sersic_index: f64,
    /// Minor over major axis.
    pub axis_ratio: f64,
    /// Position angle in radians.
    pub position_angle: f64,
    /// Offset of the centre from the image's, in pixels.
    pub offset_pixels: [f64; 2],
}

impl Galaxy {
    /// Galaxy `index` of the sky with this seed, and the generator that its image's noise continues.
    pub(super) fn draw(seed: u64, index: u64) -> (Galaxy, ChaCha8Rng) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        let mut normal = {
            let mut rng = rng.clone();
            // Gaussian draws come from a stream of their own, so that rejected candidates leave them in step.
            rng.set_stream(index | 1 << 63);
            move || -> f64 { StandardNormal.sample(&mut rng) }
        };
        let (mut redshift, mut early, mut r) = (REDSHIFTS.start, false, R_LIMIT);
        for _ in 0..DRAWS_MAX {
            // Volume grows as z²; the flux limit below cuts the far end.
            redshift = REDSHIFTS.end * rng.random::<f64>().cbrt();
            early = rng.random::<f64>() < 0.45;
            let absolute = if early { -21.3 } else { -20.6 } + 0.9 * normal();
            let k_correction = if early { 1.0 } else { 0.6 } * redshift;
            r = absolute + distance_modulus(redshift) + k_correction;
            if REDSHIFTS.contains(&redshift) && (13.5..R_LIMIT).contains(&r) {
                break;
            }
        }
        let mut colour = |which: usize| {
            let (at_zero, slope, scatter) = COLOURS[usize::from(!early)][which];
            at_zero + slope * redshift + scatter * normal()
        };
        let g = r + colour(1);
        let u = g + colour(0);
        let i = r - colour(2);
        let z = i - colour(3);
        // Kiloparsecs grow with luminosity; half the light lies within a few of them.
        let absolute = r - distance_modulus(redshift);
        let radius_kpc = 4.5 * 10f64.powf(-0.25 * (absolute + 21.0) + 0.15 * normal());
        let kpc_per_arcsec = comoving_distance_mpc(redshift) / (1.0 + redshift) * 1000.0 / 206_265.0;
        let galaxy = Galaxy {
            redshift,
            magnitudes: [u, g, r, i, z],
            radius_arcsec: radius_kpc / kpc_per_arcsec,
            sersic_index: if early { 4.0 } else { 1.0 },
            axis_ratio: if early { rng.random_range(0.5..1.0) } else { rng.random_range(0.2..1.0) },
            position_angle: rng.random_range(0.0..std::f64::consts::PI),
            offset_pixels: [rng.random_range(-0.5..0.5), rng.random_range(-0.5..0.5)],
        };
        (galaxy, rng)
    }
}

/// 5·log₁₀ of the luminosity distance over 10 pc.
fn distance_modulus(redshift: f64) -> f64 {
    5.0 * (comoving_distance_mpc(redshift) * (1.0 + redshift) * 1e5).log10()
}

/// Simpson's rule over dz/E(z); 16 intervals are exact to 1e-6 below redshift 0.4.
fn comoving_distance_mpc(redshift: f64) -> f64 {
    let inverse_e = |z: f64| (OMEGA_M * (1.0 + z).powi(3) + 1.0 - OMEGA_M).powf(-0.5);
    let step = redshift / 16.0;
    let inside: f64 = (1..16).map(|i| inverse_e(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    HUBBLE_DISTANCE_MPC * step / 3.0 * (inverse_e(0.0) + inside + inverse_e(redshift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_stated_cosmology() {
        // Flat, H₀ = 70, Ω_m = 0.3: D_C(0.1) = 418.4 Mpc, distance modulus 38.31.
        assert!((comoving_distance_mpc(0.1) - 418.4).abs() < 0.3, "{}", comoving_distance_mpc(0.1));
        assert!((distance_modulus(0.1) - 38.315).abs() < 0.01, "{}", distance_modulus(0.1));
    }

    #[test]
    fn redder_galaxies_lie_farther_away() {
        let galaxies: Vec<Galaxy> = (0..2000).map(|index| Galaxy::draw(1, index).0).collect();
        let mean_colour = |near: bool| {
            let chosen = galaxies.iter().filter(|galaxy| (galaxy.redshift < 0.1) == near);
            let colours: Vec<f64> = chosen.map(|galaxy| galaxy.magnitudes[1] - galaxy.magnitudes[2]).collect();
            colours.iter().sum::<f64>() / colours.len() as f64
        };
        assert!(mean_colour(false) > mean_colour(true) + 0.15);
    }
}
