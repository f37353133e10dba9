//! Content of one object, read by byte range: from an open file of this machine, or from memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use bytes::Bytes;

/// Content of one object.
#[derive(Debug)]
pub(crate) enum Content {
    /// Bytes downloaded from a store.
    Memory(Bytes),
    /// Open file, and its version at the time of opening.
    File(File, Version),
}

/// Properties of a file that change when it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Version {
    bytes: u64,
    /// Time of the last write; `None` if the file system does not record it.
    modified: Option<SystemTime>,
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Content {
    /// Content of an open file.
    pub(super) fn from_file(file: File) -> io::Result<Self> {
        let version = Version::of(&file)?;
        Ok(Self::File(file, version))
    }

    /// Size in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, version) => version.bytes,
        }
    }

    /// Returns the bytes of `range`, from memory or read into `buffer`.
    pub(crate) fn read_range<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        match self {
            Self::Memory(bytes) => Ok(&bytes[range.start as usize..range.end as usize]),
            Self::File(file, _) => {
                let length = (range.end - range.start) as usize;
                if buffer.len() < length {
                    buffer.resize(length, 0);
                }
                file.read_exact_at(&mut buffer[..length], range.start)?;
                Ok(&buffer[..length])
            }
        }
    }

    /// Fails if the file was written since it was opened, so that a reader never mixes two versions.
    pub(crate) fn check_unchanged(&self) -> io::Result<()> {
        match self {
            Self::File(file, opened) if Version::of(file)? != *opened => {
                Err(io::Error::other("the file changed while it was read; run again when no program writes to it"))
            }
            _ => Ok(()),
        }
    }
}
