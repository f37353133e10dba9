//! Numeric attributes: conversion from and to JSON, and lookup by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CheckpointError, MAX_ATTRIBUTES, MAX_CONFIG_BYTES, MAX_NAME_BYTES};

/// Integers up to this magnitude are written without a decimal point. They are exact as `f64`.
const MAX_EXACT_INTEGER: f64 = (1_u64 << 53) as f64;

/// Reads all numbers of a JSON object, named by their dotted paths. A list that repeats one number, such as a kernel
/// size, counts as that number.
///
/// # Errors
/// If the text is not a JSON object, or exceeds a limit.
pub(super) fn from_json(text: &str) -> Result<BTreeMap<String, f64>, CheckpointError> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(CheckpointError::Malformed(format!(
            "`config.json` has {} bytes; at most {MAX_CONFIG_BYTES} are allowed",
            text.len()
        )));
    }
    let root: Value = serde_json::from_str(text)
        .map_err(|error| CheckpointError::Malformed(format!("`config.json` is not valid JSON: {error}")))?;
    if !root.is_object() {
        return Err(CheckpointError::Malformed(
            "`config.json` is not a JSON object such as {\"num_heads\": 12}".to_owned(),
        ));
    }
    let mut attributes = BTreeMap::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((path, value)) = pending.pop() {
        if path.len() > MAX_NAME_BYTES || attributes.len() > MAX_ATTRIBUTES {
            return Err(CheckpointError::Malformed(format!(
                "`config.json` has more than {MAX_ATTRIBUTES} numbers, or a name longer than {MAX_NAME_BYTES} bytes"
            )));
        }
        match value {
            Value::Object(fields) => {
                pending.extend(fields.into_iter().map(|(name, value)| {
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    (path, value)
                }));
            }
            Value::Array(items) => {
                let first = items.first().and_then(number);
                if let Some(first) = first.filter(|_| items.iter().all(|item| number(item) == first)) {
                    attributes.insert(path, first);
                }
            }
            scalar => {
                if let Some(value) = number(&scalar) {
                    attributes.insert(path, value);
                }
            }
        }
    }
    Ok(attributes)
}

/// Writes the attributes as one JSON object, sorted by name.
pub(super) fn to_json(attributes: &BTreeMap<String, f64>) -> String {
    let fields: serde_json::Map<String, Value> = attributes
        .iter()
        .map(|(name, &value)| {
            let integer = value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER;
            (name.clone(), if integer { Value::from(value as i64) } else { Value::from(value) })
        })
        .collect();
    Value::Object(fields).to_string()
}

/// Looks up an attribute by its full name, then by its general name. The documentation of
/// [`Checkpoint::attribute`](super::Checkpoint::attribute) states the rules.
pub(super) fn find(attributes: &BTreeMap<String, f64>, name: &str) -> Option<f64> {
    if let Some(&value) = attributes.get(name) {
        return Some(value);
    }
    let (parents, last) = name.rsplit_once('.')?;
    let general = |key: &str| attributes.get(key).copied();
    if last != "eps" {
        return general(last);
    }
    let module = parents.rsplit('.').next().unwrap_or(parents);
    if module.contains("norm") {
        general("eps").or_else(|| general("layer_norm_eps"))
    } else {
        general("batch_norm_eps")
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_prefers_full_names_to_general_names() {
        let config = r#"{"num_heads": 12, "layer_norm_eps": 1e-6, "blocks": {"1": {"attn": {"num_heads": 3}}},
            "patch_size": [8, 8], "image_size": [32, 64], "qkv_bias": true, "name": "AstroMAE"}"#;
        let attributes = from_json(config).unwrap();
        assert_eq!(find(&attributes, "blocks.0.attn.num_heads"), Some(12.0));
        assert_eq!(find(&attributes, "blocks.1.attn.num_heads"), Some(3.0));
        assert_eq!(find(&attributes, "blocks.0.norm1.eps"), Some(1e-6));
        assert_eq!(find(&attributes, "fc_norm.eps"), Some(1e-6));
        assert_eq!(find(&attributes, "blocks.0.PCM.1.eps"), None, "the eps of a batch norm is another number");
        assert_eq!(find(&attributes, "patch_embed.patch_size"), Some(8.0));
        assert_eq!(find(&attributes, "qkv_bias"), Some(1.0));
        assert_eq!(find(&attributes, "image_size"), None);
        assert_eq!(find(&attributes, "name"), None);
    }

    #[test]
    fn json_preserves_every_number() {
        let attributes: BTreeMap<String, f64> =
            [("eps", 1e-6), ("scale", 0.1 + 0.2), ("heads", 12.0), ("tiny", f64::MIN_POSITIVE), ("big", 1e300)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        assert_eq!(from_json(&to_json(&attributes)).unwrap(), attributes);
        assert!(to_json(&attributes).contains("\"heads\":12,"));
    }

    #[test]
    fn from_json_rejects_text_that_is_not_an_object() {
        assert!(from_json("[1]").is_err());
        assert!(from_json("{").is_err());
        assert!(from_json(&"[".repeat(100_000)).is_err());
    }
}
