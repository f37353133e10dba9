//! Population of galaxies: draws the type, redshift, luminosity and colours of galaxies.
//!
//! Galaxies of each type follow a Schechter luminosity function and fill the comoving volume. The limits of a sample in
//! magnitude and redshift decide which galaxies it contains, and so its redshift distribution n(z). The observed
//! colours of a type are its rest-frame colours with k-corrections, plus its intrinsic scatter. The coefficients of
//! these polynomials were fitted to the SDSS main sample ([`fitted`]). Errors of measurement and sizes are drawn
//! elsewhere.

mod fitted;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::cosmology::{distance_modulus, volume_element};
use super::magnitudes::{COLOURS, Magnitudes, R};
use fitted::{EVOLUTION, FITTED};

/// Range of redshifts of all samples.
pub(super) const REDSHIFTS: std::ops::Range<f64> = 0.01..0.4;
/// Number of redshift cells in which the number of galaxies is tabulated.
const CELLS: usize = 390;
/// Number of magnitude steps over which a luminosity function is summed.
const MAGNITUDE_STEPS: usize = 96;
/// Redshift and absolute magnitude about which the colours are expanded.
const PIVOT: (f64, f64) = (0.1, -21.0);
/// Highest redshift of the galaxies that the colours were fitted to. Beyond it, the colours of types other than the red
/// sequence are constant.
const FITTED_REDSHIFT_MAX: f64 = 0.25;
/// Range of absolute magnitudes r in which the colours were fitted.
const FITTED_ABSOLUTE: (f64, f64) = (-23.5, -18.0);

/// Magnitude r at which the main sample contains half of the galaxies, and the width of that limit in magnitudes.
/// `fit.py` derives them from the counts.
const MAIN_LIMIT: (f64, f64) = (17.61, 0.07);

/// Selection of galaxies by a survey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sample {
    /// SDSS main galaxy sample, complete to r = 17.5 (Strauss et al. 2002).
    #[default]
    Main,
    /// Luminous red galaxies at r ≤ 19.5 and redshifts above 0.15, after Eisenstein et al. (2001).
    LuminousRed,
    /// All galaxies at r ≤ 20.
    Faint,
}

/// Spectral type of a galaxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Red sequence.
    Early,
    /// Between red sequence and blue cloud: bulge and disc, or dust.
    Intermediate,
    /// Blue cloud.
    Late,
}

const KINDS: [Kind; 3] = [Kind::Early, Kind::Intermediate, Kind::Late];

/// Fitted relations of one type.
struct TypeFit {
    /// Characteristic magnitude M* of the Schechter function, in r.
    m_star: f64,
    /// Faint-end slope of the Schechter function.
    alpha: f64,
    /// Share of this type in the number density of all types.
    density: f64,
    /// K-correction in r per unit of redshift.
    k_slope: f64,
    /// Coefficients of u−g, g−r, r−i, i−z for the terms 1, t, t², t³, m, m·t with t = z − 0.1 and m = M_r + 21.
    colours: [[f64; 6]; COLOURS],
    /// Lower triangle L of the intrinsic scatter: the covariance of the four colours is L·Lᵀ.
    scatter: [[f64; COLOURS]; COLOURS],
}

/// Galaxy of a population, without size, shape and errors of measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) kind: Kind,
    pub(super) redshift: f64,
    /// Absolute magnitude in rest-frame r.
    pub(super) absolute: f64,
    /// True magnitudes, without extinction by the dust of our Galaxy.
    pub(super) magnitudes: Magnitudes,
    /// Deviation of g−r from the mean of its type, in units of the type's scatter. Positive is redder.
    pub(super) redness: f64,
}

/// Distribution of the galaxies of a sample over type and redshift.
pub(super) struct Population {
    sample: Sample,
    /// Cumulative number of galaxies up to each cell. Cells are ordered by type, then by redshift.
    cumulative: Vec<f64>,
}

