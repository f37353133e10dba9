//! `cosmicai predict`: a catalogue from a few files.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use astromae::Precision;
use pipeline::event::{Stopwatch, memory_peak_mb};
use pipeline::model_file::ModelFile;
use pipeline::objects::Objects;
use pipeline::output::{Format, Writer};
use pipeline::partition::Partition;
use pipeline::predict::{Predicted, Worker};
use records::redshift::known;
use records::report::PhaseSeconds;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use crate::galaxies_bar::GalaxiesBar;
use crate::help::examples;
use crate::inputs::{self, Input};
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, count, write_out};
use crate::settings::Settings;
use crate::settings::cores;
use crate::visible::visible;

/// Predict the redshifts in a few files and write a catalogue.
///
/// The model is a pre-trained AstroMAE (Fathkouhi & Fox, arXiv:2409.01825). Images larger than those of the model are
/// cropped to their centre.
///
/// The column `flags` marks rows that look wrong; they are kept. It is the sum of 1 if a pixel is not finite, 2 if a
/// magnitude is outside 0–40, and 4 if the predicted redshift is not finite or outside 0–2.
///
/// If a file beside a partition has its identifiers and positions (F.objects.parquet beside F.pt, as `cosmicai ingest`
/// writes it), the catalogue has the columns object_id, ra and dec.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai predict --model astromae.pt cutouts/ --out catalogue.parquet",
    "cosmicai predict --model astromae.pt s3://sky/25MB/1.pt > catalogue.csv",
]))]
pub(crate) struct Options {
    /// Model file or URL.
    ///
    /// A pickled module, a state dict or safetensors. Training files that hold other objects beside the model are read,
    /// too; nothing in them is executed.
    #[arg(long, value_name = "URL")]
    model: String,
    /// Partitions: files, folders, URLs.
    ///
    /// Files of a folder are read in natural order: 2.pt before 10.pt.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// Catalogue to write [default: CSV on standard output].
    ///
    /// The ending of the name selects Parquet or CSV.
    #[arg(long, value_name = "F.parquet|F.csv")]
    out: Option<PathBuf>,
    /// Batch size, in images.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch_size: u32,
    /// Precision of the model: f32, bf16 or int8.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// Compute threads [default: number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Output of the command.
#[derive(Serialize)]
struct Report {
    files: usize,
    images: usize,
    flagged: usize,
    /// Rows of partitions with redshifts, whose own redshift is unknown.
    without_redshift: usize,
    failed: Vec<Failure>,
    seconds: f64,
    images_per_s: f64,
    /// Wall seconds by phase. `init` is loading the model and listing the inputs, which happen at the same time.
    phases: PhaseSeconds,
    /// Peak resident memory of this process in MB (2²⁰ bytes).
    memory_peak_mb: f64,
    isa: String,
    precision: String,
    threads: usize,
    out: Option<String>,
}

#[derive(Serialize)]
struct Failure {
    input: String,
    error: String,
}

pub(crate) async fn predict(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let format = options.out.as_deref().map_or(Ok(Format::Csv), format_of)?;
    let isa = settings.isa()?;
    let stores = settings.stores(".").await?;
    let threads = options.threads.map_or_else(cores, usize::from);

    let watch = Stopwatch::start();
    let precision = options.precision;
    let model = async {
        let file = ModelFile::of_url(&stores, &options.model).await?;
        let model = tokio::task::spawn_blocking(move || file.load(precision, isa)).await?;
        Ok::<_, anyhow::Error>(model?)
    };
    // List the inputs and open the first partition while the model loads.
    let inputs = async {
        let inputs = inputs::find(&stores, &options.inputs, &[".pt"]).await?;
        let first = inputs.first().map(open);
        Ok::<_, anyhow::Error>((inputs, first))
    };
    let (model, (inputs, mut next)) = futures::future::try_join(model, inputs).await?;
    for message in model.config().messages() {
        printer.tell(&format!("model `{}`: {message}", options.model));
    }
    let mut writer = match inputs.iter().any(|input| input.objects.is_some()) {
        true => Writer::with_objects(format, model.bands())?,
        false => Writer::new(format, model.bands())?,
    };
    let mut phases = PhaseSeconds { init: watch.seconds(), ..PhaseSeconds::default() };
    let mut worker = Worker::new(model, threads, phases.init);

    let watch = Stopwatch::start();
    let bar = GalaxiesBar::new(inputs.iter().map(|input| input.bytes).sum());
    let (mut images, mut flagged, mut without_redshift, mut failed) = (0, 0, 0, Vec::new());
    for (index, input) in inputs.iter().enumerate() {
        let opening = next.take().unwrap_or_else(|| open(input));
        next = inputs.get(index + 1).map(open);
        match predict_one(input, opening, &mut worker, options.batch_size as usize, &bar).await {
            Ok((predicted, open_seconds)) => {
                phases.list += open_seconds;
                phases.read += predicted.cost.read_seconds;
                phases.decode += predicted.cost.decode_seconds;
                phases.infer += predicted.cost.infer_seconds;
                writer.append(&input.name, &predicted)?;
                images += predicted.z_phot.len();
                flagged += predicted.flags.iter().filter(|flags| **flags != 0).count();
                let z_spec = predicted.z_spec.iter().flatten();
                without_redshift += z_spec.filter(|z_spec| known(**z_spec).is_none()).count();
            }
            Err(error) => {
                bar.suspend(|| printer.tell(&format!("error: {error:#}")));
                failed.push(Failure { input: input.name.clone(), error: format!("{error:#}") });
            }
        }
    }
    bar.finish();
    let seconds = watch.seconds();
    if images == 0 {
        bail!("no image was predicted; {} failed", count(inputs.len(), "input"));
    }
    let writing = Stopwatch::start();
    let catalogue = writer.finish()?;
    match &options.out {
        Some(path) => new_file::write(path, &catalogue)?,
        // A terminal would obey control characters in identifiers; a program needs them as they are.
        None if std::io::stdout().is_terminal() => {
            write_out(visible(&String::from_utf8_lossy(&catalogue)).as_bytes())?;
        }
        None => write_out(&catalogue)?,
    }
    phases.write = writing.seconds();

    let report = Report {
        files: inputs.len() - failed.len(),
        images,
        flagged,
        without_redshift,
        failed,
        seconds,
        images_per_s: images as f64 / seconds,
        phases,
        memory_peak_mb: memory_peak_mb(),
        isa: isa.to_string(),
        precision: options.precision.to_string(),
        threads,
        out: options.out.map(|out| out.display().to_string()),
    };
    // Without `--out`, the catalogue is on standard output.
    match &report.out {
        Some(_) if !printer.is_human() => printer.print(&report, human)?,
        _ => printer.tell(human(&report).trim_end()),
    }
    Ok(if report.failed.is_empty() { Outcome::Done } else { Outcome::Incomplete })
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => Ok(Format::Parquet),
        Some("csv") => Ok(Format::Csv),
        _ => bail!("--out `{}`: expected a name ending in .parquet or .csv", path.display()),
    }
}

