//! Galaxy that is ready to be drawn: turns a member of the population into measured magnitudes, a bulge and a disc.
//!
//! The total colours are those of the population. The bulge is an old population: its colours are those of the red
//! sequence at the galaxy's redshift and the bulge's luminosity. The disc has the remaining light in each band. So
//! colour gradients follow from the types, and an image contains more information about the redshift than the
//! magnitudes do, as for real galaxies.

use rand::{Rng, RngExt};

use super::cosmology::kpc_per_arcsec;
use super::magnitudes::{BANDS, COLOURS, Magnitudes, R};
use super::normal;
use super::population::{Kind, Member};
use super::profile::{Profile, half_light_radius};
use super::survey::{PIXEL_ARCSEC, SKY_NOISE};

/// Maximum half-light radius in arcseconds. An image of a larger galaxy would show only its centre.
const RADIUS_MAX_ARCSEC: f64 = 15.0;
/// Maximum share of the bulge in the light of a band.
const BULGE_MAX: f64 = 0.95;
/// Ratio of a disc's thickness to its width.
const DISC_THICKNESS: f64 = 0.2;
/// Correlation of the redness of a late galaxy with its inclination.
const REDNESS_OF_INCLINATION: f64 = 0.6;
/// Median colour excess E(B−V) of the dust of our Galaxy towards the SDSS main sample, and the scatter of its natural
/// logarithm (Schlegel, Finkbeiner & Davis 1998).
const DUST: (f64, f64) = (0.025, 0.6);

/// A simulated galaxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Galaxy {
    /// True redshift.
    pub redshift: f64,
    /// Measured AB magnitudes u g r i z, corrected for the dust of our Galaxy.
    pub magnitudes: [f64; BANDS],
    /// Spectral type.
    pub kind: Kind,
    /// Radius in arcseconds of the circle that holds half the light in r.
    pub radius_arcsec: f64,
    /// Bulge, then disc.
    pub(super) components: [Component; 2],
}

/// Component of a galaxy: its bulge or its disc. Its colours are the same everywhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Component {
    /// Flux in each band in nanomaggies, after extinction by the dust of our Galaxy.
    pub(super) flux: [f64; BANDS],
    /// Profile along the geometric mean of the axes, its radius in arcseconds.
    pub(super) profile: Profile,
    /// Ratio of the minor axis to the major axis.
    pub(super) axis_ratio: f64,
    /// Position angle in radians.
    pub(super) position_angle: f64,
}

impl Galaxy {
    /// Draws a size and a shape for a member of the population, and errors of measurement for its magnitudes.
    pub(super) fn with_measured_magnitudes(member: &Member, rng: &mut impl Rng) -> Galaxy {
        let mut galaxy = Galaxy::with_known_magnitudes(member, rng);
        galaxy.magnitudes = member.magnitudes.measured(sky_error(galaxy.radius_arcsec), rng).0;
        galaxy
    }

    /// Draws a size and a shape for a member of the population. Keeps its magnitudes, which were measured.
    pub(super) fn with_known_magnitudes(member: &Member, rng: &mut impl Rng) -> Galaxy {
        let radius_kpc = draw_radius_kpc(member, rng);
        let radius_arcsec = (radius_kpc / kpc_per_arcsec(member.redshift)).min(RADIUS_MAX_ARCSEC);
        let dust = DUST.0 * (DUST.1 * normal(rng)).exp();
        let total = member.magnitudes.reddened(dust).flux();
        let (bulge_share, bulge_flux) = draw_bulge(member, dust, &total, rng);
        let disc_flux = std::array::from_fn(|band| total[band] - bulge_flux[band]);

        let bulge = Profile { index: draw_bulge_index(member.kind, rng), radius: 0.25 + 0.6 * bulge_share };
        let bulge = Profile { radius: bulge.radius * (0.2 * normal(rng)).exp(), ..bulge };
        let disc = Profile { index: 1.0, radius: 1.0 + 0.3 * bulge_share };
        let scale = radius_arcsec / half_light_radius(bulge_share, bulge, disc);
        let position_angle = rng.random_range(0.0..std::f64::consts::PI);
        let (bulge_axes, disc_axes) = draw_axis_ratios(member, rng);
        let component = |flux, profile: Profile, axis_ratio| Component {
            flux,
            profile: Profile { radius: profile.radius * scale, ..profile },
            axis_ratio,
            position_angle,
        };
        Galaxy {
            redshift: member.redshift,
            magnitudes: member.magnitudes.0,
            kind: member.kind,
            radius_arcsec,
            components: [component(bulge_flux, bulge, bulge_axes), component(disc_flux, disc, disc_axes)],
        }
    }
}

