//! Makes a partition from a catalogue and one cutout for each of its rows.
//!
//! Cutouts are fetched a few objects ahead, in the order of the catalogue, and dropped once they are written. If a row
//! has no usable cutout, or an impossible value, the ingest fails or leaves out the row and names it. It never fills in pixels.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use pipeline::objects::{MAX_ID_BYTES, Objects};
use pipeline::partition::Dtype;
use pipeline::storage::{Bucket, StorageError, Stores};
use tokio::runtime::Handle;

use super::catalogue::{Catalogue, Table, Values};
use super::columns::{BAND_NAMES, Chosen, Role, choose, find};
use super::cutout::{self, Cutout, MAX_CUTOUT_BYTES, Wanted};
use super::partition_sink::{Columns, Sink, check_size, reject_duplicates};
use super::pattern::Pattern;
use super::{Failure, IngestError, IngestRequest, Ingested, MAX_NAMED, input};

/// Number of objects whose files are fetched at the same time.
const OBJECTS_AT_ONCE: usize = 8;
/// Maximum number of unexpected units that a note names.
const MAX_UNITS: usize = 3;

/// A catalogue that was read, and the location of its cutouts.
pub(super) struct CutoutSource {
    columns: Columns,
    /// Rows whose values cannot be right, with the first problem of each.
    bad: BTreeMap<usize, String>,
    chosen: String,
    pattern: Pattern,
    /// Columns that the pattern contains, by their names in the pattern.
    values: Vec<(String, Values)>,
    bucket: Bucket,
    folder: String,
}

impl CutoutSource {
    /// Reads the catalogue. Reads no cutout yet.
    pub(super) fn open(
        runtime: &Handle,
        stores: &Stores,
        name: &str,
        cutouts: &str,
        stated: &[(Role, String)],
    ) -> Result<Self, IngestError> {
        let pattern = Pattern::parse(cutouts).map_err(|problem| input("--cutouts", problem))?;
        let (bucket, folder) = stores.open_url(&pattern.folder)?;
        let complain = |problem: String| input(name, problem);
        let catalogue = runtime.block_on(Catalogue::fetch(stores, name, stated))?;
        let chosen = choose(catalogue.names(), stated).map_err(complain)?;
        let in_pattern: Vec<usize> = pattern
            .columns()
            .map(|column| in_pattern(catalogue.names(), &chosen, column))
            .collect::<Result<_, _>>()
            .map_err(|problem| input("--cutouts", problem))?;
        let Chosen { bands, object_id, ra, dec, redshift } = chosen;
        let others = [object_id, ra, dec, redshift].into_iter().flatten().chain(in_pattern.iter().copied());
        let table = Table::read(&catalogue, bands.into_iter().chain(others)).map_err(complain)?;
        let values = pattern.columns().map(str::to_owned).zip(in_pattern.iter().map(|&at| table.of(at).clone()));
        let values = values.collect();
        let (columns, bad) = columns(&table, &chosen).map_err(complain)?;
        if let Some(objects) = &columns.objects {
            reject_duplicates(objects, name)?;
        }
        Ok(Self { columns, bad, chosen: describe(&chosen, catalogue.names()), pattern, values, bucket, folder })
    }

    /// Streams the files of these rows, in order. Fetches a few rows ahead.
    fn files<'a>(&'a self, rows: &'a [usize]) -> impl Stream<Item = (usize, Result<Vec<Bytes>, FetchError>)> + 'a {
        futures::stream::iter(rows)
            .map(move |&row| async move { (row, self.fetch(row).await) })
            .buffered(OBJECTS_AT_ONCE)
    }

    async fn fetch(&self, row: usize) -> Result<Vec<Bytes>, FetchError> {
        let bands = if self.pattern.has_bands() { &BAND_NAMES[..] } else { &[""] };
        try_join_all(bands.iter().map(|band| async move {
            let value = |name: &str| self.values.iter().find(|(found, _)| found == name)?.1.text(row);
            let name = self.pattern.fill(band, value).map_err(FetchError::Row)?;
            let key = if self.folder.is_empty() { name } else { format!("{}/{name}", self.folder) };
            match self.bucket.read(&key, MAX_CUTOUT_BYTES, "a cutout").await {
                Ok(bytes) => Ok(bytes),
                Err(error) if error.is_not_found() => {
                    Err(FetchError::Row(format!("`{}` not found", self.bucket.url(&key))))
                }
                Err(error @ (StorageError::TooLarge { .. } | StorageError::Location { .. })) => {
                    Err(FetchError::Row(error.to_string()))
                }
                Err(error) => Err(FetchError::Store(error)),
            }
        }))
        .await
    }

