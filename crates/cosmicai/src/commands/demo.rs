//! `cosmicai demo`: a first look that needs nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pipeline::output::Table;
use pipeline::partition::parse_size;
use pipeline::payload::Payload;
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::simulate::{Galaxies, Sample, Sky};
use pipeline::storage::Stores;
use pipeline::summary::merge_predictions;
use serde_json::json;

use super::{Outcome, new_file, run, simulate, split};
use crate::demo_model::DEMO_MODEL;
use crate::plots;
use crate::printer::{Printer, grouped};
use crate::settings::Settings;

/// The sky's seed. The model was trained on seeds below 1,000: it has seen none of these galaxies.
const SEED: u64 = 2025;
/// 255 galaxies of 32×32 pixels.
const PART: &str = "5MB";
const BUCKET: &str = "sky";
const RESULTS: &str = "results";
const PREDICTIONS: &str = "predictions.parquet";
const PLOTS: &str = "plots";

/// Simulate a sky, split it, run it, sum it up, draw it: a first look, in under a minute.
///
/// Makes a folder with a bucket in it: partitions of simulated galaxies, a small model and a payload; then runs the
/// payload, as `cosmicai run` does, and ends with all predictions in one file and three pictures of how good they are.
/// The model was trained on other simulated galaxies: a demonstration, not science. A folder that holds an earlier demo
/// is made anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder to make everything in.
    #[arg(long, default_value = "cosmicai-demo")]
    out: PathBuf,
    /// Number of galaxies.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    galaxies: u32,
}

pub(crate) async fn demo(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let folder = options.out.to_str().context("--out: a path in UTF-8 is expected")?;
    clear(&options.out)?;
    let model = options.out.join(BUCKET).join("model/astromae.safetensors");
    new_file::write(&model, DEMO_MODEL)?;
    printer.tell(&format!("model {}: trained on simulated galaxies; a demonstration, not science", model.display()));
    let partitions = make_partitions(&options, settings, printer).await?;

    let payload = json!({
        "bucket": BUCKET,
        "file_limit": partitions,
        "batch_size": 256,
        "object_type": "folder",
        "S3_object_name": "model",
        "result_path": format!("{RESULTS}/"),
        "data_bucket": BUCKET,
        "data_prefix": PART,
        "order": "natural",
    });
    let payload = serde_json::to_string_pretty(&payload)? + "\n";
    let payload_path = options.out.join("payload.json");
    new_file::write(&payload_path, payload.as_bytes())?;

    let store = settings.stores(folder).await?;
    let run_options = run::plain_options(&payload_path, &options.out);
    let outcome =
        run::run_payload(Payload::parse(payload.as_bytes())?, &store, &run_options, settings, printer).await?;
    if outcome != Outcome::Done {
        return Ok(outcome);
    }
    let drawn = sum_up(&store, &options.out).await?;
    say_where(&options.out, &drawn, printer);
    Ok(outcome)
}

/// Takes away what an earlier demo left and this one might not write again, so that no file is of another run than the
/// one beside it. What the run itself wrote, the run takes away.
fn clear(folder: &Path) -> Result<()> {
    let plots =
        plots::NAMES.into_iter().flat_map(|name| ["svg", "png"].map(|ending| format!("{PLOTS}/{name}.{ending}")));
    let mut old: Vec<PathBuf> = plots.map(|name| folder.join(name)).collect();
    old.push(folder.join(PREDICTIONS));
    let parts = folder.join(BUCKET).join(PART);
    let is_part = |path: &Path| {
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok());
        number.is_some() && path.extension().is_some_and(|ending| ending == "pt")
    };
    match std::fs::read_dir(&parts) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.with_context(|| format!("read folder `{}`", parts.display()))?.path();
                if is_part(&path) {
                    old.push(path);
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read folder `{}`", parts.display())),
    }
    for path in old {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("delete `{}`, left by an earlier demo", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Simulates the sky and cuts it into partitions; how many.
async fn make_partitions(options: &Options, settings: &Settings, printer: &Printer) -> Result<usize> {
    let count = options.galaxies as usize;
    printer.tell(&format!("simulating {} galaxies that the model has not seen", grouped(count as u64)));
    let (sky, parts) = (options.out.join("sky.pt"), options.out.join(BUCKET).join(PART));
    simulate::write(Sky { galaxies: Galaxies::Drawn(count, Sample::Main), seed: SEED, image_size: 32 }, &sky)?;
    let stores = settings.stores(".").await?;
    let [sky, into] = [&sky, &parts].map(|path| path.to_str().context("--out: a path in UTF-8 is expected"));
    let written = split::into(&stores, sky?, parse_size(PART)?, into?).await?;
    printer.tell(&format!("split into {} partitions of {PART} under {}", written.len(), parts.display()));
    Ok(written.len())
}

/// All predictions as one file, and the pictures of them; which files these are.
async fn sum_up(store: &Stores, folder: &Path) -> Result<Vec<PathBuf>> {
    let results = Results::new(store.bucket(BUCKET)?, RESULTS);
    let Some(plan) = read_plan(&results).await? else {
        bail!("`{}`: the plan of the run is gone; run the demo again in a folder of its own", results.url());
    };
    let predictions = merge_predictions(&results, &plan).await?;
    let path = folder.join(PREDICTIONS);
    new_file::write(&path, &predictions)?;
    let table = Table::read(predictions, &path.display().to_string())?;
    plots::write(&plots::draw(&table)?, &folder.join(PLOTS))
}

fn say_where(folder: &Path, drawn: &[PathBuf], printer: &Printer) {
    let pictures = ["z_phot against z_spec", "where errors lean and scatter", "how errors are distributed"];
    let images = drawn.iter().filter(|path| path.extension().is_some_and(|ending| ending == "png"));
    let results = folder.join(BUCKET).join(RESULTS);
    let mut files = vec![(folder.join(PREDICTIONS), "a redshift for every galaxy")];
    files.extend(images.cloned().zip(pictures));
    files.push((results.join("combined_data.json"), "the study's records"));
    files.push((results.join("report.json"), "where the time went, task by task"));
    let shown: Vec<(String, &str)> = files.iter().map(|(path, what)| (path.display().to_string(), *what)).collect();
    let width = shown.iter().map(|(path, _)| path.chars().count()).max().unwrap_or(0);
    for (path, what) in shown {
        printer.tell(&format!("{path:<width$}  {what}"));
    }
    let folder = folder.display();
    printer.tell(&format!(
        "pictures are there as .svg too\n\
         the same run by hand: cosmicai run {folder}/payload.json --store {folder} --overwrite\n\
         your own cutouts: cosmicai predict --model {folder}/{BUCKET}/model/astromae.safetensors CUTOUTS --out F.parquet"
    ));
}
