//! `cosmicai simulate`: a partition of simulated galaxies.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use pipeline::event::Stopwatch;
use pipeline::ingest::{MAX_SAMPLES, Role, photometry};
use pipeline::objects::objects_key;
use pipeline::simulate::{Galaxies, Known, Sample, Sky, write_partition};
use serde_json::json;

use super::ingest::column;
use super::{Outcome, new_file::NewFile};
use crate::printer::{Printer, grouped};
use crate::settings::Settings;

/// Make a partition of simulated galaxies with known redshifts.
///
/// Galaxies as the SDSS main sample has them: types, luminosities, k-corrected colours, bulges and discs with sizes by
/// luminosity, seeing, neighbours, sky and photon noise, in nanomaggies at 0.396 arcseconds a pixel, with magnitudes as
/// measured. docs/simulated-sky.md has the formulas. The same seed gives the same bytes, on any number of threads; images
/// stream to disk, and memory grows by no more than 50 bytes a galaxy.
///
/// Examples:
///   cosmicai simulate --count 5000 --out sky.pt
///   cosmicai simulate --catalogue galaxies.csv --seed 7 --out sky.pt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// Number of galaxies to draw.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_SAMPLES as i64))]
    #[arg(required_unless_present = "catalogue", conflicts_with = "catalogue")]
    count: Option<u32>,
    /// Which galaxies a survey picks.
    #[arg(long, value_enum, default_value = "main", conflicts_with = "catalogue")]
    sample: SampleName,
    /// Draw images for the galaxies of this catalogue instead, of its magnitudes u g r i z and redshifts: CSV, Parquet or
    /// FITS, gzip too, file or URL; columns are recognised as `ingest` does.
    #[arg(long, value_name = "CATALOGUE")]
    catalogue: Option<String>,
    /// Which columns of the catalogue are what, where that is not clear: redshift, u, g, r, i, z.
    #[arg(long, value_name = "ROLE=NAME,…", value_delimiter = ',', value_parser = column, requires = "catalogue")]
    columns: Vec<(Role, String)>,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lines and columns of an image.
    #[arg(long, default_value = "32", value_parser = ["32", "64"])]
    image_size: String,
    /// File to write.
    #[arg(long, value_name = "F.pt")]
    out: PathBuf,
}

/// [`Sample`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SampleName {
    /// The SDSS main galaxy sample, complete to r = 17.5.
    Main,
    /// Luminous red galaxies: r ≤ 19.5, redshifts 0.15 to 0.4.
    LuminousRed,
    /// All galaxies at r ≤ 20; beyond the main sample, their colours are extrapolated.
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
    write(sky, &options.out)?;
    let seconds = watch.seconds();
    let images = galaxies.count();
    let report = json!({
        "out": options.out,
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

/// The galaxies of a catalogue.
async fn read_known(catalogue: &str, columns: &[(Role, String)], settings: &Settings) -> Result<Vec<Known>> {
    let stores = settings.stores(".").await?;
    let rows = photometry(&stores, catalogue, columns).await?;
    let known = rows.into_iter().enumerate().map(|(row, (magnitudes, redshift))| {
        Known::new(magnitudes, redshift).with_context(|| format!("catalogue `{catalogue}`: row {row}"))
    });
    known.collect()
}

/// Writes a sky on all cores.
pub(crate) fn write(sky: Sky<'_>, path: &std::path::Path) -> Result<()> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bar = super::counting_bar("galaxies", sky.galaxies.count() as u64);
    let file = write_partition(sky, threads, NewFile::create(path)?, |done| bar.set_position(done as u64))
        .with_context(|| format!("write `{}`", path.display()))?;
    bar.finish_and_clear();
    file.keep()?;
    // Those of a partition that lay there before, if any, are others.
    match std::fs::remove_file(objects_key(&path.to_string_lossy())) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("delete the names of other galaxies"),
        _ => Ok(()),
    }
}
