//! `cosmicai ingest`: a partition from arrays, or from a catalogue and cutouts.

mod folder;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pipeline::event::Stopwatch;
use pipeline::objects::objects_key;
use pipeline::partition::{Partition, parse_size};
use pipeline::storage::Stores;
use serde_json::{Value, json};
use sources::ingest::{
    ArraySource, Channels, Failure, IngestError, IngestRequest, IngestSource, Ingested, Role, ingest as make,
};
use tokio::runtime::Handle;

use crate::counting_bar::counting_bar;
use crate::help::examples;
use crate::new_file::NewFile;
use crate::outcome::Outcome;
use crate::printer::{Printer, count, grouped};
use crate::settings::Settings;

/// Make a partition from arrays or a catalogue with cutouts.
///
/// Arrays (.npz): `images` (n, 5, H, W) or (n, H, W, 5) and `magnitudes` (n, 5), both in the order u g r i z, and
/// optionally `redshift`, `object_id` (integers or text), `ra` and `dec` (n). All except the images may be columns of an
/// array of records, as in `sdss.npz` of Pasquet et al. 2019 (`cube`, `labels`). Options such as --magnitudes choose by
/// name. Other arrays are ignored, and a message names them. Arrays of Python objects are pickles and are rejected.
///
/// With --size, arrays become a folder of partitions 1.pt, 2.pt and so on. Memory does not grow with their number. An
/// interrupted ingest goes on with --resume.
///
/// Catalogue: text (CSV with commas, tabs, semicolons or spaces, ECSV), Parquet, FITS or VOTable, optionally compressed by gzip
/// or bzip2, with magnitudes and optionally redshift, object_id, ra and dec. Columns are recognised by name in any case
/// (modelMag_u, objID, RAJ2000, z_spec and others). Use --columns if a name is not recognised or ambiguous. Each row has
/// a cutout: one FITS file with a cube of five planes or five extensions, or one FITS file for each band. If the header
/// states the bands, they are taken by name. The pattern of --cutouts may contain any column.
///
/// Pixels are in nanomaggies; all images have the same size. Rows with pixels or magnitudes that are not finite are
/// kept, and predictions flag them. Identifiers and positions go to F.objects.parquet beside F.pt, and from there to
/// the columns object_id, ra and dec of predictions.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai ingest cutouts.npz --out cutouts/1.pt",
    "cosmicai ingest sdss.npz --magnitudes dered_petro --size 100MB --out sky/",
    "cosmicai ingest --images i.npy --magnitudes m.npy --redshift z.npy --out 1.pt",
    "cosmicai ingest sample.fits --cutouts 'cutouts/{object_id}.fits' --out 1.pt",
    "cosmicai ingest sample.csv --cutouts 'cutouts/{field}/{objid}-{band}.fits' \\",
    "    --columns object_id=objid,u=modelMag_u,redshift=specz --crop 32 \\",
    "    --skip-bad --out 1.pt",
    "cosmicai predict --model astromae.pt 1.pt --out catalogue.parquet",
]))]
pub(crate) struct Options {
    /// Arrays (.npz), or a catalogue (CSV, Parquet, FITS, VOTable): file or URL.
    #[arg(required_unless_present = "images")]
    input: Option<String>,
    /// Pattern of the paths of cutouts.
    ///
    /// For example 'cutouts/{object_id}.fits' for cubes, or 'cutouts/{object_id}-{band}.fits' for a file for each band.
    #[arg(long, value_name = "PATTERN", requires = "input")]
    cutouts: Option<String>,
    /// Names of columns: object_id=objid,u=modelMag_u.
    ///
    /// Roles are object_id, ra, dec, redshift, u, g, r, i and z. ROLE=none leaves a role out, such as redshift=none.
    #[arg(long, value_name = "ROLE=NAME,…", value_delimiter = ',', value_parser = column, requires = "cutouts")]
    columns: Vec<(Role, String)>,
    /// Skip rows whose cutout or values are missing or bad.
    ///
    /// Rows with no cutout, a damaged one, a text in place of a number, or a position that is not on the sky. The exit
    /// status is then 1 if rows were skipped. Reads the cutouts twice.
    #[arg(long, alias = "skip-missing", requires = "cutouts")]
    skip_bad: bool,
    /// Array of images (n, 5, H, W) or (n, H, W, 5): its name in INPUT, or a file.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    images: Option<String>,
    /// Place of the bands in the shape of the images: second (first) or last.
    ///
    /// Needed only if both dimensions have length 5.
    #[arg(long, hide_short_help = true, value_name = "first|last", value_parser = channels)]
    #[arg(conflicts_with = "cutouts")]
    channels: Option<Channels>,
    /// Array of records whose fields are columns: its name in INPUT, or a file.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    labels: Option<String>,
    /// Magnitudes: an array, or what the names of five columns share.
    ///
    /// An array has shape (n, 5). For example `dered_petro` for dered_petro_u to dered_petro_z. Needed only if there is more than one set.
    #[arg(long, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    magnitudes: Option<String>,
    /// Redshifts (n): name of an array or column, a file, or none.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    redshift: Option<String>,
    /// Identifiers (n), integers or text: name of an array or column, a file, or none.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    object_id: Option<String>,
    /// Right ascensions (n) in degrees: name of an array or column, a file, or none.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    ra: Option<String>,
    /// Declinations (n) in degrees: name of an array or column, a file, or none.
    #[arg(long, hide_short_help = true, value_name = "NAME|F.npy", conflicts_with = "cutouts")]
    dec: Option<String>,
    /// Crop each image to its central N×N pixels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    crop: Option<u16>,
    /// Factor that converts pixels to nanomaggies [default: 1].
    #[arg(long, hide_short_help = true, value_name = "X", allow_negative_numbers = true, value_parser = scale)]
    flux_scale: Option<f64>,
    /// Size of a partition, such as 100MB: write a folder of them.
    ///
    /// --out is the folder. Sizes count as in `cosmicai split`: 100MB is 1,279 galaxies of 64×64 pixels.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "cutouts")]
    size: Option<u64>,
    /// Continue an interrupted ingest into a folder.
    ///
    /// The partitions that are there are kept. They are compared with the input first. The partitions are the same as those of one run.
    #[arg(long, requires = "size")]
    resume: bool,
    /// File to write, or a folder to write 1.pt to.
    #[arg(long, value_name = "F.pt|FOLDER")]
    out: PathBuf,
}

