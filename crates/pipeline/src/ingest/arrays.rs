//! Numpy's arrays: an `.npz`, or one `.npy` for each array, in; a partition out.
//!
//! The small arrays are read whole, one number or name for each sample; images pass through a few megabytes at a time,
//! from a compressed archive too.

use std::io::{Read, Write};

use tokio::runtime::Handle;
use zip::ZipArchive;

use super::npy::{Header, Kind};
use super::ranged::Ranged;
use super::sink::{Columns, Sink, check_size, refuse_doubles};
use super::{IngestError, Ingested, MAX_SAMPLES, NpyFiles, Request, guarded, input};
use crate::objects::Objects;
use crate::partition::{BANDS, Dtype};
use crate::storage::Stores;

/// Every array that a partition is made of; the first two must be there.
const NAMES: [&str; 6] = ["images", "magnitudes", "redshift", "object_id", "ra", "dec"];
/// The largest array that is held whole, in bytes: all but the images.
const MAX_HELD_BYTES: u64 = 8 << 30;
/// Deflate cannot shrink more than 1,032-fold; an entry that says so lies.
const MAX_DEFLATE_RATIO: u64 = 1_100;
/// Bytes of images as float32 that are decoded between two writes.
const CHUNK_BYTES: usize = 8 << 20;

/// Where the arrays are.
pub(super) enum Arrays {
    Archive { name: String, archive: Box<ZipArchive<Ranged>> },
    Files(Vec<(&'static str, String, Ranged)>),
}

impl Arrays {
    /// The arrays of an `.npz`.
    pub(super) fn npz(runtime: &Handle, stores: &Stores, name: &str) -> Result<Self, IngestError> {
        let (bucket, key) = stores.open_url(name)?;
        let file = Ranged::open(runtime, &bucket, &key)?;
        let archive = guarded(|| {
            ZipArchive::new(file).map_err(|error| format!("no `.npz`, which is a zip archive of arrays: {error}"))
        });
        let archive = archive.map_err(|problem| input(name, problem))?;
        if archive.has_duplicate_names() {
            return Err(input(name, "two arrays of the same name in it"));
        }
        Ok(Self::Archive { name: name.to_owned(), archive: Box::new(archive) })
    }

    /// One file for each array.
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

    /// What messages call an array.
    fn describe(&self, array: &str) -> String {
        match self {
            Self::Archive { name, .. } => format!("{name}: {array}"),
            Self::Files(files) => {
                files.iter().find(|(found, ..)| *found == array).map_or(array.to_owned(), |(_, name, _)| name.clone())
            }
        }
    }

    /// The arrays that are there and of no use to a partition.
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

    /// Hands an array's header and elements to `take`, which reads all of them; None where there is no such array.
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
                let opened = guarded(|| archive.by_index(index).map_err(|error| error.to_string()));
                let mut entry = opened.map_err(complain)?;
                let (packed, bytes) = (entry.compressed_size(), entry.size());
                if bytes > packed.saturating_mul(MAX_DEFLATE_RATIO).saturating_add(1 << 10) {
                    return Err(complain(format!("{bytes} bytes packed in {packed}, which no compression can")));
                }
                let read = std::panic::AssertUnwindSafe(|| read_array(&mut entry, bytes, &shown, take));
                std::panic::catch_unwind(read)
                    .unwrap_or_else(|_| Err(input(&shown, "damaged: the decoder gave up; make or copy it again")))
                    .map(Some)
            }
        }
    }
}

/// Reads one array of `bytes` bytes, header and all, to its end.
fn read_array<T>(
    mut reader: &mut dyn Read,
    bytes: u64,
    shown: &str,
    take: impl FnOnce(&Header, &mut dyn Read) -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let complain = |problem: String| input(shown, problem);
    let header = Header::read(&mut reader).map_err(complain)?;
    let said = header.data_bytes();
    let found = bytes.saturating_sub(header.bytes);
    if said != Some(found) {
        let said = said.map_or("more bytes than any file has".to_owned(), |said| format!("{said} bytes"));
        let shape = header.python_shape();
        return Err(complain(format!(
            "`{}` of shape {shape} takes {said}, {found} found: truncated or damaged",
            header.descr
        )));
    }
    let taken = take(&header, reader)?;
    // The end of an archive's entry is where its checksum is compared.
    match reader.read(&mut [0]) {
        Ok(0) => Ok(taken),
        Ok(_) => Err(complain("more bytes than it says: damaged".to_owned())),
        Err(error) => Err(complain(format!("damaged: {error}"))),
    }
}

