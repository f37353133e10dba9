//! `cosmicai concat`: joins partitions into one.

use anyhow::Result;
use pipeline::event::Stopwatch;
use serde_json::json;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::partitions::concat_into;
use crate::printer::{Printer, bytes, count};
use crate::settings::Settings;

/// Join partitions into one.
///
/// The galaxies of the inputs follow each other in the order of the command line; those of a folder in the order of the
/// numbers in the names of its partitions (1.pt, 2.pt, 10.pt). All images must have one size, and either all partitions
/// have redshifts or none. Values keep their bits. Memory grows neither with the number nor with the size of the
/// inputs. The files of identifiers and positions beside the inputs (F.objects.parquet) are joined too.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai concat data/bucket/25MB --out sky.pt",
    "cosmicai concat 1.pt 2.pt --out s3://bucket/sky.pt",
]))]
pub(crate) struct Options {
    /// Partitions, or folders of partitions: paths or URLs.
    #[arg(required = true, value_name = "F.pt|DIR")]
    inputs: Vec<String>,
    /// Partition to write: file or URL.
    #[arg(long, value_name = "F.pt")]
    out: String,
}

pub(crate) async fn concat(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let watch = Stopwatch::start();
    let (joined, inputs) = concat_into(&stores, &options.inputs, &options.out).await?;
    let report = json!({
        "inputs": inputs,
        "out": options.out,
        "images": joined.samples,
        "bytes": joined.bytes,
        "seconds": watch.seconds(),
    });
    printer.print(&report, |_| {
        format!(
            "{} → {} ({}) in {}\n",
            count(inputs, "partition"),
            count(joined.samples, "image"),
            bytes(joined.bytes),
            options.out
        )
    })?;
    Ok(Outcome::Done)
}
