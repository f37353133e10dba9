//! `cosmicai simulate`: a partition of simulated galaxies.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pipeline::event::Stopwatch;
use pipeline::simulate::{Sky, write_partition};
use serde_json::json;

use super::{Outcome, new_file::NewFile};
use crate::printer::{Printer, grouped};

/// Make a partition of simulated galaxies with known redshifts.
///
/// Main-sample galaxies as SDSS sees them, in nanomaggies, with magnitudes and redshifts: a first, simple sky. The same
/// seed gives the same bytes, on any number of threads.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Number of galaxies.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
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

pub(crate) fn simulate(options: &Options, printer: &Printer) -> Result<Outcome> {
    let image_size = options.image_size.parse().context("--image-size")?;
    let sky = Sky { count: options.count as usize, seed: options.seed, image_size };
    let watch = Stopwatch::start();
    write(sky, &options.out)?;
    let seconds = watch.seconds();
    let report = json!({
        "out": options.out,
        "images": sky.count,
        "image_size": sky.image_size,
        "seed": sky.seed,
        "seconds": seconds,
        "images_per_s": sky.count as f64 / seconds,
    });
    printer.print(&report, |_| {
        let rate = sky.count as f64 / seconds;
        let count = grouped(sky.count as u64);
        format!("{}: {count} galaxies in {seconds:.1} s ({rate:.0} images/s)\n", options.out.display())
    })?;
    Ok(Outcome::Done)
}

/// Writes a sky on all cores.
pub(crate) fn write(sky: Sky, path: &std::path::Path) -> Result<()> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bar = super::counting_bar("galaxies", sky.count as u64);
    let file = write_partition(sky, threads, NewFile::create(path)?, |done| bar.set_position(done as u64))
        .with_context(|| format!("write `{}`", path.display()))?;
    bar.finish_and_clear();
    file.keep()
}
