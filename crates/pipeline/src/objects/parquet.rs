//! Encodes and decodes an objects file as Parquet. Its metadata hold the fingerprint of its partition.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::{COLUMNS, EncodeError, MAX_ID_BYTES, Objects, columns, fields};
use crate::parquet_files::{self, MalformedParquet, ROW_GROUP_ROWS, RowCount, check_parquet, guarded};

/// Metadata key of the [fingerprint](crate::partition::Partition::fingerprint) of the partition.
const PARTITION_KEY: &str = "cosmicai.partition";
/// Maximum number of columns that a message names.
const MAX_NAMED: usize = 30;

/// Encodes an objects file.
pub(super) fn encode(objects: &Objects, fingerprint: Option<&str>) -> Result<Bytes, EncodeError> {
    let mut encoder = ObjectsEncoder::new()?;
    encoder.append(objects)?;
    encoder.finish(fingerprint)
}

/// Encoder of an objects file that gets its rows in pieces. It keeps the encoded rows only.
#[derive(Debug)]
pub struct ObjectsEncoder {
    writer: ArrowWriter<Vec<u8>>,
    schema: Arc<Schema>,
}

impl ObjectsEncoder {
    /// Starts an objects file.
    ///
    /// # Errors
    /// The encoder fails, which is a bug.
    pub fn new() -> Result<Self, EncodeError> {
        let schema = Arc::new(Schema::new(fields().to_vec()));
        let writer = parquet_files::encoder(schema.clone(), None)?;
        Ok(Self { writer, schema })
    }

    /// Appends objects.
    ///
    /// # Errors
    /// The encoder fails, which is a bug.
    pub fn append(&mut self, objects: &Objects) -> Result<(), EncodeError> {
        self.append_rows(Some(objects), objects.len())
    }

    /// Appends rows whose identifiers and positions are unknown.
    ///
    /// # Errors
    /// The encoder fails, which is a bug.
    pub fn append_unknown(&mut self, rows: usize) -> Result<(), EncodeError> {
        self.append_rows(None, rows)
    }

    fn append_rows(&mut self, objects: Option<&Objects>, count: usize) -> Result<(), EncodeError> {
        for start in (0..count).step_by(ROW_GROUP_ROWS) {
            let rows = start..count.min(start + ROW_GROUP_ROWS);
            let batch = RecordBatch::try_new(self.schema.clone(), columns(objects, rows).to_vec());
            self.writer.write(&batch.map_err(ParquetError::from)?)?;
        }
        Ok(())
    }

    /// Completes the file of the partition with this [fingerprint](crate::partition::Partition::fingerprint).
    ///
    /// # Errors
    /// The encoder fails, which is a bug.
    pub fn finish(mut self, fingerprint: Option<&str>) -> Result<Bytes, EncodeError> {
        if let Some(fingerprint) = fingerprint {
            let pair = KeyValue::new(PARTITION_KEY.to_owned(), fingerprint.to_owned());
            self.writer.append_key_value_metadata(pair);
        }
        Ok(self.writer.into_inner()?.into())
    }
}

impl From<ParquetError> for EncodeError {
    fn from(error: ParquetError) -> Self {
        Self(error.to_string())
    }
}

/// Decoded objects, and the fingerprint of their partition; `None` if the file has no fingerprint.
pub(super) type Decoded = (Objects, Option<String>);

/// Error of decoding an objects file.
#[derive(Debug, PartialEq)]
pub(super) enum DecodeError {
    /// The file is damaged or is not an objects file.
    Malformed(String),
    /// The file has this number of rows, which differs from the expected number.
    Rows(i64),
}

/// Decodes an objects file that must have `rows` rows. The number is checked before the rows are read, because a small
/// file may claim any number.
pub(super) fn decode(bytes: Bytes, rows: usize) -> Result<Decoded, DecodeError> {
    guarded(|| read(bytes, rows), DecodeError::from)
}

fn read(bytes: Bytes, rows: usize) -> Result<Decoded, DecodeError> {
    let file_bytes = bytes.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?;
    check_parquet(reader.metadata(), file_bytes)?;
    let metadata = reader.metadata().file_metadata();
    if usize::try_from(metadata.num_rows()) != Ok(rows) {
        return Err(DecodeError::Rows(metadata.num_rows()));
    }
    let mut count = RowCount::stated(reader.metadata())?;
    let names: Vec<&str> = reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let is_ours = |name: &&str| COLUMNS.contains(name);
    // Otherwise every identifier would be unknown in silence, because its column has another name.
    if !names.contains(&COLUMNS[0]) && !names.iter().all(is_ours) || !names.iter().any(is_ours) {
        return Err(DecodeError::Malformed(format!(
            "no column `{}`; the columns are {}; rename them to {}",
            if names.iter().any(is_ours) { COLUMNS[0] } else { "object_id`, `ra` or `dec" },
            names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", "),
            COLUMNS.join(", ")
        )));
    }
    let fingerprint = metadata
        .key_value_metadata()
        .into_iter()
        .flatten()
        .find(|entry| entry.key == PARTITION_KEY)
        .and_then(|entry| entry.value.clone());
    let (mut object_id, mut ra, mut dec) = (Vec::new(), Vec::new(), Vec::new());
    for batch in reader.build()? {
        let batch = batch.map_err(|error| DecodeError::Malformed(error.to_string()))?;
        let rows = batch.num_rows();
        count.add(rows)?;
        match column(&batch, COLUMNS[0], &DataType::Utf8)? {
            Some(ids) => {
                let ids = ids.as_string::<i32>();
                if ids.iter().flatten().any(|id| id.len() > MAX_ID_BYTES) {
                    return Err(DecodeError::Malformed(format!("an `object_id` of more than {MAX_ID_BYTES} bytes")));
                }
                object_id.extend(ids.iter().map(|id| id.map(str::to_owned)));
            }
            None => object_id.extend(std::iter::repeat_n(None, rows)),
        }
        for (name, values) in [(COLUMNS[1], &mut ra), (COLUMNS[2], &mut dec)] {
            match column(&batch, name, &DataType::Float64)? {
                Some(found) => values.extend(found.as_primitive::<Float64Type>().iter()),
                None => values.extend(std::iter::repeat_n(None, rows)),
            }
        }
    }
    count.finish()?;
    Ok((Objects::new(object_id, ra, dec).map_err(|error| DecodeError::Malformed(error.to_string()))?, fingerprint))
}

impl From<MalformedParquet> for DecodeError {
    fn from(error: MalformedParquet) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<ParquetError> for DecodeError {
    fn from(error: ParquetError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Finds a column by name; `None` if it is missing. A file made by hand may have identifiers only.
fn column<'a>(batch: &'a RecordBatch, name: &str, expected: &DataType) -> Result<Option<&'a ArrayRef>, DecodeError> {
    match batch.column_by_name(name) {
        Some(found) if found.data_type() != expected => Err(DecodeError::Malformed(format!(
            "column `{name}`: type {} found, {expected} expected",
            found.data_type()
        ))),
        found => Ok(found),
    }
}
