//! Predictions as files: Parquet with every column, CSV with the essential ones; and back, for metrics.
//!
//! In: the [`Predicted`] rows of one file after another. Out: the bytes of one object, the same for the same rows. Who
//! the objects are stands in columns of their own, which are there only where something is known of it.
//! Never here: storage.

mod csv;
mod merge;
mod parquet;

use bytes::Bytes;

use crate::predict::Predicted;
pub use merge::merge;
pub(crate) use parquet::check_metadata as check_parquet;

/// The largest file of predictions that is read back, in bytes.
pub const MAX_PREDICTIONS_BYTES: u64 = 8 << 30;
/// The most rows that are read back from one file: a few bytes of Parquet may claim any number.
pub const MAX_PREDICTIONS_ROWS: usize = 1 << 27;

/// Why predictions could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The rows could not be encoded; ours to mend.
    #[error("write predictions: {0}; this is a bug, please report it")]
    Encode(Box<dyn std::error::Error + Send + Sync>),
    /// A file is not what predictions look like.
    #[error("predictions `{name}`: {problem}")]
    Malformed {
        /// The file.
        name: String,
        /// What was found and what is expected.
        problem: String,
    },
}

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `data_path, row, z_phot, z_spec, u, g, r, i, z, flags`, and `object_id, ra, dec` where they are known; typed and
    /// compressed.
    Parquet,
    /// `data_path,row,z_phot,z_spec,flags`, and `object_id,ra,dec` where they are known; for people.
    Csv,
}

impl Format {
    /// The format that a file's name asks for by its ending.
    pub fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        match lower.rsplit_once('.')?.1 {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Collects the predictions of one file after another, encoded.
#[derive(Debug)]
pub enum Writer {
    /// See [`Format::Parquet`].
    Parquet(parquet::Writer),
    /// See [`Format::Csv`].
    Csv(csv::Writer),
}

impl Writer {
    /// An empty file for images of so many bands.
    pub fn new(format: Format, bands: usize) -> Result<Self, OutputError> {
        Self::open(format, bands, false)
    }

    /// As [`new`](Self::new), with columns for who the [`objects`](crate::objects) are.
    pub fn with_objects(format: Format, bands: usize) -> Result<Self, OutputError> {
        Self::open(format, bands, true)
    }

    fn open(format: Format, bands: usize, with_objects: bool) -> Result<Self, OutputError> {
        Ok(match format {
            Format::Parquet => Self::Parquet(parquet::Writer::new(bands, with_objects)?),
            Format::Csv => Self::Csv(csv::Writer::new(with_objects)?),
        })
    }

    /// Adds the rows of one partition, numbered from 0.
    ///
    /// # Panics
    /// When the rows say who the objects are and this file has no columns for it.
    pub fn append(&mut self, data_path: &str, predicted: &Predicted) -> Result<(), OutputError> {
        match self {
            Self::Parquet(writer) => writer.append(data_path, predicted),
            Self::Csv(writer) => writer.append(data_path, predicted),
        }
    }

    /// The whole file.
    pub fn finish(self) -> Result<Bytes, OutputError> {
        match self {
            Self::Parquet(writer) => writer.finish(),
            Self::Csv(writer) => writer.finish(),
        }
    }
}

/// Predictions read back: the columns that both formats always have, one entry for each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The partition that a row came from.
    pub data_path: Vec<String>,
    /// Its number there, from 0.
    pub row: Vec<i64>,
    /// Predicted redshift.
    pub z_phot: Vec<f32>,
    /// Known redshift.
    pub z_spec: Vec<Option<f64>>,
    /// [`flags`](crate::flags).
    pub flags: Vec<u8>,
}

impl Table {
    /// Reads the bytes of a file of predictions; its beginning says which format it has. `name` is for messages.
    pub fn read(bytes: Bytes, name: &str) -> Result<Self, OutputError> {
        if bytes.starts_with(parquet::MAGIC) { parquet::read(bytes, name) } else { csv::read(&bytes, name) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
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

/// A redshift that is known; NaN in a partition is one that is not.
fn known(z_spec: f64) -> Option<f64> {
    Some(z_spec).filter(|z_spec| !z_spec.is_nan())
}

/// An error of the encoder, which no input of a person can cause.
fn encode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OutputError {
    OutputError::Encode(error.into())
}

fn malformed(name: &str, problem: impl ToString) -> OutputError {
    OutputError::Malformed { name: name.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
