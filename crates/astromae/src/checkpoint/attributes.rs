//! Numeric attributes by name: JSON in and out, and the lookup rules of [`Checkpoint::attribute`].
//!
//! [`Checkpoint::attribute`]: super::Checkpoint::attribute

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CheckpointError, MAX_ATTRIBUTES, MAX_CONFIG_BYTES, MAX_NAME_BYTES};

/// Integers up to here are written without a decimal point and read back as they were.
const MAX_EXACT_INTEGER: f64 = (1_u64 << 53) as f64;

/// The numbers of a JSON object under their dotted paths; a list of one repeated number (a kernel
/// size) counts as that number.
///
/// # Errors
/// When the text is no JSON object.
pub(super) fn from_json(text: &str) -> Result<BTreeMap<String, f64>, CheckpointError> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(CheckpointError::Malformed(format!(
            "`config.json` has {} bytes, more than {MAX_CONFIG_BYTES}",
            text.len()
        )));
    }
    let root: Value = serde_json::from_str(text)
        .map_err(|error| CheckpointError::Malformed(format!("`config.json` is no valid JSON: {error}")))?;
    if !root.is_object() {
        return Err(CheckpointError::Malformed("`config.json` is no JSON object".to_owned()));
    }
    let mut attributes = BTreeMap::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((path, value)) = pending.pop() {
        if path.len() > MAX_NAME_BYTES || attributes.len() > MAX_ATTRIBUTES {
            return Err(CheckpointError::Malformed(format!(
                "`config.json` has more than {MAX_ATTRIBUTES} numbers or a name of more than {MAX_NAME_BYTES} bytes"
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

/// The attributes as one JSON object, sorted by name.
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

/// Looks `name` up: in full, then as a configuration states it once for all modules.
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
    fn finds_full_names_first_then_general_ones() {
        let config = r#"{"num_heads": 12, "layer_norm_eps": 1e-6, "blocks": {"1": {"attn": {"num_heads": 3}}},
            "patch_size": [8, 8], "image_size": [32, 64], "qkv_bias": true, "name": "AstroMAE"}"#;
        let attributes = from_json(config).unwrap();
        assert_eq!(find(&attributes, "blocks.0.attn.num_heads"), Some(12.0));
        assert_eq!(find(&attributes, "blocks.1.attn.num_heads"), Some(3.0));
        assert_eq!(find(&attributes, "blocks.0.norm1.eps"), Some(1e-6));
        assert_eq!(find(&attributes, "fc_norm.eps"), Some(1e-6));
        assert_eq!(find(&attributes, "blocks.0.PCM.1.eps"), None, "a batch norm's eps is another number");
        assert_eq!(find(&attributes, "patch_embed.patch_size"), Some(8.0));
        assert_eq!(find(&attributes, "qkv_bias"), Some(1.0));
        assert_eq!(find(&attributes, "image_size"), None);
        assert_eq!(find(&attributes, "name"), None);
    }

    #[test]
    fn json_keeps_every_number() {
        let attributes: BTreeMap<String, f64> =
            [("eps", 1e-6), ("scale", 0.1 + 0.2), ("heads", 12.0), ("tiny", f64::MIN_POSITIVE), ("big", 1e300)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        assert_eq!(from_json(&to_json(&attributes)).unwrap(), attributes);
        assert!(to_json(&attributes).contains("\"heads\":12,"));
    }

    #[test]
    fn refuses_what_is_no_object() {
        assert!(from_json("[1]").is_err());
        assert!(from_json("{").is_err());
        assert!(from_json(&"[".repeat(100_000)).is_err());
    }
}
