//! Reads columns of a catalogue, which is a CSV, Parquet or FITS table.
//!
//! The first bytes of the file determine its format. Gzip is decompressed. The whole file is held in memory, together
//! with the columns that were requested.

mod csv;
mod fits;
mod parquet;

use bytes::Bytes;

use super::{MAX_SAMPLES, guarded, unpacked};

/// Maximum size of a catalogue in bytes, compressed and decompressed.
pub(super) const MAX_CATALOGUE_BYTES: u64 = 4 << 30;
/// Maximum length of a text field in bytes. A few bytes of Parquet may repeat a long text many times.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Texts that mark a missing value, in lower case. An empty field is missing too.
const NULLS: [&str; 8] = ["nan", "null", "none", "na", "n/a", "--", "masked", "\\n"];

/// A catalogue and the names of its columns.
#[derive(Debug)]
pub(super) struct Catalogue {
    bytes: Bytes,
    form: Form,
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Parquet,
    Fits,
}

/// One column. Missing values are None.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i128>>),
    Numbers(Vec<Option<f64>>),
}

impl Catalogue {
    /// Determines the format of the file and the names of its columns.
    pub(super) fn open(bytes: Bytes) -> Result<Self, String> {
        let bytes = unpacked(bytes, MAX_CATALOGUE_BYTES)?;
        let form = if bytes.starts_with(b"PAR1") {
            Form::Parquet
        } else if bytes.starts_with(b"SIMPLE  =") {
            Form::Fits
        } else if bytes.starts_with(b"PK\x03\x04") {
            return Err(
                "expected CSV, Parquet or FITS, found a zip archive; give numpy arrays a name that ends in `.npz`"
                    .to_owned(),
            );
        } else {
            Form::Csv
        };
        let names = guarded(|| match form {
            Form::Csv => csv::names(&bytes),
            Form::Parquet => parquet::names(&bytes),
            Form::Fits => fits::names(&bytes),
        })?;
        Ok(Self { bytes, form, names })
    }

    /// Names of the columns, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the columns at these indices. Each index may occur once. All columns have the same length.
    pub(super) fn read(&self, columns: &[usize]) -> Result<Vec<Values>, String> {
        let read = guarded(|| match self.form {
            Form::Csv => csv::read(&self.bytes, columns),
            Form::Parquet => parquet::read(&self.bytes, columns),
            Form::Fits => fits::read(&self.bytes, columns),
        })?;
        match read.first().map(Values::len) {
            Some(0) => Err("no rows".to_owned()),
            Some(rows) if read.iter().any(|column| column.len() != rows) => {
                Err("columns of different lengths".to_owned())
            }
            _ => Ok(read),
        }
    }
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Numbers(values) => values.len(),
        }
    }

    /// Converts the column to numbers. Missing values become NaN.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let number = |(row, text): (usize, &Option<String>)| {
            let Some(text) = text.as_deref().map(str::trim).filter(|text| !is_null(text)) else { return Ok(f64::NAN) };
            text.parse().map_err(|_| {
                let shown: String = text.chars().take(40).collect();
                format!("row {row}, column `{name}`: expected a number, found `{shown}`")
            })
        };
        match self {
            Self::Texts(values) => values.iter().enumerate().map(number).collect(),
            Self::Integers(values) => {
                Ok(values.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect())
            }
            Self::Numbers(values) => Ok(values.iter().map(|value| value.unwrap_or(f64::NAN)).collect()),
        }
    }

    /// Converts the column to identifiers. Fails for floats, because they do not hold every digit of an identifier.
    pub(super) fn identifiers(&self, name: &str) -> Result<Vec<Option<String>>, String> {
        match self {
            Self::Numbers(_) => Err(format!(
                "column `{name}` holds floats, which do not hold every digit of an identifier; store the column as \
                 whole numbers or text"
            )),
            values => Ok((0..values.len()).map(|row| values.text(row)).collect()),
        }
    }

    /// Returns one value as text, as it appears in the name of a file.
    pub(super) fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Texts(values) => {
                values[row].as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
            }
            Self::Integers(values) => values[row].map(|value| value.to_string()),
            Self::Numbers(values) => values[row].map(|value| value.to_string()),
        }
    }
}

fn is_null(text: &str) -> bool {
    text.is_empty() || NULLS.iter().any(|null| text.eq_ignore_ascii_case(null))
}

fn check_rows(rows: usize) -> Result<(), String> {
    if rows > MAX_SAMPLES { Err(format!("{rows} rows, more than the limit of {MAX_SAMPLES}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