/// Partition that is being opened, with its objects.
type Opening = AbortOnDropHandle<Result<(Partition, Option<Objects>)>>;

/// Starts to open a partition.
fn open(input: &Input) -> Opening {
    let (bucket, key, listed) = (input.bucket.clone(), input.key.clone(), input.objects.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let partition = Partition::open(bucket.store(), bucket.path(&key)?, None).await?;
        let objects = match &listed {
            Some(listed) => Some(Objects::read(&bucket, listed, &partition).await?),
            None => None,
        };
        Ok((partition, objects))
    }))
}

/// Predicts a partition. Returns the predictions, and the seconds of waiting until the partition was open.
async fn predict_one(
    input: &Input,
    opening: Opening,
    worker: &mut Worker,
    batch_size: usize,
    bar: &GalaxiesBar,
) -> Result<(Predicted, f64)> {
    let before = bar.position();
    let watch = Stopwatch::start();
    let result = async {
        let (partition, objects) = opening.await??;
        let open_seconds = watch.seconds();
        let row_bytes = partition.bytes_per_sample() as u64;
        let on_rows = |rows: usize| bar.add(rows, rows as u64 * row_bytes);
        let predicted = pipeline::predict::predict(Arc::new(partition), worker, batch_size, &on_rows).await?;
        Ok::<_, anyhow::Error>((Predicted { objects, ..predicted }, open_seconds))
    };
    let result = result.await.with_context(|| format!("`{}`", input.name));
    bar.set_position(before + input.bytes);
    result
}

fn human(report: &Report) -> String {
    let Report { files, images, flagged, without_redshift, failed, .. } = report;
    let Report { seconds, images_per_s, isa, precision, threads, out, .. } = report;
    let (redshifts, files, threads) = (count(*images, "redshift"), count(*files, "file"), count(*threads, "thread"));
    let mut text = format!(
        "{redshifts} from {files} in {seconds:.2} s ({images_per_s:.0} images/s, {isa}, {precision}, {threads})"
    );
    if let Some(out) = out {
        text += &format!(" → {out}");
    }
    if *without_redshift > 0 {
        text += &format!("\n{} without a known redshift: `z_spec` is empty there", count(*without_redshift, "row"));
    }
    if *flagged > 0 {
        text += &format!("\n{}: see the column `flags`", count(*flagged, "flagged row"));
    }
    if !failed.is_empty() {
        text += &format!("\n{} failed: {}", count(failed.len(), "input"), {
            let names: Vec<&str> = failed.iter().map(|failure| failure.input.as_str()).collect();
            names.join(", ")
        });
    }
    text + "\n"
}
