//! Reads one `.npy` array: first its header, then its elements, a piece at a time.
//!
//! Elements are numbers of any width and byte order, or text. Arrays of Python objects are rejected, because they are
//! pickles, which are programs. Arrays of records are rejected too.

use std::io::Read;

/// Maximum length of a header in bytes. The limit of numpy itself is 10,000.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Maximum number of dimensions of an array. Images have four.
const MAX_DIMENSIONS: usize = 8;
/// Maximum size of a text element in bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Number of bytes decoded at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Type of the elements, with its size in bytes (in characters for `Text`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    /// `S`: bytes, padded with zeros.
    Bytes(usize),
    /// `U`: characters of four bytes each, padded with zeros.
    Text(usize),
}

/// Header of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) is_big_endian: bool,
    /// True if the first index varies fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Type as numpy writes it, for messages.
    pub(super) descr: String,
    /// Number of bytes in the file before the first element.
    pub(super) bytes: u64,
}

impl Header {
    /// Reads the header of an array, up to its first element.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        read_exactly(reader, &mut start)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err("not a `.npy` array: it does not begin with `\\x93NUMPY`".to_owned());
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut length = [0; 2];
                read_exactly(reader, &mut length)?;
                (usize::from(u16::from_le_bytes(length)), 10)
            }
            2 | 3 => {
                let mut length = [0; 4];
                read_exactly(reader, &mut length)?;
                (u32::from_le_bytes(length) as usize, 12)
            }
            version => return Err(format!("expected version 1, 2 or 3 of `.npy`, found version {version}")),
        };
        if length > MAX_HEADER_BYTES {
            return Err(format!("header of {length} bytes, more than the limit of {MAX_HEADER_BYTES}"));
        }
        let mut text = vec![0; length];
        read_exactly(reader, &mut text)?;
        let text = String::from_utf8(text).map_err(|_| "the header is not text".to_owned())?;
        Self::parse(&text, (prefix + length) as u64)
    }

    /// Parses the text of a header, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (15, 5), }`.
    fn parse(text: &str, bytes: u64) -> Result<Self, String> {
        let malformed = || {
            let shown: String = text.trim().chars().take(80).collect();
            format!("malformed header `{shown}`: expected descr, fortran_order and shape")
        };
        let mut rest =
            text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?.trim();
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, value) = rest.split_once(':').ok_or_else(malformed)?;
            let value = value.trim_start();
            rest = match key.trim().trim_matches(['\'', '"']) {
                "descr" => {
                    if value.starts_with('[') {
                        return Err("array of records; expected plain numbers or text; save one array for each field"
                            .to_owned());
                    }
                    let quote = value.chars().next().filter(|quote| "'\"".contains(*quote)).ok_or_else(malformed)?;
                    let (found, rest) = value[1..].split_once(quote).ok_or_else(malformed)?;
                    descr = Some(found);
                    rest
                }
                "fortran_order" => {
                    let (found, rest) = match value.strip_prefix("True") {
                        Some(rest) => (true, rest),
                        None => (false, value.strip_prefix("False").ok_or_else(malformed)?),
                    };
                    is_fortran = Some(found);
                    rest
                }
                "shape" => {
                    let (found, rest) =
                        value.strip_prefix('(').and_then(|value| value.split_once(')')).ok_or_else(malformed)?;
                    shape = Some(dimensions(found).ok_or_else(malformed)?);
                    rest
                }
                _ => return Err(malformed()),
            }
            .trim_start()
            .trim_start_matches(',')
            .trim_start();
        }
        let (Some(descr), Some(is_fortran), Some(shape)) = (descr, is_fortran, shape) else {
            return Err(malformed());
        };
        let (kind, is_big_endian) = kind(descr)?;
        Ok(Self { kind, is_big_endian, is_fortran, shape, descr: descr.to_owned(), bytes })
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

    /// Reads the next `count` elements as float64. Fails if they are text.
    pub(super) fn read_numbers(
        &self,
        reader: &mut impl Read,
        count: usize,
        mut push: impl FnMut(f64),
    ) -> Result<(), String> {
        if matches!(self.kind, Kind::Bytes(_) | Kind::Text(_)) {
            return Err(format!("expected numbers, found text (`{}`)", self.descr));
        }
        self.read_elements(reader, count, |element| push(self.number(element)))
    }

    /// Reads the next `count` elements as text. Whole numbers become decimal digits.
    pub(super) fn read_texts(
        &self,
        reader: &mut impl Read,
        count: usize,
        mut push: impl FnMut(String),
    ) -> Result<(), String> {
        let mut bad = None;
        self.read_elements(reader, count, |element| match self.text(element) {
            Ok(text) => push(text),
            Err(error) => drop(bad.get_or_insert(error)),
        })?;
        bad.map_or(Ok(()), Err)
    }

    fn element_bytes(&self) -> usize {
        match self.kind {
            Kind::Float(bytes) | Kind::Signed(bytes) | Kind::Unsigned(bytes) | Kind::Bytes(bytes) => bytes,
            Kind::Text(characters) => 4 * characters,
        }
    }

    fn read_elements(&self, reader: &mut impl Read, count: usize, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let size = self.element_bytes();
        if size == 0 {
            (0..count).for_each(|_| each(&[]));
            return Ok(());
        }
        let at_once = (CHUNK_BYTES / size).max(1);
        let mut chunk = vec![0; size * at_once.min(count)];
        let mut left = count;
        while left > 0 {
            let bytes = &mut chunk[..size * at_once.min(left)];
            read_exactly(reader, bytes)?;
            bytes.chunks_exact(size).for_each(&mut each);
            left -= bytes.len() / size;
        }
        Ok(())
    }

    fn number(&self, element: &[u8]) -> f64 {
        match self.kind {
            Kind::Float(2) => half::f16::from_le_bytes(self.little(element)).to_f64(),
            Kind::Float(4) => f64::from(f32::from_le_bytes(self.little(element))),
            Kind::Float(_) => f64::from_le_bytes(self.little(element)),
            _ => self.integer(element) as f64,
        }
    }

    fn integer(&self, element: &[u8]) -> i128 {
        match self.kind {
            Kind::Signed(1) => i8::from_le_bytes(self.little(element)).into(),
            Kind::Signed(2) => i16::from_le_bytes(self.little(element)).into(),
            Kind::Signed(4) => i32::from_le_bytes(self.little(element)).into(),
            Kind::Signed(_) => i64::from_le_bytes(self.little(element)).into(),
            Kind::Unsigned(1) => u8::from_le_bytes(self.little(element)).into(),
            Kind::Unsigned(2) => u16::from_le_bytes(self.little(element)).into(),
            Kind::Unsigned(4) => u32::from_le_bytes(self.little(element)).into(),
            _ => u64::from_le_bytes(self.little(element)).into(),
        }
    }

    fn text(&self, element: &[u8]) -> Result<String, String> {
        match self.kind {
            Kind::Float(_) => Err(format!(
                "expected whole numbers or text, found `{}`: a float does not hold every digit of an identifier",
                self.descr
            )),
            Kind::Signed(_) | Kind::Unsigned(_) => Ok(self.integer(element).to_string()),
            Kind::Bytes(_) => {
                let end = element.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                str::from_utf8(&element[..end]).map(str::to_owned).map_err(|_| "text that is not UTF-8".to_owned())
            }
            Kind::Text(_) => {
                let codes = element.chunks_exact(4).map(|code| u32::from_le_bytes(self.little(code)));
                let text: Option<String> = codes.map(char::from_u32).collect();
                let text = text.ok_or_else(|| "text with a character that is not in Unicode".to_owned())?;
                Ok(text.trim_end_matches('\0').to_owned())
            }
        }
    }

    /// Bytes of an element, least significant first.
    fn little<const N: usize>(&self, element: &[u8]) -> [u8; N] {
        let mut bytes: [u8; N] = element.try_into().expect("an element has the bytes of its type");
        if self.is_big_endian {
            bytes.reverse();
        }
        bytes
    }
}

