//! Writes zip archives with the layout of `torch.save`, in one pass.
//!
//! Entries are not compressed, and their data are aligned to [`DATA_ALIGNMENT`] bytes. Checksums follow the data in a
//! descriptor and are repeated in the directory, so the writer never goes back. There are no time stamps: the same
//! entries give the same bytes.

use std::io::{self, Write};

use super::*;

/// Alignment of the data of every entry in bytes, as in PyTorch, which maps files into memory.
pub const DATA_ALIGNMENT: u64 = 64;

/// Flags that PyTorch sets: checksum and sizes are in a descriptor after the data, names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// Id of the extra field that PyTorch uses for padding.
const EXTRA_PADDING: [u8; 2] = *b"FB";
/// 1 January 1980, the first date of zip.
const DATE: u16 = 1 << 5 | 1;
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;

/// Writer of a zip archive, one entry after another.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    position: u64,
    written: Vec<Written>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Written {
    name: String,
    bytes: u64,
    crc32: u32,
    header_offset: u64,
}

#[derive(Debug)]
struct Open {
    name: String,
    bytes: u64,
    bytes_left: u64,
    crc32: crc32fast::Hasher,
    header_offset: u64,
}

impl<W: Write> Writer<W> {
    /// Makes a writer for an archive without entries. Nothing is written yet.
    pub fn new(out: W) -> Self {
        Self { out, position: 0, written: Vec::new(), open: None }
    }