impl Population {
    pub(super) fn new(sample: Sample) -> Population {
        let mut sum = 0.0;
        let cells = KINDS.iter().flat_map(|&kind| (0..CELLS).map(move |cell| (kind, cell)));
        let cumulative = cells.map(|(kind, cell)| {
            let redshift = redshift_at(cell as f64 + 0.5);
            let density = volume_element(redshift) * 10f64.powf(EVOLUTION * redshift);
            sum += density * visible(sample, kind, redshift).map(|(_, number)| number).sum::<f64>();
            sum
        });
        Population { sample, cumulative: cumulative.collect() }
    }

    /// Draws one galaxy at random.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Member {
        let total = *self.cumulative.last().expect("there are types and cells");
        let wanted = total * rng.random::<f64>();
        let cell = self.cumulative.partition_point(|&sum| sum <= wanted).min(self.cumulative.len() - 1);
        let kind = KINDS[cell / CELLS];
        let redshift = redshift_at((cell % CELLS) as f64 + rng.random::<f64>());
        let absolute = draw_absolute(self.sample, kind, redshift, rng);
        let fit = kind.fit();
        let normal: [f64; COLOURS] = std::array::from_fn(|_| StandardNormal.sample(rng));
        let mean = kind.mean_colours(redshift, absolute);
        let colours = std::array::from_fn(|c| mean[c] + dot(&fit.scatter[c], &normal));
        let r = absolute + distance_modulus(redshift) + fit.k_slope * redshift;
        let redness = redness(fit, colours[1] - mean[1]);
        Member { kind, redshift, absolute, magnitudes: Magnitudes::from_colours(r, colours), redness }
    }

    /// Draws the type of a galaxy with these magnitudes at this redshift, in proportion to the probability of each
    /// type.
    pub(super) fn classify(magnitudes: Magnitudes, redshift: f64, rng: &mut impl Rng) -> Member {
        let redshift_inside = redshift.clamp(REDSHIFTS.start, REDSHIFTS.end);
        let candidates = KINDS.map(|kind| {
            let fit = kind.fit();
            let absolute = magnitudes.0[R] - distance_modulus(redshift_inside) - fit.k_slope * redshift_inside;
            let mean = kind.mean_colours(redshift_inside, absolute);
            let colours = magnitudes.colours();
            let residual: [f64; COLOURS] = std::array::from_fn(|c| colours[c] - mean[c]);
            let plausibility = schechter(fit, absolute).ln() + log_density(&fit.scatter, &residual);
            let redness = redness(fit, residual[1]);
            (plausibility, Member { kind, redshift, absolute, magnitudes, redness })
        });
        let best = candidates.iter().map(|(plausibility, _)| *plausibility).fold(f64::NEG_INFINITY, f64::max);
        let weights = candidates.map(|(plausibility, _)| (plausibility - best).exp());
        let mut wanted = weights.iter().sum::<f64>() * rng.random::<f64>();
        for (weight, (_, member)) in weights.iter().zip(&candidates) {
            wanted -= weight;
            if wanted < 0.0 {
                return *member;
            }
        }
        candidates[KINDS.len() - 1].1
    }
}

impl Kind {
    fn fit(self) -> &'static TypeFit {
        &FITTED[self as usize]
    }

    /// Computes the mean observed colours at a redshift and an absolute magnitude in r.
    pub(super) fn mean_colours(self, redshift: f64, absolute: f64) -> [f64; COLOURS] {
        let redshift_max = if self == Kind::Early { REDSHIFTS.end } else { FITTED_REDSHIFT_MAX };
        let t = redshift.min(redshift_max) - PIVOT.0;
        let m = absolute.clamp(FITTED_ABSOLUTE.0, FITTED_ABSOLUTE.1) - PIVOT.1;
        let terms = [1.0, t, t * t, t * t * t, m, m * t];
        self.fit().colours.map(|coefficients| dot(&coefficients, &terms))
    }

    /// Draws the colours of a stellar population of this type: the mean plus the intrinsic scatter.
    pub(super) fn draw_colours(self, redshift: f64, absolute: f64, rng: &mut impl Rng) -> [f64; COLOURS] {
        let normal: [f64; COLOURS] = std::array::from_fn(|_| StandardNormal.sample(rng));
        let mean = self.mean_colours(redshift, absolute);
        std::array::from_fn(|c| mean[c] + dot(&self.fit().scatter[c], &normal))
    }
}

