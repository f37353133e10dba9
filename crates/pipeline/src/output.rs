//! Writes predictions as Parquet (all columns) or CSV (the essential columns), and reads them back for metrics.
//!
//! In: the [`Predicted`] rows of one partition after another. Out: the bytes of one object. The same rows give the same
//! bytes. The columns `object_id`, `ra` and `dec` exist only if the objects of a partition are known. This module does
//! not access storage.

mod csv;
mod merge;
mod parquet;
mod typed_column;

use bytes::Bytes;
use records::metrics::Predictions;
use records::redshift::known;

use crate::parquet_files::MAX_PARQUET_ROWS;
use crate::predict::Predicted;
pub use merge::merge;

/// Maximum size in bytes of a file of predictions that is read.
pub const MAX_PREDICTIONS_BYTES: u64 = 8 << 30;
/// Maximum number of rows that are read from one file of predictions.
pub const MAX_PREDICTIONS_ROWS: usize = MAX_PARQUET_ROWS;

/// Error of writing or reading predictions.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The rows could not be encoded. This is a bug.
    #[error("cannot write predictions: {0}; this is a bug, please report it")]
    Encode(Box<dyn std::error::Error + Send + Sync>),
    /// A file is not a valid file of predictions.
    #[error("predictions `{name}`: {problem}")]
    Malformed {
        /// Name or URL of the file.
        name: String,
        /// Description of the problem.
        problem: String,
    },
}

/// File format of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Typed and compressed, with the columns `data_path, row, z_phot, z_spec, u, g, r, i, z, flags`, and
    /// `object_id, ra, dec` if they are known.
    Parquet,
    /// Readable by people, with the columns `data_path,row,z_phot,z_spec,flags`, and `object_id,ra,dec` if they are
    /// known.
    Csv,
}

impl Format {
    /// Returns the format that the ending of a file name stands for, or None if the ending is unknown.
    pub fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        match lower.rsplit_once('.')?.1 {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Encodes the predictions of one partition after another as one file.
#[derive(Debug)]
pub enum Writer {
    /// See [`Format::Parquet`].
    Parquet(parquet::Writer),
    /// See [`Format::Csv`].
    Csv(csv::Writer),
}

impl Writer {
    /// Starts a file without objects, for images with this number of bands.
    ///
    /// # Errors
    /// Returns [`OutputError::Encode`] if the encoder fails.
    pub fn new(format: Format, bands: usize) -> Result<Self, OutputError> {
        Self::open(format, bands, false)
    }

    /// Starts a file like [`new`](Self::new), with columns for the [`objects`](crate::objects).
    ///
    /// # Errors
    /// Returns [`OutputError::Encode`] if the encoder fails.
    pub fn with_objects(format: Format, bands: usize) -> Result<Self, OutputError> {
        Self::open(format, bands, true)
    }

    fn open(format: Format, bands: usize, with_objects: bool) -> Result<Self, OutputError> {
        Ok(match format {
            Format::Parquet => Self::Parquet(parquet::Writer::new(bands, with_objects)?),
            Format::Csv => Self::Csv(csv::Writer::new(with_objects)?),
        })
    }

    /// Adds the rows of one partition. They are numbered from 0.
    ///
    /// # Errors
    /// Returns [`OutputError::Encode`] if the encoder fails.
    ///
    /// # Panics
    /// Panics if the rows have objects but this file has no columns for them.
    pub fn append(&mut self, data_path: &str, predicted: &Predicted) -> Result<(), OutputError> {
        match self {
            Self::Parquet(writer) => writer.append(data_path, predicted),
            Self::Csv(writer) => writer.append(data_path, predicted),
        }
    }

    /// Completes the file and returns its bytes.
    ///
    /// # Errors
    /// Returns [`OutputError::Encode`] if the encoder fails.
    pub fn finish(self) -> Result<Bytes, OutputError> {
        match self {
            Self::Parquet(writer) => writer.finish(),
            Self::Csv(writer) => writer.finish(),
        }
    }
}

/// Predictions that were read from a file: the columns that both formats always have, with one entry for each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Key of the partition.
    pub data_path: Vec<String>,
    /// Number of the row in the partition, from 0.
    pub row: Vec<i64>,
    /// Predicted redshift.
    pub z_phot: Vec<f32>,
    /// Known redshift.
    pub z_spec: Vec<Option<f64>>,
    /// [Flags](records::flags) of the prediction.
    pub flags: Vec<u8>,
}

impl Table {
    /// Reads the bytes of a file of predictions. Its first bytes determine the format. Messages use `name`.
    ///
    /// # Errors
    /// Returns [`OutputError::Malformed`] if the bytes are damaged or lack a column.
    pub fn read(bytes: Bytes, name: &str) -> Result<Self, OutputError> {
        if bytes.starts_with(parquet::MAGIC) { parquet::read(bytes, name) } else { csv::read(&bytes, name) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    /// Returns true if the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Returns the columns from which the accuracy is computed.
    pub fn predictions(&self) -> Predictions<'_> {
        Predictions { z_phot: &self.z_phot, z_spec: &self.z_spec, flags: &self.flags }
    }

    /// Adds the rows of another table.
    pub fn append(&mut self, other: Self) {
        self.data_path.extend(other.data_path);
        self.row.extend(other.row);
        self.z_phot.extend(other.z_phot);
        self.z_spec.extend(other.z_spec);
        self.flags.extend(other.flags);
    }
}

/// Wraps an error of the encoder. No input of a user can cause it.
fn encode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OutputError {
    OutputError::Encode(error.into())
}

fn malformed(name: &str, problem: impl ToString) -> OutputError {
    OutputError::Malformed { name: name.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
