//! Makes partitions from numpy arrays: an `.npz` file, `.npy` files, or both.
//!
//! Numbers and names of the samples are held in memory. Images pass through a few megabytes at a time, also from a
//! compressed archive, so memory does not grow with them.
//!
//! In reading order: `choose` takes the arrays and columns of a partition by name, `table` reads the columns, `images`
//! decodes the images, `parts` writes one partition or many.

mod choose;
mod elements;
mod finished;
mod images;
mod magnitudes;
mod names;
mod parts;
mod table;

use std::convert::identity;
use std::io::Read as _;

use pipeline::storage::Stores;
use tokio::runtime::Handle;
use zip::{CompressionMethod, ZipArchive};

use super::npy::{Header, HeaderError};
use super::ranged::Ranged;
use super::{ArraySource, IngestError, guarded, input};
use elements::Elements;

pub(super) use parts::{Destination, ingest, ingest_parts};

/// Maximum number of arrays of an archive.
const MAX_ARRAYS: usize = 256;
/// Maximum ratio of compression. Deflate reaches 1,032 at most, so a larger ratio in a header is false.
const MAX_DEFLATE_RATIO: u64 = 1_100;

/// Opened files that hold the arrays.
pub(super) struct Arrays {
    archive: Option<(String, Box<ZipArchive<Ranged>>)>,
    files: Vec<(String, Ranged)>,
    arrays: Vec<Array>,
}

/// Array in an archive or in a file of its own.
struct Array {
    name: String,
    place: Place,
    header: Result<Header, HeaderError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Index in the archive.
    Entry(usize),
    /// Index among the files.
    File(usize),
}

impl Arrays {
    /// Opens the archive and the files of `source`, and reads the header of each array.
    pub(super) fn open(runtime: &Handle, stores: &Stores, source: &ArraySource) -> Result<Self, IngestError> {
        let ranged = |name: &str| stores.open_url(name).and_then(|(bucket, key)| Ranged::open(runtime, &bucket, &key));
        let mut opened = Self { archive: None, files: Vec::new(), arrays: Vec::new() };
        if let Some(name) = &source.archive {
            opened.open_archive(name, ranged(name)?)?;
        }
        for name in source.names().into_iter().filter_map(|(_, name)| name.filter(|name| is_file(name))) {
            if opened.files.iter().any(|(found, _)| found == name) {
                continue;
            }
            opened.files.push((name.to_owned(), ranged(name)?));
            let place = Place::File(opened.files.len() - 1);
            let header = opened.header(name, place)?;
            opened.arrays.push(Array { name: name.to_owned(), place, header });
        }
        Ok(opened)
    }

    fn open_archive(&mut self, name: &str, file: Ranged) -> Result<(), IngestError> {
        let open =
            || ZipArchive::new(file).map_err(|error| format!("not an `.npz` file (a zip archive of arrays): {error}"));
        let archive = guarded(open, identity).map_err(|problem| input(name, problem))?;
        if archive.has_duplicate_names() {
            return Err(input(name, "two arrays have the same name"));
        }
        if archive.len() > MAX_ARRAYS {
            return Err(input(name, format!("{} arrays, more than the limit of {MAX_ARRAYS}", archive.len())));
        }
        let entries = archive.file_names().map(|name| name.map(|name| name.into_owned()).unwrap_or_default());
        let entries: Vec<String> = entries.collect();
        self.archive = Some((name.to_owned(), Box::new(archive)));
        for (index, entry) in entries.into_iter().enumerate() {
            let Some(array) = entry.strip_suffix(".npy") else { continue };
            let place = Place::Entry(index);
            let header = self.header(array, place)?;
            self.arrays.push(Array { name: array.to_owned(), place, header });
        }
        Ok(())
    }

    /// Reads the header of an array. Fails if the file itself cannot be read.
    fn header(&mut self, name: &str, place: Place) -> Result<Result<Header, HeaderError>, IngestError> {
        let shown = self.shown(name, place);
        self.with_elements(place, &shown, |elements, _| Ok(Header::read(elements)))
    }

    /// Name of an array in messages.
    fn describe(&self, array: usize) -> String {
        self.arrays.get(array).map_or_else(String::new, |array| self.shown(&array.name, array.place))
    }

    fn shown(&self, name: &str, place: Place) -> String {
        match (&self.archive, place) {
            (Some((archive, _)), Place::Entry(_)) => format!("{archive}: {name}"),
            _ => name.to_owned(),
        }
    }

    /// Name of the whole source in messages.
    fn source(&self) -> String {
        match (&self.archive, self.files.first()) {
            (Some((name, _)), _) | (None, Some((name, _))) => name.clone(),
            (None, None) => "arrays".to_owned(),
        }
    }

    /// Returns the header of an array, or the reason why the array cannot be read.
    fn readable(&self, array: usize) -> Result<&Header, IngestError> {
        let shown = self.describe(array);
        let Some(found) = self.arrays.get(array) else { return Err(input(&shown, "array not found")) };
        found.header.as_ref().map_err(|error| input(&shown, self.explain(found, error)))
    }

