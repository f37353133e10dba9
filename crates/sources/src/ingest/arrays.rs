//! Makes a partition from numpy arrays: an `.npz` file, or one `.npy` file for each array.
//!
//! The arrays with one number or name per sample are read whole. Images pass through a few megabytes at a time, also
//! from a compressed archive.

use std::convert::identity;
use std::io::{Read, Write};

use pipeline::objects::Objects;
use pipeline::partition::{BANDS, Dtype};
use pipeline::storage::Stores;
use tokio::runtime::Handle;
use zip::ZipArchive;

use super::npy::{Header, Kind};
use super::partition_sink::{Columns, Sink, check_size, reject_duplicates};
use super::ranged::Ranged;
use super::{IngestError, IngestRequest, Ingested, MAX_SAMPLES, NpyFiles, guarded, input};

/// Names of the arrays of a partition. The first two are required.
const NAMES: [&str; 6] = ["images", "magnitudes", "redshift", "object_id", "ra", "dec"];
/// Maximum size in bytes of an array that is held whole. Images are not.
const MAX_HELD_BYTES: u64 = 8 << 30;
/// Maximum ratio of compression. Deflate reaches 1,032 at most, so a larger ratio in a header is false.
const MAX_DEFLATE_RATIO: u64 = 1_100;
/// Bytes of images as float32 that are decoded between two writes.
const CHUNK_BYTES: usize = 8 << 20;