/// Parses a type such as `<f4`. Returns the type, and true if its byte order is big-endian.
fn kind(descr: &str) -> Result<(Kind, bool), String> {
    let unreadable = || format!("elements of type `{descr}`; expected numbers (f2 f4 f8 i1–i8 u1–u8) or text (S U)");
    let order = descr.chars().next().filter(|order| "<>|=".contains(*order)).ok_or_else(unreadable)?;
    let rest = &descr[1..];
    let letter = rest.chars().next().ok_or_else(unreadable)?;
    if letter == 'O' {
        return Err(
            "array of Python objects, which are pickled programs and are not run; save it with a plain type, such as \
             `array.astype(str)` or `array.astype(float)`"
                .to_owned(),
        );
    }
    let size: usize = rest.get(1..).and_then(|size| size.parse().ok()).ok_or_else(unreadable)?;
    let kind = match (letter, size) {
        ('f', 2 | 4 | 8) => Kind::Float(size),
        ('i', 1 | 2 | 4 | 8) => Kind::Signed(size),
        ('u', 1 | 2 | 4 | 8) => Kind::Unsigned(size),
        ('S', 0..=MAX_TEXT_BYTES) => Kind::Bytes(size),
        ('U', characters) if characters <= MAX_TEXT_BYTES / 4 => Kind::Text(size),
        _ => return Err(unreadable()),
    };
    Ok((kind, order == '>'))
}

/// Parses the lengths of a shape, such as `15, 5`. Python 2 wrote `15L`.
fn dimensions(text: &str) -> Option<Vec<usize>> {
    let lengths = text.split(',').map(|length| length.trim().trim_end_matches('L')).filter(|length| !length.is_empty());
    let shape: Vec<usize> = lengths.map(|length| length.parse().ok()).collect::<Option<_>>()?;
    (shape.len() <= MAX_DIMENSIONS).then_some(shape)
}

fn read_exactly(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "truncated: shorter than its header states".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
