//! Version of a record (`format_version`), and the error for a record that cannot be read.

use serde::Deserialize;

/// Error for a record that this program cannot read, or that holds an impossible value.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not JSON, or the JSON has other keys or types.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The record has a version that this program does not read.
    #[error("format_version {found} found, {expected} expected; another version of cosmicai wrote it")]
    Version {
        /// Version in the file.
        found: u32,
        /// Version that this program reads.
        expected: u32,
    },
    /// A value is impossible.
    #[error("{0}")]
    Value(String),
}

/// Checks that the `format_version` of a JSON object is `expected`. Call it before parsing the rest.
///
/// # Errors
/// The version is different or missing, or the bytes are not a JSON object.
pub fn check_format(json: &[u8], expected: u32) -> Result<(), FormatError> {
    #[derive(Deserialize)]
    struct Head {
        format_version: u32,
    }
    let Head { format_version: found } = serde_json::from_slice(json)?;
    if found == expected { Ok(()) } else { Err(FormatError::Version { found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_other_versions_and_missing_versions() {
        assert!(check_format(br#"{"format_version": 1, "x": []}"#, 1).is_ok());
        let error = |json: &[u8]| check_format(json, 1).unwrap_err().to_string();
        assert!(error(br#"{"format_version": 2}"#).starts_with("format_version 2 found, 1 expected"));
        assert!(error(br#"{"format": 1}"#).contains("format_version"));
    }
}
