//! `cosmicai ingest`: a partition from arrays, or from a catalogue and cutouts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pipeline::event::Stopwatch;
use pipeline::objects::objects_key;
use pipeline::partition::Partition;
use pipeline::storage::Stores;
use serde_json::{Value, json};
use sources::ingest::{Failure, IngestError, IngestRequest, IngestSource, Ingested, NpyFiles, Role, ingest as make};
use tokio::runtime::Handle;

use crate::counting_bar::counting_bar;
use crate::help::examples;
use crate::new_file::NewFile;
use crate::outcome::Outcome;
use crate::printer::{Printer, count, grouped};
use crate::settings::Settings;

/// Make a partition from arrays or a catalogue with cutouts.
///
/// Arrays (.npz): `images` (n, 5, H, W) and `magnitudes` (n, 5), both in the order u g r i z, and optionally
/// `redshift`, `object_id` (integers or text), `ra` and `dec` (n). Other arrays are ignored, and a message names them.
/// Arrays of Python objects are pickles and are rejected.
///
/// Catalogue: text (CSV with commas, tabs, semicolons or spaces, ECSV), Parquet or FITS, optionally compressed by gzip
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
    "cosmicai ingest --images i.npy --magnitudes m.npy --redshift z.npy --out 1.pt",
    "cosmicai ingest sample.fits --cutouts 'cutouts/{object_id}.fits' --out 1.pt",
    "cosmicai ingest sample.csv --cutouts 'cutouts/{field}/{objid}-{band}.fits' \\",
    "    --columns object_id=objid,u=modelMag_u,redshift=specz --crop 32 \\",
    "    --skip-bad --out 1.pt",
    "cosmicai predict --model astromae.pt 1.pt --out catalogue.parquet",
]))]
pub(crate) struct Options {
    /// Arrays (.npz), or a catalogue (CSV, Parquet, FITS): file or URL.
    #[arg(required_unless_present = "images", conflicts_with = "images")]
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
    /// Skip rows whose cutout or values are missing or invalid.
    ///
    /// Rows with no cutout, a damaged one, a text in place of a number, or a position that is not on the sky. The exit
    /// status is then 1 if rows were skipped. Reads the cutouts twice.
    #[arg(long, alias = "skip-missing", requires = "cutouts")]
    skip_bad: bool,
    /// Array of images (n, 5, H, W).
    #[arg(long, value_name = "F.npy", requires = "magnitudes")]
    images: Option<String>,
    /// Array of magnitudes (n, 5).
    #[arg(long, value_name = "F.npy", requires = "images")]
    magnitudes: Option<String>,
    /// Array of redshifts (n).
    #[arg(long, value_name = "F.npy", requires = "images")]
    redshift: Option<String>,
    /// Array of identifiers (n), integers or text.
    #[arg(long, value_name = "F.npy", requires = "images")]
    object_id: Option<String>,
    /// Array of right ascensions (n) in degrees.
    #[arg(long, value_name = "F.npy", requires = "images")]
    ra: Option<String>,
    /// Array of declinations (n) in degrees.
    #[arg(long, value_name = "F.npy", requires = "images")]
    dec: Option<String>,
    /// Crop each image to its central N×N pixels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    crop: Option<u16>,
    /// Factor that converts pixels to nanomaggies [default: 1].
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = scale)]
    flux_scale: Option<f64>,
    /// File to write, or a folder to write 1.pt to.
    #[arg(long, value_name = "F.pt|FOLDER")]
    out: PathBuf,
}

pub(crate) async fn ingest(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
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
    let Options { input, cutouts, columns, skip_bad, images, magnitudes, redshift, object_id, ra, dec, .. } = options;
    let source = match (input, cutouts, images.zip(magnitudes)) {
        (Some(catalogue), Some(cutouts), _) => IngestSource::Catalogue { catalogue, cutouts, columns, skip_bad },
        (Some(input), None, _) if input.ends_with(".npz") => IngestSource::Npz(input),
        (Some(input), None, _) if input.ends_with(".npy") => {
            bail!("`{input}` is a single array; pass each array by its option: `--images F.npy --magnitudes F.npy`")
        }
        (Some(input), None, _) => bail!(
            "`{input}`: a catalogue needs the pattern of its cutouts: `--cutouts 'cutouts/{{object_id}}.fits'`; files \
             of numpy arrays end in .npz"
        ),
        (None, _, Some((images, magnitudes))) => {
            IngestSource::Npy(NpyFiles { images, magnitudes, redshift, object_id, ra, dec })
        }
        (None, _, None) => bail!("nothing to ingest: pass INPUT, or `--images F.npy --magnitudes F.npy`"),
    };
    Ok(IngestRequest { source, crop: options.crop.map(usize::from), flux_scale: options.flux_scale })
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
    let failure =
        |failure: &Failure| json!({"row": failure.row, "object_id": failure.object_id, "problem": failure.problem});
    json!({
        "out": out.to_string_lossy(),
        "objects": beside,
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
    })
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
