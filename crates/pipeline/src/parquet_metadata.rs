//! Checks the metadata of Parquet files, before a decoder believes it.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// Maximum number of rows that are read from one file. A small malformed Parquet file may claim any number.
pub const MAX_PARQUET_ROWS: usize = 1 << 27;

/// Error for Parquet metadata that cannot be valid for the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedParquet {
    /// The number of rows is negative or exceeds [`MAX_PARQUET_ROWS`].
    #[error("{0} rows, more than the limit of {MAX_PARQUET_ROWS}")]
    Rows(i64),
    /// A column is outside the file.
    #[error("damaged Parquet: column `{0}` is outside the file")]
    OutsideFile(String),
}

/// Checks that the metadata of a Parquet file can be valid for a file of `file_bytes` bytes.
///
/// # Errors
/// Returns [`MalformedParquet`] if the file claims too many rows, or columns outside of it.
pub fn check_parquet(metadata: &ParquetMetaData, file_bytes: usize) -> Result<(), MalformedParquet> {
    let rows = metadata.file_metadata().num_rows();
    if usize::try_from(rows).map_or(true, |rows| rows > MAX_PARQUET_ROWS) {
        return Err(MalformedParquet::Rows(rows));
    }
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
