//! A catalogue and a cutout for each of its rows, in; a partition out.
//!
//! Cutouts are fetched a few objects ahead, in the catalogue's order, and forgotten once they are written. A row whose
//! cutout is missing or bad is never filled with anything: either nothing is made, or the row is left out and named.

use std::io::Write;

use bytes::Bytes;
use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;

use super::catalogue::{Catalogue, MAX_CATALOGUE_BYTES, Values};
use super::columns::{BAND_NAMES, Chosen, Role, choose, find};
use super::cutout::{self, Cutout, MAX_CUTOUT_BYTES};
use super::pattern::Pattern;
use super::sink::{Columns, Sink, check_size, refuse_doubles};
use super::{Failure, IngestError, Ingested, MAX_NAMED, Request, input};
use crate::objects::Objects;
use crate::partition::{BANDS, Dtype};
use crate::storage::{Bucket, StorageError, Stores};

/// Objects whose files are fetched at once.
const OBJECTS_AT_ONCE: usize = 8;
/// Units that are called out are named up to this number.
const MAX_UNITS: usize = 3;

/// A catalogue, read, and where its cutouts are.
pub(super) struct Stamps {
    columns: Columns,
    chosen: String,
    pattern: Pattern,
    /// The columns in the pattern, by its names for them.
    values: Vec<(String, Values)>,
    bucket: Bucket,
    folder: String,
}

impl Stamps {
    /// Reads the catalogue; no cutout yet.
    pub(super) fn open(
        runtime: &Handle,
        stores: &Stores,
        name: &str,
        cutouts: &str,
        said: &[(Role, String)],
    ) -> Result<Self, IngestError> {
        let pattern = Pattern::parse(cutouts).map_err(|problem| input("--cutouts", problem))?;
        let (bucket, folder) = stores.open_url(&pattern.folder)?;
        let complain = |problem: String| input(name, problem);
        let (from, key) = stores.open_url(name)?;
        let bytes = runtime.block_on(from.read(&key, MAX_CATALOGUE_BYTES, "a catalogue"))?;
        let catalogue = Catalogue::open(bytes).map_err(complain)?;
        let chosen = choose(catalogue.names(), said).map_err(complain)?;
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
            refuse_doubles(objects, name)?;
        }
        Ok(Self { columns, chosen: describe(&chosen, catalogue.names()), pattern, values, bucket, folder })
    }

    /// The files of some rows, in order, fetched a few rows ahead.
    fn files<'a>(&'a self, rows: &'a [usize]) -> impl Stream<Item = (usize, Result<Vec<Bytes>, Fault>)> + 'a {
        futures::stream::iter(rows)
            .map(move |&row| async move { (row, self.fetch(row).await) })
            .buffered(OBJECTS_AT_ONCE)
    }

    async fn fetch(&self, row: usize) -> Result<Vec<Bytes>, Fault> {
        let bands = if self.pattern.has_bands() { &BAND_NAMES[..] } else { &[""] };
        try_join_all(bands.iter().map(|band| async move {
            let value = |name: &str| self.values.iter().find(|(found, _)| found == name)?.1.text(row);
            let name = self.pattern.fill(band, value).map_err(Fault::Row)?;
            let key = if self.folder.is_empty() { name } else { format!("{}/{name}", self.folder) };
            match self.bucket.read(&key, MAX_CUTOUT_BYTES, "a cutout").await {
                Ok(bytes) => Ok(bytes),
                Err(error) if error.is_not_found() => Err(Fault::Row(format!("no `{}`", self.bucket.url(&key)))),
                Err(error @ (StorageError::TooLarge { .. } | StorageError::Place { .. })) => {
                    Err(Fault::Row(error.to_string()))
                }
                Err(error) => Err(Fault::Store(error)),
            }
        }))
        .await
    }

    /// The image of a row from its files.
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
                    return Err(of_band(format!("{found} pixels, but {height}×{width} in the bands before")));
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

/// Why a row has no cutout.
enum Fault {
    /// The row's own fault.
    Row(String),
    /// The store's: no row can be judged.
    Store(StorageError),
}