pub(crate) async fn ingest(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    if let Some(size) = options.size {
        return ingest_parts(options, size, settings, printer).await;
    }
    let out = file_in(&options.out)?;
    let stores = settings.stores(".").await?;
    let request = request(options)?;
    let watch = Stopwatch::start();
    let (mut ingested, file) = write(&stores, request, &out).await?;
    let beside = write_objects(&stores, &ingested, &file, &out).await?;
    file.keep()?;
    for note in &ingested.notes {
        printer.tell(note);
    }
    if ingested.rows_skipped > 0 {
        printer.tell(&skipped(&ingested));
    }
    ingested.notes.extend(warnings(&ingested));
    let seconds = watch.seconds();
    printer.print(&report(&ingested, &out, beside.as_deref(), seconds), |_| {
        human(&ingested, &out, beside.as_deref(), seconds)
    })?;
    Ok(if ingested.rows_skipped > 0 { Outcome::Incomplete } else { Outcome::Done })
}

/// Makes a folder of partitions.
async fn ingest_parts(options: Options, size: u64, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let (out, resumes) = (options.out.clone(), options.resume);
    let stores = settings.stores(".").await?;
    let request = request(options)?;
    let watch = Stopwatch::start();
    let mut parts = folder::write(&stores, request, size, out.clone(), resumes).await?;
    for note in &parts.total.notes {
        printer.tell(note);
    }
    let more = warnings(&parts.total);
    parts.total.notes.extend(more);
    let (out, seconds) = (out.display().to_string(), watch.seconds());
    printer.print(&folder::report(&parts, &out, seconds), |_| folder::human(&parts, &out, seconds))?;
    Ok(Outcome::Done)
}