/// Draws a half-light radius in kiloparsecs, given the luminosity (Shen et al. 2003, equations 14, 15 and 16 with
/// table 1).
fn draw_radius_kpc(member: &Member, rng: &mut impl Rng) -> f64 {
    let absolute = member.absolute.clamp(-24.0, -16.0);
    let log = if member.kind == Kind::Early {
        // The power law holds for giants. Dwarfs are not much smaller than a kiloparsec.
        (-0.4 * 0.60 * absolute - 4.63).max(0.1)
    } else {
        -0.4 * 0.26 * absolute + (0.51 - 0.26) * (1.0 + 10f64.powf(-0.4 * (absolute + 20.91))).log10() - 1.71
    };
    let scatter = 0.27 + (0.45 - 0.27) / (1.0 + 10f64.powf(-0.8 * (absolute + 20.91)));
    10f64.powf(log) * (scatter * normal(rng)).exp()
}

/// Draws the bulge's share of the light in r, and its flux in each band. `total` is the flux of the whole galaxy.
fn draw_bulge(member: &Member, dust: f64, total: &[f64; BANDS], rng: &mut impl Rng) -> (f64, [f64; BANDS]) {
    let (mean, deviation, least, most) = match member.kind {
        Kind::Early => (0.8, 0.15, 0.4, BULGE_MAX),
        Kind::Intermediate => (0.4, 0.15, 0.1, 0.8),
        Kind::Late => (0.15, 0.10, 0.02, 0.5),
    };
    let wanted = (mean + deviation * normal(rng)).clamp(least, most);
    let r = member.magnitudes.0[R];
    let colours = match member.kind {
        // Ellipticals are redder inside, by a few hundredths of a magnitude (La Barbera et al. 2010).
        Kind::Early => {
            let gradient = [0.08, 0.03, 0.01, 0.01];
            let own = member.magnitudes.colours();
            let strength = 1.0 + 0.5 * normal(rng);
            std::array::from_fn::<f64, COLOURS, _>(|c| own[c] + gradient[c] * strength)
        }
        _ => Kind::Early.draw_colours(member.redshift, member.absolute - 2.5 * wanted.log10(), rng),
    };
    let flux = Magnitudes::from_colours(r, colours).reddened(dust).flux();
    // Shrink the bulge if it would be brighter than the whole galaxy in a band.
    let share = (0..BANDS).map(|band| BULGE_MAX * total[band] / flux[band]).fold(wanted, f64::min);
    (share, flux.map(|flux| flux * share))
}

fn draw_bulge_index(kind: Kind, rng: &mut impl Rng) -> f64 {
    let (mean, deviation) = match kind {
        Kind::Early => (4.0, 0.8),
        Kind::Intermediate => (3.0, 0.8),
        Kind::Late => (2.0, 0.7),
    };
    (mean + deviation * normal(rng)).clamp(0.8, 6.0)
}

