//! The bytes of a model's file, by range: from a file of this machine, or from memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use astromae::checkpoint::Source;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes hashed at once: they stay in a core's cache from the reading to the hashing.
const HASHED_BYTES: u64 = 256 << 10;

/// A file's bytes.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    /// An open file, and how it was when it was opened.
    File(File, Version),
}

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Version {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Content {
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        let version = Version::of(&file)?;
        Ok(Self::File(file, version))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, version) => version.bytes,
        }
    }

    /// Refuses a file that was written to since it was opened, so that no model is made of two.
    pub(crate) fn check_unchanged(&self) -> io::Result<()> {
        match self {
            Self::File(file, before) if Version::of(file)? != *before => {
                Err(io::Error::other("it was changed while it was read; run again once nothing writes to it"))
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 of all bytes, and of those of `behind` after them, in hexadecimal.
    pub(crate) fn sha256(&self, behind: &[u8]) -> io::Result<String> {
        let mut hash = Sha256::new();
        let (mut at, mut buffer) = (0, Vec::new());
        while at < self.len() {
            let end = self.len().min(at + HASHED_BYTES);
            hash.update(self.read(at..end, &mut buffer)?);
            at = end;
        }
        self.check_unchanged()?;
        Ok(hash.chain_update(behind).finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Source for Content {
    fn bytes(&self) -> u64 {
        self.len()
    }

    fn read<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
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
}
