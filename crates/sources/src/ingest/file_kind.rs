//! Message for an input of another kind than `ingest` reads.

use astromae::file_kind::{FileKind, Purpose, START_BYTES, identify};

/// States the kind of a file and what to do with it. Returns `None` for the kinds that the caller reads, and for bytes
/// of no known kind.
pub(super) fn other_kind(bytes: &[u8], purpose: Purpose, expected: &str, read: &[FileKind]) -> Option<String> {
    let kind = identify(&bytes[..bytes.len().min(START_BYTES)], "")?;
    if read.contains(&kind) {
        return None;
    }
    Some(format!("expected {expected}, but the file is {}; {}", kind.name(), kind.advice(purpose)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_other_kinds_and_accepts_those_that_are_read() {
        let catalogue = |bytes: &[u8]| {
            other_kind(bytes, Purpose::Catalogue, "a table", &[FileKind::Text, FileKind::Parquet, FileKind::Fits])
        };
        for bytes in [&b"SIMPLE  =                    T"[..], b"PAR1", b"id,u,g,r,i,z\n", b"# id u g\n", b"\0\x01"] {
            assert_eq!(catalogue(bytes), None, "{}", bytes.escape_ascii());
        }
        let html = catalogue(b"<!DOCTYPE html>").unwrap();
        assert!(html.starts_with("expected a table, but the file is an HTML page"), "{html}");
        assert!(catalogue(b"").unwrap().contains("an empty file; copy or save it again"));
    }
}
