//! Reads a catalogue from a pipe, such as `<(zcat c.csv.gz)` of a shell, which a store cannot read by ranges.

use std::fs::{File, metadata};
use std::io::Read;

use bytes::Bytes;

/// Reads the file to its end if it is a pipe or another special file, to `limit` bytes at most. Returns None for
/// regular files, folders, URLs and names that do not exist.
pub(super) fn read(name: &str, limit: u64) -> Option<Result<Bytes, String>> {
    let found = metadata(name).ok()?;
    if found.is_file() || found.is_dir() {
        return None;
    }
    let mut bytes = Vec::new();
    let read = File::open(name).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    Some(match read {
        Err(error) => Err(format!("cannot read it: {error}")),
        Ok(_) if bytes.len() as u64 > limit => Err(format!("more than the limit of {limit} bytes for a catalogue")),
        Ok(_) => Ok(bytes.into()),
    })
}
