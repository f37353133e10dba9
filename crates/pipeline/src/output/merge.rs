//! Merges files of predictions.
//!
//! In: Parquet files, whose columns may differ. Out: one Parquet file with every column of any of them. If a file lacks
//! a column, its rows are null there. The same files give the same bytes.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{Field, Schema};
use bytes::Bytes;

use super::parquet::{encoder, guarded, open};
use super::{MAX_PREDICTIONS_BYTES, MAX_PREDICTIONS_ROWS, OutputError, encode, malformed};
use crate::parquet_files::RowCount;

/// Merges Parquet files of predictions in this order. Each part has a name for messages.
///
/// # Errors
/// Returns an [`OutputError`] if a part is not Parquet, if a column has different types in two parts, or if all parts
/// together exceed [`MAX_PREDICTIONS_BYTES`] or [`MAX_PREDICTIONS_ROWS`].
pub fn merge(parts: &[(String, Bytes)]) -> Result<Bytes, OutputError> {
    let schema = schema_of_all(parts)?;
    let mut encoder = encoder(schema.clone())?;
    for (name, part) in parts {
        let (mut batches, mut count) = guarded(name, || {
            let reader = open(part.clone(), name)?;
            let count = RowCount::stated(reader.metadata()).map_err(|error| malformed(name, error))?;
            Ok((reader.build().map_err(|error| malformed(name, error))?, count))
        })?;
        // After a panic, the reader is not used again.
        while let Some(batch) = guarded(name, || Ok(batches.next()))? {
            let batch = batch.map_err(|error| malformed(name, error))?;
            count.add(batch.num_rows()).map_err(|error| malformed(name, error))?;
            encoder.write(&with_columns(&batch, &schema)?).map_err(encode)?;
        }
        count.finish().map_err(|error| malformed(name, error))?;
    }
    encoder.into_inner().map(Bytes::from).map_err(encode)
}

/// Schema with the columns of all files. A column is nullable if a file lacks it, or if it is nullable in a file.
fn schema_of_all(parts: &[(String, Bytes)]) -> Result<Arc<Schema>, OutputError> {
    let (mut bytes, mut rows) = (0, 0);
    let (mut columns, mut schemas) = (Vec::new(), Vec::with_capacity(parts.len()));
    for (name, part) in parts {
        let (schema, part_rows) = guarded(name, || {
            let reader = open(part.clone(), name)?;
            let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(usize::MAX);
            Ok((reader.schema().clone(), rows))
        })?;
        bytes += part.len() as u64;
        rows += part_rows;
        if bytes > MAX_PREDICTIONS_BYTES || rows > MAX_PREDICTIONS_ROWS {
            let limits = format!("{MAX_PREDICTIONS_BYTES} bytes and {MAX_PREDICTIONS_ROWS} rows");
            return Err(malformed(
                name,
                format!("together with the files before it, this exceeds {limits}; merge fewer files"),
            ));
        }
        add_columns(&mut columns, &schema).map_err(|problem| malformed(name, problem))?;
        schemas.push(schema);
    }
    let is_filled = |column: &Field| {
        schemas.iter().all(|schema| schema.field_with_name(column.name()).is_ok_and(|field| !field.is_nullable()))
    };
    let columns = columns.into_iter().map(|column| {
        let filled = is_filled(&column);
        column.with_nullable(!filled)
    });
    Ok(Arc::new(Schema::new(columns.collect::<Vec<_>>())))
}

/// Adds the columns that do not exist yet. Each comes after the column that it follows in its file.
fn add_columns(columns: &mut Vec<Field>, found: &Schema) -> Result<(), String> {
    let mut place = 0;
    for field in found.fields() {
        match columns.iter().position(|column| column.name() == field.name()) {
            Some(at) if columns[at].data_type() == field.data_type() => place = at + 1,
            Some(at) => {
                let (expected, other) = (columns[at].data_type(), field.data_type());
                return Err(format!(
                    "column `{}` has type {other}, but {expected} in the files before it",
                    field.name()
                ));
            }
            None => {
                columns.insert(place, field.as_ref().clone());
                place += 1;
            }
        }
    }
    Ok(())
}

/// Adds null columns to a batch, so that it has all columns of the schema.
fn with_columns(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, OutputError> {
    let column = |field: &Arc<Field>| -> ArrayRef {
        let found = batch.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect()).map_err(encode)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float32Array, Int64Array, StringArray};
    use arrow_schema::DataType;

    use super::*;
    use crate::parquet_files::claim_rows;

    fn file(columns: Vec<(&str, ArrayRef)>) -> Bytes {
        let fields: Vec<Field> =
            columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|column| column.1).collect()).unwrap();
        let mut encoder = encoder(schema).unwrap();
        encoder.write(&batch).unwrap();
        Bytes::from(encoder.into_inner().unwrap())
    }

    fn integers(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn read(bytes: Bytes) -> RecordBatch {
        let mut batches = open(bytes, "merged").unwrap().build().unwrap();
        let first = batches.next().unwrap().unwrap();
        assert!(batches.next().is_none());
        first
    }

    #[test]
    fn keeps_every_column_of_every_file_in_order() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let z: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 0.2]));
        let parts = [
            ("1".to_owned(), file(vec![("row", integers(&[0])), ("flags", integers(&[7]))])),
            (
                "2".to_owned(),
                file(vec![("row", integers(&[0, 1])), ("id", names), ("z", z), ("flags", integers(&[8, 9]))]),
            ),
        ];
        let merged = merge(&parts).unwrap();
        assert_eq!(merged, merge(&parts).unwrap());
        let batch = read(merged);
        let schema = batch.schema();
        let names: Vec<(&str, bool)> =
            schema.fields().iter().map(|field| (field.name().as_str(), field.is_nullable())).collect();
        assert_eq!(names, [("row", false), ("id", true), ("z", true), ("flags", false)]);
        assert_eq!(batch.column(0), &integers(&[0, 0, 1]));
        assert_eq!(batch.column(3), &integers(&[7, 8, 9]));
        let expected: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some("b")]));
        assert_eq!(batch.column(1), &expected);
        assert_eq!(batch.column(2).data_type(), &DataType::Float32);
    }

    #[test]
    fn names_the_file_that_cannot_be_merged() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let good = ("1.parquet".to_owned(), file(vec![("row", integers(&[0]))]));
        let refused = |bytes: Bytes| merge(&[good.clone(), ("2.parquet".to_owned(), bytes)]).unwrap_err().to_string();
        let other_type = refused(file(vec![("row", text)]));
        assert_eq!(other_type, "predictions `2.parquet`: column `row` has type Utf8, but Int64 in the files before it");
        assert!(refused(Bytes::from_static(b"row\n1\n")).starts_with("predictions `2.parquet`: "));
        let half = good.1.slice(..good.1.len() / 2);
        assert!(refused(half).starts_with("predictions `2.parquet`: "));
    }

    /// A page of a few bytes repeats one value any number of times.
    #[test]
    fn stops_at_more_rows_than_the_metadata_state() {
        let whole = file(vec![("row", integers(&vec![0; 100_000]))]);
        let hostile = claim_rows(&whole, 100_000, 3);
        assert!(hostile.len() < 2_000, "{}", hostile.len());
        let error = merge(&[("1".to_owned(), hostile)]).unwrap_err().to_string();
        assert_eq!(error, "predictions `1`: damaged Parquet: more rows found than stated in the metadata (3)");
        let error = merge(&[("1".to_owned(), claim_rows(&whole, 100_000, 100_001))]).unwrap_err().to_string();
        assert!(error.contains("fewer rows found than stated in the metadata (100001)"), "{error}");
    }
}