/// Returns the file that `--out` names.
fn file_in(out: &Path) -> Result<PathBuf> {
    let text = out.to_str().context("--out: expected a path in UTF-8")?;
    if text.contains("://") {
        bail!("--out `{text}`: expected a file on this machine; to write to object storage, use `cosmicai split`");
    }
    if out.is_dir() || text.ends_with('/') {
        let first = out.join("1.pt");
        if first.exists() {
            bail!("--out `{text}`: `{}` exists already; pass the name of a file", first.display());
        }
        return Ok(first);
    }
    if !text.ends_with(".pt") {
        bail!("--out `{text}`: expected a name ending in .pt, or a folder that exists");
    }
    Ok(out.to_owned())
}

fn request(options: Options) -> Result<IngestRequest> {
    let Options { input, cutouts, columns, skip_bad, crop, flux_scale, .. } = options;
    let source = ArraySource {
        archive: None,
        images: options.images,
        channels: options.channels,
        labels: options.labels,
        magnitudes: options.magnitudes,
        redshift: options.redshift,
        object_id: options.object_id,
        ra: options.ra,
        dec: options.dec,
    };
    let source = match (input, cutouts) {
        (Some(catalogue), Some(cutouts)) => IngestSource::Catalogue { catalogue, cutouts, columns, skip_bad },
        (Some(input), None) if input.ends_with(".npz") => {
            IngestSource::Arrays(ArraySource { archive: Some(input), ..source })
        }
        (Some(input), None) if input.ends_with(".npy") => {
            bail!("`{input}` is a single array; pass each array by its option: `--images F.npy --magnitudes F.npy`")
        }
        (Some(input), None) => bail!(
            "`{input}`: a catalogue needs the pattern of its cutouts: `--cutouts 'cutouts/{{object_id}}.fits'`; files \
             of numpy arrays end in .npz"
        ),
        (None, _) if source.magnitudes.is_none() && source.labels.is_none() => {
            bail!("`--images` without INPUT: pass the magnitudes, too: `--magnitudes F.npy`, or `--labels F.npy`")
        }
        (None, _) => IngestSource::Arrays(source),
    };
    Ok(IngestRequest { source, crop: crop.map(usize::from), flux_scale })
}

/// Writes the partition to a temporary file, which is deleted if that fails.
async fn write(stores: &Stores, request: IngestRequest, out: &Path) -> Result<(Ingested, NewFile)> {
    let (stores, runtime) = (stores.clone(), Handle::current());
    let file = NewFile::create(out)?;
    let bar = counting_bar("galaxies", 0);
    let shown = bar.clone();
    let making = tokio::task::spawn_blocking(move || {
        make(&runtime, &stores, &request, file, &mut |done, total| {
            shown.set_length(total as u64);
            shown.set_position(done as u64);
        })
    });
    let made = making.await;
    bar.finish_and_clear();
    let (ingested, file) = match made.context("ingest: this is a bug, please report it")? {
        Err(IngestError::Write(error)) => return Err(error).with_context(|| format!("write `{}`", out.display())),
        made => made?,
    };
    Ok((ingested, file))
}

/// Writes the file of objects of the partition, or deletes the one of an earlier partition. Call this before the
/// partition is moved to its place: a partition then never appears without its objects, and readers reject objects of
/// another one.
async fn write_objects(stores: &Stores, ingested: &Ingested, file: &NewFile, out: &Path) -> Result<Option<String>> {
    let utf8 = |path: &Path| path.to_str().map(str::to_owned).context("--out: expected a path in UTF-8");
    let (bucket, key) = stores.open_url(&utf8(out)?)?;
    let Some(objects) = &ingested.objects else {
        bucket.delete(vec![objects_key(&key)]).await?;
        return Ok(None);
    };
    let (_, temporary) = stores.open_url(&utf8(file.temporary())?)?;
    let partition = Partition::open(bucket.store(), bucket.path(&temporary)?, None).await?;
    objects.write(&bucket, &key, &partition).await?;
    Ok(Some(objects_key(&out.to_string_lossy())))
}