    /// Starts an entry with the given name and size in bytes. The previous entry must be complete.
    ///
    /// # Errors
    /// The errors of the underlying writer.
    ///
    /// # Panics
    /// If the previous entry is incomplete, or the name is longer than zip allows.
    pub fn start(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.close_entry()?;
        let name_bytes = u16::try_from(name.len()).expect("a zip name has at most 65,535 bytes");
        let header_offset = self.position;
        let wide = bytes >= u64::from(IN_ZIP64);

        let mut extra = Vec::new();
        if wide {
            extra.extend(EXTRA_ZIP64.to_le_bytes());
            extra.extend(16_u16.to_le_bytes());
            extra.extend([0; 16]);
        }
        let unpadded = header_offset + LOCAL_HEADER_BYTES + name.len() as u64 + extra.len() as u64 + 4;
        let padding = unpadded.next_multiple_of(DATA_ALIGNMENT) - unpadded;
        extra.extend(EXTRA_PADDING);
        extra.extend((padding as u16).to_le_bytes());
        extra.extend(std::iter::repeat_n(b'Z', padding as usize));

        let narrow: u32 = if wide { IN_ZIP64 } else { 0 };
        let mut header = Vec::with_capacity(128);
        header.extend(LOCAL_HEADER);
        header.extend(version(wide).to_le_bytes());
        header.extend(FLAGS.to_le_bytes());
        header.extend([0; 4]); // not compressed; time 00:00
        header.extend(DATE.to_le_bytes());
        header.extend([0; 4]); // the checksum is in the descriptor
        header.extend(narrow.to_le_bytes());
        header.extend(narrow.to_le_bytes());
        header.extend(name_bytes.to_le_bytes());
        header.extend((extra.len() as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(extra);
        self.put(&header)?;
        self.open = Some(Open {
            name: name.to_owned(),
            bytes,
            bytes_left: bytes,
            crc32: crc32fast::Hasher::new(),
            header_offset,
        });
        Ok(())
    }

    /// Appends `data` to the current entry.
    ///
    /// # Errors
    /// The errors of the underlying writer.
    ///
    /// # Panics
    /// If no entry is started, or the data exceed the size of the entry.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().expect("an entry must be started before its data are written");
        open.bytes_left = open
            .bytes_left
            .checked_sub(data.len() as u64)
            .unwrap_or_else(|| panic!("more than the {} bytes of entry `{}` were written", open.bytes, open.name));
        open.crc32.update(data);
        self.put(data)
    }

    /// Checksum of a complete entry. An entry is complete after the next one is started.
    pub fn crc32(&self, name: &str) -> Option<u32> {
        self.written.iter().find(|entry| entry.name == name).map(|entry| entry.crc32)
    }

    /// Writes the directory and returns the underlying writer.
    ///
    /// # Errors
    /// The errors of the underlying writer.
    ///
    /// # Panics
    /// If the last entry is incomplete.
    pub fn finish(mut self) -> io::Result<W> {
        self.close_entry()?;
        let start = self.position;
        for entry in std::mem::take(&mut self.written) {
            self.put(&central_header(&entry))?;
            self.written.push(entry);
        }
        let bytes = self.position - start;
        let end = directory_end(self.written.len() as u64, start, bytes);
        self.put(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Underlying writer. It gives access to the bytes written so far.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn close_entry(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        assert_eq!(open.bytes_left, 0, "not all of the {} bytes of entry `{}` were written", open.bytes, open.name);
        let crc32 = open.crc32.finalize();
        let mut descriptor = Vec::with_capacity(24);
        descriptor.extend(DATA_DESCRIPTOR);
        descriptor.extend(crc32.to_le_bytes());
        // The compressed size and the size, which are equal.
        for _ in 0..2 {
            match u32::try_from(open.bytes) {
                Ok(bytes) if bytes != IN_ZIP64 => descriptor.extend(bytes.to_le_bytes()),
                _ => descriptor.extend(open.bytes.to_le_bytes()),
            }
        }
        self.put(&descriptor)?;
        let Open { name, bytes, header_offset, .. } = open;
        self.written.push(Written { name, bytes, crc32, header_offset });
        Ok(())
    }

    fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.out.write_all(data)?;
        self.position += data.len() as u64;
        Ok(())
    }
}

fn version(wide: bool) -> u16 {
    if wide { VERSION_ZIP64 } else { VERSION }
}

/// Content of the 32-bit field for `value`. If it does not fit, the value is appended to `zip64`.
fn narrow(value: u64, zip64: &mut Vec<u8>) -> u32 {
    match u32::try_from(value) {
        Ok(value) if value != IN_ZIP64 => value,
        _ => {
            zip64.extend(value.to_le_bytes());
            IN_ZIP64
        }
    }
}

fn central_header(entry: &Written) -> Vec<u8> {
    let mut zip64 = Vec::new();
    let bytes = narrow(entry.bytes, &mut zip64);
    let stored_bytes = narrow(entry.bytes, &mut zip64);
    let header_offset = narrow(entry.header_offset, &mut zip64);
    let extra_bytes = if zip64.is_empty() { 0 } else { 4 + zip64.len() as u16 };

    let mut header = Vec::with_capacity(CENTRAL_HEADER_BYTES + entry.name.len() + usize::from(extra_bytes));
    header.extend(CENTRAL_HEADER);
    header.extend(version(!zip64.is_empty()).to_le_bytes());
    header.extend(version(!zip64.is_empty()).to_le_bytes());
    header.extend(FLAGS.to_le_bytes());
    header.extend([0; 4]); // not compressed; time 00:00
    header.extend(DATE.to_le_bytes());
    header.extend(entry.crc32.to_le_bytes());
    header.extend(stored_bytes.to_le_bytes());
    header.extend(bytes.to_le_bytes());
    header.extend((entry.name.len() as u16).to_le_bytes());
    header.extend(extra_bytes.to_le_bytes());
    header.extend([0; 10]); // no comment, first disk, no attributes
    header.extend(header_offset.to_le_bytes());
    header.extend(entry.name.as_bytes());
    if !zip64.is_empty() {
        header.extend(EXTRA_ZIP64.to_le_bytes());
        header.extend((zip64.len() as u16).to_le_bytes());
        header.extend(zip64);
    }
    header
}

/// Returns the zip64 end record, its locator and the end record. PyTorch always writes all three.
fn directory_end(entries: u64, start: u64, bytes: u64) -> Vec<u8> {
    let mut end = Vec::with_capacity(END_64_BYTES + LOCATOR_64_BYTES + END_BYTES);
    end.extend(END_64);
    end.extend((END_64_BYTES as u64 - 12).to_le_bytes());
    end.extend(VERSION_ZIP64.to_le_bytes());
    end.extend(VERSION_ZIP64.to_le_bytes());
    end.extend([0; 8]); // one disk
    end.extend(entries.to_le_bytes());
    end.extend(entries.to_le_bytes());
    end.extend(bytes.to_le_bytes());
    end.extend(start.to_le_bytes());

    end.extend(LOCATOR_64);
    end.extend([0; 4]);
    end.extend((start + bytes).to_le_bytes());
    end.extend(1_u32.to_le_bytes());

    let entries = u16::try_from(entries).unwrap_or(u16::MAX);
    end.extend(END);
    end.extend([0; 4]);
    end.extend(entries.to_le_bytes());
    end.extend(entries.to_le_bytes());
    end.extend(u32::try_from(bytes).unwrap_or(IN_ZIP64).to_le_bytes());
    end.extend(u32::try_from(start).unwrap_or(IN_ZIP64).to_le_bytes());
    end.extend([0; 2]); // no comment
    end
}
