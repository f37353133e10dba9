//! Makes partitions from the files of an astronomer.
//!
//! In: numpy arrays, or a catalogue and a folder of FITS cutouts. Out: one partition, or many from arrays, and the
//! identifiers and positions of their galaxies.
//!
//! [`ingest`] and [`ingest_parts`] stream: they hold the columns in memory and pass the images through, a few at a time.
//! They keep values that are not finite and count them; `predict` flags their rows later. They execute nothing that is
//! in a file, and reject numpy arrays of Python objects. A panic of a third-party decoder becomes an error. The caller
//! decides where the partitions go.
//!
//! In reading order: `arrays` (npz and npy) and `catalogue_cutouts` (a catalogue and FITS files) are the two sources.
//! Both write to `partition_sink`. `photometry` reads a catalogue that has no cutouts yet.

mod arrays;
mod catalogue;
mod catalogue_cutouts;
mod columns;
mod cutout;
mod file_kind;
mod fits_file;
mod npy;
mod packed;
mod partition_sink;
mod pattern;
mod photometry;
mod pipe;
mod ranged;

use std::io::{self, Write};

use tokio::runtime::Handle;

pub(crate) use columns::BAND_NAMES;
pub use columns::{ROLES, Role, UnknownRole};
pub use photometry::photometry;
use pipeline::decoder;
use pipeline::objects::Objects;
use pipeline::storage::{StorageError, Stores};

/// Maximum number of samples in one partition.
pub const MAX_SAMPLES: usize = 1 << 27;
/// Maximum number of unusable rows that an error or a report names.
/// An ingest that fails stops its search for more of them there.
pub const MAX_NAMED: usize = 5;

/// Error of an ingest. The bytes written so far are not a valid partition.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A request to a store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An input is damaged, hostile, or not of the expected form.
    #[error("`{name}`: {problem}")]
    Input {
        /// Path or URL of the file, or name of the option.
        name: String,
        /// Description of the problem, and of the input that is expected.
        problem: String,
    },
    /// Rows of the catalogue have no usable cutout, or values that cannot be right.
    #[error(
        "{} cannot be ingested: {}; fix the cutouts or the catalogue, or pass `--skip-bad` to leave these objects out",
        counted(failed.len(), *is_cut_short), named(failed)
    )]
    Rows {
        /// First of these rows, [`MAX_NAMED`] at most.
        failed: Vec<Failure>,
        /// True if the search stopped at [`MAX_NAMED`] rows, so that there may be more.
        is_cut_short: bool,
    },
    /// The partition could not be written.
    #[error("cannot write the partition: {0}")]
    Write(io::Error),
}

/// Row of the catalogue that has no usable cutout, or a value that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the row in the catalogue, from 0.
    pub row: usize,
    /// Identifier of the object, if the catalogue has one.
    pub object_id: Option<String>,
    /// Problem with the cutout or the value.
    pub problem: String,
}

/// Input files of a partition, and the changes to make to their images.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestRequest {
    /// Input files.
    pub source: IngestSource,
    /// Height and width in pixels to which each image is cropped about its centre. None keeps the whole image.
    pub crop: Option<usize>,
    /// Factor that converts every pixel to nanomaggies. None keeps the values.
    pub flux_scale: Option<f64>,
}

/// Input files of a partition, as paths or URLs.
#[derive(Debug, Clone, PartialEq)]
pub enum IngestSource {
    /// Numpy arrays.
    Arrays(ArraySource),
    /// A catalogue and its cutouts.
    Catalogue {
        /// CSV, Parquet or FITS table.
        catalogue: String,
        /// Pattern of the names of the cutouts, with columns in braces: `cutouts/{object_id}.fits`, or
        /// `cutouts/{object_id}-{band}.fits` if each band has its own file.
        cutouts: String,
        /// Roles of columns, with the column's name. Roles that are not listed are guessed from the names.
        columns: Vec<(Role, String)>,
        /// Leaves out rows whose cutout is missing or unusable, or whose values cannot be right, instead of failing.
        skip_bad: bool,
    },
}

/// Numpy arrays: an `.npz` file, one `.npy` file for each array, or both.
///
/// The options are the name of an array of the archive, the name of a column of its array of records, or the path or
/// URL of a `.npy` file. An array or column without a name is found by common names. All have the same number n of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArraySource {
    /// Path or URL of an `.npz` file.
    pub archive: Option<String>,
    /// Images, shape (n, 5, height, width) or (n, height, width, 5), bands u g r i z.
    pub images: Option<String>,
    /// Order of the dimensions of the images. None takes the dimension of length 5, if there is one only.
    pub channels: Option<Channels>,
    /// Array of records whose fields are columns, shape (n).
    pub labels: Option<String>,
    /// Magnitudes u g r i z: an array of shape (n, 5), or what the names of five columns have in common, such as
    /// `dered_petro` for `dered_petro_u` to `dered_petro_z`.
    pub magnitudes: Option<String>,
    /// Known redshifts, shape (n). For this and each option below, `none` leaves the column out.
    pub redshift: Option<String>,
    /// Identifiers as whole numbers or text, shape (n).
    pub object_id: Option<String>,
    /// Right ascensions in degrees, shape (n).
    pub ra: Option<String>,
    /// Declinations in degrees, shape (n).
    pub dec: Option<String>,
}

