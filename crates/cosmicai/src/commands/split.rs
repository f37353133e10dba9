//! `cosmicai split`: splits a partition into smaller ones.

use anyhow::Result;
use pipeline::event::Stopwatch;
use pipeline::partition::parse_size;
use serde_json::json;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::partitions::split_into;
use crate::printer::{Printer, bytes, count};
use crate::settings::Settings;

/// Split a partition into smaller ones: 1.pt, 2.pt and so on.
///
/// A size is in MB of 2²⁰ bytes. As in the CAI study (Staylor et al., arXiv:2501.06249), a galaxy of 32×32 pixels counts
/// as 20,508 bytes (20,520 in the file), so 25MB is 1,278 galaxies and 100MB is 5,113. Memory does not grow with the
/// size of INPUT. The file of identifiers and positions beside INPUT (F.objects.parquet) is split too.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai split sky.pt --size 25MB --out data/bucket/25MB"]))]
pub(crate) struct Options {
    /// Partition to split: file or URL.
    input: String,
    /// Size of a part, such as 25MB or 1GB, or in bytes.
    #[arg(long, value_parser = parse_size)]
    size: u64,
    /// Folder or URL to write the parts to.
    #[arg(long, value_name = "URL")]
    out: String,
}

pub(crate) async fn split(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let watch = Stopwatch::start();
    let parts = split_into(&stores, &options.input, options.size, &options.out).await?;
    let images: usize = parts.iter().map(|part| part.samples).sum();
    let report = json!({
        "input": options.input,
        "out": options.out,
        "images": images,
        "seconds": watch.seconds(),
        "parts": parts.iter().map(|part| json!({
            "key": part.path.to_string(),
            "images": part.samples,
            "bytes": part.bytes,
        })).collect::<Vec<_>>(),
    });
    printer.print(&report, |_| {
        let largest = parts.iter().max_by_key(|part| part.samples);
        let each = largest.map_or(0, |part| part.samples);
        format!(
            "{} → {} of {} ({}) under {}\n",
            count(images, "image"),
            count(parts.len(), "part"),
            count(each, "image"),
            bytes(largest.map_or(0, |part| part.bytes)),
            options.out
        )
    })?;
    Ok(Outcome::Done)
}
