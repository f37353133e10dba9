//! Input of every figure: the rows with known redshift, their scores, and texts that all figures share.

use records::metrics::{EvaluatedRow, Metrics, Predictions, Scores, evaluated_rows, metrics};

use crate::error::{PlotError, nothing};

use super::figure::{Run, italic, subscript, upright};
use crate::numbers::grouped;

/// Rows that can be compared with known redshifts; at least one.
pub(super) struct Sample {
    pub(super) rows: Vec<EvaluatedRow>,
    pub(super) scores: Scores,
    metrics: Metrics,
}

impl Sample {
    /// Selects the rows that can be compared, and computes their scores.
    pub(super) fn of(table: Predictions<'_>) -> Result<Sample, PlotError> {
        let metrics = metrics(table);
        let Some(scores) = metrics.all else {
            let (unknown, other) = (metrics.excluded_unknown, metrics.excluded_non_finite);
            return nothing(format!(
                "nothing to plot: of {} predictions, {} have no known redshift and {} have a non-finite redshift; \
                 plots need a column `z_spec` with known redshifts",
                grouped(metrics.rows as u64),
                grouped(unknown as u64),
                grouped(other as u64)
            ));
        };
        Ok(Sample { rows: evaluated_rows(table), scores, metrics })
    }

    /// Returns n, NMAD, bias and η, as every figure shows them.
    pub(super) fn scores_text(&self) -> Vec<Vec<Run>> {
        let Scores { rows, authors, eta_0_05, .. } = self.scores;
        vec![
            vec![italic("n"), upright(format!(" = {}", grouped(rows as u64)))],
            vec![upright(format!("NMAD = {}", number(authors.nmad)))],
            vec![upright(format!("bias = {}", number(authors.bias)))],
            vec![italic("η"), subscript("0.05"), upright(format!(" = {}", percent(eta_0_05)))],
        ]
    }

    /// Returns the scores as sentences for the description.
    pub(super) fn scores_description(&self) -> String {
        let Scores { rows, authors, rail, eta_0_05, eta_0_15 } = self.scores;
        format!(
            "{} galaxies with known redshift. Δz = (z_phot − z_spec)/(1 + z_spec): bias (mean Δz) {}, median {}, NMAD \
             (1.48 × median absolute deviation) {}; |Δz| > 0.05 for {}, |Δz| > 0.15 for {}.",
            grouped(rows as u64),
            number(authors.bias),
            number(rail.bias),
            number(authors.nmad),
            percent(eta_0_05),
            percent(eta_0_15)
        )
    }

    /// Returns remarks about galaxies that are not shown or flagged; empty if there are none.
    pub(super) fn remarks(&self, outside: usize) -> Vec<String> {
        let Metrics { excluded_unknown, excluded_non_finite, flagged, .. } = self.metrics;
        [
            (outside, "outside the axes"),
            (flagged, "flagged (shown)"),
            (excluded_unknown, "without known redshift (not shown)"),
            (excluded_non_finite, "with non-finite redshift (not shown)"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(count as u64)))
        .collect()
    }
}

/// Formats a number with three significant digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e4).contains(&size) {
        format!("{value:.2e}")
    } else {
        let decimals = (2.0 - size.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    };
    text.replace('-', "−")
}

/// Formats a fraction as a percentage.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let found = [0.0, 0.012345, -0.000254, 1.5, -321.4, 6.5e36, 1e-7].map(number);
        assert_eq!(found, ["0", "0.0123", "−0.000254", "1.50", "−321", "6.50e36", "1.00e−7"]);
        assert_eq!(percent(0.02139), "2.14 %");
    }
}
