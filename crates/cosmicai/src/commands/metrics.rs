//! `cosmicai metrics`: accuracy of predictions.

use std::path::PathBuf;

use anyhow::{Context, Result};
use pipeline::output::{MAX_PREDICTIONS_BYTES, Table};
use records::metrics::Metrics;
use serde::Serialize;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::plot_files::write_plots;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::{inputs, metrics_table};

/// Compute the accuracy of predictions with known redshifts.
///
/// Prints two conventions side by side, both for dz = (z_phot − z_spec)/(1 + z_spec): the one of the authors of
/// AstroMAE (Fathkouhi & Fox, arXiv:2409.01825) and the one of RAIL. Rows without a known redshift are counted and left
/// out.
///
/// --plots writes three plots, each as SVG and PNG: z_phot_z_spec (good predictions are on the diagonal), dz_z_spec
/// (bias and scatter by redshift, with running median and NMAD) and dz_histogram. The plots take any number of rows:
/// colours show the density of galaxies, and a note counts the galaxies outside the axes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai metrics catalogue.parquet --plots plots",
    "cosmicai metrics sky/results/predictions --format json",
]))]
pub(crate) struct Options {
    /// Predictions in Parquet or CSV: files, folders, URLs.
    ///
    /// `cosmicai predict` and `cosmicai run` write them.
    #[arg(required = true, value_name = "PREDICTIONS")]
    predictions: Vec<String>,
    /// Folder to write plots to.
    ///
    /// Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

/// Metrics, and the paths of the plots.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    metrics: &'a Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    plots: Option<Vec<String>>,
}

pub(crate) async fn metrics(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let mut rows = Table::default();
    for input in inputs::find(&stores, &options.predictions, &[".parquet", ".csv"]).await? {
        let bytes = input.bucket.read(&input.key, MAX_PREDICTIONS_BYTES, "a file of predictions").await?;
        rows.append(Table::read(bytes, &input.name)?);
    }
    let plots = match &options.plots {
        Some(folder) => {
            let written = write_plots(&plots::draw(rows.predictions()).context("--plots")?, folder)?;
            Some(written.iter().map(|path| path.display().to_string()).collect())
        }
        None => None,
    };
    let metrics = records::metrics::metrics(rows.predictions());
    printer.print(&Printed { metrics: &metrics, plots }, |printed| {
        let plots = printed.plots.iter().flatten().map(|path| format!("{path}\n"));
        metrics_table::human(printed.metrics) + &plots.collect::<String>()
    })?;
    Ok(Outcome::Done)
}