fn report(ingested: &Ingested, out: &Path, beside: Option<&str>, seconds: f64) -> Value {
    with_numbers(json!({"out": out.to_string_lossy(), "objects": beside}), ingested, seconds)
}

/// Adds the keys that the reports of one partition and of a folder of them have.
fn with_numbers(mut report: Value, ingested: &Ingested, seconds: f64) -> Value {
    let failure =
        |failure: &Failure| json!({"row": failure.row, "object_id": failure.object_id, "problem": failure.problem});
    let numbers = json!({
        "images": ingested.samples,
        "height": ingested.height,
        "width": ingested.width,
        "redshift": ingested.has_redshift,
        "rows_without_redshift": ingested.rows_without_redshift,
        "rows_with_non_finite_pixels": ingested.rows_with_non_finite_pixels,
        "rows_with_bad_magnitudes": ingested.rows_with_bad_magnitudes,
        "rows_with_blank_bands": ingested.rows_with_blank_bands,
        "rows_skipped": ingested.rows_skipped,
        "skipped": ingested.skipped.iter().map(failure).collect::<Vec<_>>(),
        "notes": ingested.notes,
        "seconds": seconds,
        "images_per_s": ingested.samples as f64 / seconds,
    });
    if let (Value::Object(report), Value::Object(numbers)) = (&mut report, numbers) {
        report.extend(numbers);
    }
    report
}

fn human(ingested: &Ingested, out: &Path, beside: Option<&str>, seconds: f64) -> String {
    let (galaxies, height, width) = (grouped(ingested.samples as u64), ingested.height, ingested.width);
    let mut text = format!("{}: {galaxies} galaxies of 5×{height}×{width} in {seconds:.1} s\n", out.display());
    if let Some(beside) = beside {
        text += &format!("{beside}: identifiers and positions\n");
    }
    for warning in warnings(ingested) {
        text += &(warning + "\n");
    }
    text
}

/// Warnings about rows that were kept.
fn warnings(ingested: &Ingested) -> Vec<String> {
    let mut warnings: Vec<String> = [
        (ingested.rows_with_non_finite_pixels, "with pixels that are not finite: kept, and flagged when predicted"),
        (ingested.rows_with_bad_magnitudes, "with magnitudes outside 0–40: kept, and flagged when predicted"),
        (ingested.rows_with_blank_bands, "with a band of equal pixels, such as 0: kept, and flagged when predicted"),
        (ingested.rows_without_redshift, "without a known redshift"),
    ]
    .into_iter()
    .filter(|(rows, _)| *rows > 0)
    .map(|(rows, what)| format!("{} {what}", count(rows, "row")))
    .collect();
    if !ingested.has_redshift {
        warnings.push("no redshifts: predictions will have no z_spec".to_owned());
    }
    warnings
}

fn skipped(ingested: &Ingested) -> String {
    let named: Vec<String> = ingested.skipped.iter().map(Failure::to_string).collect();
    let more = if ingested.rows_skipped > named.len() { "; …" } else { "" };
    format!("error: skipped {}: {}{more}", count(ingested.rows_skipped, "row"), named.join("; "))
}

/// Parses one item of `--columns`.
pub(super) fn column(text: &str) -> Result<(Role, String), String> {
    let (role, name) = text.split_once('=').ok_or_else(|| "expected ROLE=NAME, such as object_id=objid".to_owned())?;
    Ok((role.trim().parse::<Role>().map_err(|error| error.to_string())?, name.trim().to_owned()))
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if f64::is_finite(scale) && scale != 0.0 => Ok(scale),
        _ => Err("expected a number other than 0".to_owned()),
    }
}

fn channels(text: &str) -> Result<Channels, String> {
    match text {
        "first" => Ok(Channels::First),
        "last" => Ok(Channels::Last),
        _ => Err("expected first or last".to_owned()),
    }
}