/// Draws the axis ratios of bulge and disc. Discs have random orientations. Late galaxies seen edge-on are redder.
fn draw_axis_ratios(member: &Member, rng: &mut impl Rng) -> (f64, f64) {
    let round = (0.75 + 0.15 * normal(rng)).clamp(0.3, 1.0);
    if member.kind == Kind::Early {
        return (round, (round - 0.1).max(0.3));
    }
    let own = normal(rng);
    let inclined =
        REDNESS_OF_INCLINATION * member.redness.clamp(-3.0, 3.0) + (1.0 - REDNESS_OF_INCLINATION.powi(2)).sqrt() * own;
    // The logistic function approximates the normal distribution's cumulative function to 0.01. It turns a normal
    // variable into a uniform cosine of the inclination.
    let cosine = 1.0 / (1.0 + (1.702 * inclined).exp());
    let disc = (cosine.powi(2) * (1.0 - DISC_THICKNESS.powi(2)) + DISC_THICKNESS.powi(2)).sqrt();
    (round.max(disc), disc)
}

/// Noise of the sky, in nanomaggies, in the flux of a galaxy that is fitted with its own profile: √(4π)·σ times the
/// noise of a pixel, where σ is the width of the galaxy's image in pixels.
fn sky_error(radius_arcsec: f64) -> [f64; BANDS] {
    let width = (1.4f64.powi(2) + (0.6 * radius_arcsec / PIXEL_ARCSEC).powi(2)).sqrt();
    SKY_NOISE.map(|noise| noise * width * (4.0 * std::f64::consts::PI).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::population::{Population, Sample};
    use super::*;

    fn galaxies(count: usize) -> Vec<(Member, Galaxy)> {
        let population = Population::new(Sample::Main);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let one = |_| {
            let member = population.draw(&mut rng);
            let galaxy = Galaxy::with_measured_magnitudes(&member, &mut rng);
            (member, galaxy)
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn bulge_and_disc_add_up_to_the_galaxy() {
        for (member, galaxy) in galaxies(500) {
            let true_flux = member.magnitudes.flux();
            for (band, true_flux) in true_flux.into_iter().enumerate() {
                let parts = galaxy.components.each_ref().map(|component| component.flux[band]);
                assert!(parts.iter().all(|flux| *flux > 0.0), "{galaxy:?}");
                // The dust of our Galaxy absorbs the rest.
                let share = (parts[0] + parts[1]) / true_flux;
                assert!((0.3..1.0).contains(&share), "{share} of the light in band {band}: {galaxy:?}");
            }
        }
    }

    #[test]
    fn components_have_the_drawn_half_light_radius() {
        for (_, galaxy) in galaxies(100) {
            let [bulge, disc] = &galaxy.components;
            let share = bulge.flux[R] / (bulge.flux[R] + disc.flux[R]);
            let radius = half_light_radius(share, bulge.profile, disc.profile);
            assert!((radius / galaxy.radius_arcsec - 1.0).abs() < 1e-3, "{radius}: {galaxy:?}");
        }
    }

    #[test]
    fn bulges_are_redder_than_discs() {
        let redder = galaxies(500).into_iter().filter(|(_, galaxy)| {
            let [bulge, disc] = galaxy.components.each_ref().map(|component| component.flux[1] / component.flux[R]);
            bulge < disc
        });
        assert!(redder.count() > 400);
    }

    #[test]
    fn median_sizes_agree_with_shen_et_al() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let magnitudes = Magnitudes([19.0, 17.5, 17.0, 16.7, 16.5]);
        let member = |kind| Member { kind, redshift: 0.1, absolute: -21.5, magnitudes, redness: 0.0 };
        // Medians of equations 14 and 15 at M_r = −21.5, computed by hand.
        for (kind, expected) in [(Kind::Early, 3.39), (Kind::Late, 4.31)] {
            let logs: f64 = (0..2000).map(|_| draw_radius_kpc(&member(kind), &mut rng).ln()).sum();
            let radius = (logs / 2000.0).exp();
            assert!((radius / expected - 1.0).abs() < 0.03, "{kind:?}: {radius} kpc");
        }
    }
}
