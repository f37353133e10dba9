//! Reads one `.npy` array: first its header, then its elements, a piece at a time.
//!
//! Elements are numbers of any width and byte order, text, or records of them. Arrays of Python objects are rejected,
//! because they are pickles, which are programs.

mod literal;
mod record;
mod scalar;

use std::io::Read;

use literal::Literal;

pub(super) use record::{Element, Field};
pub(super) use scalar::{Kind, Scalar};

/// Maximum length of a header in bytes. The limit of numpy itself is 10,000.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Maximum number of dimensions of an array. Images have four.
const MAX_DIMENSIONS: usize = 8;
/// Number of bytes decoded at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Reason why the header of an array is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    /// The array is a pickle.
    #[error("array of Python objects, which are pickled programs and are not run")]
    Pickled,
    /// The header is malformed, or states a type that is not read.
    #[error("{0}")]
    Unreadable(String),
}

/// Header of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) element: Element,
    /// True if the first index varies fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Number of bytes in the file before the first element.
    pub(super) bytes: u64,
}

impl Header {
    /// Reads the header of an array, up to its first element.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, HeaderError> {
        let unreadable = HeaderError::Unreadable;
        let mut start = [0; 8];
        read_exactly(reader, &mut start).map_err(unreadable)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(unreadable("not a `.npy` array: it does not begin with `\\x93NUMPY`".to_owned()));
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut length = [0; 2];
                read_exactly(reader, &mut length).map_err(unreadable)?;
                (usize::from(u16::from_le_bytes(length)), 10)
            }
            2 | 3 => {
                let mut length = [0; 4];
                read_exactly(reader, &mut length).map_err(unreadable)?;
                (u32::from_le_bytes(length) as usize, 12)
            }
            version => {
                return Err(unreadable(format!("expected version 1, 2 or 3 of `.npy`, found version {version}")));
            }
        };
        if length > MAX_HEADER_BYTES {
            return Err(unreadable(format!("header of {length} bytes, more than the limit of {MAX_HEADER_BYTES}")));
        }
        let mut text = vec![0; length];
        read_exactly(reader, &mut text).map_err(unreadable)?;
        let text = match start[6] {
            3 => String::from_utf8(text).map_err(|_| unreadable("the header is not text".to_owned()))?,
            // Versions 1 and 2 are in Latin-1.
            _ => text.into_iter().map(char::from).collect(),
        };
        Self::parse(&text, (prefix + length) as u64)
    }

    /// Parses the text of a header, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (15, 5), }`.
    fn parse(text: &str, bytes: u64) -> Result<Self, HeaderError> {
        let malformed = || {
            let shown: String = text.trim().chars().take(80).collect();
            HeaderError::Unreadable(format!("malformed header `{shown}`: expected descr, fortran_order and shape"))
        };
        let header = Literal::parse(text.trim()).ok_or_else(malformed)?;
        let &Literal::Bool(is_fortran) = header.get("fortran_order").ok_or_else(malformed)? else {
            return Err(malformed());
        };
        let Some(Literal::Tuple(lengths)) = header.get("shape") else { return Err(malformed()) };
        let shape: Option<Vec<usize>> = lengths.iter().map(Literal::whole).collect();
        let shape = shape.filter(|shape| shape.len() <= MAX_DIMENSIONS).ok_or_else(malformed)?;
        let element = Element::parse(header.get("descr").ok_or_else(malformed)?)?;
        Ok(Self { element, is_fortran, shape, bytes })
    }

    /// Size of an element in bytes.
    pub(super) fn element_bytes(&self) -> usize {
        match &self.element {
            Element::Scalar(scalar) => scalar.bytes(),
            Element::Record(record) => record.bytes,
        }
    }

    /// Type of the elements, for messages.
    pub(super) fn describe(&self) -> String {
        match &self.element {
            Element::Scalar(scalar) => scalar.descr.clone(),
            Element::Record(record) => format!("record of {} fields", record.fields.len()),
        }
    }

    /// Number of bytes of all elements. None if it exceeds 64 bits.
    pub(super) fn data_bytes(&self) -> Option<u64> {
        let mut bytes = self.element_bytes() as u64;
        for &length in &self.shape {
            bytes = bytes.checked_mul(length as u64)?;
        }
        Some(bytes)
    }

    /// Shape as Python prints it.
    pub(super) fn python_shape(&self) -> String {
        let lengths: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        match lengths.as_slice() {
            [one] => format!("({one},)"),
            _ => format!("({})", lengths.join(", ")),
        }
    }
}

/// Reads `count` pieces of `size` bytes, a few at a time.
pub(super) fn read_pieces(
    reader: &mut dyn Read,
    size: usize,
    count: usize,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    if size == 0 {
        return (0..count).try_for_each(|_| each(&[]));
    }
    let at_once = (CHUNK_BYTES / size).max(1).min(count);
    let mut chunk = vec![0; size * at_once];
    let mut left = count;
    while left > 0 {
        let bytes = &mut chunk[..size * at_once.min(left)];
        read_exactly(reader, bytes)?;
        bytes.chunks_exact(size).try_for_each(&mut each)?;
        left -= bytes.len() / size;
    }
    Ok(())
}

/// Fills `bytes`.
pub(super) fn read_exactly(reader: &mut (impl Read + ?Sized), bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "truncated: shorter than its header states".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
