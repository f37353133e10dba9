//! Reads and writes the part of the zip format that PyTorch uses: uncompressed entries, with zip64 beyond 4 GiB.
//!
//! To read an archive by byte ranges:
//!
//! 1. [`locate_directory`] finds the directory from the last bytes of the file.
//! 2. [`parse_directory`] lists the entries from the bytes of the directory.
//! 3. [`Entry::data_range`] finds the data of an entry from its local header.
//!
//! [`Writer`] writes an archive to any `std::io::Write`, in one pass.
//!
//! Compressed and encrypted entries and multi-disk archives are not supported; the error message names them.

mod directory;
mod writer;

pub use directory::{DirectoryLocation, Entry, TAIL_BYTES, locate_directory, parse_directory};
pub use writer::{DATA_ALIGNMENT, Writer};

const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const DATA_DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const CENTRAL_HEADER: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";

/// Size of a local header without the name, in bytes.
pub const LOCAL_HEADER_BYTES: u64 = 30;
const CENTRAL_HEADER_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_64_BYTES: usize = 20;

/// Id of the extra field with 64-bit sizes and offset.
const EXTRA_ZIP64: u16 = 0x0001;
/// Value of a 32-bit field whose number is in the zip64 extra field.
const IN_ZIP64: u32 = u32::MAX;

/// Largest number of entries. Large models have some hundreds.
pub const MAX_ENTRIES: u64 = 65_536;
/// Largest size of the directory, in bytes.
pub const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
