//! `cosmicai demo`: a first run that needs no data and no model.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use executors::CommandLine;
use pipeline::output::Table;
use pipeline::partition::parse_size;
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::merge_predictions;
use records::payload::Payload;
use serde_json::json;
use sources::simulate::{Galaxies, Sample, Sky};

use super::run;
use crate::demo_model::DEMO_MODEL;
use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::partitions::{split_into, write_sky};
use crate::plot_files::write_plots;
use crate::printer::{Printer, grouped};
use crate::settings::Settings;

/// Seed of the sky. The model was trained on seeds below 1,000, so not on these galaxies.
const SEED: u64 = 2025;
/// 255 galaxies of 32×32 pixels.
const PART: &str = "5MB";
const BUCKET: &str = "sky";
const MODEL: &str = "model/astromae.safetensors";
const RESULTS: &str = "results";
const PREDICTIONS: &str = "predictions.parquet";
const PLOTS: &str = "plots";

/// Simulate a sky, predict it and plot the result.
///
/// Takes less than a minute and needs no data, no model and no network. Makes a folder with a bucket in it: partitions
/// of simulated galaxies, a small model and a payload. Then runs the payload as `cosmicai run` does, and writes all
/// predictions to one file and three plots of their accuracy.
///
/// The model was trained on other simulated galaxies. It is for demonstration, not for science. An earlier demo in the
/// same folder is replaced.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai demo", "cosmicai demo --galaxies 1000 --out small-demo"]))]
pub(crate) struct Options {
    /// Folder to write everything to.
    #[arg(long, value_name = "DIR", default_value = "cosmicai-demo")]
    out: PathBuf,
    /// Number of galaxies to simulate.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    galaxies: u32,
}

pub(crate) async fn demo(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let folder = options.out.to_str().context("--out: expected a path in UTF-8")?;
    clear(&options.out)?;
    let model = options.out.join(BUCKET).join(MODEL);
    new_file::write(&model, DEMO_MODEL)?;
    printer.tell(&format!("model {}: trained on simulated galaxies, for demonstration only", model.display()));
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
    let run_options = run::Options::local(&payload_path, &options.out);
    let outcome =
        run::run_payload(Payload::parse(payload.as_bytes())?, &store, &run_options, settings, printer).await?;
    if outcome != Outcome::Done {
        return Ok(outcome);
    }
    let drawn = merge_and_plot(&store, &options.out).await?;
    print_files(&options.out, &drawn, &run_options, settings, printer);
    Ok(outcome)
}

/// Deletes files of an earlier demo that this one may not overwrite. All files in the folder then belong to the same
/// run. The run deletes its own results.
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

/// Simulates the sky, splits it into partitions and returns their number.
async fn make_partitions(options: &Options, settings: &Settings, printer: &Printer) -> Result<usize> {
    let count = options.galaxies as usize;
    printer.tell(&format!("simulating {} galaxies that the model was not trained on", grouped(count as u64)));
    let (sky, parts) = (options.out.join("sky.pt"), options.out.join(BUCKET).join(PART));
    write_sky(Sky { galaxies: Galaxies::Drawn(count, Sample::Main), seed: SEED, image_size: 32 }, &sky)?;
    let stores = settings.stores(".").await?;
    let [sky, into] = [&sky, &parts].map(|path| path.to_str().context("--out: expected a path in UTF-8"));
    let written = split_into(&stores, sky?, parse_size(PART)?, into?).await?;
    printer.tell(&format!("split into {} partitions of {PART} under {}", written.len(), parts.display()));
    Ok(written.len())
}

/// Writes all predictions to one file and plots them. Returns the paths of the plots.
async fn merge_and_plot(store: &Stores, folder: &Path) -> Result<Vec<PathBuf>> {
    let results = Results::new(store.bucket(BUCKET)?, RESULTS);
    let Some(plan) = read_plan(&results).await? else {
        bail!(
            "`{}`: plan.json of the run is missing; run the demo again in a folder that nothing else uses",
            results.url()
        );
    };
    let predictions = merge_predictions(&results, &plan).await?;
    let path = folder.join(PREDICTIONS);
    new_file::write(&path, &predictions)?;
    let table = Table::read(predictions, &path.display().to_string())?;
    write_plots(&plots::draw(table.predictions())?, &folder.join(PLOTS))
}

/// Prints the files that the demo wrote, and commands to go on with.
fn print_files(folder: &Path, drawn: &[PathBuf], run_options: &run::Options, settings: &Settings, printer: &Printer) {
    let titles = ["z_phot against z_spec", "bias and scatter by redshift", "histogram of dz"];
    let images = drawn.iter().filter(|path| path.extension().is_some_and(|ending| ending == "png"));
    let results = folder.join(BUCKET).join(RESULTS);
    let mut files = vec![(folder.join(PREDICTIONS), "a redshift for every galaxy")];
    files.extend(images.cloned().zip(titles));
    files.push((results.join("combined_data.json"), "records in the format of the CAI study"));
    files.push((results.join("report.json"), "time and memory of every task"));
    let shown: Vec<(String, &str)> = files.iter().map(|(path, what)| (path.display().to_string(), *what)).collect();
    let width = shown.iter().map(|(path, _)| path.chars().count()).max().unwrap_or(0);
    for (path, what) in shown {
        printer.tell(&format!("{path:<width$}  {what}"));
    }
    let repeat = run_options.command_line(settings.endpoint_given());
    let predict = CommandLine::cosmicai("predict")
        .option("model", folder.join(BUCKET).join(MODEL).display())
        .argument("CUTOUTS")
        .option("out", "F.parquet");
    printer.tell(&format!(
        "the plots are there as .svg too\nto repeat the run: {repeat}\nto predict your own cutouts: {predict}"
    ));
}
