//! Content of a model file as a source of tensors, and its SHA-256.

use std::io;
use std::ops::Range;

use astromae::checkpoint::Source;
use sha2::{Digest, Sha256};

use crate::storage::Content;

/// Bytes hashed at a time. They stay in the cache of a core between reading and hashing.
const HASH_CHUNK_BYTES: u64 = 256 << 10;

impl Source for Content {
    fn bytes(&self) -> u64 {
        self.len()
    }

    fn read<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        self.read_range(range, buffer)
    }
}

/// SHA-256 of `content` followed by `suffix`, in hexadecimal.
pub(super) fn sha256(content: &Content, suffix: &[u8]) -> io::Result<String> {
    let mut hash = Sha256::new();
    let (mut start, mut buffer) = (0, Vec::new());
    while start < content.len() {
        let end = content.len().min(start + HASH_CHUNK_BYTES);
        hash.update(content.read_range(start..end, &mut buffer)?);
        start = end;
    }
    content.check_unchanged()?;
    Ok(hash.chain_update(suffix).finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