pub(super) fn ingest<W: Write>(
    stamps: Stamps,
    runtime: &Handle,
    request: &Request,
    skip_missing: bool,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let all: Vec<usize> = (0..stamps.columns.len()).collect();
    let mut rows = all.clone();
    let mut skipped = Vec::new();
    if skip_missing {
        // How many there are must be known before the first is written.
        let mut size = None;
        rows.clear();
        each(&stamps, runtime, &all, request.crop, &mut size, |row, image| {
            match image {
                Ok(_) => rows.push(row),
                Err(problem) => skipped.push(stamps.failure(row, problem)),
            }
            progress(row + 1, all.len());
            Ok(())
        })?;
        if rows.is_empty() {
            skipped.truncate(MAX_NAMED);
            return Err(IngestError::Cutouts { failed: skipped, is_cut_short: all.len() > MAX_NAMED });
        }
    }
    let kept = stamps.columns.keep(&rows);
    let (mut ingested, out) = write(&stamps, &kept, runtime, &rows, request, out, progress)?;
    ingested.notes.insert(0, format!("columns: {}", stamps.chosen));
    ingested.rows_skipped = skipped.len();
    skipped.truncate(MAX_NAMED);
    ingested.skipped = skipped;
    Ok((ingested, out))
}

/// Writes these rows, all of which must have an image.
fn write<W: Write>(
    stamps: &Stamps,
    columns: &Columns,
    runtime: &Handle,
    rows: &[usize],
    request: &Request,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let (mut size, mut out, mut sink, mut done) = (None, Some(out), None::<Sink<'_, W>>, 0);
    let (mut failed, mut units) = (Vec::new(), Vec::new());
    each(stamps, runtime, rows, request.crop, &mut size, |row, image| {
        let cutout = match image {
            Ok(cutout) => cutout,
            Err(problem) => {
                failed.push(stamps.failure(row, problem));
                return if failed.len() == MAX_NAMED {
                    Err(cutouts(std::mem::take(&mut failed), true))
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
        // Once one has failed, the rest is only looked at for more of them.
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
        return Err(cutouts(failed, false));
    }
    let sink = sink.ok_or_else(|| input("--cutouts", "no image was read"))?;
    let (mut ingested, out) = sink.finish()?;
    if !units.is_empty() && request.flux_scale.is_none() {
        units.truncate(MAX_UNITS);
        ingested.notes.push(format!(
            "cutouts are in `{}` by their headers, partitions in nanomaggies: `--flux-scale` converts them",
            units.join("`, `")
        ));
    }
    Ok((ingested, out))
}

fn cutouts(failed: Vec<Failure>, is_cut_short: bool) -> IngestError {
    IngestError::Cutouts { failed, is_cut_short }
}

/// Hands each of `rows` and its image, or why it has none, to `take`. Images are of one `size`, unless they are cropped.
fn each(
    stamps: &Stamps,
    runtime: &Handle,
    rows: &[usize],
    crop: Option<usize>,
    size: &mut Option<(usize, usize)>,
    mut take: impl FnMut(usize, Result<Cutout, String>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let mut files = std::pin::pin!(stamps.files(rows));
    while let Some((row, files)) = runtime.block_on(files.next()) {
        let image = match files {
            Ok(files) => stamps.image(files, crop),
            Err(Fault::Row(problem)) => Err(problem),
            Err(Fault::Store(error)) => return Err(error.into()),
        };
        let image = image.and_then(|image| {
            let found = (image.height, image.width);
            match *size.get_or_insert(found) {
                first if crop.is_none() && first != found => Err(format!(
                    "{}×{} pixels, but {}×{} before; `--crop` makes them the same",
                    found.0, found.1, first.0, first.1
                )),
                _ => Ok(image),
            }
        });
        take(row, image)?;
    }
    Ok(())
}

/// A column that stands in the pattern: one that is `object_id` and the like, or one of the catalogue's names.
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

/// The columns of a catalogue that were asked for.
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

    /// The column at this place of the catalogue.
    ///
    /// # Panics
    /// When it was not asked for.
    fn of(&self, place: usize) -> &Values {
        &self.values[self.places.binary_search(&place).expect("a column that was asked for")]
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
            Some(Objects::new(ids, degrees(chosen.ra)?, degrees(chosen.dec)?)?)
        } else {
            None
        };
        Ok(Columns { magnitudes, magnitude_dtype: Dtype::F64, redshift, objects })
    }
}

/// `u=modelMag_u …`, so that a person sees what was taken for what.
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
