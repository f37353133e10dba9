//! Makes a partition from a catalogue and one cutout for each of its rows.
//!
//! Cutouts are fetched a few objects ahead, in the order of the catalogue, and dropped once they are written. If a row
//! has no usable cutout, the ingest fails or leaves out the row and names it. It never fills in pixels.

use std::io::Write;

use bytes::Bytes;
use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use pipeline::objects::Objects;
use pipeline::partition::{BANDS, Dtype};
use pipeline::storage::{Bucket, StorageError, Stores};
use tokio::runtime::Handle;

use super::catalogue::{Catalogue, MAX_CATALOGUE_BYTES, Values};
use super::columns::{BAND_NAMES, Chosen, Role, choose, find};
use super::cutout::{self, Cutout, MAX_CUTOUT_BYTES};
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
        let (from, key) = stores.open_url(name)?;
        let bytes = runtime.block_on(from.read(&key, MAX_CATALOGUE_BYTES, "a catalogue"))?;
        let catalogue = Catalogue::open(bytes).map_err(complain)?;
        let chosen = choose(catalogue.names(), stated).map_err(complain)?;
        let in_pattern: Vec<usize> = pattern
            .columns()
            .map(|column| in_pattern(catalogue.names(), &chosen, column))
            .collect::<Result<_, _>>()
            .map_err(|problem| input("--cutouts", problem))?;
        let table = Table::read(&catalogue, &chosen, &in_pattern).map_err(complain)?;
        let values = pattern.columns().map(str::to_owned).zip(in_pattern.iter().map(|&at| table.of(at).clone()));
        let values = values.collect();
        let columns = table.columns(&chosen, catalogue.names()).map_err(complain)?;
        if let Some(objects) = &columns.objects {
            reject_duplicates(objects, name)?;
        }
        Ok(Self { columns, chosen: describe(&chosen, catalogue.names()), pattern, values, bucket, folder })
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
        let planes = BANDS / files.len();
        let mut whole: Option<Cutout> = None;
        for (file, band) in files.into_iter().zip(BAND_NAMES) {
            let of_band = |problem| if planes == 1 { format!("band {band}: {problem}") } else { problem };
            let cutout = cutout::read(file, planes).map_err(of_band)?;
            match &mut whole {
                None => whole = Some(cutout),
                Some(whole) if (whole.height, whole.width) == (cutout.height, cutout.width) => {
                    whole.pixels.extend(cutout.pixels);
                }
                Some(Cutout { height, width, .. }) => {
                    let found = format!("{}×{}", cutout.height, cutout.width);
                    return Err(of_band(format!("{found} pixels, but the bands before it have {height}×{width}")));
                }
            }
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
    skip_missing: bool,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let all: Vec<usize> = (0..source.columns.len()).collect();
    let mut rows = all.clone();
    let mut skipped = Vec::new();
    if skip_missing {
        // The writer needs the number of samples before the first image.
        let mut size = None;
        rows.clear();
        each(&source, runtime, &all, request.crop, &mut size, |row, image| {
            match image {
                Ok(_) => rows.push(row),
                Err(problem) => skipped.push(source.failure(row, problem)),
            }
            progress(row + 1, all.len());
            Ok(())
        })?;
        if rows.is_empty() {
            skipped.truncate(MAX_NAMED);
            return Err(IngestError::Cutouts { failed: skipped, is_cut_short: all.len() > MAX_NAMED });
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
                    Err(cutouts_error(std::mem::take(&mut failed), true))
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
        return Err(cutouts_error(failed, false));
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

fn cutouts_error(failed: Vec<Failure>, is_cut_short: bool) -> IngestError {
    IngestError::Cutouts { failed, is_cut_short }
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

/// Columns that were read from a catalogue, with their indices in it.
struct Table {
    places: Vec<usize>,
    values: Vec<Values>,
}

impl Table {
    fn read(catalogue: &Catalogue, chosen: &Chosen, in_pattern: &[usize]) -> Result<Self, String> {
        let Chosen { bands, object_id, ra, dec, redshift } = chosen;
        let optional = [object_id, ra, dec, redshift].into_iter().flatten();
        let mut places: Vec<usize> = bands.iter().chain(optional).chain(in_pattern).copied().collect();
        places.sort_unstable();
        places.dedup();
        Ok(Self { values: catalogue.read(&places)?, places })
    }

    /// Returns the column at this index of the catalogue.
    ///
    /// # Panics
    /// Panics if the column was not read.
    fn of(&self, place: usize) -> &Values {
        &self.values[self.places.binary_search(&place).expect("a column that was read")]
    }

    fn columns(&self, chosen: &Chosen, names: &[String]) -> Result<Columns, String> {
        let numbers = |place: usize| self.of(place).numbers(&names[place]);
        let bands = chosen.bands.iter().map(|&place| numbers(place)).collect::<Result<Vec<Vec<f64>>, String>>()?;
        let rows = bands[0].len();
        let magnitudes = (0..rows).flat_map(|row| bands.iter().map(move |band| band[row])).collect();
        let redshift = chosen.redshift.map(numbers).transpose()?.map(|redshift| (redshift, Dtype::F64));
        let degrees = |place: Option<usize>| {
            let found = place.map(numbers).transpose()?;
            Ok::<_, String>(found.map_or_else(|| vec![None; rows], |found| found.into_iter().map(Some).collect()))
        };
        let objects = if chosen.object_id.or(chosen.ra).or(chosen.dec).is_some() {
            let ids = chosen.object_id.map(|place| self.of(place).identifiers(&names[place])).transpose()?;
            let ids = ids.unwrap_or_else(|| vec![None; rows]);
            Some(Objects::new(ids, degrees(chosen.ra)?, degrees(chosen.dec)?).map_err(|error| error.to_string())?)
        } else {
            None
        };
        Ok(Columns { magnitudes, magnitude_dtype: Dtype::F64, redshift, objects })
    }
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
