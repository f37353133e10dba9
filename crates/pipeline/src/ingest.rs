//! Partitions from what astronomers have: numpy arrays, or a catalogue and a folder of FITS cutouts, in; one partition
//! and who its galaxies are out.
//!
//! [`ingest`] streams: columns of numbers are held, images pass through a few at a time. What is not a number stays one
//! that is not (it is flagged when it is predicted), and is counted. Nothing in a file is executed: numpy's arrays of
//! Python objects are refused. Decoders of others are kept from panicking beyond this module. Never here: where the
//! partition lands, which is the caller's writer.
//!
//! In reading order: `arrays` (npz and npy) and `stamps` (a catalogue and cutouts) are the two sources, `sink` is where
//! both end. `photometry` reads a catalogue that has no cutouts yet.

mod arrays;
mod catalogue;
mod columns;
mod cutout;
mod npy;
mod pattern;
mod photometry;
mod ranged;
mod sink;
mod stamps;

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;

use crate::objects::Objects;
use crate::storage::{StorageError, Stores};
pub use columns::{ROLES, Role};
pub use photometry::photometry;

/// The most samples of one partition that is made.
pub const MAX_SAMPLES: usize = 1 << 27;
/// Rows that cannot be made are named up to this number; then looking for more of them ends.
pub const MAX_NAMED: usize = 5;

/// Why no partition was made. Nothing of it is of use then.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An input is damaged, hostile, or not what was expected.
    #[error("`{name}`: {problem}")]
    Input {
        /// The file, or the option.
        name: String,
        /// What was found and what is expected.
        problem: String,
    },
    /// Rows of the catalogue have no cutout that can be used.
    #[error(
        "{} cannot be made: {}; mend them, or leave them out with `--skip-missing`",
        counted(failed.len(), *is_cut_short), named(failed)
    )]
    Cutouts {
        /// The first of them.
        failed: Vec<Failure>,
        /// Whether the search for more ended there.
        is_cut_short: bool,
    },
    /// The partition could not be written.
    #[error("write the partition: {0}")]
    Write(io::Error),
}

/// A row of the catalogue that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number in the catalogue, from 0.
    pub row: usize,
    /// Its identifier, where it has one.
    pub object_id: Option<String>,
    /// What is wrong with its cutout.
    pub problem: String,
}

/// What to make a partition of.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The files.
    pub source: Source,
    /// Keep the centre of each image, so many pixels high and wide.
    pub crop: Option<usize>,
    /// Multiply every pixel, to get nanomaggies.
    pub flux_scale: Option<f64>,
}

/// Files to make a partition of; paths or URLs.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One `.npz` with arrays by name.
    Npz(String),
    /// One `.npy` for each array.
    Npy(NpyFiles),
    /// A catalogue, and cutouts by a pattern of their names.
    Catalogue {
        /// CSV, Parquet or FITS.
        catalogue: String,
        /// The pattern, with columns in braces: `stamps/{object_id}.fits`, `stamps/{object_id}-{band}.fits`.
        cutouts: String,
        /// Which columns are what, where that is not to be guessed from their names.
        columns: Vec<(Role, String)>,
        /// Leave out rows whose cutout is missing or bad, instead of failing.
        skip_missing: bool,
    },
}

/// One `.npy` for each array; paths or URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NpyFiles {
    /// (n, 5, H, W).
    pub images: String,
    /// (n, 5).
    pub magnitudes: String,
    /// (n).
    pub redshift: Option<String>,
    /// (n), whole numbers or text.
    pub object_id: Option<String>,
    /// (n), degrees.
    pub ra: Option<String>,
    /// (n), degrees.
    pub dec: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingested {
    /// Samples written.
    pub samples: usize,
    /// Rows of pixels of an image, as written.
    pub height: usize,
    /// Pixels of a row, as written.
    pub width: usize,
    /// Whether the partition has redshifts.
    pub has_redshift: bool,
    /// Samples without a finite redshift, where it has them.
    pub rows_without_redshift: usize,
    /// Samples with a pixel that is not finite.
    pub rows_with_non_finite_pixels: usize,
    /// Samples with a magnitude outside 0 to 40, or not finite.
    pub rows_with_bad_magnitudes: usize,
    /// Who they are, where anything is known of it.
    pub objects: Option<Objects>,
    /// Rows left out.
    pub rows_skipped: usize,
    /// The first [`MAX_NAMED`] of them.
    pub skipped: Vec<Failure>,
    /// What the person should hear: arrays left out, columns chosen, units that look wrong.
    pub notes: Vec<String>,
}

/// Makes the partition and hands the writer back; `progress` hears how many of how many rows are done.
///
/// Waits for stores and decodes: call it on a thread where nothing else waits, with the `runtime` that does the waiting.
pub fn ingest<W: Write>(
    runtime: &Handle,
    stores: &Stores,
    request: &Request,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    match &request.source {
        Source::Npz(name) => arrays::ingest(arrays::Arrays::npz(runtime, stores, name)?, request, out, progress),
        Source::Npy(files) => arrays::ingest(arrays::Arrays::npy(runtime, stores, files)?, request, out, progress),
        Source::Catalogue { catalogue, cutouts, columns, skip_missing } => {
            let source = stamps::Stamps::open(runtime, stores, catalogue, cutouts, columns)?;
            stamps::ingest(source, runtime, request, *skip_missing, out, progress)
        }
    }
}

/// What a decoder of others makes of a file; its panic is an error of the file.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("damaged: the decoder gave up; make or copy it again".to_owned()))
}

/// Unpacks gzip, `limit` bytes at most; other bytes are handed through.
fn unpacked(bytes: bytes::Bytes, limit: u64) -> Result<bytes::Bytes, String> {
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(&bytes[..]).take(limit + 1).read_to_end(&mut plain);
    read.map_err(|error| format!("damaged gzip: {error}"))?;
    if plain.len() as u64 > limit {
        return Err(format!("gzip of more than {limit} bytes"));
    }
    Ok(plain.into())
}

fn input(name: &str, problem: impl Into<String>) -> IngestError {
    IngestError::Input { name: name.to_owned(), problem: problem.into() }
}

fn counted(count: usize, is_cut_short: bool) -> String {
    match (count, is_cut_short) {
        (count, true) => format!("{count} or more objects"),
        (1, false) => "1 object".to_owned(),
        (count, false) => format!("{count} objects"),
    }
}

fn named(failed: &[Failure]) -> String {
    failed.iter().map(Failure::to_string).collect::<Vec<_>>().join("; ")
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.object_id {
            Some(id) => write!(f, "`{id}` (row {}): {}", self.row, self.problem),
            None => write!(f, "row {}: {}", self.row, self.problem),
        }
    }
}

#[cfg(test)]
mod tests;
