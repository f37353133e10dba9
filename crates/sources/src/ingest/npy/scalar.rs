//! One number or text in an array: its type, and its value from bytes.

/// Maximum size of a text element in bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// Type of the elements, with its size in bytes (in characters for `Text`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) enum Kind {
    Bool,
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    /// `S`: bytes, padded with zeros.
    Bytes(usize),
    /// `U`: characters of four bytes each, padded with zeros.
    Text(usize),
}

/// Type of a number or text, with its byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Scalar {
    pub(in crate::ingest) kind: Kind,
    pub(in crate::ingest) is_big_endian: bool,
    /// Type as numpy writes it, such as `<f4`.
    pub(in crate::ingest) descr: String,
}

impl Scalar {
    /// Parses a type such as `<f4`. Returns None if it is not a number or text that is read here.
    pub(super) fn parse(descr: &str) -> Option<Self> {
        let order = descr.chars().next().filter(|order| "<>|=".contains(*order))?;
        let rest = &descr[1..];
        let letter = rest.chars().next()?;
        let size: usize = rest.get(letter.len_utf8()..).and_then(|size| size.parse().ok())?;
        let kind = match (letter, size) {
            ('b', 1) => Kind::Bool,
            ('f', 2 | 4 | 8) => Kind::Float(size),
            ('i', 1 | 2 | 4 | 8) => Kind::Signed(size),
            ('u', 1 | 2 | 4 | 8) => Kind::Unsigned(size),
            ('S', 0..=MAX_TEXT_BYTES) => Kind::Bytes(size),
            ('U', characters) if characters <= MAX_TEXT_BYTES / 4 => Kind::Text(size),
            _ => return None,
        };
        Some(Self { kind, is_big_endian: order == '>', descr: descr.to_owned() })
    }

    /// Size of an element in bytes.
    pub(in crate::ingest) fn bytes(&self) -> usize {
        match self.kind {
            Kind::Bool => 1,
            Kind::Float(bytes) | Kind::Signed(bytes) | Kind::Unsigned(bytes) | Kind::Bytes(bytes) => bytes,
            Kind::Text(characters) => 4 * characters,
        }
    }

    /// Returns true if the elements are text.
    pub(in crate::ingest) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Bytes(_) | Kind::Text(_))
    }

    /// Returns true if the elements are float32 in the order of this program's own files.
    pub(in crate::ingest) fn is_plain_float32(&self) -> bool {
        self.kind == Kind::Float(4) && !self.is_big_endian
    }

    /// Value of an element that is a number.
    pub(in crate::ingest) fn number(&self, element: &[u8]) -> f64 {
        match self.kind {
            Kind::Float(2) => half::f16::from_le_bytes(self.little(element)).to_f64(),
            Kind::Float(4) => f64::from(f32::from_le_bytes(self.little(element))),
            Kind::Float(_) => f64::from_le_bytes(self.little(element)),
            _ => self.integer(element) as f64,
        }
    }

    /// Value of an element as text. Whole numbers become decimal digits.
    pub(in crate::ingest) fn text(&self, element: &[u8]) -> Result<String, String> {
        match self.kind {
            Kind::Float(_) => Err(format!(
                "expected whole numbers or text, found `{}`: a float does not hold every digit of an identifier",
                self.descr
            )),
            Kind::Bool => Err("expected whole numbers or text, found true and false".to_owned()),
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

    fn integer(&self, element: &[u8]) -> i128 {
        match self.kind {
            Kind::Signed(1) => i8::from_le_bytes(self.little(element)).into(),
            Kind::Signed(2) => i16::from_le_bytes(self.little(element)).into(),
            Kind::Signed(4) => i32::from_le_bytes(self.little(element)).into(),
            Kind::Signed(_) => i64::from_le_bytes(self.little(element)).into(),
            Kind::Bool | Kind::Unsigned(1) => u8::from_le_bytes(self.little(element)).into(),
            Kind::Unsigned(2) => u16::from_le_bytes(self.little(element)).into(),
            Kind::Unsigned(4) => u32::from_le_bytes(self.little(element)).into(),
            _ => u64::from_le_bytes(self.little(element)).into(),
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