impl Sample {
    /// Returns true if the sample selects galaxies of this type at this redshift.
    fn selects(self, kind: Kind, redshift: f64) -> bool {
        self != Sample::LuminousRed || (kind == Kind::Early && redshift > 0.15)
    }

    /// Brightest and faintest apparent magnitude r.
    fn magnitudes(self) -> (f64, f64) {
        match self {
            Sample::Main => (12.0, 17.85),
            Sample::LuminousRed => (14.0, 19.5),
            Sample::Faint => (14.0, 20.0),
        }
    }

    /// Fraction of the galaxies with an apparent magnitude r that the sample contains. The main sample was limited in
    /// Petrosian magnitudes, which scatter about the magnitudes used here.
    fn completeness(self, r: f64) -> f64 {
        if self == Sample::Main { 1.0 / (1.0 + ((r - MAIN_LIMIT.0) / MAIN_LIMIT.1).exp()) } else { 1.0 }
    }

    /// Faintest absolute magnitude r.
    fn absolute_max(self) -> f64 {
        if self == Sample::LuminousRed { -21.8 } else { -14.0 }
    }
}

/// Redshift at a position on the grid of cells, counted from 0.
fn redshift_at(cell: f64) -> f64 {
    REDSHIFTS.start + (REDSHIFTS.end - REDSHIFTS.start) * cell / CELLS as f64
}

/// Steps of absolute magnitude that the sample contains at a redshift, with the number of galaxies in each step.
fn visible(sample: Sample, kind: Kind, redshift: f64) -> impl Iterator<Item = (f64, f64)> {
    let fit = kind.fit();
    let (bright, faint) = sample.magnitudes();
    let to_absolute = distance_modulus(redshift) + fit.k_slope * redshift;
    let bright = bright - to_absolute;
    let step = ((faint - to_absolute).min(sample.absolute_max()) - bright) / MAGNITUDE_STEPS as f64;
    let seen = sample.selects(kind, redshift) && step > 0.0;
    (0..if seen { MAGNITUDE_STEPS } else { 0 }).map(move |index| {
        let absolute = bright + (index as f64 + 0.5) * step;
        (absolute, step * schechter(fit, absolute) * sample.completeness(absolute + to_absolute))
    })
}

fn draw_absolute(sample: Sample, kind: Kind, redshift: f64, rng: &mut impl Rng) -> f64 {
    let steps: Vec<(f64, f64)> = visible(sample, kind, redshift).collect();
    let width = steps[1].0 - steps[0].0;
    let mut wanted = steps.iter().map(|(_, number)| number).sum::<f64>() * rng.random::<f64>();
    let within = rng.random::<f64>() - 0.5;
    let chosen = steps.iter().find(|(_, number)| {
        wanted -= number;
        wanted < 0.0
    });
    chosen.unwrap_or(&steps[steps.len() - 1]).0 + within * width
}

/// Schechter (1976) luminosity function: number of galaxies per magnitude.
fn schechter(fit: &TypeFit, absolute: f64) -> f64 {
    let luminosity = 10f64.powf(-0.4 * (absolute - fit.m_star));
    fit.density * luminosity.powf(fit.alpha + 1.0) * (-luminosity).exp()
}

/// Residual in g−r in units of the type's scatter.
fn redness(fit: &TypeFit, residual: f64) -> f64 {
    residual / dot(&fit.scatter[1], &fit.scatter[1]).sqrt()
}

/// Logarithm of the normal density of a residual, up to a constant. `lower` is L of the covariance L·Lᵀ. Solves by
/// forward substitution.
fn log_density(lower: &[[f64; COLOURS]; COLOURS], residual: &[f64; COLOURS]) -> f64 {
    let mut solved = [0.0; COLOURS];
    let mut log = 0.0;
    for row in 0..COLOURS {
        solved[row] = (residual[row] - dot(&lower[row], &solved)) / lower[row][row];
        log -= 0.5 * solved[row].powi(2) + lower[row][row].ln();
    }
    log
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests;