    /// Problem of a header, and for a pickle the line of Python that converts it.
    fn explain(&self, array: &Array, error: &HeaderError) -> String {
        let name = &array.name;
        let (load, file) = match (&self.archive, array.place) {
            (Some((archive, _)), Place::Entry(_)) => {
                (format!("np.load('{archive}', allow_pickle=True)['{name}']"), format!("{name}.npy"))
            }
            _ => (format!("np.load('{name}', allow_pickle=True)"), "converted.npy".to_owned()),
        };
        match error {
            HeaderError::Unreadable(problem) => problem.clone(),
            HeaderError::Pickled => format!(
                "{error}; if you trust the file, convert the array with `python3 -c \"import numpy as np; a = {load}; \
                 np.save('{file}', np.rec.fromrecords(a.tolist(), names=a.dtype.names) if a.dtype.names else \
                 np.array(a.tolist()))\"` and pass `{file}` by its option, such as `--labels {file}`"
            ),
        }
    }

    /// Calls `take` with the header and the elements of an array. `take` must read or skip all elements.
    fn with<T>(
        &mut self,
        array: usize,
        take: impl FnOnce(&Header, &mut Elements<'_>) -> Result<T, IngestError>,
    ) -> Result<T, IngestError> {
        self.readable(array)?;
        let shown = self.describe(array);
        let Some(place) = self.arrays.get(array).map(|array| array.place) else {
            return Err(input(&shown, "array not found"));
        };
        self.with_elements(place, &shown, |elements, bytes| read_array(elements, bytes, &shown, take))
    }

    /// Calls `take` with the bytes of an array and their number, from the header on.
    fn with_elements<T>(
        &mut self,
        place: Place,
        shown: &str,
        take: impl FnOnce(&mut Elements<'_>, u64) -> Result<T, IngestError>,
    ) -> Result<T, IngestError> {
        let complain = |problem: String| input(shown, problem);
        let missing = || input(shown, "array not found");
        let index = match place {
            Place::File(file) => {
                let (_, file) = self.files.get_mut(file).ok_or_else(missing)?;
                let bytes = file.length();
                std::io::Seek::rewind(file).map_err(|error| complain(error.to_string()))?;
                return take(&mut Elements::seekable(file, bytes, None), bytes);
            }
            Place::Entry(index) => index,
        };
        let (_, archive) = self.archive.as_mut().ok_or_else(missing)?;
        let read = || {
            let failed = |error: zip::result::ZipError| complain(error.to_string());
            // Opens the entry, which also rejects encrypted ones.
            let entry = archive.by_index(index).map_err(failed)?;
            let (packed, bytes, crc32) = (entry.compressed_size(), entry.size(), entry.crc32());
            let is_stored = entry.compression() == CompressionMethod::Stored;
            drop(entry);
            let limit =
                if is_stored { packed } else { packed.saturating_mul(MAX_DEFLATE_RATIO).saturating_add(1 << 10) };
            if bytes > limit {
                return Err(complain(format!("{bytes} bytes compressed to {packed}, which is impossible: damaged")));
            }
            if is_stored {
                let mut entry = archive.by_index_seek(index).map_err(failed)?;
                return take(&mut Elements::seekable(&mut entry, bytes, Some(crc32)), bytes);
            }
            let mut entry = archive.by_index(index).map_err(failed)?;
            take(&mut Elements::stream(&mut entry), bytes)
        };
        guarded(read, complain)
    }
}

/// Reads one array to its end. `bytes` is its size, including the header.
fn read_array<T>(
    elements: &mut Elements<'_>,
    bytes: u64,
    shown: &str,
    take: impl FnOnce(&Header, &mut Elements<'_>) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let complain = |problem: String| input(shown, problem);
    let header = Header::read(elements).map_err(|error| complain(error.to_string()))?;
    let stated = header.data_bytes();
    let found = bytes.saturating_sub(header.bytes);
    if stated != Some(found) {
        let needed = stated.map_or("more bytes than a file can have".to_owned(), |bytes| format!("{bytes} bytes"));
        let (shape, element) = (header.python_shape(), header.describe());
        return Err(complain(format!(
            "`{element}` of shape {shape} takes {needed}, but {found} were found: truncated or damaged"
        )));
    }
    let taken = take(&header, elements)?;
    // A compressed entry compares its checksum only when it is read to its end.
    match elements.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => return Err(complain("more bytes than its header states: damaged".to_owned())),
        Err(error) => return Err(complain(format!("damaged: {error}"))),
    }
    elements.check().map_err(complain)?;
    Ok(taken)
}

/// Returns true for the name of a file, as opposed to the name of an array in an archive.
pub(super) fn is_file(name: &str) -> bool {
    name.ends_with(".npy")
}

#[cfg(test)]
mod tests;
