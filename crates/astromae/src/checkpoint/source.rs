//! [`Source`]: gives access to the bytes of a checkpoint file.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use super::CheckpointError;

/// File that can be read a range at a time. This crate does not access files, so the caller implements the trait.
pub trait Source: Debug + Sync {
    /// Size of the file in bytes.
    fn bytes(&self) -> u64;

    /// Returns the bytes of `range`, which is within the file. They are read into `buffer`, or borrowed from elsewhere
    /// if they are already in memory. The buffer is reused and may have any length and content.
    ///
    /// # Errors
    /// If not all of the bytes can be read.
    fn read<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]>;
}

/// Bytes of a file: in memory, or read from a [`Source`].
#[derive(Debug, Clone, Copy)]
pub(super) enum File<'a> {
    Memory(&'a [u8]),
    Source(&'a dyn Source),
}

impl<'a> File<'a> {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Source(source) => source.bytes(),
        }
    }

    /// Returns the bytes of `range`, which is within the file.
    pub(super) fn read<'b>(self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CheckpointError>
    where
        'a: 'b,
    {
        match self {
            Self::Memory(bytes) => Ok(&bytes[range.start as usize..range.end as usize]),
            Self::Source(source) => {
                assert!(range.start <= range.end && range.end <= source.bytes(), "bytes {range:?} are not in the file");
                let unreadable =
                    |error: io::Error| CheckpointError::Unreadable { range: range.clone(), reason: error.to_string() };
                source.read(range.clone(), buffer).map_err(unreadable)
            }
        }
    }
}
