//! How evidence names records and files: a few of them, shortened, and how many there are.

use serde_json::{Value, json};

use crate::record::Record;

/// Records, files or values that evidence names; of more it gives the count.
pub(super) const MAX_PLACES: usize = 10;
/// The longest text that evidence quotes, in characters.
const MAX_TEXT: usize = 200;

/// One record: its index and its first file.
pub(super) fn place(index: usize, record: &Record) -> Value {
    json!({ "record": index, "data_path": record.files().first().map(|key| shortened(key)) })
}

/// One record with what is to be said of it.
pub(super) fn place_with(index: usize, record: &Record, said: Value) -> Value {
    let mut place = place(index, record);
    if let (Some(place), Value::Object(said)) = (place.as_object_mut(), said) {
        place.extend(said);
    }
    place
}

/// The first few of them.
pub(super) fn few<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().take(MAX_PLACES).collect()
}

/// A text that a file may have made long.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    text.chars().take(MAX_TEXT).chain(['…']).collect()
}

/// `1 record`, `3 records`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
