//! Encoding of records as JSON.

use serde::Serialize;

/// Encodes a record on one line, for programs.
///
/// # Panics
/// Panics if the record has keys that are not text. No record of this crate has such keys.
pub fn compact_json(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have text keys and serialisers that cannot fail")
}

/// Encodes a record with indentation and a final newline, so that people can read the file too.
///
/// # Panics
/// Panics if the record has keys that are not text. No record of this crate has such keys.
pub fn json(record: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(record).expect("records have text keys and serialisers that cannot fail");
    json.push(b'\n');
    json
}
