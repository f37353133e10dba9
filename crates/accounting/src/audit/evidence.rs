//! Names of records and files in evidence: the first few of them, shortened.

use serde_json::{Value, json};

use crate::record::Record;

/// Most records, files or values that evidence names. The count covers the others.
pub(super) const MAX_PLACES: usize = 10;
/// Longest text that evidence quotes, in characters.
const MAX_TEXT: usize = 200;

/// Names a record: its index and its first file.
pub(super) fn place(index: usize, record: &Record) -> Value {
    json!({ "record": index, "data_path": record.files().first().map(|key| shortened(key)) })
}

/// Names a record and adds details.
pub(super) fn place_with(index: usize, record: &Record, details: Value) -> Value {
    let mut place = place(index, record);
    if let (Some(place), Value::Object(details)) = (place.as_object_mut(), details) {
        place.extend(details);
    }
    place
}

/// Returns the first few items.
pub(super) fn few<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().take(MAX_PLACES).collect()
}

/// Shortens a text from a file, which may be of any length.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    text.chars().take(MAX_TEXT).chain(['…']).collect()
}

/// Number and noun: `1 record`, `3 records`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
