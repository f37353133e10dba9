//! Accuracy of predictions, in the two conventions of the field: those of the model's authors and of RAIL.
//!
//! dz = (z_phot − z_spec) / (1 + z_spec). Rows without a [known] redshift, and rows whose z_phot
//! is not finite, are counted but not evaluated. Flagged rows are evaluated with all others. If there are any, the other rows are evaluated a
//! second time without them. [`bin_by_redshift`] shows how accuracy changes with redshift. Never here: files.

mod redshift_bins;

use serde::{Deserialize, Serialize};

use crate::redshift::known;
pub use redshift_bins::{RedshiftBin, bin_by_redshift};

/// Version of [`Metrics`] in JSON files.
pub const METRICS_FORMAT: u32 = 1;
/// Values of |dz| above which η counts a redshift as an outlier.
const ETA_LIMITS: [f64; 2] = [0.05, 0.15];
/// Ratio of the NMAD to the median absolute deviation in the convention of the model's authors.
const NMAD_FACTOR: f64 = 1.48;

/// Accuracy of a table of predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of this format: [`METRICS_FORMAT`].
    pub format_version: u32,
    /// Number of rows, evaluated or not.
    pub rows: usize,
    /// Rows not evaluated because their redshift is unknown: missing, or a value that marks an unknown redshift.
    pub excluded_unknown: usize,
    /// Rows not evaluated because z_phot is not finite.
    pub excluded_non_finite: usize,
    /// Evaluated rows with a flag.
    pub flagged: usize,
    /// Scores of all evaluated rows; `None` if there are none.
    pub all: Option<Scores>,
    /// Scores of the evaluated rows without a flag; `None` if there are none, or if no row has a flag.
    pub unflagged: Option<Scores>,
}

/// Scores of the evaluated rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of rows.
    pub rows: usize,
    /// Scores in the convention of the model's authors.
    pub authors: AuthorScores,
    /// Scores in the convention of RAIL.
    pub rail: RailScores,
    /// Fraction of rows with |dz| > 0.05.
    pub eta_0_05: f64,
    /// Fraction of rows with |dz| > 0.15.
    pub eta_0_15: f64,
}

/// Scores in the convention of the model's authors.
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
    /// 1 − Σ(z_phot − z_spec)² / Σ(z_spec − mean z_spec)²; `None` if all z_spec are equal.
    pub r2: Option<f64>,
}

/// Scores in the convention of RAIL. Percentiles interpolate linearly between the two nearest values, as in numpy.
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

/// Columns of a table of predictions, with one entry per galaxy and the same length.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Predicted redshifts.
    pub z_phot: &'a [f32],
    /// Spectroscopic redshifts; `None` if unknown.
    pub z_spec: &'a [Option<f64>],
    /// [`flags`](crate::flags) of each row.
    pub flags: &'a [u8],
}

/// Computes the accuracy of all rows.
pub fn metrics(table: Predictions<'_>) -> Metrics {
    let all = evaluated_rows(table);
    let unflagged: Vec<EvaluatedRow> = all.iter().filter(|row| row.flags == 0).copied().collect();
    let flagged = all.len() - unflagged.len();
    let unknown = table.z_spec.iter().filter(|z_spec| z_spec.and_then(known).is_none()).count();
    Metrics {
        format_version: METRICS_FORMAT,
        rows: table.z_phot.len(),
        excluded_unknown: unknown,
        excluded_non_finite: table.z_phot.len() - unknown - all.len(),
        flagged,
        all: scores(&all),
        unflagged: if flagged > 0 { scores(&unflagged) } else { None },
    }
}

/// Row with a finite dz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluatedRow {
    /// Predicted redshift; finite.
    pub z_phot: f64,
    /// Spectroscopic redshift; [known].
    pub z_spec: f64,
    /// [`flags`](crate::flags) of the row.
    pub flags: u8,
}

impl EvaluatedRow {
    /// Normalized error of the redshift, (z_phot − z_spec) / (1 + z_spec).
    pub fn dz(&self) -> f64 {
        (self.z_phot - self.z_spec) / (1.0 + self.z_spec)
    }
}

/// Returns the rows with a finite dz, in the order of the table.
pub fn evaluated_rows(table: Predictions<'_>) -> Vec<EvaluatedRow> {
    let rows = table.z_phot.iter().zip(table.z_spec).zip(table.flags);
    let with_redshift = rows.filter_map(|((&z_phot, &z_spec), &flags)| {
        z_spec.and_then(known).map(|z_spec| EvaluatedRow { z_phot: f64::from(z_phot), z_spec, flags })
    });
    with_redshift.filter(|row| row.z_phot.is_finite()).collect()
}

fn scores(pairs: &[EvaluatedRow]) -> Option<Scores> {
    if pairs.is_empty() {
        return None;
    }
    let rows = pairs.len() as f64;
    let mean = |value: &dyn Fn(&EvaluatedRow) -> f64| pairs.iter().map(value).sum::<f64>() / rows;
    let error = |pair: &EvaluatedRow| pair.z_phot - pair.z_spec;
    let mut dz: Vec<f64> = pairs.iter().map(EvaluatedRow::dz).collect();
    dz.sort_unstable_by(f64::total_cmp);
    let fraction_above = |limit: f64| dz.iter().filter(|dz| dz.abs() > limit).count() as f64 / rows;

    let (median, mad) = median_and_mad(&dz);
    let mse = mean(&|pair| error(pair).powi(2));
    let mean_z = mean(&|pair| pair.z_spec);
    let variance = mean(&|pair| (pair.z_spec - mean_z).powi(2));
    // Equal redshifts may have a variance of about 1e-34, from rounding.
    let is_constant = pairs.iter().all(|pair| pair.z_spec == pairs[0].z_spec);
    let sigma_iqr = (percentile(&dz, 75.0) - percentile(&dz, 25.0)) / 1.349;
    Some(Scores {
        rows: pairs.len(),
        authors: AuthorScores {
            mae: mean(&|pair| error(pair).abs()),
            mse,
            bias: dz.iter().sum::<f64>() / rows,
            nmad: NMAD_FACTOR * mad,
            r2: (!is_constant && variance > 0.0).then(|| 1.0 - mse / variance),
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

/// Median and median absolute deviation of sorted values. There must be at least one value.
fn median_and_mad(sorted: &[f64]) -> (f64, f64) {
    let median = percentile(sorted, 50.0);
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    (median, percentile(&deviations, 50.0))
}

/// Percentile of sorted values, interpolated linearly between the two nearest values.
///
/// # Panics
/// Panics if there is no value, or if `percent` is outside 0–100.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    assert!(!sorted.is_empty() && (0.0..=100.0).contains(&percent), "percentile {percent} of {} values", sorted.len());
    let position = (sorted.len() - 1) as f64 * percent / 100.0;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests;
