//! Names what a file is, from its first bytes, and states what to do if it is not an input of `ingest`.

/// Kind of a file that is neither a catalogue nor an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileKind {
    /// Name of the kind, with an article.
    pub(super) name: &'static str,
    /// Instruction for a user who wanted to pass a catalogue or an image.
    pub(super) advice: &'static str,
}

/// Kinds by their first bytes.
const KINDS: [(&[u8], FileKind); 19] = [
    (b"version https://git-lfs", kind("a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`")),
    (b"\x89HDF\r\n\x1a\n", kind("an HDF5 file", "convert it: `astropy.table.Table.read(F, path=…).write('c.fits')`")),
    (b"\x93NUMPY", kind("a numpy array", "pass arrays with `--images F.npy --magnitudes F.npy`")),
    (b"PK\x03\x04", kind("a zip archive", "unzip it; give numpy arrays a name that ends in `.npz`")),
    (b"\xfd7zXZ\x00", kind("compressed by xz", "decompress it with `xz -d`")),
    (b"\x28\xb5\x2f\xfd", kind("compressed by zstd", "decompress it with `zstd -d`")),
    (b"\x1f\x9d", kind("compressed by `compress` (.Z)", "decompress it with `gzip -d`")),
    (b"\x04\x22\x4d\x18", kind("compressed by lz4", "decompress it with `lz4 -d`")),
    (b"ARROW1", kind("an Arrow (Feather) file", "convert it: `pandas.read_feather(F).to_parquet('c.parquet')`")),
    (b"SQLite format 3", kind("an SQLite database", "export the table as CSV")),
    (b"\xd0\xcf\x11\xe0", kind("an Excel file", "save the sheet as CSV, with identifiers as text")),
    (b"\x89PNG", kind("a PNG picture", "fetch the FITS cutout; a picture has no fluxes")),
    (b"\xff\xd8\xff", kind("a JPEG picture", "fetch the FITS cutout; a picture has no fluxes")),
    (b"%PDF", kind("a PDF document", "pass the data itself")),
    (b"\x80\x02", kind("a Python pickle", "save the data as Parquet, FITS or `.npz`; pickles are programs")),
    (b"\x80\x04", kind("a Python pickle", "save the data as Parquet, FITS or `.npz`; pickles are programs")),
    (b"\x80\x05", kind("a Python pickle", "save the data as Parquet, FITS or `.npz`; pickles are programs")),
    (b"\xff\xfe", kind("text in UTF-16", "save it as UTF-8: `iconv -f UTF-16 -t UTF-8`")),
    (b"\xfe\xff", kind("text in UTF-16", "save it as UTF-8: `iconv -f UTF-16 -t UTF-8`")),
];
/// Bytes in which XML names its root element.
const XML_START_BYTES: usize = 2048;

const fn kind(name: &'static str, advice: &'static str) -> FileKind {
    FileKind { name, advice }
}

impl FileKind {
    /// Recognises a file from its first bytes. Returns None for FITS, Parquet, plain text and unknown bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(kind("empty", "create or download it again"));
        }
        if let Some((_, found)) = KINDS.iter().find(|(start, _)| bytes.starts_with(start)) {
            return Some(*found);
        }
        let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        match start.first()? {
            b'<' => {
                let start = String::from_utf8_lossy(&start[..start.len().min(XML_START_BYTES)]).to_ascii_lowercase();
                Some(if start.contains("<votable") {
                    kind("a VOTable", "convert it: `astropy.table.Table.read(F, format='votable').write('c.fits')`")
                } else if start.contains("<html") || start.contains("<!doctype html") {
                    kind(
                        "an HTML page, perhaps the error page of a server",
                        "read the page, and download the file again",
                    )
                } else {
                    kind("XML", "convert it to FITS, Parquet or CSV; it may be the error message of a server")
                })
            }
            b'{' | b'[' => Some(kind("JSON", "convert it: `pandas.read_json(F).to_parquet('c.parquet')`")),
            _ => None,
        }
    }

    /// Message for a file of this kind.
    pub(super) fn problem(self, expected: &str) -> String {
        format!("expected {expected}, but the file is {}; {}", self.name, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_files_that_users_have() {
        for (bytes, name) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
            (b"\n<!DOCTYPE html>\n<html>", "an HTML page"),
            (b"<?xml version='1.0'?>\n<!-- x -->\n<VOTABLE version=\"1.4\">", "a VOTable"),
            (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML"),
            (b"{\"detail\": \"not found\"}", "JSON"),
            (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ] {
            let found = FileKind::of(bytes).unwrap();
            assert!(found.name.starts_with(name), "{found:?}");
        }
        for bytes in [&b"SIMPLE  =                    T"[..], b"PAR1", b"id,u,g,r,i,z\n", b"# id u g\n", b"\x1f\x8b"] {
            assert_eq!(FileKind::of(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(found) = FileKind::of(&bytes) {
                prop_assert!(!found.problem("a table").is_empty());
            }
        }
    }
}
