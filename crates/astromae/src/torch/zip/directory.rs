//! Reads and validates the directory of a zip archive.
//!
//! Every returned [`Entry`] is uncompressed and unencrypted, has a unique name, is inside the file and does not overlap
//! another entry. Its bytes can be read by range; only its local header needs another check.

use std::collections::HashSet;
use std::ops::Range;

use super::*;
use crate::torch::{TORCHSCRIPT, TorchError};

/// Number of bytes at the end of a file that [`locate_directory`] needs, or the whole file if it is shorter. They hold
/// the end records of the directory and the longest possible comment.
pub const TAIL_BYTES: u64 = (END_64_BYTES + LOCATOR_64_BYTES + END_BYTES) as u64 + u16::MAX as u64;

/// Position of the directory in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryLocation {
    /// Bytes of the file that hold the directory.
    pub range: Range<u64>,
    /// Number of entries that the end record states.
    pub entries: u64,
}

/// Entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, including the folder.
    pub name: String,
    /// Size of the data in bytes.
    pub bytes: u64,
    /// CRC-32 of the data; 0 if the writer recorded none.
    pub crc32: u32,
    /// Offset of the local header in the file.
    pub header_offset: u64,
    /// End of the region that the data may occupy: the local header of the next entry, or the directory.
    pub region_end: u64,
}

impl Entry {
    /// Finds the data of the entry in the file. `header` holds the bytes from its local header on; the first
    /// [`LOCAL_HEADER_BYTES`] are enough.
    ///
    /// # Errors
    /// If there is no local header, or the data would reach outside the region of the entry.
    pub fn data_range(&self, header: &[u8]) -> Result<Range<u64>, TorchError> {
        let lengths = || Some((u16_at(header, 26)?, u16_at(header, 28)?));
        let (name_bytes, extra_bytes) = lengths().filter(|_| header.starts_with(&LOCAL_HEADER)).ok_or_else(|| {
            TorchError::malformed(format!("entry `{}`: no local header at byte {}", self.name, self.header_offset))
        })?;
        let start = self.header_offset + LOCAL_HEADER_BYTES + u64::from(name_bytes) + u64::from(extra_bytes);
        match start.checked_add(self.bytes) {
            Some(end) if end <= self.region_end => Ok(start..end),
            _ => Err(TorchError::malformed(format!(
                "entry `{}`: its {} bytes from byte {start} run into the next entry at byte {}",
                self.name, self.bytes, self.region_end
            ))),
        }
    }

    /// Compares the checksum `found` of the data with the recorded one. Returns `Ok` if none is recorded (0).
    ///
    /// # Errors
    /// If the checksums differ; the message contains both.
    pub fn check_crc32(&self, found: u32) -> Result<(), TorchError> {
        if self.crc32 == 0 || found == self.crc32 {
            return Ok(());
        }
        Err(TorchError::malformed(format!(
            "entry `{}` is damaged: checksum {:08x} recorded, {found:08x} found; copy or save the file again",
            self.name, self.crc32
        )))
    }
}