impl ArraySource {
    /// Every option that names an array or column, with its value.
    fn names(&self) -> [(&'static str, Option<&str>); 7] {
        let Self { archive: _, channels: _, images, labels, magnitudes, redshift, object_id, ra, dec } = self;
        [
            ("images", images.as_deref()),
            ("labels", labels.as_deref()),
            ("magnitudes", magnitudes.as_deref()),
            ("redshift", redshift.as_deref()),
            ("object_id", object_id.as_deref()),
            ("ra", ra.as_deref()),
            ("dec", dec.as_deref()),
        ]
    }
}

/// Place of the bands among the dimensions of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// (n, 5, height, width), as in PyTorch.
    First,
    /// (n, height, width, 5), as in TensorFlow.
    Last,
}

/// Folder that receives partitions, under the names 1.pt, 2.pt and so on.
pub trait PartFolder {
    /// A partition that is being written.
    type File: Write;

    /// Path or URL of the folder.
    fn url(&self) -> &str;

    /// Returns true if partitions that exist in the folder belong to an earlier, interrupted ingest of the same input.
    fn resumes(&self) -> bool;

    /// Begins partition `number`. It must not appear under its name yet.
    ///
    /// # Errors
    /// The file cannot be created.
    fn create(&mut self, number: usize) -> io::Result<Self::File>;

    /// Completes partition `number`: writes the objects in `ingested` beside it, then gives it its name.
    ///
    /// # Errors
    /// A file cannot be written.
    fn keep(&mut self, number: usize, file: Self::File, ingested: &Ingested) -> io::Result<()>;
}

/// Report of an ingest to many partitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IngestedParts {
    /// Number of partitions that were written.
    pub written: usize,
    /// Number of finished partitions of an earlier ingest that were kept.
    pub kept: usize,
    /// Report of all samples. Bad pixels and magnitudes are counted in the written partitions only.
    pub total: Ingested,
}

/// Report of an ingest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingested {
    /// Number of samples written.
    pub samples: usize,
    /// Height of the written images, in pixels.
    pub height: usize,
    /// Width of the written images, in pixels.
    pub width: usize,
    /// True if the partition has redshifts.
    pub has_redshift: bool,
    /// Number of samples without a [known](records::redshift::known) redshift. 0 if the partition has no redshifts.
    pub rows_without_redshift: usize,
    /// Number of samples with a pixel that is not finite.
    pub rows_with_non_finite_pixels: usize,
    /// Number of samples with a magnitude outside 0 to 40, or not finite.
    pub rows_with_bad_magnitudes: usize,
    /// Number of samples with a band whose pixels all have one value.
    pub rows_with_blank_bands: usize,
    /// Identifiers and positions of the samples. None if the input has neither.
    pub objects: Option<Objects>,
    /// Number of rows that were left out.
    pub rows_skipped: usize,
    /// First rows that were left out, [`MAX_NAMED`] at most.
    pub skipped: Vec<Failure>,
    /// Messages for the user: arrays that were left out, columns that were chosen, units that look wrong.
    pub notes: Vec<String>,
}

/// Makes a partition, writes it to `out` and returns `out`.
///
/// Calls `progress` with the number of rows done and the number of all rows.
///
/// This function blocks while it waits for stores and while it decodes. Call it on a thread where blocking is allowed
/// (`tokio::task::spawn_blocking`). It waits on `runtime`.
///
/// # Errors
/// Returns an [`IngestError`] if an input cannot be read, is malformed, or lacks cutouts, or if `out` fails.
pub fn ingest<W: Write>(
    runtime: &Handle,
    stores: &Stores,
    request: &IngestRequest,
    out: W,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Ingested, W), IngestError> {
    match &request.source {
        IngestSource::Arrays(source) => {
            arrays::ingest(arrays::Arrays::open(runtime, stores, source)?, source, request, out, progress)
        }
        IngestSource::Catalogue { catalogue, cutouts, columns, skip_bad } => {
            let source = catalogue_cutouts::CutoutSource::open(runtime, stores, catalogue, cutouts, columns)?;
            catalogue_cutouts::ingest(source, runtime, request, *skip_bad, out, progress)
        }
    }
}

/// Makes partitions of `size_bytes`, as [`samples_per_part`](pipeline::partition::samples_per_part) counts them, and
/// passes them to `folder`, in order. Memory does not grow with the images.
///
/// If `folder` resumes, a partition that exists is compared with the input and kept. The bytes of all partitions are
/// those of an ingest without an interruption. Blocks as [`ingest`] does, and calls `progress` in the same way.
///
/// # Errors
/// Returns an [`IngestError`] as [`ingest`] does, if a partition in the folder is not one of those that this ingest
/// makes, or if the source is a catalogue with cutouts.
pub fn ingest_parts<F: PartFolder>(
    runtime: &Handle,
    stores: &Stores,
    request: &IngestRequest,
    size_bytes: u64,
    folder: &mut F,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<IngestedParts, IngestError> {
    match &request.source {
        IngestSource::Arrays(source) => {
            let to = arrays::Destination { runtime, stores, size_bytes, folder };
            arrays::ingest_parts(to, request, source, progress)
        }
        IngestSource::Catalogue { .. } => {
            Err(input("--size", "a catalogue with cutouts makes one file; split it with `cosmicai split`"))
        }
    }
}

/// Runs a third-party decoder. If it panics, returns the error that `error` makes of the message.
fn guarded<T, E>(decode: impl FnOnce() -> Result<T, E>, error: impl FnOnce(String) -> E) -> Result<T, E> {
    decoder::guarded(decode).unwrap_or_else(|panicked| Err(error(panicked.to_string())))
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
