//! The part of zip that PyTorch uses: stored (uncompressed) entries, with zip64 beyond 4 GiB.
//!
//! Reading: the file's last bytes in, where the directory lies out ([`locate_directory`]); the
//! directory's bytes in, its [`Entry`]s out ([`parse_directory`]); an entry's local header in, where
//! its data lies out ([`Entry::data_range`]). Writing: [`Writer`] streams to any `std::io::Write`.
//!
//! Never here: compression, encryption, multi-disk archives; each is refused by name.

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

/// Bytes of a local header before the name.
pub const LOCAL_HEADER_BYTES: u64 = 30;
const CENTRAL_HEADER_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_64_BYTES: usize = 20;

/// Extra field that holds the 64-bit sizes and offset.
const EXTRA_ZIP64: u16 = 0x0001;
/// In a 32-bit field: the value is in the zip64 extra field.
const IN_ZIP64: u32 = u32::MAX;

/// A directory with more entries is refused: the largest model has some hundreds.
pub const MAX_ENTRIES: u64 = 65_536;
/// A longer directory is refused.
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
