//! Conversion of numeric attributes from and to JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use super::is_general;
use crate::checkpoint::{CheckpointError, MAX_ATTRIBUTES, MAX_CONFIG_BYTES, MAX_NAME_BYTES};

/// Integers up to this magnitude are written without a decimal point. They are exact as `f64`.
const MAX_EXACT_INTEGER: f64 = (1_u64 << 53) as f64;

/// Reads all numbers of a JSON object, named by their dotted paths. A list that repeats one number, such as a kernel
/// size, counts as that number. `place` names the object in messages.
///
/// # Errors
/// If the text is not a JSON object or exceeds a limit, or if a general key has a value that is not a number.
pub(in crate::checkpoint) fn from_json(text: &str, place: &str) -> Result<BTreeMap<String, f64>, CheckpointError> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(CheckpointError::Malformed(format!(
            "`{place}` has {} bytes; at most {MAX_CONFIG_BYTES} are allowed",
            text.len()
        )));
    }
    let root: Value = serde_json::from_str(text)
        .map_err(|error| CheckpointError::Malformed(format!("`{place}` is not valid JSON: {error}")))?;
    if !root.is_object() {
        return Err(CheckpointError::Malformed(format!(
            "`{place}` is not a JSON object such as {{\"num_heads\": 12}}"
        )));
    }
    let mut attributes = BTreeMap::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((path, value)) = pending.pop() {
        if path.len() > MAX_NAME_BYTES || attributes.len() > MAX_ATTRIBUTES {
            return Err(CheckpointError::Malformed(format!(
                "`{place}` has more than {MAX_ATTRIBUTES} numbers, or a name longer than {MAX_NAME_BYTES} bytes"
            )));
        }
        if let Value::Object(fields) = value {
            pending.extend(fields.into_iter().map(|(name, value)| {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                (path, value)
            }));
        } else if let Some(number) = number(&path, &value) {
            attributes.insert(path, number);
        } else if is_general(&path) && !value.is_null() {
            return Err(CheckpointError::Unsupported(format!(
                "`{path}` in `{place}` is {value}; a number is expected"
            )));
        }
    }
    Ok(attributes)
}

/// Writes the attributes as one JSON object, sorted by name.
pub(in crate::checkpoint) fn to_json(attributes: &BTreeMap<String, f64>) -> String {
    let fields: serde_json::Map<String, Value> = attributes
        .iter()
        .map(|(name, &value)| {
            let integer = value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER;
            (name.clone(), if integer { Value::from(value as i64) } else { Value::from(value) })
        })
        .collect();
    Value::Object(fields).to_string()
}

/// Value of a number, of a list that repeats one number, or of a general key whose number was saved as text.
fn number(path: &str, value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_general(path) => text.trim().parse().ok(),
        Value::Array(items) => {
            let first = items.first()?.as_f64()?;
            items.iter().all(|item| item.as_f64() == Some(first)).then_some(first)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_preserves_every_number() {
        let attributes: BTreeMap<String, f64> =
            [("eps", 1e-6), ("scale", 0.1 + 0.2), ("heads", 12.0), ("tiny", f64::MIN_POSITIVE), ("big", 1e300)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        assert_eq!(from_json(&to_json(&attributes), "it").unwrap(), attributes);
        assert!(to_json(&attributes).contains("\"heads\":12,"));
    }

    #[test]
    fn from_json_reads_lists_and_text() {
        let attributes = from_json(
            r#"{"patch_size": [8, 8], "image_size": [32, 64], "num_heads": "8", "seed": "7", "qk_scale": null}"#,
            "it",
        );
        let expected = [("num_heads".to_owned(), 8.0), ("patch_size".to_owned(), 8.0)];
        assert_eq!(attributes.unwrap().into_iter().collect::<Vec<_>>(), expected);
        for text in [r#"{"num_heads": "many"}"#, r#"{"num_heads": [1, 2]}"#] {
            let error = from_json(text, "args").unwrap_err().to_string();
            assert!(error.contains("`num_heads` in `args`"), "{error}");
        }
    }

    #[test]
    fn from_json_rejects_text_that_is_not_an_object() {
        assert!(from_json("[1]", "it").is_err());
        assert!(from_json("{", "it").is_err());
        assert!(from_json(&"[".repeat(100_000), "it").is_err());
    }
}
