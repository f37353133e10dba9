//! `cosmicai split`: a partition into smaller ones.

use std::path::Path;

use anyhow::{Context, Result, bail};
use object_store::path::Path as Key;
use pipeline::event::Stopwatch;
use pipeline::objects::Objects;
use pipeline::partition::{Part, Partition, parse_size, samples_per_part};
use pipeline::storage::{Bucket, Stores};
use serde_json::json;

use super::Outcome;
use crate::printer::{Printer, bytes, grouped};
use crate::settings::Settings;

/// Cut a partition into smaller ones: 1.pt, 2.pt, …
///
/// The size counts as the study counted: binary megabytes over 20,508 bytes a galaxy of 32×32 pixels, so that 25MB are
/// 1,278 galaxies and 100MB are 5,113. Whatever the size of INPUT, memory stays flat. A file beside INPUT that says who its
/// galaxies are (F.objects.parquet) is cut with it.
///
/// Example: cosmicai split sky.pt --size 25MB --out data/bucket/25MB
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Partition to cut: file or URL.
    input: String,
    /// Size of a part: 25MB, 1GB, or bytes.
    #[arg(long, value_parser = parse_size)]
    size: u64,
    /// Folder or URL to write the parts to.
    #[arg(long, value_name = "URL")]
    out: String,
}

pub(crate) async fn split(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let watch = Stopwatch::start();
    let parts = into(&stores, &options.input, options.size, &options.out).await?;
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
        let each = largest.map_or(0, |part| part.samples) as u64;
        format!(
            "{} images → {} parts of {} images ({}) under {}\n",
            grouped(images as u64),
            grouped(parts.len() as u64),
            grouped(each),
            bytes(largest.map_or(0, |part| part.bytes)),
            options.out
        )
    })?;
    Ok(Outcome::Done)
}

/// Cuts the partition at `input` into parts of `size` bytes under `out`.
pub(super) async fn into(stores: &Stores, input: &str, size: u64, out: &str) -> Result<Vec<Part>> {
    let (bucket, key) = stores.open_url(input)?;
    let partition = Partition::open(bucket.store(), bucket.path(&key)?, None).await?;
    let objects = Objects::beside(&bucket, &partition).await?;
    if !out.contains("://") {
        std::fs::create_dir_all(Path::new(out)).with_context(|| format!("create folder `{out}`"))?;
    }
    let (to, prefix) = stores.open_url(out)?;
    let prefix: Key = to.path(&prefix)?;
    let count = partition.len().div_ceil(samples_per_part(size, partition.height(), partition.width()));
    refuse_others(&to, prefix.as_ref(), count).await?;
    let bar = super::counting_bar("parts", count as u64);
    let parts =
        pipeline::partition::split(&partition, objects.as_ref(), size, to.store(), &prefix, |_| bar.inc(1)).await;
    bar.finish_and_clear();
    Ok(parts?)
}

/// Refuses a folder with partitions that the new ones would not replace: whoever reads the folder later would take them
/// for parts of the same whole.
async fn refuse_others(to: &Bucket, folder: &str, count: usize) -> Result<()> {
    let is_replaced = |name: &str| name.parse::<usize>().is_ok_and(|number| (1..=count).contains(&number));
    for object in to.list(folder).await? {
        let name = object.key.strip_prefix(folder).unwrap_or(&object.key).trim_start_matches('/');
        if let Some(stem) = name.strip_suffix(".pt")
            && !is_replaced(stem)
        {
            let url = to.url(&object.key);
            bail!(
                "`{url}` lies there already and is none of the {count} parts to write; empty the folder or choose another"
            );
        }
    }
    Ok(())
}
