//! `cosmicai demo`: a first look that needs nothing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use astromae::init::{Sizes, seeded};
use pipeline::partition::parse_size;
use pipeline::payload::Payload;
use pipeline::simulate::{Galaxies, Sample, Sky};
use serde_json::json;

use super::{Outcome, new_file, run, simulate, split};
use crate::printer::{Printer, grouped};
use crate::settings::Settings;

/// Enough for a table that means something, few enough for seconds.
const GALAXIES: usize = 3_000;
const SEED: u64 = 2025;
/// 255 galaxies of 32×32 pixels.
const PART: &str = "5MB";

/// Simulate a sky, split it, run it, summarise it: a first look, in under a minute.
///
/// Makes a folder with a bucket in it: partitions of simulated galaxies, a full-size model and a payload; then runs the
/// payload. The model's weights are seeded, not trained, so that its redshifts are noise: what the demo shows is the
/// way from images to a catalogue, its files and its speed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder to make everything in.
    #[arg(long, default_value = "cosmicai-demo")]
    out: PathBuf,
}

pub(crate) async fn demo(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let bucket = options.out.join("sky");
    let (sky, parts) = (options.out.join("sky.pt"), bucket.join(PART));
    printer.tell(&format!("simulating {} galaxies", grouped(GALAXIES as u64)));
    simulate::write(Sky { galaxies: Galaxies::Drawn(GALAXIES, Sample::Main), seed: SEED, image_size: 32 }, &sky)?;

    let stores = settings.stores(".").await?;
    let size = parse_size(PART)?;
    let sky = sky.to_str().context("--out: a path in UTF-8 is expected")?;
    let written =
        split::into(&stores, sky, size, parts.to_str().context("--out: a path in UTF-8 is expected")?).await?;
    printer.tell(&format!("split into {} partitions of {PART} under {}", written.len(), parts.display()));

    let model = bucket.join("model/astromae.safetensors");
    new_file::write(&model, &seeded(&Sizes::full(), SEED))?;
    printer.tell(&format!("model {}: seeded weights, not trained; its redshifts mean nothing", model.display()));

    let payload = json!({
        "bucket": "sky",
        "file_limit": written.len(),
        "batch_size": 256,
        "object_type": "folder",
        "S3_object_name": "model",
        "result_path": "results/",
        "data_bucket": "sky",
        "data_prefix": PART,
        "order": "natural",
    });
    let payload = serde_json::to_string_pretty(&payload)? + "\n";
    let path = options.out.join("payload.json");
    new_file::write(&path, payload.as_bytes())?;

    let store = settings.stores(options.out.to_str().context("--out: a path in UTF-8 is expected")?).await?;
    let run_options = run::plain_options(&path, &options.out);
    let outcome =
        run::run_payload(Payload::parse(payload.as_bytes())?, &store, &run_options, settings, printer).await?;
    let results = bucket.join("results");
    for (file, what) in [
        ("combined_data.json", "the study's records"),
        ("report.json", "where the time went, task by task"),
        ("predictions/", "a redshift for every galaxy, in Parquet"),
    ] {
        printer.tell(&format!("{:<60} {what}", results.join(file).display().to_string()));
    }
    printer.tell(&format!(
        "again by hand: cosmicai run {} --store {} --overwrite",
        path.display(),
        options.out.display()
    ));
    Ok(outcome)
}