    /// Decodes the image of a row from its files.
    fn image(&self, files: Vec<Bytes>, crop: Option<usize>) -> Result<Cutout, String> {
        let is_cube = files.len() == 1;
        let mut whole: Option<Cutout> = None;
        for (band, file) in files.into_iter().enumerate() {
            let wanted = if is_cube { Wanted::Cube } else { Wanted::Band(band) };
            let of_band = |problem| if is_cube { problem } else { format!("band {}: {problem}", BAND_NAMES[band]) };
            let cutout = cutout::read(file, wanted).map_err(of_band)?;
            whole = Some(match whole {
                None => cutout,
                Some(whole) => whole.with_band(cutout).map_err(of_band)?,
            });
        }
        let cutout = whole.ok_or_else(|| "no file".to_owned())?;
        check_size((cutout.height, cutout.width), crop)?;
        Ok(cutout)
    }

    fn failure(&self, row: usize, problem: String) -> Failure {
        let object_id = self.columns.objects.as_ref().and_then(|objects| objects.object_id()[row].clone());
        Failure { row, object_id, problem }
    }
}

/// Error of fetching the files of a row.
enum FetchError {
    /// This row has no usable cutout.
    Row(String),
    /// The store failed. The row may have a usable cutout.
    Store(StorageError),
}

pub(super) fn ingest<W: Write>(
    source: CutoutSource,
    runtime: &Handle,
    request: &IngestRequest,
    skip_bad: bool,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let bad = || source.bad.iter().map(|(&row, problem)| source.failure(row, problem.clone()));
    if !skip_bad && !source.bad.is_empty() {
        return Err(rows_error(bad().take(MAX_NAMED).collect(), source.bad.len() > MAX_NAMED));
    }
    let good: Vec<usize> = (0..source.columns.len()).filter(|row| !source.bad.contains_key(row)).collect();
    let mut rows = good.clone();
    let mut skipped: Vec<Failure> = bad().collect();
    if skip_bad {
        // The writer needs the number of samples before the first image.
        let (mut size, mut done) = (None, 0);
        rows.clear();
        each(&source, runtime, &good, request.crop, &mut size, |row, image| {
            match image {
                Ok(_) => rows.push(row),
                Err(problem) => skipped.push(source.failure(row, problem)),
            }
            done += 1;
            progress(done, good.len());
            Ok(())
        })?;
        skipped.sort_by_key(|failure| failure.row);
        if rows.is_empty() {
            let is_cut_short = skipped.len() > MAX_NAMED;
            skipped.truncate(MAX_NAMED);
            return Err(rows_error(skipped, is_cut_short));
        }
    }
    let kept = source.columns.keep(&rows);
    let (mut ingested, out) = write(&source, &kept, runtime, &rows, request, out, progress)?;
    ingested.notes.insert(0, format!("columns: {}", source.chosen));
    ingested.rows_skipped = skipped.len();
    skipped.truncate(MAX_NAMED);
    ingested.skipped = skipped;
    Ok((ingested, out))
}

