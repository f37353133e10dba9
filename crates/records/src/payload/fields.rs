//! Checks the keys of a payload one by one: type, range, and the message for a wrong value.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::PayloadError;

/// Every key that a payload may have: the keys of the CAI study, then those of cosmicai.
pub(super) const KEYS: [&str; 18] = [
    "bucket",
    "file_limit",
    "batch_size",
    "object_type",
    "S3_object_name",
    "script",
    "result_path",
    "data_bucket",
    "data_prefix",
    "world_size",
    "model",
    "precision",
    "order",
    "memory_mb",
    "max_concurrency",
    "tolerated_failure_percentage",
    "predictions",
    "repeat",
];
/// Longest text value, in bytes: the limit of S3 for an object key.
const MAX_TEXT_BYTES: usize = 1_024;
/// Longest part of a wrong value that a message repeats, in characters.
const MAX_SHOWN: usize = 60;
/// Largest number of spelling mistakes for which a message suggests a key.
const MAX_MISTAKES: usize = 3;

/// Key-value pairs of a JSON object in order, including repeated keys.
pub(super) struct Pairs(Vec<(String, Value)>);

impl Pairs {
    /// Converts the pairs to a map; fails if a key appears twice.
    pub(super) fn unique(self) -> Result<Map<String, Value>, PayloadError> {
        let mut map = Map::new();
        for (key, value) in self.0 {
            if map.contains_key(&key) {
                return Err(PayloadError::DuplicateKey { key: shorten(&key) });
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// Keys and values of a payload that has known keys only.
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Description of a number, for messages.
    pub(super) const NUMBER: &'static str = "a whole number, or one in quotes";

    pub(super) fn new(submitted: &'a Map<String, Value>) -> Result<Self, PayloadError> {
        match submitted.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(PayloadError::UnknownKey { key: shorten(key) }),
            None => Ok(Self(submitted)),
        }
    }

    /// Value of a required key.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        value: Result<Option<T>, PayloadError>,
        expected: &str,
    ) -> Result<T, PayloadError> {
        value?.ok_or_else(|| PayloadError::MissingKey { key, expected: expected.to_owned() })
    }

    /// Reads a text that is not empty.
    pub(super) fn text(&self, key: &'static str, expected: &str) -> Result<Option<String>, PayloadError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT_BYTES => Ok(Some(text.clone())),
            Some(other) => Err(bad_value(key, other, expected)),
        }
    }

    /// Reads the name of a bucket.
    pub(super) fn bucket(&self, key: &'static str) -> Result<String, PayloadError> {
        let expected = "the name of a bucket, without `/`";
        let name = self.required(key, self.text(key, expected), expected)?;
        if name.contains(['/', '\\']) || name.contains(char::is_control) || name == "." || name == ".." {
            return Err(bad_value(key, &Value::String(name), expected));
        }
        Ok(name)
    }

    /// Reads a folder in a bucket and returns it as submitted.
    pub(super) fn folder(&self, key: &'static str, may_be_empty: bool) -> Result<String, PayloadError> {
        let expected = match may_be_empty {
            true => "a folder such as `100MB`, or \"\" for the whole bucket",
            false => "a folder such as `results/first`",
        };
        let value = self.0.get(key);
        let value = value.ok_or_else(|| PayloadError::MissingKey { key, expected: expected.to_owned() })?;
        match value {
            Value::String(text)
                if text.len() <= MAX_TEXT_BYTES
                    && match text.trim_matches('/') {
                        "" => may_be_empty,
                        folder => folder.split('/').all(is_folder_name),
                    } =>
            {
                Ok(text.clone())
            }
            other => Err(bad_value(key, other, expected)),
        }
    }

    /// Reads a whole number, given as a number or as text.
    pub(super) fn number(
        &self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, PayloadError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|number| usize::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let expected = format!("a whole number from {} to {}, or one in quotes", range.start(), range.end());
                Err(bad_value(key, value, &expected))
            }
        }
    }

    /// Reads a number from 0 to 100, given as a number or as text.
    pub(super) fn percentage(&self, key: &'static str) -> Result<Option<f64>, PayloadError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(bad_value(key, value, "a number from 0 to 100")),
        }
    }

    /// Reads one of a few words with `parse`, which returns `None` for other words.
    pub(super) fn choice<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, PayloadError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        match value.as_str().and_then(parse) {
            Some(choice) => Ok(Some(choice)),
            None => Err(bad_value(key, value, expected)),
        }
    }
}

/// Text after "unknown key": the most similar key, or all keys if none is similar.
pub(super) fn suggest(key: &str) -> String {
    let near = KEYS.iter().map(|known| (distance(&key.to_lowercase(), &known.to_lowercase()), known)).min();
    match near {
        Some((mistakes, known)) if mistakes <= MAX_MISTAKES && mistakes * 2 < known.len() => {
            format!("; did you mean `{known}`?")
        }
        _ => format!("; expected one of {}", KEYS.join(", ")),
    }
}

/// Returns true if `object_store` accepts the name of a folder.
fn is_folder_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.chars().any(|letter| letter.is_ascii_control())
}

/// Short form of a value for messages.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {} values", items.len()),
        Value::Object(map) => format!("an object of {} keys", map.len()),
        other => shorten(&other.to_string()),
    }
}

fn bad_value(key: &'static str, found: &Value, expected: &str) -> PayloadError {
    PayloadError::BadValue { key, found: show(found), expected: expected.to_owned() }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Number of letters to add, remove or change (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let change = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
