//! `cosmicai simulate`: a partition of simulated galaxies.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use pipeline::event::Stopwatch;
use serde_json::json;
use sources::ingest::{MAX_SAMPLES, Role, photometry};
use sources::simulate::{Galaxies, Known, Sample, Sky};

use super::ingest::column;
use crate::help::examples;
use crate::outcome::Outcome;
use crate::partitions::write_sky;
use crate::printer::{Printer, grouped};
use crate::settings::Settings;

/// Make a partition of simulated galaxies with known redshifts.
///
/// Simulates galaxies like those of the SDSS main sample: types, luminosities, k-corrected colours, bulges and discs
/// with sizes by luminosity, seeing, neighbours, sky and photon noise. Images are in nanomaggies, with 0.396 arcseconds
/// per pixel. Magnitudes have measurement errors. docs/reference/simulated-sky.md has the formulas.
///
/// The same seed gives the same bytes on any number of threads. Images are written as they are made: memory grows by at
/// most 50 bytes per galaxy.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai simulate --count 5000 --out sky.pt",
    "cosmicai simulate --catalogue galaxies.csv --seed 7 --out sky.pt",
]))]
pub(crate) struct Options {
    /// Number of galaxies; required without --catalogue.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_SAMPLES as i64))]
    #[arg(required_unless_present = "catalogue", conflicts_with = "catalogue")]
    count: Option<u32>,
    /// Selection of galaxies: main, luminous-red or faint.
    ///
    /// main is the SDSS main galaxy sample, complete to r = 17.5. luminous-red has luminous red galaxies with r ≤ 19.5
    /// and redshifts 0.15 to 0.4. faint has all galaxies with r ≤ 20; their colours beyond the main sample are
    /// extrapolated.
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "NAME",
        default_value = "main",
        conflicts_with = "catalogue"
    )]
    sample: SampleName,
    /// Simulate the galaxies of a catalogue: file or URL.
    ///
    /// Text (CSV and its relatives), Parquet, FITS or VOTable, optionally compressed, with magnitudes u g r i z and redshifts. Columns are recognised as in
    /// `cosmicai ingest`.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<String>,
    /// Names of columns of the catalogue: redshift=specz,u=modelMag_u.
    ///
    /// Roles are redshift, u, g, r, i and z.
    #[arg(long, hide_short_help = true, value_name = "ROLE=NAME,…", value_delimiter = ',')]
    #[arg(value_parser = column, requires = "catalogue")]
    columns: Vec<(Role, String)>,
    /// Seed of all random numbers.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Width and height of an image in pixels: 32 or 64.
    #[arg(long, value_name = "N", hide_possible_values = true, default_value = "32", value_parser = ["32", "64"])]
    image_size: String,
    /// Partition to write.
    #[arg(long, value_name = "F.pt")]
    out: PathBuf,
}

/// [`Sample`], as a value of `--sample`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SampleName {
    /// The SDSS main galaxy sample, complete to r = 17.5.
    Main,
    /// Luminous red galaxies: r ≤ 19.5, redshifts 0.15 to 0.4.
    LuminousRed,
    /// All galaxies at r ≤ 20. Colours beyond the main sample are extrapolated.
    Faint,
}

impl From<SampleName> for Sample {
    fn from(name: SampleName) -> Sample {
        match name {
            SampleName::Main => Sample::Main,
            SampleName::LuminousRed => Sample::LuminousRed,
            SampleName::Faint => Sample::Faint,
        }
    }
}

pub(crate) async fn simulate(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let image_size = options.image_size.parse().context("--image-size")?;
    let known: Vec<Known>;
    let galaxies = match (&options.catalogue, options.count) {
        (Some(catalogue), _) => {
            known = read_known(catalogue, &options.columns, settings).await?;
            Galaxies::Known(&known)
        }
        (None, count) => Galaxies::Drawn(count.unwrap_or_default() as usize, options.sample.into()),
    };
    let sky = Sky { galaxies, seed: options.seed, image_size };
    let watch = Stopwatch::start();
    write_sky(sky, &options.out)?;
    let seconds = watch.seconds();
    let images = galaxies.count();
    let report = json!({
        "out": options.out.to_string_lossy(),
        "images": images,
        "image_size": sky.image_size,
        "seed": sky.seed,
        "seconds": seconds,
        "images_per_s": images as f64 / seconds,
    });
    printer.print(&report, |_| {
        let rate = images as f64 / seconds;
        let count = grouped(images as u64);
        format!("{}: {count} galaxies in {seconds:.1} s ({rate:.0} images/s)\n", options.out.display())
    })?;
    Ok(Outcome::Done)
}

/// Reads the galaxies of a catalogue.
async fn read_known(catalogue: &str, columns: &[(Role, String)], settings: &Settings) -> Result<Vec<Known>> {
    let stores = settings.stores(".").await?;
    let rows = photometry(&stores, catalogue, columns).await?;
    let known = rows.into_iter().enumerate().map(|(row, (magnitudes, redshift))| {
        Known::new(magnitudes, redshift).with_context(|| format!("catalogue `{catalogue}`: row {row}"))
    });
    known.collect()
}
