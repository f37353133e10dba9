//! Rules for every Parquet file that this program reads or writes: settings of the encoder, checks of the metadata
//! before a decoder believes them, a limit on the rows that a decoder returns, and a guard against its panics.

use std::sync::Arc;

use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;

use crate::decoder;

/// Maximum number of rows that are read from one file. A small malformed Parquet file may claim any number.
pub const MAX_PARQUET_ROWS: usize = 1 << 27;
/// Maximum number of rows in a row group that this program writes. It bounds the memory of a reader.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Name of the program in each file. It has no version, so that the same rows give the same bytes.
const CREATED_BY: &str = "cosmicai";

/// Error for a Parquet file that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedParquet {
    /// The number of rows is negative or exceeds [`MAX_PARQUET_ROWS`].
    #[error("{0} rows found; expected 0 to {MAX_PARQUET_ROWS}")]
    Rows(i64),
    /// A column is outside the file.
    #[error("damaged Parquet: column `{0}` is outside the file")]
    OutsideFile(String),
    /// The pages hold another number of rows than the metadata state.
    #[error("damaged Parquet: {} rows found than stated in the metadata ({stated})", if *more { "more" } else { "fewer" })]
    OtherRows {
        /// Number of rows in the metadata.
        stated: usize,
        /// True if the pages hold more rows.
        more: bool,
    },
    /// The decoder panicked.
    #[error("damaged Parquet: the decoder failed; create or copy the file again")]
    Decoder,
}

/// Checks that the metadata of a Parquet file can be valid for a file of `file_bytes` bytes.
///
/// # Errors
/// Returns [`MalformedParquet`] if the file claims too many rows, or columns outside of it.
pub fn check_parquet(metadata: &ParquetMetaData, file_bytes: usize) -> Result<(), MalformedParquet> {
    RowCount::stated(metadata)?;
    let is_inside = |value: i64| (0..=file_bytes as i64).contains(&value);
    let inside = |column: &ColumnChunkMetaData| {
        let places = [Some(column.data_page_offset()), column.dictionary_page_offset(), Some(column.compressed_size())];
        places.into_iter().flatten().all(is_inside)
    };
    match metadata.row_groups().iter().flat_map(|group| group.columns()).find(|column| !inside(column)) {
        Some(column) => Err(MalformedParquet::OutsideFile(column.column_path().to_string())),
        None => Ok(()),
    }
}

/// Count of the rows that a decoder has returned. A page of a few bytes may hold any number of rows, whatever the
/// metadata state, so count each batch before you keep it.
#[derive(Debug)]
pub struct RowCount {
    stated: usize,
    found: usize,
}

impl RowCount {
    /// Starts to count the rows of a file with these metadata.
    ///
    /// # Errors
    /// Returns [`MalformedParquet::Rows`] if the number in the metadata is out of range.
    pub fn stated(metadata: &ParquetMetaData) -> Result<Self, MalformedParquet> {
        let rows = metadata.file_metadata().num_rows();
        match usize::try_from(rows) {
            Ok(stated) if stated <= MAX_PARQUET_ROWS => Ok(Self { stated, found: 0 }),
            _ => Err(MalformedParquet::Rows(rows)),
        }
    }

    /// Counts the rows of one batch.
    ///
    /// # Errors
    /// Returns [`MalformedParquet::OtherRows`] as soon as there are more rows than stated.
    pub fn add(&mut self, rows: usize) -> Result<(), MalformedParquet> {
        self.found += rows;
        self.check(self.found > self.stated)
    }

    /// Checks the count after the last batch.
    ///
    /// # Errors
    /// Returns [`MalformedParquet::OtherRows`] if there are fewer rows than stated.
    pub fn finish(self) -> Result<(), MalformedParquet> {
        self.check(self.found != self.stated)
    }

    fn check(&self, is_wrong: bool) -> Result<(), MalformedParquet> {
        let Self { stated, found } = *self;
        if is_wrong { Err(MalformedParquet::OtherRows { stated, more: found > stated }) } else { Ok(()) }
    }
}

/// Opens an encoder for these columns, with entries for the metadata. The same rows give the same bytes.
pub(crate) fn encoder(
    schema: Arc<Schema>,
    metadata: Option<Vec<KeyValue>>,
) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(metadata)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema, options)
}

/// Runs a decoder. Turns a panic into an error, because the decoder may panic on a damaged file.
pub(crate) fn guarded<T, E>(
    read: impl FnOnce() -> Result<T, E>,
    error: impl FnOnce(MalformedParquet) -> E,
) -> Result<T, E> {
    decoder::guarded(read).unwrap_or_else(|_| Err(error(MalformedParquet::Decoder)))
}

/// Replaces the number of rows in the metadata of a file. The pages keep their rows.
#[cfg(test)]
pub(crate) fn claim_rows(bytes: &[u8], rows: u64, claimed: u64) -> bytes::Bytes {
    // An integer of the metadata: zigzag, then 7 bits per byte. Both numbers take the same length, so nothing moves.
    let varint = |value: u64, length: usize| -> Vec<u8> {
        let more = |at| if at + 1 < length { 0x80 } else { 0 };
        (0..length).map(|at| ((value << 1) >> (7 * at)) as u8 & 0x7f | more(at)).collect()
    };
    let length = (1..).find(|&length| (rows << 1) >> (7 * length) == 0).unwrap();
    let (old, new) = (varint(rows, length), varint(claimed, length));
    let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut changed = bytes.to_vec();
    let mut replaced = 0;
    for at in footer..bytes.len() - length {
        if bytes[at..].starts_with(&old) {
            changed[at..at + length].copy_from_slice(&new);
            replaced += 1;
        }
    }
    assert!(replaced > 0, "{rows} rows are not in the metadata");
    changed.into()
}
