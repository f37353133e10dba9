//! Columns of a VOTable: their types, and the conversion of cells.

use super::super::{Stored, Values};

/// Type of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Bit,
    UnsignedByte,
    Short,
    Int,
    Long,
    Char,
    UnicodeChar,
    Float,
    Double,
    FloatComplex,
    DoubleComplex,
}

/// Number of values in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Fixed(usize),
    /// Each cell states its own number.
    Variable,
}

/// Column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) count: Count,
    /// Text of a missing integer.
    pub(super) null: Option<String>,
}

impl Field {
    /// Reads the attributes `datatype` and `arraysize`: `5`, `*`, `64*`, or sizes of several dimensions (`2x3`, `2x*`).
    pub(super) fn new(name: String, datatype: Option<&str>, arraysize: Option<&str>) -> Result<Self, String> {
        let of_column = |problem: String| format!("column `{}`: {problem}", name.escape_debug());
        let kind = match datatype.map(str::trim) {
            Some("boolean") => Kind::Boolean,
            Some("bit") => Kind::Bit,
            Some("unsignedByte") => Kind::UnsignedByte,
            Some("short") => Kind::Short,
            Some("int") => Kind::Int,
            Some("long") => Kind::Long,
            Some("char") => Kind::Char,
            Some("unicodeChar") => Kind::UnicodeChar,
            Some("float") => Kind::Float,
            Some("double") => Kind::Double,
            Some("floatComplex") => Kind::FloatComplex,
            Some("doubleComplex") => Kind::DoubleComplex,
            Some(other) => return Err(of_column(format!("unknown datatype `{}`", other.escape_debug()))),
            None => return Err(of_column("no datatype".to_owned())),
        };
        let count = match arraysize.map(str::trim) {
            None | Some("") => Count::Fixed(1),
            Some(sizes) if sizes.ends_with('*') => Count::Variable,
            Some(sizes) => {
                let product = sizes.split('x').try_fold(1_usize, |product, size| {
                    product.checked_mul(size.trim().parse().ok()?).filter(|product| *product <= u32::MAX as usize)
                });
                Count::Fixed(product.ok_or_else(|| of_column(format!("arraysize `{}`", sizes.escape_debug())))?)
            }
        };
        Ok(Self { name, kind, count, null: None })
    }

    pub(super) fn stored(&self) -> Stored {
        let values_per_row = match (self.is_text(), self.count) {
            (false, Count::Fixed(count)) => count,
            _ => 1,
        };
        Stored { name: self.name.clone(), values_per_row }
    }

    /// Returns true if a cell becomes one text: strings, and values that no column of a catalogue needs.
    fn is_text(&self) -> bool {
        self.count == Count::Variable || !(self.is_integer() || matches!(self.kind, Kind::Float | Kind::Double))
    }

    fn is_integer(&self) -> bool {
        matches!(self.kind, Kind::UnsignedByte | Kind::Short | Kind::Int | Kind::Long)
    }
}

/// Values of a column so far.
#[derive(Debug)]
pub(super) enum Column {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i128>>),
    Numbers(Vec<Option<f64>>),
}

impl Column {
    pub(super) fn of(field: &Field) -> Self {
        match (field.is_text(), field.is_integer()) {
            (true, _) => Self::Texts(Vec::new()),
            (false, true) => Self::Integers(Vec::new()),
            (false, false) => Self::Numbers(Vec::new()),
        }
    }

    pub(super) fn into_values(self) -> Values {
        match self {
            Self::Texts(values) => Values::Texts(values),
            Self::Integers(values) => Values::Integers(values),
            Self::Numbers(values) => Values::Numbers(values),
        }
    }

    /// Adds the values of a cell that is text.
    pub(super) fn push_text(&mut self, field: &Field, cell: &str) -> Result<(), String> {
        let cell = cell.trim();
        if let Self::Texts(values) = self {
            values.push(Some(cell.to_owned()).filter(|cell| !cell.is_empty()));
            return Ok(());
        }
        let Count::Fixed(count) = field.count else { return Err("a number of values that varies".to_owned()) };
        if cell.is_empty() {
            (0..count).for_each(|_| self.push_missing());
            return Ok(());
        }
        let mut found = 0;
        for word in cell.split_ascii_whitespace() {
            found += 1;
            if field.null.as_deref() == Some(word) {
                self.push_missing();
                continue;
            }
            match self {
                Self::Integers(values) => values.push(Some(integer(word)?)),
                Self::Numbers(values) => values.push(number(word)?),
                Self::Texts(_) => {}
            }
        }
        if found == count { Ok(()) } else { Err(format!("{found} values, expected {count}")) }
    }

    /// Adds a value that is missing.
    pub(super) fn push_missing(&mut self) {
        match self {
            Self::Texts(values) => values.push(None),
            Self::Integers(values) => values.push(None),
            Self::Numbers(values) => values.push(None),
        }
    }
}

fn integer(word: &str) -> Result<i128, String> {
    let hexadecimal = word.strip_prefix("0x").or(word.strip_prefix("0X"));
    let parsed = match hexadecimal {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("`{}` is not an integer", word.escape_debug()))
}

/// Value of a word; `None` for NaN.
fn number(word: &str) -> Result<Option<f64>, String> {
    match word.parse::<f64>() {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_nan())),
        Err(_) => Err(format!("`{}` is not a number", word.escape_debug())),
    }
}
