//! Bytes of one array, read in order. Parts of an uncompressed array can be skipped without reading them.

use std::io::{self, Read, Seek, SeekFrom};

use crc32fast::Hasher;

/// Number of bytes read at a time to skip a part of a compressed array.
const SKIP_BYTES: usize = 64 << 10;

/// Reader that can seek.
pub(super) trait ReadSeek: Read + Seek {}

impl<R: Read + Seek> ReadSeek for R {}

/// Bytes of an array.
pub(super) struct Elements<'a> {
    reader: Reader<'a>,
    has_skipped: bool,
}

enum Reader<'a> {
    /// Uncompressed bytes: their number that is left, and their checksum as stated and as read.
    Seekable { file: &'a mut dyn ReadSeek, left: u64, checksum: Option<(u32, Hasher)> },
    /// Compressed bytes. The decoder compares their checksum.
    Stream(&'a mut dyn Read),
}

impl<'a> Elements<'a> {
    /// Reads `left` bytes from here, and compares them with a checksum if there is one.
    pub(super) fn seekable(file: &'a mut dyn ReadSeek, left: u64, crc32: Option<u32>) -> Self {
        let checksum = crc32.map(|crc32| (crc32, Hasher::new()));
        Self { reader: Reader::Seekable { file, left, checksum }, has_skipped: false }
    }

    /// Reads from a decoder.
    pub(super) fn stream(decoder: &'a mut dyn Read) -> Self {
        Self { reader: Reader::Stream(decoder), has_skipped: false }
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        match &mut self.reader {
            Reader::Seekable { file, left, .. } => {
                if count == 0 {
                    return Ok(());
                }
                let offset = i64::try_from(count).ok().filter(|_| count <= *left);
                let offset = offset.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                file.seek(SeekFrom::Current(offset))?;
                *left -= count;
                self.has_skipped = true;
            }
            Reader::Stream(decoder) => {
                let mut left = count;
                let mut buffer = vec![0; SKIP_BYTES];
                while left > 0 {
                    let piece = usize::try_from(left).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
                    decoder.read_exact(&mut buffer[..piece])?;
                    left -= piece as u64;
                }
            }
        }
        Ok(())
    }

    /// Returns true if a part was passed over, so that the checksum cannot be compared.
    pub(super) fn has_skipped(&self) -> bool {
        self.has_skipped
    }

    /// Compares the checksum of all bytes, at their end.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.reader {
            Reader::Seekable { checksum: Some((stated, found)), .. } if !self.has_skipped => {
                let found = found.clone().finalize();
                if found == *stated {
                    return Ok(());
                }
                Err(format!("damaged: its checksum is {found:08x}, but the archive states {stated:08x}"))
            }
            _ => Ok(()),
        }
    }
}

impl Read for Elements<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.reader {
            Reader::Stream(decoder) => decoder.read(buffer),
            Reader::Seekable { file, left, checksum } => {
                let limit = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let count = file.read(&mut buffer[..limit])?;
                *left -= count as u64;
                if let Some((_, hasher)) = checksum {
                    hasher.update(&buffer[..count]);
                }
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn checksum_is_compared_unless_a_part_was_skipped() {
        let bytes = b"abcdef".to_vec();
        let right = crc32fast::hash(&bytes);
        for (crc32, skipped, is_right) in [(right, 0, true), (right ^ 1, 0, false), (right ^ 1, 2, true)] {
            let mut file = Cursor::new(bytes.clone());
            let mut elements = Elements::seekable(&mut file, 6, Some(crc32));
            elements.skip(skipped).unwrap();
            let mut rest = Vec::new();
            elements.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, bytes[skipped as usize..]);
            assert_eq!((elements.check().is_ok(), elements.has_skipped()), (is_right, skipped > 0));
        }
    }

    #[test]
    fn skipping_beyond_the_end_is_an_error() {
        let mut file = Cursor::new(vec![0; 9]);
        assert!(Elements::seekable(&mut file, 6, None).skip(7).is_err());
        let mut decoder = Cursor::new(vec![0; 9]);
        let mut elements = Elements::stream(&mut decoder);
        assert!(elements.skip(8).is_ok() && elements.skip(2).is_err());
    }
}
