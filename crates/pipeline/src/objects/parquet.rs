//! Identities as Parquet and back; the partition they were made for stands in the file's metadata.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{COLUMNS, MAX_ID_BYTES, Objects, columns, fields};
use crate::output::check_parquet;

/// Under this key stands the partition's [`fingerprint`](crate::partition::Partition::fingerprint).
const PARTITION_KEY: &str = "cosmicai.partition";
/// Recorded in each file. Without a version, so that files differ only where rows do.
const CREATED_BY: &str = "cosmicai";
/// Rows encoded at a time.
const CHUNK_ROWS: usize = 128 * 1024;

pub(super) fn encode(objects: &Objects, fingerprint: Option<&str>) -> Result<Bytes, String> {
    let schema = Arc::new(Schema::new(fields().to_vec()));
    let partition = fingerprint.map(|found| vec![KeyValue::new(PARTITION_KEY.to_owned(), found.to_owned())]);
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(CHUNK_ROWS))
        .set_key_value_metadata(partition)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let written = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options).and_then(|mut encoder| {
        for start in (0..objects.len()).step_by(CHUNK_ROWS) {
            let rows = start..objects.len().min(start + CHUNK_ROWS);
            encoder.write(&RecordBatch::try_new(schema.clone(), columns(Some(objects), rows).to_vec())?)?;
        }
        encoder.into_inner()
    });
    written.map(Bytes::from).map_err(|error| format!("{error}; this is a bug, please report it"))
}

/// What a file says: the identities, and the fingerprint of the partition that they were made for where it names one.
pub(super) type Said = (Objects, Option<String>);

/// Why a file says nothing.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Malformed(String),
    /// It has so many rows, which is another number than was expected.
    Rows(i64),
}

/// Reads a file that must have `rows` rows. A few bytes may claim any number, so that it is compared before they are read.
pub(super) fn decode(bytes: Bytes, rows: usize) -> Result<Said, Fault> {
    // The decoder asserts some of what a damaged file can break.
    std::panic::catch_unwind(|| read(bytes, rows)).unwrap_or_else(|_| {
        Err(Fault::Malformed("damaged Parquet: the decoder gave up; make or copy it again".to_owned()))
    })
}

fn read(bytes: Bytes, rows: usize) -> Result<Said, Fault> {
    let file_bytes = bytes.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?;
    check_parquet(reader.metadata(), file_bytes).map_err(Fault::Malformed)?;
    let metadata = reader.metadata().file_metadata();
    if usize::try_from(metadata.num_rows()) != Ok(rows) {
        return Err(Fault::Rows(metadata.num_rows()));
    }
    let fingerprint = metadata
        .key_value_metadata()
        .into_iter()
        .flatten()
        .find(|entry| entry.key == PARTITION_KEY)
        .and_then(|entry| entry.value.clone());
    let (mut object_id, mut ra, mut dec) = (Vec::new(), Vec::new(), Vec::new());
    for batch in reader.build()? {
        let batch = batch.map_err(|error| Fault::Malformed(error.to_string()))?;
        let rows = batch.num_rows();
        match column(&batch, COLUMNS[0], &DataType::Utf8)? {
            Some(ids) => {
                let ids = ids.as_string::<i32>();
                if ids.iter().flatten().any(|id| id.len() > MAX_ID_BYTES) {
                    return Err(Fault::Malformed(format!("an `object_id` of more than {MAX_ID_BYTES} bytes")));
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
    // The table of contents may say another number than its pages hold.
    if object_id.len() != rows {
        return Err(Fault::Malformed(format!("{} rows where it says {rows}: damaged", object_id.len())));
    }
    Ok((Objects::new(object_id, ra, dec).map_err(Fault::Malformed)?, fingerprint))
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A column, which may be missing: a hand-made file may have identifiers only.
fn column<'a>(batch: &'a RecordBatch, name: &str, expected: &DataType) -> Result<Option<&'a ArrayRef>, Fault> {
    match batch.column_by_name(name) {
        Some(found) if found.data_type() != expected => {
            Err(Fault::Malformed(format!("column `{name}`: type {} found, {expected} expected", found.data_type())))
        }
        found => Ok(found),
    }
}
