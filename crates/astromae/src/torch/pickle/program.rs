//! Reads the bytes of a pickle from start to end.

use crate::torch::TorchError;

/// Bytes of a pickle and the read position.
pub(super) struct Program<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Program<'p> {
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, TorchError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        self.take(N)?.try_into().map_err(|_| truncated())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'p [u8], TorchError> {
        let end = self.at.checked_add(length).ok_or_else(truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or_else(truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads a length, which is a little-endian integer of `length_bytes` bytes, and then as many bytes.
    pub(super) fn counted(&mut self, length_bytes: usize) -> Result<&'p [u8], TorchError> {
        let mut wide = [0; 8];
        wide[..length_bytes].copy_from_slice(self.take(length_bytes)?);
        let length = usize::try_from(u64::from_le_bytes(wide)).map_err(|_| truncated())?;
        self.take(length)
    }

    /// Reads a name up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'p str, TorchError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(truncated)?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| TorchError::malformed("a name is not UTF-8"))
    }
}

fn truncated() -> TorchError {
    TorchError::malformed("the pickle is truncated")
}
