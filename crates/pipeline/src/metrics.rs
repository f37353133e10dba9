//! How good predictions are, in the two conventions that the field uses, side by side.
//!
//! dz = (z_phot − z_spec) / (1 + z_spec). Rows without a known redshift, and rows where dz is not a finite number, are
//! not judged, and are counted. Flagged rows are judged with the others; where there are any, the rest is judged once
//! more without them. [`running`] says how that changes with redshift. Never here: files.

mod running;

use serde::{Deserialize, Serialize};

use crate::output::Table;
pub use running::{Bin, running};

/// The version of this format.
pub const METRICS_FORMAT: u32 = 1;
/// |dz| above which a redshift is an outlier, for η.
const ETA_LIMITS: [f64; 2] = [0.05, 0.15];
/// NMAD over the median absolute deviation, as the model's authors have it.
const NMAD_FACTOR: f64 = 1.48;

/// The accuracy of some predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of this format: [`METRICS_FORMAT`].
    pub format_version: u32,
    /// Rows of all kinds.
    pub rows: usize,
    /// Rows not judged, because their redshift is not known.
    pub excluded_unknown: usize,
    /// Rows not judged, because z_phot or z_spec is not finite, or z_spec is −1 or less.
    pub excluded_non_finite: usize,
    /// Judged rows that carry a flag.
    pub flagged: usize,
    /// All judged rows; None where there are none.
    pub all: Option<Scores>,
    /// The judged rows without a flag; None where they are none, or all.
    pub unflagged: Option<Scores>,
}

/// The accuracy of the rows that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Rows.
    pub rows: usize,
    /// The convention of the model's authors.
    pub authors: AuthorScores,
    /// The convention of RAIL.
    pub rail: RailScores,
    /// Fraction of rows with |dz| > 0.05.
    pub eta_0_05: f64,
    /// Fraction of rows with |dz| > 0.15.
    pub eta_0_15: f64,
}

/// The convention of the model's authors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AuthorScores {
    /// Mean of |z_phot − z_spec|.
    pub mae: f64,
    /// Mean of (z_phot − z_spec)².
    pub mse: f64,
    /// Mean of dz.
    pub bias: f64,
    /// 1.48 × median of |dz − median dz|.
    pub nmad: f64,
    /// 1 − Σ(z_phot − z_spec)² / Σ(z_spec − mean z_spec)²; None where all z_spec are the same.
    pub r2: Option<f64>,
}

/// The convention of RAIL. Percentiles interpolate linearly between the two nearest values, as numpy's do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RailScores {
    /// Median of dz.
    pub bias: f64,
    /// 1.4826 × median of |dz − median dz|.
    pub sigma_mad: f64,
    /// (75th − 25th percentile of dz) / 1.349.
    pub sigma_iqr: f64,
    /// Fraction of rows with |dz| > max(0.06, 3 σ_IQR).
    pub outlier_fraction: f64,
}

/// Judges every row of a table.
pub fn metrics(table: &Table) -> Metrics {
    let all = judged(table);
    let unflagged: Vec<Judged> = all.iter().filter(|row| row.flags == 0).copied().collect();
    let flagged = all.len() - unflagged.len();
    let unknown = table.z_spec.iter().filter(|z_spec| z_spec.is_none()).count();
    Metrics {
        format_version: METRICS_FORMAT,
        rows: table.len(),
        excluded_unknown: unknown,
        excluded_non_finite: table.len() - unknown - all.len(),
        flagged,
        all: scores(&all),
        unflagged: if flagged > 0 { scores(&unflagged) } else { None },
    }
}

/// A row that can be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Predicted redshift; finite.
    pub z_phot: f64,
    /// Known redshift; finite and above −1.
    pub z_spec: f64,
    /// [`flags`](crate::flags).
    pub flags: u8,
}

impl Judged {
    /// (z_phot − z_spec) / (1 + z_spec).
    pub fn dz(&self) -> f64 {
        (self.z_phot - self.z_spec) / (1.0 + self.z_spec)
    }
}

/// The rows of a table that can be judged, in its order.
pub fn judged(table: &Table) -> Vec<Judged> {
    let rows = table.z_phot.iter().zip(&table.z_spec).zip(&table.flags);
    let known = rows.filter_map(|((&z_phot, &z_spec), &flags)| {
        z_spec.map(|z_spec| Judged { z_phot: f64::from(z_phot), z_spec, flags })
    });
    known.filter(|row| row.z_phot.is_finite() && row.z_spec.is_finite() && row.z_spec > -1.0).collect()
}

fn scores(pairs: &[Judged]) -> Option<Scores> {
    if pairs.is_empty() {
        return None;
    }
    let rows = pairs.len() as f64;
    let mean = |value: &dyn Fn(&Judged) -> f64| pairs.iter().map(value).sum::<f64>() / rows;
    let error = |pair: &Judged| pair.z_phot - pair.z_spec;
    let mut dz: Vec<f64> = pairs.iter().map(Judged::dz).collect();
    dz.sort_unstable_by(f64::total_cmp);
    let fraction_above = |limit: f64| dz.iter().filter(|dz| dz.abs() > limit).count() as f64 / rows;

    let (median, mad) = median_and_mad(&dz);
    let mse = mean(&|pair| error(pair).powi(2));
    let mean_z = mean(&|pair| pair.z_spec);
    let variance = mean(&|pair| (pair.z_spec - mean_z).powi(2));
    let sigma_iqr = (percentile(&dz, 75.0) - percentile(&dz, 25.0)) / 1.349;
    Some(Scores {
        rows: pairs.len(),
        authors: AuthorScores {
            mae: mean(&|pair| error(pair).abs()),
            mse,
            bias: dz.iter().sum::<f64>() / rows,
            nmad: NMAD_FACTOR * mad,
            r2: (variance > 0.0).then(|| 1.0 - mse / variance),
        },
        rail: RailScores {
            bias: median,
            sigma_mad: 1.4826 * mad,
            sigma_iqr,
            outlier_fraction: fraction_above(f64::max(0.06, 3.0 * sigma_iqr)),
        },
        eta_0_05: fraction_above(ETA_LIMITS[0]),
        eta_0_15: fraction_above(ETA_LIMITS[1]),
    })
}

/// The median of sorted values that are at least one, and the median of their distances from it.
fn median_and_mad(sorted: &[f64]) -> (f64, f64) {
    let median = percentile(sorted, 50.0);
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    (median, percentile(&deviations, 50.0))
}

/// The percentile of sorted values, linearly between the two nearest.
///
/// # Panics
/// Where there is no value, or `percent` is not in 0–100.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    assert!(!sorted.is_empty() && (0.0..=100.0).contains(&percent), "percentile {percent} of {} values", sorted.len());
    let position = (sorted.len() - 1) as f64 * percent / 100.0;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests;
