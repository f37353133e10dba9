//! Where a checkpoint's bytes are: a range of the file in, its bytes out.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use super::CheckpointError;

/// A file that is read a range at a time. Whoever implements it knows files; this crate does not.
pub trait Source: Debug + Sync {
    /// Bytes of the file.
    fn bytes(&self) -> u64;

    /// The bytes of `range`, which lies within the file: in `buffer`, which may be longer and is used again and again,
    /// or wherever they are already.
    ///
    /// # Errors
    /// Where not all of them can be had.
    fn read<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]>;
}

/// A file in memory, or one that is not.
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

    /// The bytes of `range`, which lies within the file.
    pub(super) fn read<'b>(self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CheckpointError>
    where
        'a: 'b,
    {
        match self {
            Self::Memory(bytes) => Ok(&bytes[range.start as usize..range.end as usize]),
            Self::Source(source) => {
                assert!(range.start <= range.end && range.end <= source.bytes(), "bytes {range:?} are not in the file");
                let unreadable =
                    |error: io::Error| CheckpointError::Unreadable { range: range.clone(), said: error.to_string() };
                source.read(range.clone(), buffer).map_err(unreadable)
            }
        }
    }
}
