//! Recognises what a file is from its first bytes and its name, for messages about files of another kind than expected.
//!
//! This is a pure function: the caller reads the bytes, adds the path, and says what it expected.

/// Number of bytes at the start of a file that [`identify`] looks at. It accepts fewer, and recognises less then.
pub const START_BYTES: usize = 512;

/// Use that a file was meant for. The advice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A model: a pickled module, a state dict or safetensors.
    Model,
    /// A partition: a pickled `TensorDataset` of images.
    Partition,
    /// An array of images, magnitudes or redshifts.
    Array,
    /// A table of objects.
    Catalogue,
    /// A FITS image of a galaxy.
    Cutout,
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the formats")]
pub enum FileKind {
    Empty,
    /// Pointer that Git LFS leaves in place of a file.
    GitLfsPointer,
    Html,
    /// XML error of an object store, such as `AccessDenied`.
    StoreError,
    VoTable,
    /// Other XML.
    Xml,
    Json,
    Gzip,
    Bzip2,
    Xz,
    Zstandard,
    Lz4,
    /// Compressed by the program `compress` (`.Z`).
    UnixCompress,
    SevenZip,
    Tar,
    Zip,
    /// Zip archive of `numpy.savez`.
    Npz,
    Npy,
    /// Zip archive of `torch.save`.
    TorchArchive,
    /// Archive of `torch.jit.save`.
    TorchScript,
    /// Pickle of `torch.save` before PyTorch 1.6.
    TorchLegacy,
    /// Tar archive of `torch.save` before PyTorch 0.4.
    TorchTar,
    Pickle,
    Safetensors,
    Hdf5,
    Onnx,
    TensorFlow,
    Gguf,
    Fits,
    Parquet,
    Arrow,
    Sqlite,
    /// Excel before 2007; newer ones are zip archives.
    Excel,
    Image,
    Pdf,
    /// Text in UTF-16.
    Utf16,
    /// Text in UTF-8.
    Text,
}

/// Recognises a file by its first bytes `start`, and by its name where the bytes leave a doubt. Returns `None` if it is
/// of no kind that this module knows.
pub fn identify(start: &[u8], name: &str) -> Option<FileKind> {
    use FileKind::*;
    let starts = |magic: &[u8]| start.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| start.get(offset..offset + magic.len()) == Some(magic);
    let kind = match start {
        [] => Empty,
        _ if starts(b"version https://git-lfs") || starts(b"version https://hawser") => GitLfsPointer,
        _ if starts(b"\x1f\x8b") => Gzip,
        _ if starts(b"BZh") && at(4, b"1AY&SY") => Bzip2,
        _ if starts(b"\xfd7zXZ\0") => Xz,
        _ if starts(b"\x28\xb5\x2f\xfd") => Zstandard,
        _ if starts(b"\x04\x22\x4d\x18") => Lz4,
        _ if starts(b"\x1f\x9d") => UnixCompress,
        _ if starts(b"7z\xbc\xaf\x27\x1c") => SevenZip,
        _ if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") => zip_kind(start),
        _ if starts(b"\x93NUMPY") => Npy,
        _ if starts(b"\x89HDF\r\n\x1a\n") => Hdf5,
        _ if starts(b"GGUF") => Gguf,
        _ if starts(b"SIMPLE  =") || starts(b"XTENSION=") => Fits,
        _ if starts(b"PAR1") => Parquet,
        _ if starts(b"ARROW1\0\0") || starts(b"FEA1") => Arrow,
        _ if starts(b"SQLite format 3\0") => Sqlite,
        _ if starts(b"\xd0\xcf\x11\xe0") => Excel,
        _ if starts(b"%PDF-") => Pdf,
        _ if starts(b"\x89PNG")
            || starts(b"\xff\xd8\xff")
            || starts(b"GIF8")
            || starts(b"II*\0")
            || starts(b"MM\0*") =>
        {
            Image
        }
        _ if at(4, b"TFL3") => TensorFlow,
        _ if is_safetensors(start) => Safetensors,
        _ if at(257, b"ustar") => if_named(name, &[".pt", ".pth"], TorchTar).unwrap_or(Tar),
        _ if is_torch_legacy(start) => TorchLegacy,
        [0x80, 2..=5, ..] => Pickle,
        [0xff, 0xfe, _, 0, ..] | [0xfe, 0xff, 0, ..] => Utf16,
        _ if is_onnx(start, name) => Onnx,
        _ => return text_kind(start),
    };
    Some(kind)
}

