//! `cosmicai metrics`: how good predictions are.

use std::path::PathBuf;

use anyhow::{Context, Result};
use pipeline::metrics::{Metrics, Scores};
use pipeline::output::{MAX_PREDICTIONS_BYTES, Table};
use serde::Serialize;

use super::{Outcome, inputs};
use crate::plots;
use crate::printer::{Printer, grouped, table};
use crate::settings::Settings;

/// Measure predictions against known redshifts.
///
/// Both conventions of the field, side by side, on dz = (z_phot − z_spec)/(1 + z_spec): that of the model's authors and
/// RAIL's. Rows without a known redshift are counted and left out.
///
/// With --plots, three pictures say the same, each as SVG and as PNG: z_phot_z_spec (a good prediction lies on the
/// diagonal), dz_z_spec (where predictions lean or scatter, with running median and NMAD) and dz_histogram. Any number of
/// rows fits: where many galaxies lie together, colours count them; what lies outside the axes is counted in words.
///
/// Example: cosmicai metrics catalogue.parquet --plots plots
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Predictions as `predict` and `run` write them, Parquet or CSV: files, folders, URLs.
    #[arg(required = true, value_name = "PREDICTIONS")]
    predictions: Vec<String>,
    /// Folder to draw the pictures into; files of the same names there are replaced.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

/// The metrics as they are, and what was drawn.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    metrics: &'a Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    plots: Option<Vec<PathBuf>>,
}

pub(crate) async fn metrics(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let mut rows = Table::default();
    for input in inputs::find(&stores, &options.predictions, &[".parquet", ".csv"]).await? {
        let bytes = input.bucket.read(&input.key, MAX_PREDICTIONS_BYTES, "a file of predictions").await?;
        rows.append(Table::read(bytes, &input.name)?);
    }
    let plots = match &options.plots {
        Some(folder) => Some(plots::write(&plots::draw(&rows).context("--plots")?, folder)?),
        None => None,
    };
    let metrics = pipeline::metrics::metrics(&rows);
    printer.print(&Printed { metrics: &metrics, plots }, |printed| {
        let plots = printed.plots.iter().flatten().map(|path| format!("{}\n", path.display()));
        human(printed.metrics) + &plots.collect::<String>()
    })?;
    Ok(Outcome::Done)
}

/// The table of a run's accuracy, for every command that shows one.
pub(crate) fn human(metrics: &Metrics) -> String {
    let Some(all) = &metrics.all else {
        return format!("{} predictions, none with a known redshift to judge it by\n", grouped(metrics.rows as u64));
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
    for (count, why) in [
        (metrics.excluded_unknown, "have no known redshift and are not judged"),
        (metrics.excluded_non_finite, "have no finite redshift and are not judged"),
    ] {
        if count > 0 {
            text += &format!("{} rows {why}\n", grouped(count as u64));
        }
    }
    text
}
