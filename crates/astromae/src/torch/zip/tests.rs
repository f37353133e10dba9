use std::io::{Read as _, Write};

use super::*;
use crate::torch::TorchError;

const FILES: [(&str, &[u8]); 3] = [("a/data.pkl", b"pickle"), ("a/data/0", &[7; 1_000]), ("a/empty", b"")];

fn written() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, data) in FILES {
        writer.start(name, data.len() as u64).unwrap();
        for piece in data.chunks(300) {
            writer.write(piece).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn read(file: &[u8]) -> Result<Vec<(Entry, &[u8])>, TorchError> {
    let tail = &file[file.len().saturating_sub(TAIL_BYTES as usize)..];
    let location = locate_directory(tail, file.len() as u64)?;
    let directory = &file[location.range.start as usize..location.range.end as usize];
    let with_data = |entry: Entry| {
        let range = entry.data_range(&file[entry.header_offset as usize..])?;
        let data = &file[range.start as usize..range.end as usize];
        entry.check_crc32(crc32fast::hash(data))?;
        Ok((entry, data))
    };
    parse_directory(directory, &location)?.into_iter().map(with_data).collect()
}

fn message(file: &[u8]) -> String {
    read(file).expect_err("the file must be rejected").to_string()
}

/// The file with `bytes` at `at` of the first directory header.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = written();
    let header = file.windows(4).position(|four| four == CENTRAL_HEADER).unwrap();
    file[header + at..header + at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn writer_and_reader_agree() {
    let file = written();
    let entries = read(&file).unwrap();
    let found: Vec<_> = entries.iter().map(|(entry, data)| (entry.name.as_str(), *data)).collect();
    assert_eq!(found, FILES);
    for (_, data) in &entries {
        let offset = data.as_ptr() as usize - file.as_ptr() as usize;
        assert!((offset as u64).is_multiple_of(DATA_ALIGNMENT));
    }
    assert_eq!(file, written(), "equal entries give equal bytes");
}

#[test]
fn zip_crate_reads_written_archives() {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(written())).unwrap();
    assert_eq!(archive.len(), FILES.len());
    for (index, (name, data)) in FILES.iter().enumerate() {
        let mut file = archive.by_index(index).unwrap();
        assert_eq!(file.name().unwrap(), *name);
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap(); // also verifies the checksum
        assert_eq!(content, *data);
    }
}

#[test]
fn reads_archives_of_the_zip_crate() {
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in FILES {
        writer.start_file(name, stored.large_file(name.ends_with('0'))).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.set_comment("a comment with PK\x05\x06").unwrap();
    let file = writer.finish().unwrap().into_inner();
    let found: Vec<_> = read(&file).unwrap().into_iter().map(|(entry, data)| (entry.name, data)).collect();
    assert_eq!(found, FILES.map(|(name, data)| (name.to_owned(), data)));
}

#[test]
fn rejects_compressed_encrypted_and_multi_disk_entries_by_name() {
    let compressed = patched(10, &8_u16.to_le_bytes());
    assert!(message(&compressed).contains("`a/data.pkl` is compressed (method 8)"), "{}", message(&compressed));
    assert!(matches!(read(&compressed), Err(TorchError::Unsupported(_))));
    assert!(message(&patched(8, &(FLAG_BITS | 1).to_le_bytes())).contains("`a/data.pkl` is encrypted"));
    assert!(message(&patched(34, &[1])).contains("another disk"));
    assert!(message(&patched(20, &[9])).contains("has 6 bytes, but is stored in 9 bytes"));
}

/// Flags that the writer sets.
const FLAG_BITS: u16 = 0x0808;

#[test]
fn rejects_entries_that_overlap_or_are_outside_the_file() {
    assert!(message(&patched(42, &u32::MAX.to_le_bytes())).contains("zip64 field is missing"));
    assert!(message(&patched(42, &1_000_u32.to_le_bytes())).contains("overlaps"));
    assert!(message(&patched(42, &0x7fff_ffff_u32.to_le_bytes())).contains("overlaps"));
    assert!(message(&patched(42, &1_u32.to_le_bytes())).contains("no local header"));
    let longer = 1_000_u32.to_le_bytes();
    assert!(message(&patched(20, &[longer, longer].concat())).contains("overlaps"));
    // These data would fit before the next header, but not after the padding of their own header.
    let longer = 40_u32.to_le_bytes();
    assert!(message(&patched(20, &[longer, longer].concat())).contains("run into the next entry"));
}

#[test]
fn rejects_damaged_data_and_names() {
    let mut file = written();
    let at = file.windows(6).position(|six| six == b"pickle").unwrap();
    file[at] ^= 1;
    assert!(message(&file).contains("`a/data.pkl` is damaged"));

    let doubled = {
        let mut writer = Writer::new(Vec::new());
        for _ in 0..2 {
            writer.start("a/data/0", 1).unwrap();
            writer.write(b"x").unwrap();
        }
        writer.finish().unwrap()
    };
    assert!(message(&doubled).contains("two zip entries have the name `a/data/0`"));
    assert!(message(&patched(46, &[0xff])).contains("not UTF-8"));
}

#[test]
fn rejects_truncated_and_prefixed_files() {
    let file = written();
    for length in 0..file.len() {
        assert!(matches!(read(&file[..length]), Err(TorchError::Malformed(_))), "{length} bytes");
    }
    let prefixed = [b"x", &file[..]].concat();
    assert!(matches!(read(&prefixed), Err(TorchError::Malformed(_))));
}

#[test]
fn rejects_huge_counts_without_allocating() {
    let patched_end = |at: usize, value: u64| {
        let mut file = written();
        let end = file.windows(4).rposition(|four| four == END_64).unwrap();
        file[end + at..end + at + 8].copy_from_slice(&value.to_le_bytes());
        file
    };
    assert!(message(&patched_end(32, u64::MAX)).contains("entries; at most"));
    assert!(message(&patched_end(32, MAX_ENTRIES)).contains("truncated"));
    assert!(message(&patched_end(40, u64::MAX)).contains("bytes; at most"));
    assert!(message(&patched_end(40, 1 << 20)).contains("does not end before"));
    assert!(message(&patched_end(48, u64::MAX)).contains("does not end before"));
    assert!(message(&patched_end(32, 2)).contains("after its 2 entries"));
}

/// Writer that counts all bytes and keeps the last thousand.
struct Tail {
    bytes: u64,
    tail: Vec<u8>,
}

impl Write for Tail {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.bytes += data.len() as u64;
        self.tail.extend(&data[data.len().saturating_sub(1_000)..]);
        let excess = self.tail.len().saturating_sub(1_000);
        self.tail.drain(..excess);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn entries_beyond_4_gib_use_zip64() {
    let piece = vec![0; 64 << 20];
    let bytes = 65 * piece.len() as u64;
    let mut writer = Writer::new(Tail { bytes: 0, tail: Vec::new() });
    writer.start("a/data/0", bytes).unwrap();
    for _ in 0..65 {
        writer.write(&piece).unwrap();
    }
    writer.start("a/version", 2).unwrap();
    writer.write(b"3\n").unwrap();
    let file = writer.finish().unwrap();

    let location = locate_directory(&file.tail, file.bytes).unwrap();
    let start = (location.range.start - (file.bytes - file.tail.len() as u64)) as usize;
    let length = (location.range.end - location.range.start) as usize;
    let entries = parse_directory(&file.tail[start..start + length], &location).unwrap();
    assert_eq!(entries[0].bytes, bytes);
    assert!(entries[1].header_offset > bytes);
    let header = (entries[1].header_offset - (file.bytes - file.tail.len() as u64)) as usize;
    let data = entries[1].data_range(&file.tail[header..]).unwrap();
    assert_eq!(data.end - data.start, 2);
}