impl FileKind {
    /// Name of the kind with its article, such as `a gzip archive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::GitLfsPointer => "a pointer of Git LFS, not the file itself",
            Self::Html => "an HTML page, not the file itself",
            Self::StoreError => "an error message of an object store, not the file itself",
            Self::VoTable => "a VOTable",
            Self::Xml => "XML",
            Self::Json => "a JSON file",
            Self::Gzip => "compressed with gzip",
            Self::Bzip2 => "compressed with bzip2",
            Self::Xz => "compressed with xz",
            Self::Zstandard => "compressed with zstd",
            Self::Lz4 => "compressed with lz4",
            Self::UnixCompress => "compressed with compress (.Z)",
            Self::SevenZip => "a 7z archive",
            Self::Tar => "a tar archive",
            Self::Zip => "a zip archive, but not one of torch.save",
            Self::Npz => "a NumPy archive (.npz)",
            Self::Npy => "a NumPy array (.npy)",
            Self::TorchArchive => "a file of torch.save",
            Self::TorchScript => "a TorchScript archive of torch.jit.save",
            Self::TorchLegacy => "a file of torch.save in the format of PyTorch before 1.6",
            Self::TorchTar => "a file of torch.save in the tar format of PyTorch before 0.4",
            Self::Pickle => "a bare pickle of Python",
            Self::Safetensors => "a safetensors file",
            Self::Hdf5 => "an HDF5 file",
            Self::Onnx => "an ONNX model",
            Self::TensorFlow => "a TensorFlow Lite model",
            Self::Gguf => "a GGUF model",
            Self::Fits => "a FITS file",
            Self::Parquet => "a Parquet file",
            Self::Arrow => "an Arrow file",
            Self::Sqlite => "an SQLite database",
            Self::Excel => "an Excel file",
            Self::Image => "a picture (PNG, JPEG, GIF or TIFF)",
            Self::Pdf => "a PDF document",
            Self::Utf16 => "text in UTF-16",
            Self::Text => "a text file",
        }
    }

    /// What to do with such a file if it was meant for `purpose`. Every advice is an instruction without a full stop.
    pub fn advice(self, purpose: Purpose) -> &'static str {
        const SAVE_MODEL: &str = "save the state dict in PyTorch: `torch.save(model.state_dict(), \"model.pt\")`";
        const SAVE_ARRAYS: &str = "save NumPy arrays: `numpy.savez(\"arrays.npz\", images=…, magnitudes=…)`";
        match (self, purpose) {
            (Self::Empty, _) => "copy or save it again",
            (Self::GitLfsPointer, _) => "run `git lfs pull` in its repository to download the file",
            (Self::Html, _) => {
                "the download failed or needs a login; open its address in a browser, and download it again"
            }
            (Self::StoreError, _) => {
                "the download failed; check the address and the credentials, and download it again"
            }
            (Self::Gzip, _) => "decompress it with `gunzip`",
            (Self::Bzip2, _) => "decompress it with `bunzip2`",
            (Self::Xz, _) => "decompress it with `unxz`",
            (Self::Zstandard, _) => "decompress it with `unzstd`",
            (Self::Lz4, _) => "decompress it with `unlz4`",
            (Self::UnixCompress, _) => "decompress it with `gunzip`",
            (Self::SevenZip | Self::Tar | Self::Zip, _) => "unpack it, and name the file inside",
            (Self::TorchLegacy | Self::TorchTar, _) => {
                "load it in PyTorch 1.6 or later, and save it again: `torch.save(torch.load(\"old.pt\"), \"new.pt\")`"
            }
            (Self::TorchScript, Purpose::Model) => {
                "save its state dict: `torch.save(torch.jit.load(\"old.pt\").state_dict(), \"model.pt\")`"
            }
            (Self::Pickle, Purpose::Model) => "save the object with `torch.save` of PyTorch 1.6 or later",
            (Self::Fits | Self::Npz | Self::Npy | Self::Parquet, Purpose::Model) => {
                "pass the model file instead: a file of torch.save or safetensors"
            }
            (Self::Fits | Self::Npz | Self::Npy, Purpose::Partition) => "make partitions of it with `cosmicai ingest`",
            (Self::Safetensors, Purpose::Partition) => "pass it with `--model` if it is the model",
            (_, Purpose::Model) => SAVE_MODEL,
            (_, Purpose::Partition) => "make partitions with `cosmicai ingest` or `cosmicai split`",
            (_, Purpose::Array) => SAVE_ARRAYS,
            (Self::Npz | Self::Npy, Purpose::Catalogue) => {
                "pass an `.npz` file without `--cutouts`, or `.npy` files by options"
            }
            (Self::Hdf5, Purpose::Catalogue) => "convert it: `astropy.table.Table.read(F, path=…).write('c.fits')`",
            (Self::Json, Purpose::Catalogue) => "convert it: `pandas.read_json(F).to_parquet('c.parquet')`",
            (Self::Arrow, Purpose::Catalogue) => "convert it: `pandas.read_feather(F).to_parquet('c.parquet')`",
            (Self::Utf16, Purpose::Catalogue) => "save it as UTF-8: `iconv -f UTF-16 -t UTF-8`",
            (Self::Sqlite | Self::Excel, Purpose::Catalogue) => "save the table as CSV, with identifiers as text",
            (Self::Image, Purpose::Cutout) => "download the FITS image; a picture has no fluxes",
            (_, Purpose::Catalogue) => "save the table as CSV, Parquet or FITS",
            (_, Purpose::Cutout) => "download or save the image as FITS",
        }
    }
}