pub(super) fn ingest<W: Write>(
    mut arrays: Arrays,
    request: &Request,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    let missing = |array: &str, arrays: &Arrays| {
        input(
            &arrays.describe(array),
            format!(
                "no such array; {} are expected, and may come with {}",
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
        .map(|name| format!("array `{name}` has no place in a partition: left out"))
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
    // The checksum was compared before the partition is completed.
    let (mut ingested, out) = written.ok_or_else(|| missing("images", &arrays))?.finish()?;
    ingested.notes = notes;
    Ok((ingested, out))
}

/// Copies the images, a few at a time.
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
            .map_err(|problem| input(shown, format!("images from {done} on: {problem}")))?;
        sink.put(pixels, size, done)?;
        progress(done + count, samples);
    }
    Ok(())
}

/// Height and width of images that can be stored.
fn image_size(header: &Header, samples: usize, crop: Option<usize>) -> Result<(usize, usize), String> {
    let shape = header.python_shape();
    let &[found, bands, height, width] = header.shape.as_slice() else {
        return Err(format!("images of shape {shape}, (n, 5, height, width) expected"));
    };
    if found != samples {
        return Err(format!("{found} images for {samples} rows of magnitudes"));
    }
    if bands != BANDS {
        let turn = if width == BANDS { "; turn them with numpy.moveaxis(images, -1, 1)" } else { "" };
        return Err(format!(
            "images of shape {shape}: {bands} bands found, {BANDS} (u g r i z) expected as the second length{turn}"
        ));
    }
    if header.is_fortran {
        return Err(
            "images in Fortran's order, whose pixels are scattered over the file; save numpy.ascontiguousarray(images)"
                .to_owned(),
        );
    }
    check_size((height, width), crop)?;
    Ok((height, width))
}

/// Every array but the images; None where there are no magnitudes.
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
            let objects =
                Objects::new(ids, ra, dec).map_err(|problem| input(&arrays.describe("object_id, ra, dec"), problem))?;
            refuse_doubles(&objects, &shown)?;
            Some(objects)
        }
    };
    Ok(Some(Columns { magnitudes, magnitude_dtype, redshift, objects }))
}

fn magnitudes(header: &Header, mut reader: &mut dyn Read) -> Result<(Vec<f64>, Dtype), String> {
    let samples = match header.shape.as_slice() {
        &[samples, BANDS] => samples,
        _ => return Err(format!("magnitudes of shape {}, (n, 5) expected: u g r i z", header.python_shape())),
    };
    if samples == 0 {
        return Err("no rows in it".to_owned());
    }
    check_held(header, samples)?;
    let mut values = Vec::new();
    header.read_numbers(&mut reader, samples * BANDS, |value| values.push(value))?;
    if header.is_fortran {
        values = (0..samples * BANDS).map(|index| values[index % BANDS * samples + index / BANDS]).collect();
    }
    Ok((values, dtype(header)))
}

/// A number for each sample.
fn column(header: &Header, mut reader: &mut dyn Read, samples: usize) -> Result<(Vec<f64>, Dtype), String> {
    check_column(header, samples)?;
    let mut values = Vec::new();
    header.read_numbers(&mut reader, samples, |value| values.push(value))?;
    Ok((values, dtype(header)))
}

fn check_column(header: &Header, samples: usize) -> Result<(), String> {
    match header.shape.as_slice() {
        &[found] | &[found, 1] if found == samples => check_held(header, samples),
        _ => Err(format!("shape {} found, ({samples},) expected", header.python_shape())),
    }
}

fn check_held(header: &Header, samples: usize) -> Result<(), String> {
    if samples > MAX_SAMPLES {
        return Err(format!("{samples} rows, more than {MAX_SAMPLES}"));
    }
    match header.data_bytes() {
        Some(bytes) if bytes <= MAX_HELD_BYTES => Ok(()),
        _ => Err(format!("more than {MAX_HELD_BYTES} bytes, where one number or name a sample is expected")),
    }
}

/// How numbers of this type are stored in a partition without losing any of them.
fn dtype(header: &Header) -> Dtype {
    match header.kind {
        Kind::Float(4 | 2) => Dtype::F32,
        _ => Dtype::F64,
    }
}
