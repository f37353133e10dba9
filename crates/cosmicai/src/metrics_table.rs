//! The accuracy of predictions as a table.

use records::metrics::{Metrics, Scores};

use crate::printer::{count, grouped, table};

/// Formats the accuracy of predictions as a table.
pub(crate) fn human(metrics: &Metrics) -> String {
    let Some(all) = &metrics.all else {
        return format!("{} predictions; none has a known redshift to compare with\n", grouped(metrics.rows as u64));
    };
    let columns: Vec<&Scores> = [Some(all), metrics.unflagged.as_ref()].into_iter().flatten().collect();
    let row = |name: &str, value: &dyn Fn(&Scores) -> Option<String>| {
        let cell = |scores: Option<&&Scores>| {
            scores.map_or_else(String::new, |scores| value(scores).unwrap_or_else(|| "–".to_owned()))
        };
        [name.to_owned(), cell(columns.first()), cell(columns.get(1))]
    };
    let number = |x: f64| Some(format!("{x:.5}"));
    let percent = |x: f64| Some(format!("{:.2} %", 100.0 * x));
    let rows = [
        row("galaxies", &|s| Some(grouped(s.rows as u64))),
        row("authors: bias, mean dz", &|s| number(s.authors.bias)),
        row("authors: NMAD, 1.48 × MAD", &|s| number(s.authors.nmad)),
        row("authors: MAE", &|s| number(s.authors.mae)),
        row("authors: MSE", &|s| number(s.authors.mse)),
        row("authors: R²", &|s| s.authors.r2.and_then(number)),
        row("RAIL: bias, median dz", &|s| number(s.rail.bias)),
        row("RAIL: σ_MAD, 1.4826 × MAD", &|s| number(s.rail.sigma_mad)),
        row("RAIL: σ_IQR, IQR/1.349", &|s| number(s.rail.sigma_iqr)),
        row("RAIL: outliers, |dz| > max(0.06, 3 σ_IQR)", &|s| percent(s.rail.outlier_fraction)),
        row("η, |dz| > 0.05", &|s| percent(s.eta_0_05)),
        row("η, |dz| > 0.15", &|s| percent(s.eta_0_15)),
    ];
    let mut text = if columns.len() == 2 {
        table(["accuracy, dz = (z_phot − z_spec)/(1 + z_spec)", "all", "without flags"], rows)
    } else {
        let header = ["accuracy, dz = (z_phot − z_spec)/(1 + z_spec)", "all"];
        table(header, rows.map(|[name, value, _]| [name, value]))
    };
    for (rows, why) in [
        (metrics.excluded_unknown, "without a known redshift"),
        (metrics.excluded_non_finite, "without a finite prediction"),
    ] {
        if rows > 0 {
            text += &format!("left out: {} {why}\n", count(rows, "row"));
        }
    }
    text
}
