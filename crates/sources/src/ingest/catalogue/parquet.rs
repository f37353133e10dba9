//! Reads columns of numbers and text from Parquet, and lists of one length. Other nested columns are not read.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use pipeline::parquet_files::check_parquet;

use super::{MAX_TEXT_BYTES, Stored, Values, check_rows};

/// Columns of the file. A column of lists of one length has several values in each row.
pub(super) fn columns(bytes: &Bytes) -> Result<Vec<Stored>, String> {
    let reader = open(bytes)?;
    let rows = reader.metadata().file_metadata().num_rows();
    let fields = reader.schema().fields().clone();
    let mut stored: Vec<Stored> =
        fields.iter().map(|field| Stored { name: field.name().clone(), values_per_row: 1 }).collect();
    for leaf in 0..reader.parquet_schema().num_columns() {
        let root = reader.parquet_schema().get_column_root_idx(leaf);
        if matches!(fields[root].data_type(), DataType::List(_)) && rows > 0 {
            let values: i64 = reader.metadata().row_groups().iter().map(|group| group.column(leaf).num_values()).sum();
            // If the lists have different lengths, reading the column fails.
            stored[root].values_per_row = usize::try_from(values / rows).unwrap_or(1).max(1);
        }
    }
    Ok(stored)
}

/// Reads these columns, whose indices ascend. All values of a list follow each other.
pub(super) fn read(bytes: &Bytes, columns: &[usize]) -> Result<Vec<Values>, String> {
    let reader = open(bytes)?;
    let names: Vec<String> = columns.iter().map(|&column| reader.schema().field(column).name().clone()).collect();
    let stated = usize::try_from(reader.metadata().file_metadata().num_rows()).map_err(|error| error.to_string())?;
    check_rows(stated)?;
    let mask = ProjectionMask::roots(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(mask).build().map_err(|error| error.to_string())?;
    let mut values: Vec<Option<Values>> = vec![None; columns.len()];
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        rows += batch.num_rows();
        // The pages may hold more rows than the metadata state. Few bytes may repeat a value many times.
        if rows > stated {
            break;
        }
        for ((values, found), name) in values.iter_mut().zip(batch.columns()).zip(&names) {
            append(values, found, name)?;
        }
    }
    if rows != stated {
        let found = if rows > stated { format!("more than {stated}") } else { rows.to_string() };
        return Err(format!("{found} rows in the columns, {stated} in the metadata: damaged Parquet"));
    }
    let empty = || Values::Texts(Vec::new());
    Ok(values.into_iter().map(|values| values.unwrap_or_else(empty)).collect())
}

fn open(bytes: &Bytes) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, String> {
    // Use the types of Parquet itself. Ignore the Arrow schema that the writing program may have added.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)
        .map_err(|error| format!("not a Parquet file: {error}"))?;
    check_parquet(reader.metadata(), bytes.len()).map_err(|error| error.to_string())?;
    Ok(reader)
}

fn append(values: &mut Option<Values>, found: &ArrayRef, name: &str) -> Result<(), String> {
    match found.data_type() {
        DataType::Utf8 => texts(values, found.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)), name)?,
        // Some programs write text without marking it as text.
        DataType::Binary => texts(values, found.as_binary::<i32>().iter(), name)?,
        DataType::Int8 => integers::<Int8Type>(values, found),
        DataType::Int16 => integers::<Int16Type>(values, found),
        DataType::Int32 => integers::<Int32Type>(values, found),
        DataType::Int64 => integers::<Int64Type>(values, found),
        DataType::UInt8 => integers::<UInt8Type>(values, found),
        DataType::UInt16 => integers::<UInt16Type>(values, found),
        DataType::UInt32 => integers::<UInt32Type>(values, found),
        DataType::UInt64 => integers::<UInt64Type>(values, found),
        DataType::Float16 => numbers::<Float16Type>(values, found),
        DataType::Float32 => numbers::<Float32Type>(values, found),
        DataType::Float64 => numbers::<Float64Type>(values, found),
        // A column without any value, as pandas writes a column of None.
        DataType::Null => {
            let values = values.get_or_insert_with(|| Values::Numbers(Vec::new()));
            if let Values::Numbers(numbers) = values {
                numbers.extend(std::iter::repeat_n(None, found.len()));
            }
        }
        DataType::List(_) => lists(values, found.as_list::<i32>(), name)?,
        other => return Err(format!("column `{name}`: expected numbers or text, found type {other}")),
    }
    Ok(())
}

/// Appends the values of lists, which all have the same length.
fn lists(values: &mut Option<Values>, found: &ListArray, name: &str) -> Result<(), String> {
    let Some(length) = found.offsets().windows(2).next().map(|ends| ends[1] - ends[0]) else { return Ok(()) };
    if found.null_count() > 0 || found.offsets().windows(2).any(|ends| ends[1] - ends[0] != length) {
        return Err(format!("column `{name}`: lists of different lengths; expected one value in each row"));
    }
    if matches!(found.value_type(), DataType::List(_)) {
        return Err(format!("column `{name}`: lists of lists; expected one value in each row"));
    }
    (0..found.len()).try_for_each(|row| append(values, &found.value(row), name))
}

fn texts<'a>(
    values: &mut Option<Values>,
    found: impl Iterator<Item = Option<&'a [u8]>>,
    name: &str,
) -> Result<(), String> {
    let Values::Texts(texts) = values.get_or_insert_with(|| Values::Texts(Vec::new())) else { return Ok(()) };
    for text in found {
        if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(format!("column `{name}`: text of more than {MAX_TEXT_BYTES} bytes"));
        }
        let text = text.map(str::from_utf8).transpose();
        texts.push(text.map_err(|_| format!("column `{name}`: text that is not UTF-8"))?.map(str::to_owned));
    }
    Ok(())
}

fn integers<T: ArrowPrimitiveType<Native: Into<i128>>>(values: &mut Option<Values>, found: &ArrayRef) {
    if let Values::Integers(integers) = values.get_or_insert_with(|| Values::Integers(Vec::new())) {
        integers.extend(found.as_primitive::<T>().iter().map(|value| value.map(Into::into)));
    }
}

fn numbers<T: ArrowPrimitiveType<Native: Into<f64>>>(values: &mut Option<Values>, found: &ArrayRef) {
    if let Values::Numbers(numbers) = values.get_or_insert_with(|| Values::Numbers(Vec::new())) {
        numbers.extend(found.as_primitive::<T>().iter().map(|value| value.map(Into::into)));
    }
}
