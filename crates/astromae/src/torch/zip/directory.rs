//! The zip directory: the file's last bytes in, validated entries out.
//!
//! Every entry that comes out is stored, unencrypted, uniquely named, inside the file and apart from
//! all others, so that its bytes can be fetched by range without another check than its local header.

use std::collections::HashSet;
use std::ops::Range;

use super::*;
use crate::torch::{TORCHSCRIPT, TorchError};

/// How many of a file's last bytes [`locate_directory`] needs (fewer when the file is shorter): the
/// zip64 end, its locator, the end, and the longest comment.
pub const TAIL_BYTES: u64 = (END_64_BYTES + LOCATOR_64_BYTES + END_BYTES) as u64 + u16::MAX as u64;

/// Where the directory lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryLocation {
    /// Its bytes, as offsets in the file.
    pub range: Range<u64>,
    /// How many entries it says it has.
    pub entries: u64,
}

/// One stored file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, with the folder.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// CRC-32 of its bytes; 0 where the writer recorded none.
    pub crc32: u32,
    /// Offset of its local header in the file.
    pub header_offset: u64,
    /// End of its region: the next entry's local header or the directory.
    pub region_end: u64,
}

impl Entry {
    /// Where the data lie in the file, given bytes that start at this entry's local header (the
    /// first [`LOCAL_HEADER_BYTES`] are enough).
    ///
    /// # Errors
    /// When there is no local header there, or the data would leave the entry's region.
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

    /// Refuses data whose checksum is `found` instead of the one that was recorded.
    ///
    /// # Errors
    /// Says both. No checksum recorded (0) is no error.
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
/// When the file is no zip (the older PyTorch formats are told apart by [`Archive`](crate::torch::Archive)),
/// is truncated, spans disks, or its directory does not fit the file or the limits.
pub fn locate_directory(tail: &[u8], file_bytes: u64) -> Result<DirectoryLocation, TorchError> {
    assert!(tail.len() as u64 <= file_bytes, "a tail longer than its file");
    let tail_start = file_bytes - tail.len() as u64;
    let end = find_end(tail).ok_or_else(|| {
        TorchError::malformed(format!(
            "no zip directory at the end of its {file_bytes} bytes: truncated, or not a PyTorch file"
        ))
    })?;
    let truncated = || TorchError::malformed("the zip directory's end is truncated");
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
            .ok_or_else(|| TorchError::malformed("the zip64 end of directory is not where its locator says"))?;
        let fields = || {
            let disks = u32_at(tail, end_64 + 16)? | u32_at(tail, end_64 + 20)?;
            Some((disks, u64_at(tail, end_64 + 32)?, u64_at(tail, end_64 + 40)?, u64_at(tail, end_64 + 48)?))
        };
        (disks, entries, bytes, offset) = fields().ok_or_else(truncated)?;
        limit = tail_start + end_64 as u64;
    }

    if disks != 0 {
        return Err(TorchError::unsupported("the zip archive spans several disks"));
    }
    if entries > MAX_ENTRIES {
        return Err(TorchError::malformed(format!("{entries} zip entries, more than {MAX_ENTRIES}")));
    }
    if bytes > MAX_DIRECTORY_BYTES {
        return Err(TorchError::malformed(format!(
            "a zip directory of {bytes} bytes, more than {MAX_DIRECTORY_BYTES}"
        )));
    }
    match offset.checked_add(bytes) {
        Some(end) if end <= limit => Ok(DirectoryLocation { range: offset..end, entries }),
        _ => Err(TorchError::malformed(format!(
            "the zip directory ({bytes} bytes from byte {offset}) does not end before byte {limit}: truncated, or bytes were added in front"
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
    let truncated = || TorchError::malformed("the directory is truncated");
    let header = directory.get(at..at + CENTRAL_HEADER_BYTES).ok_or_else(truncated)?;
    if !header.starts_with(&CENTRAL_HEADER) {
        return Err(TorchError::malformed("no directory header where one is expected"));
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
        return Err(TorchError::unsupported(format!("entry `{name}` is encrypted")));
    }
    if method != 0 && name.contains("/code/") {
        return Err(TorchError::unsupported(TORCHSCRIPT));
    }
    if method != 0 {
        return Err(TorchError::unsupported(format!(
            "entry `{name}` is compressed (method {method}); PyTorch stores entries as they are, save the file again with torch.save"
        )));
    }
    if short(34)? != 0 {
        return Err(TorchError::unsupported(format!("entry `{name}` lies on another disk")));
    }

    // The zip64 field holds, in this order, only what the 32-bit fields could not.
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
            "entry `{name}` is stored but {stored_bytes} bytes stand for {bytes}"
        )));
    }
    let entry = Entry { name, bytes, crc32: word(16)?, header_offset, region_end: 0 };
    Ok((entry, next))
}

/// The 64-bit values of the zip64 extra field, none where there is no such field.
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
        Some(twice) => Err(TorchError::malformed(format!("two zip entries are called `{}`", twice.name))),
        None => Ok(()),
    }
}

/// Gives each entry the region up to its successor and refuses entries that do not fit theirs.
fn set_regions(entries: &mut [Entry], directory_start: u64) -> Result<(), TorchError> {
    let mut by_offset: Vec<&mut Entry> = entries.iter_mut().collect();
    by_offset.sort_by_key(|entry| entry.header_offset);
    let mut region_end = directory_start;
    for entry in by_offset.into_iter().rev() {
        let least = LOCAL_HEADER_BYTES + entry.name.len() as u64;
        let least_end = entry.header_offset.checked_add(least).and_then(|start| start.checked_add(entry.bytes));
        if least_end.is_none_or(|end| end > region_end) {
            return Err(TorchError::malformed(format!(
                "entry `{}` ({} bytes, header at byte {}) overlaps what starts at byte {region_end}",
                entry.name, entry.bytes, entry.header_offset
            )));
        }
        entry.region_end = region_end;
        region_end = entry.header_offset;
    }
    Ok(())
}

/// The last end-of-directory record whose comment reaches exactly to the end of the file.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_BYTES)?;
    (0..=last).rev().take(usize::from(u16::MAX) + 1).find(|&at| {
        tail[at..].starts_with(&END)
            && u16_at(tail, at + 20).is_some_and(|comment| at + END_BYTES + usize::from(comment) == tail.len())
    })
}
