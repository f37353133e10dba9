//! A catalogue: the bytes of a CSV, Parquet or FITS table in, some of its columns out.
//!
//! What the file is, its first bytes say; gzip is unpacked. The file is held in memory, the columns that are asked for
//! beside it. Never here: which columns are asked for.

mod csv;
mod fits;
mod parquet;

use bytes::Bytes;

use super::{MAX_SAMPLES, guarded, unpacked};

/// The largest catalogue that is read, packed or not, in bytes.
pub(super) const MAX_CATALOGUE_BYTES: u64 = 4 << 30;
/// A longer text in one field is refused: a few bytes of Parquet may repeat it any number of times.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// How a field that is not known is written, beside nothing at all.
const NULLS: [&str; 8] = ["nan", "null", "none", "na", "n/a", "--", "masked", "\\n"];

/// A catalogue whose columns are known by name.
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

/// One column; what is not known is `None`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i128>>),
    Numbers(Vec<Option<f64>>),
}

impl Catalogue {
    /// Finds out what the file is and which columns it has.
    pub(super) fn open(bytes: Bytes) -> Result<Self, String> {
        let bytes = unpacked(bytes, MAX_CATALOGUE_BYTES)?;
        let form = if bytes.starts_with(b"PAR1") {
            Form::Parquet
        } else if bytes.starts_with(b"SIMPLE  =") {
            Form::Fits
        } else if bytes.starts_with(b"PK\x03\x04") {
            return Err(
                "a zip archive, where CSV, Parquet or FITS is expected; arrays of numpy end in `.npz`".to_owned()
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

    /// Its columns, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns at these places, each once, equally long.
    pub(super) fn read(&self, columns: &[usize]) -> Result<Vec<Values>, String> {
        let read = guarded(|| match self.form {
            Form::Csv => csv::read(&self.bytes, columns),
            Form::Parquet => parquet::read(&self.bytes, columns),
            Form::Fits => fits::read(&self.bytes, columns),
        })?;
        match read.first().map(Values::len) {
            Some(0) => Err("no rows in it".to_owned()),
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

    /// As numbers; what is not known is NaN.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let number = |(row, text): (usize, &Option<String>)| {
            let Some(text) = text.as_deref().map(str::trim).filter(|text| !is_null(text)) else { return Ok(f64::NAN) };
            text.parse().map_err(|_| {
                let shown: String = text.chars().take(40).collect();
                format!("row {row}, column `{name}`: found `{shown}`, a number expected")
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

    /// As identifiers. Numbers with a fraction do not hold every digit of one, and are refused.
    pub(super) fn identifiers(&self, name: &str) -> Result<Vec<Option<String>>, String> {
        match self {
            Self::Numbers(_) => Err(format!(
                "column `{name}` holds floats, which do not hold every digit of an identifier; store it as whole numbers \
                 or text"
            )),
            values => Ok((0..values.len()).map(|row| values.text(row)).collect()),
        }
    }

    /// One value as it stands in the name of a file.
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
    if rows > MAX_SAMPLES { Err(format!("{rows} rows, more than {MAX_SAMPLES}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