/// Writes these rows. Fails if one of them has no image.
fn write<W: Write>(
    source: &CutoutSource,
    columns: &Columns,
    runtime: &Handle,
    rows: &[usize],
    request: &IngestRequest,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let (mut size, mut out, mut sink, mut done) = (None, Some(out), None::<Sink<'_, W>>, 0);
    let (mut failed, mut units) = (Vec::new(), Vec::new());
    each(source, runtime, rows, request.crop, &mut size, |row, image| {
        let cutout = match image {
            Ok(cutout) => cutout,
            Err(problem) => {
                failed.push(source.failure(row, problem));
                return if failed.len() == MAX_NAMED {
                    Err(rows_error(std::mem::take(&mut failed), true))
                } else {
                    Ok(())
                };
            }
        };
        if let Some(unit) = cutout.unit
            && !is_nanomaggies(&unit)
            && !units.contains(&unit)
        {
            units.push(unit);
        }
        // After the first failure, the remaining rows are only checked for more failures.
        if failed.is_empty() {
            let size = (cutout.height, cutout.width);
            if let Some(out) = out.take() {
                sink = Some(Sink::new(out, columns, size, request)?);
            }
            if let Some(sink) = &mut sink {
                sink.put(cutout.pixels, size, done)?;
            }
            done += 1;
            progress(done, rows.len());
        }
        Ok(())
    })?;
    if !failed.is_empty() {
        return Err(rows_error(failed, false));
    }
    let sink = sink.ok_or_else(|| input("--cutouts", "no image was read"))?;
    let (mut ingested, out) = sink.finish()?;
    if !units.is_empty() && request.flux_scale.is_none() {
        units.truncate(MAX_UNITS);
        ingested.notes.push(format!(
            "the headers of the cutouts state the unit `{}`, but partitions are in nanomaggies; convert with \
             `--flux-scale`",
            units.join("`, `")
        ));
    }
    Ok((ingested, out))
}

fn rows_error(failed: Vec<Failure>, is_cut_short: bool) -> IngestError {
    IngestError::Rows { failed, is_cut_short }
}

/// Calls `take` for each of `rows`, with its image or the reason why it has none. `size` is the size of the first
/// image; other images must have the same, unless they are cropped.
fn each(
    source: &CutoutSource,
    runtime: &Handle,
    rows: &[usize],
    crop: Option<usize>,
    size: &mut Option<(usize, usize)>,
    mut take: impl FnMut(usize, Result<Cutout, String>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let mut files = std::pin::pin!(source.files(rows));
    while let Some((row, files)) = runtime.block_on(files.next()) {
        let image = match files {
            Ok(files) => source.image(files, crop),
            Err(FetchError::Row(problem)) => Err(problem),
            Err(FetchError::Store(error)) => return Err(error.into()),
        };
        let image = image.and_then(|image| {
            let found = (image.height, image.width);
            match *size.get_or_insert(found) {
                first if crop.is_none() && first != found => Err(format!(
                    "{}×{} pixels, but earlier images have {}×{}; pass `--crop` to give all images one size",
                    found.0, found.1, first.0, first.1
                )),
                _ => Ok(image),
            }
        });
        take(row, image)?;
    }
    Ok(())
}

/// Returns the index of a column that the pattern names, by its role (such as `object_id`) or by its name in the
/// catalogue.
fn in_pattern(names: &[String], chosen: &Chosen, column: &str) -> Result<usize, String> {
    let by_role = match column.parse() {
        Ok(Role::ObjectId) => chosen.object_id,
        Ok(Role::Ra) => chosen.ra,
        Ok(Role::Dec) => chosen.dec,
        Ok(Role::Redshift) => chosen.redshift,
        _ => None,
    };
    by_role.map_or_else(|| find(names, column), Ok)
}

/// Makes the columns of a partition, and finds the rows with values that cannot be right: a text in place of a number,
/// or a position that is not on the sky. Such a value is unknown in the columns.
fn columns(table: &Table<'_>, chosen: &Chosen) -> Result<(Columns, BTreeMap<usize, String>), String> {
    let mut bad = BTreeMap::new();
    let mut numbers = |place: usize| {
        table.numbers_or(place, |row, problem| {
            bad.entry(row).or_insert(problem);
        })
    };
    let rows = table.len();
    let bands = chosen.bands.map(&mut numbers);
    let magnitudes = (0..rows).flat_map(|row| bands.iter().map(move |band| band[row])).collect();
    let redshift = chosen.redshift.map(&mut numbers).map(|redshift| (redshift, Dtype::F64));
    let mut degrees = |place: Option<usize>| {
        place.map_or_else(|| vec![None; rows], |place| numbers(place).into_iter().map(Some).collect::<Vec<_>>())
    };
    let (mut ra, mut dec) = (degrees(chosen.ra), degrees(chosen.dec));
    let mut objects = None;
    if chosen.object_id.or(chosen.ra).or(chosen.dec).is_some() {
        let mut ids = chosen.object_id.map_or_else(|| Ok(vec![None; rows]), |place| table.identifiers(place))?;
        for row in 0..rows {
            if let Some(problem) = Objects::problem(ids[row].as_deref(), ra[row], dec[row]) {
                bad.entry(row).or_insert(problem);
                (ids[row], ra[row], dec[row]) = (ids[row].take().filter(|id| id.len() <= MAX_ID_BYTES), None, None);
            }
        }
        objects = Some(Objects::new(ids, ra, dec).map_err(|error| error.to_string())?);
    }
    Ok((Columns { magnitudes, magnitude_dtype: Dtype::F64, redshift, objects }, bad))
}

/// Describes the choice of columns for the user: `u=modelMag_u …`.
fn describe(chosen: &Chosen, names: &[String]) -> String {
    let Chosen { bands, object_id, ra, dec, redshift } = *chosen;
    let bands = BAND_NAMES.into_iter().zip(bands.map(Some));
    let others = [("redshift", redshift), ("object_id", object_id), ("ra", ra), ("dec", dec)];
    let all: Vec<String> = bands
        .chain(others)
        .map(|(role, place)| format!("{role}={}", place.map_or("(none)", |place| names[place].as_str())))
        .collect();
    all.join(" ")
}

fn is_nanomaggies(unit: &str) -> bool {
    ["nanomaggy", "nanomaggie", "nanomaggies", "nmgy"].iter().any(|known| unit.eq_ignore_ascii_case(known))
}