/// Opened files that hold the arrays.
pub(super) enum Arrays {
    Archive { name: String, archive: Box<ZipArchive<Ranged>> },
    Files(Vec<(&'static str, String, Ranged)>),
}

impl Arrays {
    /// Opens an `.npz` file.
    pub(super) fn npz(runtime: &Handle, stores: &Stores, name: &str) -> Result<Self, IngestError> {
        let (bucket, key) = stores.open_url(name)?;
        let file = Ranged::open(runtime, &bucket, &key)?;
        let open =
            || ZipArchive::new(file).map_err(|error| format!("not an `.npz` file (a zip archive of arrays): {error}"));
        let archive = guarded(open, identity).map_err(|problem| input(name, problem))?;
        if archive.has_duplicate_names() {
            return Err(input(name, "two arrays have the same name"));
        }
        Ok(Self::Archive { name: name.to_owned(), archive: Box::new(archive) })
    }

    /// Opens one `.npy` file for each array.
    pub(super) fn npy(runtime: &Handle, stores: &Stores, files: &NpyFiles) -> Result<Self, IngestError> {
        let NpyFiles { images, magnitudes, redshift, object_id, ra, dec } = files;
        let named = [Some(images), Some(magnitudes), redshift.as_ref(), object_id.as_ref(), ra.as_ref(), dec.as_ref()];
        let open = |(array, name): (&'static str, Option<&String>)| {
            let name = name?;
            let opened = stores.open_url(name).and_then(|(bucket, key)| Ranged::open(runtime, &bucket, &key));
            Some(opened.map(|file| (array, name.clone(), file)))
        };
        let files = NAMES.into_iter().zip(named).filter_map(open).collect::<Result<_, _>>()?;
        Ok(Self::Files(files))
    }

    /// Name of an array in messages.
    fn describe(&self, array: &str) -> String {
        match self {
            Self::Archive { name, .. } => format!("{name}: {array}"),
            Self::Files(files) => {
                files.iter().find(|(found, ..)| *found == array).map_or(array.to_owned(), |(_, name, _)| name.clone())
            }
        }
    }

    /// Names of the arrays that a partition does not have.
    fn others(&self) -> Vec<String> {
        match self {
            Self::Archive { archive, .. } => {
                let names = archive.file_names().filter_map(Result::ok);
                let names = names.map(|name| name.trim_end_matches(".npy").to_owned());
                names.filter(|name| !NAMES.contains(&name.as_str())).collect()
            }
            Self::Files(_) => Vec::new(),
        }
    }

    /// Calls `take` with the header and the elements of an array. `take` must read all elements. Returns None if the
    /// array does not exist.
    fn with<T>(
        &mut self,
        array: &str,
        take: impl FnOnce(&Header, &mut dyn Read) -> Result<T, IngestError>,
    ) -> Result<Option<T>, IngestError> {
        let shown = self.describe(array);
        let complain = |problem: String| input(&shown, problem);
        match self {
            Self::Files(files) => {
                let Some((_, _, file)) = files.iter_mut().find(|(found, ..)| *found == array) else { return Ok(None) };
                let bytes = file.length();
                read_array(file, bytes, &shown, take).map(Some)
            }
            Self::Archive { archive, .. } => {
                let Some(index) = archive.index_for_name(&format!("{array}.npy")) else { return Ok(None) };
                let opened = guarded(|| archive.by_index(index).map_err(|error| error.to_string()), identity);
                let mut entry = opened.map_err(complain)?;
                let (packed, bytes) = (entry.compressed_size(), entry.size());
                if bytes > packed.saturating_mul(MAX_DEFLATE_RATIO).saturating_add(1 << 10) {
                    return Err(complain(format!(
                        "{bytes} bytes compressed to {packed}, which is impossible: damaged"
                    )));
                }
                guarded(|| read_array(&mut entry, bytes, &shown, take), complain).map(Some)
            }
        }
    }
}

/// Reads one array to its end. `bytes` is its size, including the header.
fn read_array<T>(
    mut reader: &mut dyn Read,
    bytes: u64,
    shown: &str,
    take: impl FnOnce(&Header, &mut dyn Read) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let complain = |problem: String| input(shown, problem);
    let header = Header::read(&mut reader).map_err(complain)?;
    let stated = header.data_bytes();
    let found = bytes.saturating_sub(header.bytes);
    if stated != Some(found) {
        let needed = stated.map_or("more bytes than a file can have".to_owned(), |bytes| format!("{bytes} bytes"));
        let shape = header.python_shape();
        return Err(complain(format!(
            "`{}` of shape {shape} takes {needed}, but {found} were found: truncated or damaged",
            header.descr
        )));
    }
    let taken = take(&header, reader)?;
    // The archive compares an entry's checksum only when it is read to its end.
    match reader.read(&mut [0]) {
        Ok(0) => Ok(taken),
        Ok(_) => Err(complain("more bytes than its header states: damaged".to_owned())),
        Err(error) => Err(complain(format!("damaged: {error}"))),
    }
}

pub(super) fn ingest<W: Write>(
    mut arrays: Arrays,
    request: &IngestRequest,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let missing = |array: &str, arrays: &Arrays| {
        input(
            &arrays.describe(array),
            format!(
                "array not found; {} are required, {} are optional",
                NAMES[..2].join(" and "),
                NAMES[2..].join(", ")
            ),
        )
    };
    let columns = columns(&mut arrays)?.ok_or_else(|| missing("magnitudes", &arrays))?;
    let shown = arrays.describe("images");
    let mut notes: Vec<String> = arrays
        .others()
        .into_iter()
        .map(|name| format!("array `{name}` is not part of a partition: left out"))
        .collect();
    let written = arrays.with("images", |header, reader| {
        let size = image_size(header, columns.len(), request.crop).map_err(|problem| input(&shown, problem))?;
        if header.kind != Kind::Float(4) {
            notes.push(format!("images are `{}`: stored as float32", header.descr));
        }
        let mut sink = Sink::new(out, &columns, size, request)?;
        stream(header, reader, size, columns.len(), &shown, &mut sink, progress)?;
        Ok(sink)
    })?;
    // The checksum of the images has been compared by now.
    let (mut ingested, out) = written.ok_or_else(|| missing("images", &arrays))?.finish()?;
    ingested.notes = notes;
    Ok((ingested, out))
}

/// Copies the images to the partition, a few at a time.
fn stream<W: Write>(
    header: &Header,
    mut reader: &mut dyn Read,
    size: (usize, usize),
    samples: usize,
    shown: &str,
    sink: &mut Sink<'_, W>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), IngestError> {
    let image = BANDS * size.0 * size.1;
    let at_once = (CHUNK_BYTES / (4 * image)).max(1);
    for done in (0..samples).step_by(at_once) {
        let count = at_once.min(samples - done);
        let mut pixels = Vec::with_capacity(count * image);
        header
            .read_numbers(&mut reader, count * image, |pixel| pixels.push(pixel as f32))
            .map_err(|problem| input(shown, format!("at image {done} or after it: {problem}")))?;
        sink.put(pixels, size, done)?;
        progress(done + count, samples);
    }
    Ok(())
}

/// Returns the height and width of the images.
///
/// # Errors
/// Fails if their shape does not fit the other arrays, or if they cannot be cropped as requested.
fn image_size(header: &Header, samples: usize, crop: Option<usize>) -> Result<(usize, usize), String> {
    let shape = header.python_shape();
    let &[found, bands, height, width] = header.shape.as_slice() else {
        return Err(format!("images of shape {shape}; expected (n, 5, height, width)"));
    };
    if found != samples {
        return Err(format!("{found} images for {samples} rows of magnitudes"));
    }
    if bands != BANDS {
        let hint = if width == BANDS { "; convert them with numpy.moveaxis(images, -1, 1)" } else { "" };
        return Err(format!(
            "images of shape {shape}: expected {BANDS} bands (u g r i z) as the second dimension, found {bands}{hint}"
        ));
    }
    if header.is_fortran {
        return Err(
            "images in Fortran order, which cannot be read piece by piece; save numpy.ascontiguousarray(images)"
                .to_owned(),
        );
    }
    check_size((height, width), crop)?;
    Ok((height, width))
}

/// Reads every array except the images. Returns None if there are no magnitudes.
fn columns(arrays: &mut Arrays) -> Result<Option<Columns>, IngestError> {
    let shown = arrays.describe("magnitudes");
    let magnitudes = arrays
        .with("magnitudes", |header, reader| magnitudes(header, reader).map_err(|problem| input(&shown, problem)))?;
    let Some((magnitudes, magnitude_dtype)) = magnitudes else { return Ok(None) };
    let samples = magnitudes.len() / BANDS;
    let mut numbers = |array: &str| {
        let shown = arrays.describe(array);
        arrays.with(array, |header, reader| column(header, reader, samples).map_err(|problem| input(&shown, problem)))
    };
    let redshift = numbers("redshift")?;
    let degrees = |found: Option<(Vec<f64>, Dtype)>| {
        found.map(|(values, _)| values.into_iter().map(Some).collect::<Vec<Option<f64>>>())
    };
    let (ra, dec) = (degrees(numbers("ra")?), degrees(numbers("dec")?));
    let shown = arrays.describe("object_id");
    let ids = arrays.with("object_id", |header, mut reader| {
        let mut ids = Vec::new();
        check_column(header, samples)
            .and_then(|()| header.read_texts(&mut reader, samples, |id| ids.push(Some(id))))
            .map_err(|problem| input(&shown, problem))?;
        Ok(ids)
    })?;
    let objects = match (ids, ra, dec) {
        (None, None, None) => None,
        (ids, ra, dec) => {
            let ids = ids.unwrap_or_else(|| vec![None; samples]);
            let (ra, dec) = (ra.unwrap_or_else(|| vec![None; samples]), dec.unwrap_or_else(|| vec![None; samples]));
            let objects = Objects::new(ids, ra, dec)
                .map_err(|problem| input(&arrays.describe("object_id, ra, dec"), problem.to_string()))?;
            reject_duplicates(&objects, &shown)?;
            Some(objects)
        }
    };
    Ok(Some(Columns { magnitudes, magnitude_dtype, redshift, objects }))
}

fn magnitudes(header: &Header, mut reader: &mut dyn Read) -> Result<(Vec<f64>, Dtype), String> {
    let samples = match header.shape.as_slice() {
        &[samples, BANDS] => samples,
        _ => return Err(format!("magnitudes of shape {}; expected (n, 5), bands u g r i z", header.python_shape())),
    };
    if samples == 0 {
        return Err("no rows".to_owned());
    }
    check_held(header, samples)?;
    let mut values = Vec::new();
    header.read_numbers(&mut reader, samples * BANDS, |value| values.push(value))?;
    if header.is_fortran {
        values = (0..samples * BANDS).map(|index| values[index % BANDS * samples + index / BANDS]).collect();
    }
    Ok((values, dtype(header)))
}

/// Reads one number for each sample.
fn column(header: &Header, mut reader: &mut dyn Read, samples: usize) -> Result<(Vec<f64>, Dtype), String> {
    check_column(header, samples)?;
    let mut values = Vec::new();
    header.read_numbers(&mut reader, samples, |value| values.push(value))?;
    Ok((values, dtype(header)))
}

fn check_column(header: &Header, samples: usize) -> Result<(), String> {
    match header.shape.as_slice() {
        &[found] | &[found, 1] if found == samples => check_held(header, samples),
        _ => Err(format!("expected shape ({samples},), found {}", header.python_shape())),
    }
}

fn check_held(header: &Header, samples: usize) -> Result<(), String> {
    if samples > MAX_SAMPLES {
        return Err(format!("{samples} rows, more than the limit of {MAX_SAMPLES}"));
    }
    match header.data_bytes() {
        Some(bytes) if bytes <= MAX_HELD_BYTES => Ok(()),
        _ => Err(format!("more than {MAX_HELD_BYTES} bytes; expected one number or name for each sample")),
    }
}

/// Type in which a partition stores these numbers without loss.
fn dtype(header: &Header) -> Dtype {
    match header.kind {
        Kind::Float(4 | 2) => Dtype::F32,
        _ => Dtype::F64,
    }
}