/// Finds the directory from `tail`, the last `min(file_bytes, TAIL_BYTES)` bytes of the file.
///
/// # Errors
/// If the file is not a zip archive or is truncated, if the archive has several disks, or if its directory does not fit
/// into the file or exceeds a limit. [`Archive::check_start`](crate::torch::Archive::check_start) recognises older
/// formats of PyTorch.
pub fn locate_directory(tail: &[u8], file_bytes: u64) -> Result<DirectoryLocation, TorchError> {
    assert!(tail.len() as u64 <= file_bytes, "the tail is longer than the file");
    let tail_start = file_bytes - tail.len() as u64;
    let end = find_end(tail).ok_or_else(|| {
        TorchError::malformed(format!(
            "there is no zip directory at the end of the file ({file_bytes} bytes); it is truncated or not a file of \
             torch.save"
        ))
    })?;
    let truncated = || TorchError::malformed("the end record of the zip directory is truncated");
    let fields = || {
        let disks = u32::from(u16_at(tail, end + 4)?) | u32::from(u16_at(tail, end + 6)?);
        let entries = u64::from(u16_at(tail, end + 10)?);
        let bytes = u64::from(u32_at(tail, end + 12)?);
        let offset = u64::from(u32_at(tail, end + 16)?);
        Some((disks, entries, bytes, offset))
    };
    let (mut disks, mut entries, mut bytes, mut offset) = fields().ok_or_else(truncated)?;
    let mut limit = tail_start + end as u64;

    if let Some(locator) = end.checked_sub(LOCATOR_64_BYTES).filter(|&at| tail[at..].starts_with(&LOCATOR_64)) {
        let end_64 = u64_at(tail, locator + 8)
            .and_then(|at| at.checked_sub(tail_start))
            .and_then(|at| usize::try_from(at).ok())
            .filter(|&at| at <= locator && tail[at..].starts_with(&END_64))
            .ok_or_else(|| {
                TorchError::malformed("the zip64 end record is not at the position that its locator states")
            })?;
        let fields = || {
            let disks = u32_at(tail, end_64 + 16)? | u32_at(tail, end_64 + 20)?;
            Some((disks, u64_at(tail, end_64 + 32)?, u64_at(tail, end_64 + 40)?, u64_at(tail, end_64 + 48)?))
        };
        (disks, entries, bytes, offset) = fields().ok_or_else(truncated)?;
        limit = tail_start + end_64 as u64;
    }

    if disks != 0 {
        return Err(TorchError::unsupported("zip archives of several disks are not supported"));
    }
    if entries > MAX_ENTRIES {
        return Err(TorchError::malformed(format!(
            "the zip archive has {entries} entries; at most {MAX_ENTRIES} are allowed"
        )));
    }
    if bytes > MAX_DIRECTORY_BYTES {
        return Err(TorchError::malformed(format!(
            "the zip directory has {bytes} bytes; at most {MAX_DIRECTORY_BYTES} are allowed"
        )));
    }
    match offset.checked_add(bytes) {
        Some(end) if end <= limit => Ok(DirectoryLocation { range: offset..end, entries }),
        _ => Err(TorchError::malformed(format!(
            "the zip directory ({bytes} bytes from byte {offset}) does not end before byte {limit}; the file is \
             truncated, or bytes were inserted at its start"
        ))),
    }
}

/// Parses the directory's bytes.
///
/// # Errors
/// Names the first entry that is compressed, encrypted, doubled, overlapping or outside the file.
pub fn parse_directory(directory: &[u8], location: &DirectoryLocation) -> Result<Vec<Entry>, TorchError> {
    assert_eq!(directory.len() as u64, location.range.end - location.range.start, "the directory's bytes");
    let mut entries = Vec::new();
    let mut at = 0;
    for index in 0..location.entries {
        let (entry, next) = parse_entry(directory, at).map_err(|what| in_entry(index, what))?;
        entries.push(entry);
        at = next;
    }
    if at != directory.len() {
        return Err(TorchError::malformed(format!(
            "the zip directory has {} bytes after its {} entries",
            directory.len() - at,
            location.entries
        )));
    }
    check_names(&entries)?;
    set_regions(&mut entries, location.range.start)?;
    Ok(entries)
}

fn in_entry(index: u64, error: TorchError) -> TorchError {
    match error {
        TorchError::Malformed(what) => TorchError::Malformed(format!("zip entry {index}: {what}")),
        other => other,
    }
}