fn if_named(name: &str, endings: &[&str], kind: FileKind) -> Option<FileKind> {
    endings.iter().any(|ending| name.ends_with(ending)).then_some(kind)
}

/// Kind of a zip archive, by the name of its first entry.
fn zip_kind(start: &[u8]) -> FileKind {
    let length = start.get(26..28).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
    let entry = start.get(30..start.len().min(30 + length)).unwrap_or_default();
    let entry = String::from_utf8_lossy(entry);
    match entry.rsplit('/').next() {
        Some("data.pkl" | ".format_version" | ".data" | "byteorder" | "version") => FileKind::TorchArchive,
        Some("constants.pkl") => FileKind::TorchScript,
        Some(file) if file.ends_with(".npy") => FileKind::Npz,
        _ => FileKind::Zip,
    }
}

/// Safetensors: the length of the header, then a JSON object.
fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk::<8>().map(|eight| u64::from_le_bytes(*eight));
    start.get(8) == Some(&b'{') && length.is_some_and(|length| length < 1 << 32)
}

/// PyTorch before 1.6: a pickle of its magic number, an integer of 10 bytes.
fn is_torch_legacy(start: &[u8]) -> bool {
    const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    start[..start.len().min(32)].windows(10).any(|ten| ten == MAGIC)
}

/// ONNX: a protocol buffer with the version of the format (field 1), then the name of the producer (field 2) or another
/// field of the model.
fn is_onnx(start: &[u8], name: &str) -> bool {
    let is_message = matches!(start, [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42, ..]);
    is_message && (start.get(2) == Some(&0x12) || name.ends_with(".onnx"))
        || name.ends_with(".onnx") && start[0] == 0x08
}

fn text_kind(start: &[u8]) -> Option<FileKind> {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.valid_up_to() + 4 > start.len() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    if text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) {
        return None;
    }
    let lower = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| lower.starts_with(word));
    Some(if starts(&["<!doctype html", "<html", "<head", "<body"]) {
        FileKind::Html
    } else if lower.contains("<votable") {
        FileKind::VoTable
    } else if starts(&["<?xml", "<error"]) && lower.contains("<error") {
        FileKind::StoreError
    } else if starts(&["<?xml"]) && lower.contains("<html") {
        FileKind::Html
    } else if starts(&["<?xml"]) {
        FileKind::Xml
    } else if starts(&["{", "["]) {
        FileKind::Json
    } else {
        FileKind::Text
    })
}

#[cfg(test)]
mod tests;
