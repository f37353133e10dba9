//! Columns of a Parquet file of predictions, read by name, in the types that other programs give them.
//!
//! pandas and polars write a column of whole numbers as another integer, or as floats after a join. A number that does
//! not fit its column is an error, never a changed number.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::{OutputError, malformed};

/// Columns of predictions that are read: those that files of both formats have.
pub(super) const READ: [&str; 5] = ["data_path", "row", "z_phot", "z_spec", "flags"];

/// A column of a batch of rows.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) column: &'static str,
    /// Name of the file, for messages.
    pub(super) name: &'a str,
}

impl<'a> Column<'a> {
    pub(super) fn append_texts(self, texts: &mut Vec<String>) -> Result<(), OutputError> {
        let found = self.find()?;
        if found.data_type() != &DataType::Utf8 {
            return Err(self.wrong_type("text", found));
        }
        for text in found.as_string::<i32>() {
            texts.push(text.ok_or_else(|| self.empty())?.to_owned());
        }
        Ok(())
    }

    /// Appends whole numbers. Fails for a number that does not fit the type.
    pub(super) fn append<T: TryFrom<i128>>(self, values: &mut Vec<T>) -> Result<(), OutputError> {
        let found = self.find()?;
        let mut push = |value: Option<i128>| {
            let value = value.ok_or_else(|| self.empty())?;
            let fits = T::try_from(value)
                .map_err(|_| malformed(self.name, format!("column `{}`: {value} is not allowed here", self.column)))?;
            values.push(fits);
            Ok(())
        };
        macro_rules! integers {
            ($type:ty) => {
                found.as_primitive::<$type>().iter().try_for_each(|value| push(value.map(i128::from)))
            };
        }
        match found.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Float64 => found.as_primitive::<Float64Type>().iter().try_for_each(|value| match value {
                Some(value) if value.fract() == 0.0 => push(Some(value as i128)),
                Some(value) => {
                    let problem = format!("column `{}`: expected a whole number, found {value}", self.column);
                    Err(malformed(self.name, problem))
                }
                None => push(None),
            }),
            _ => Err(self.wrong_type("whole numbers", found)),
        }
    }

    /// Calls `push` with each number. Fails for an unknown one, unless `may_be_unknown`.
    pub(super) fn append_numbers(
        self,
        mut push: impl FnMut(Option<f64>),
        may_be_unknown: bool,
    ) -> Result<(), OutputError> {
        let found = self.find()?;
        if found.null_count() > 0 && !may_be_unknown {
            return Err(self.empty());
        }
        match found.data_type() {
            DataType::Float32 => found.as_primitive::<Float32Type>().iter().for_each(|z| push(z.map(f64::from))),
            DataType::Float64 => found.as_primitive::<Float64Type>().iter().for_each(&mut push),
            // A column without any value.
            DataType::Null if may_be_unknown => (0..found.len()).for_each(|_| push(None)),
            _ => return Err(self.wrong_type("numbers", found)),
        }
        Ok(())
    }

    fn find(self) -> Result<&'a ArrayRef, OutputError> {
        let found = self.batch.column_by_name(self.column);
        found.ok_or_else(|| malformed(self.name, format!("no column `{}`", self.column)))
    }

    fn empty(self) -> OutputError {
        malformed(self.name, format!("column `{}`: has an empty value", self.column))
    }

    fn wrong_type(self, expected: &str, found: &ArrayRef) -> OutputError {
        let problem = format!("column `{}`: expected {expected}, found type {}", self.column, found.data_type());
        malformed(self.name, problem)
    }
}