fn parse_entry(directory: &[u8], at: usize) -> Result<(Entry, usize), TorchError> {
    let truncated = || TorchError::malformed("the zip directory is truncated");
    let header = directory.get(at..at + CENTRAL_HEADER_BYTES).ok_or_else(truncated)?;
    if !header.starts_with(&CENTRAL_HEADER) {
        return Err(TorchError::malformed("its header in the zip directory is missing"));
    }
    let short = |at| u16_at(header, at).map(usize::from).ok_or_else(truncated);
    let word = |at| u32_at(header, at).ok_or_else(truncated);
    let flags = short(8)?;
    let method = short(10)?;
    let name_at = at + CENTRAL_HEADER_BYTES;
    let extra_at = name_at + short(28)?;
    let comment_at = extra_at + short(30)?;
    let next = comment_at + short(32)?;
    let name = directory.get(name_at..extra_at).ok_or_else(truncated)?;
    let extra = directory.get(extra_at..comment_at).ok_or_else(truncated)?;
    if next > directory.len() {
        return Err(truncated());
    }
    let name = std::str::from_utf8(name).map_err(|_| TorchError::malformed("the name is not UTF-8"))?.to_owned();

    // Bits 0, 6 and 13 are the three kinds of encryption.
    if flags & (1 | 1 << 6 | 1 << 13) != 0 {
        return Err(TorchError::unsupported(format!("entry `{name}` is encrypted, which is not supported")));
    }
    if method != 0 && name.contains("/code/") {
        return Err(TorchError::unsupported(TORCHSCRIPT));
    }
    if method != 0 {
        return Err(TorchError::unsupported(format!(
            "entry `{name}` is compressed (method {method}); save it again with torch.save, which does not compress"
        )));
    }
    if short(34)? != 0 {
        return Err(TorchError::unsupported(format!("entry `{name}` is on another disk, which is not supported")));
    }

    // The zip64 field holds only those values that do not fit into their 32-bit fields, in the order read below.
    let mut wide = zip64_fields(extra);
    let mut widen = |narrow: u32| match narrow {
        IN_ZIP64 => {
            wide.next().ok_or_else(|| TorchError::malformed(format!("entry `{name}`: its zip64 field is missing")))
        }
        narrow => Ok(u64::from(narrow)),
    };
    let bytes = widen(word(24)?)?;
    let stored_bytes = widen(word(20)?)?;
    let header_offset = widen(word(42)?)?;
    if stored_bytes != bytes {
        return Err(TorchError::malformed(format!(
            "entry `{name}` has {bytes} bytes, but is stored in {stored_bytes} bytes without compression"
        )));
    }
    let entry = Entry { name, bytes, crc32: word(16)?, header_offset, region_end: 0 };
    Ok((entry, next))
}

/// 64-bit values of the zip64 extra field; empty if there is no such field.
fn zip64_fields(extra: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut rest = extra;
    let field = std::iter::from_fn(move || {
        let id = u16_at(rest, 0)?;
        let end = 4 + usize::from(u16_at(rest, 2)?);
        let body = rest.get(4..end)?;
        rest = &rest[end..];
        Some((id, body))
    })
    .find(|&(id, _)| id == EXTRA_ZIP64)
    .map_or(&[][..], |(_, body)| body);
    field.chunks_exact(8).filter_map(|eight| u64_at(eight, 0))
}

fn check_names(entries: &[Entry]) -> Result<(), TorchError> {
    let mut names = HashSet::new();
    match entries.iter().find(|entry| !names.insert(entry.name.as_str())) {
        Some(twice) => Err(TorchError::malformed(format!("two zip entries have the name `{}`", twice.name))),
        None => Ok(()),
    }
}

/// Sets the region of each entry, which ends at the next entry, and fails if an entry does not fit into its region.
fn set_regions(entries: &mut [Entry], directory_start: u64) -> Result<(), TorchError> {
    let mut by_offset: Vec<&mut Entry> = entries.iter_mut().collect();
    by_offset.sort_by_key(|entry| entry.header_offset);
    let mut region_end = directory_start;
    for entry in by_offset.into_iter().rev() {
        let least = LOCAL_HEADER_BYTES + entry.name.len() as u64;
        let least_end = entry.header_offset.checked_add(least).and_then(|start| start.checked_add(entry.bytes));
        if least_end.is_none_or(|end| end > region_end) {
            return Err(TorchError::malformed(format!(
                "entry `{}` ({} bytes, header at byte {}) overlaps the next entry or directory at byte {region_end}",
                entry.name, entry.bytes, entry.header_offset
            )));
        }
        entry.region_end = region_end;
        region_end = entry.header_offset;
    }
    Ok(())
}

/// Finds the last end record whose comment ends exactly at the end of the file.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_BYTES)?;
    (0..=last).rev().take(usize::from(u16::MAX) + 1).find(|&at| {
        tail[at..].starts_with(&END)
            && u16_at(tail, at + 20).is_some_and(|comment| at + END_BYTES + usize::from(comment) == tail.len())
    })
}
