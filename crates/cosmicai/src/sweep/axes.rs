//! Values of a sweep's definition, single or in lists. They are checked while TOML is parsed, so that errors name the
//! line.

use std::fmt;
use std::marker::PhantomData;

use object_store::path::Path;
use pipeline::partition::parse_size;
use records::payload::MAX_FILES;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use records::ExecutorKind;

/// Largest number of values of an axis.
const MAX_VALUES: usize = 1_000;
/// Longest name of a sweep or an experiment, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest folder or URL, in bytes.
const MAX_TEXT_BYTES: usize = 512;

/// Type of a value in a definition.
pub(crate) trait AxisValue: Sized + PartialEq + fmt::Display {
    /// Description of valid values, for error messages.
    fn expected() -> String;

    /// Value of a whole number; `None` if it is not valid.
    fn from_number(_number: i64) -> Option<Self> {
        None
    }

    /// Value of a text; `None` if it is not valid.
    fn from_text(_text: &str) -> Option<Self> {
        None
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct One<T>(pub(crate) T);

/// One value or a list of distinct values, at least one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis<T>(pub(crate) Vec<T>);

/// Numbers of files, the same for all sizes of partitions or one list for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FileLimits {
    Same(Vec<usize>),
    Each(Vec<(Size, Vec<usize>)>),
}

/// A whole number from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Count<const MAX: usize>(pub(crate) usize);

/// A whole number from 0 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Whole<const MAX: u64>(pub(crate) u64);

/// A size in bytes with its text. Two sizes are equal if their bytes are.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) text: String,
}

/// A size of memory with its unit. The unit is required: SLURM reads plain numbers as MB, other sizes here are in
/// bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Memory(pub(crate) Size);

/// A name that is valid as the name of a folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name(pub(crate) String);

/// A folder in a bucket, without slashes at the start and the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Folder(pub(crate) String);

/// One of the words that a key of the payload allows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word<W>(pub(crate) String, PhantomData<W>);

/// Words that a key of the payload allows.
pub(crate) trait Words {
    const WORDS: &'static [&'static str];
}

/// Words of `order`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OrderWords;

/// Words of `predictions`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PredictionsWords;

impl Words for OrderWords {
    const WORDS: &'static [&'static str] = &["lexicographic", "natural"];
}

impl Words for PredictionsWords {
    const WORDS: &'static [&'static str] = &["parquet", "none"];
}

impl<const MAX: usize> AxisValue for Count<MAX> {
    fn expected() -> String {
        format!("a whole number from 1 to {MAX}")
    }

    fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().filter(|number| (1..=MAX).contains(number)).map(Self)
    }
}

impl<const MAX: u64> AxisValue for Whole<MAX> {
    fn expected() -> String {
        let most = if MAX < u64::MAX { format!(", up to {MAX}") } else { String::new() };
        format!("a whole number, 0 or more{most}")
    }

    fn from_number(number: i64) -> Option<Self> {
        u64::try_from(number).ok().filter(|number| *number <= MAX).map(Self)
    }
}

impl AxisValue for Size {
    fn expected() -> String {
        "a size such as \"25MB\" or \"1.5GB\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let bytes = parse_size(text).ok()?;
        Some(Self { bytes, text: text.split_whitespace().collect() })
    }
}

impl AxisValue for Memory {
    fn expected() -> String {
        "memory with its unit, such as \"4GB\" or \"4G\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim_end();
        let size = match text.bytes().last()?.to_ascii_uppercase() {
            b'B' => Size::from_text(text),
            b'K' | b'M' | b'G' | b'T' => Size::from_text(&format!("{text}B")),
            _ => None,
        };
        size.map(Self)
    }
}

impl PartialEq for Size {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl AxisValue for Name {
    fn expected() -> String {
        format!(
            "a name of up to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.` that starts with a letter or a digit"
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let is_name = begins_well && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_plain);
        is_name.then(|| Self(text.to_owned()))
    }
}

impl AxisValue for Folder {
    fn expected() -> String {
        "a folder such as \"sweeps/first\", without `..`".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let folder = text.trim_matches('/');
        let is_folder = text.len() <= MAX_TEXT_BYTES && Path::parse(folder).is_ok_and(|path| !path.is_root());
        is_folder.then(|| Self(folder.to_owned()))
    }
}

impl AxisValue for String {
    fn expected() -> String {
        format!("a text of 1 to {MAX_TEXT_BYTES} bytes")
    }

    fn from_text(text: &str) -> Option<Self> {
        ((1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.contains(char::is_control)).then(|| text.to_owned())
    }
}

impl AxisValue for astromae::Precision {
    fn expected() -> String {
        astromae::Precision::ALL.map(|precision| format!("\"{precision}\"")).join(" or ")
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl AxisValue for ExecutorKind {
    fn expected() -> String {
        ExecutorKind::ALL.map(|kind| format!("\"{kind}\"")).join(" or ")
    }

    fn from_text(text: &str) -> Option<Self> {
        ExecutorKind::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

impl<W: Words + PartialEq> AxisValue for Word<W> {
    fn expected() -> String {
        W::WORDS.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
    }

    fn from_text(text: &str) -> Option<Self> {
        W::WORDS.contains(&text).then(|| Self(text.to_owned(), PhantomData))
    }
}

impl<const MAX: usize> fmt::Display for Count<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: u64> fmt::Display for Whole<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<W> fmt::Display for Word<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, T: AxisValue> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only<T>(PhantomData<T>);
        impl<T: AxisValue> Visitor<'_> for Only<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&T::expected())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
                T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
                T::from_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Only(PhantomData)).map(One)
    }
}

impl<'de, T: AxisValue> Deserialize<'de> for Axis<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Several<T>(PhantomData<T>);
        impl<'de, T: AxisValue> Visitor<'de> for Several<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a list of these", T::expected())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Vec<T>, E> {
                let value = T::from_number(number);
                value.map(|value| vec![value]).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
                let value = T::from_text(text);
                value.map(|value| vec![value]).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(One(value)) = list.next_element::<One<T>>()? {
                    if values.contains(&value) {
                        return Err(A::Error::custom(format!("`{value}` is in the list twice")));
                    }
                    values.push(value);
                }
                match values.len() {
                    0 => Err(A::Error::custom("an empty list; expected at least one value")),
                    1..=MAX_VALUES => Ok(values),
                    count => {
                        Err(A::Error::custom(format!("a list of {count} values; at most {MAX_VALUES} are allowed")))
                    }
                }
            }
        }
        deserializer.deserialize_any(Several(PhantomData)).map(Axis)
    }
}

impl<'de> Deserialize<'de> for FileLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limits;
        type Files = Count<MAX_FILES>;
        impl<'de> Visitor<'de> for Limits {
            type Value = FileLimits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, a list of these, or a table of these by size of partition", Files::expected())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<FileLimits, E> {
                let limit = Files::from_number(number);
                let limit = limit.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))?;
                Ok(FileLimits::Same(vec![limit.0]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<FileLimits, A::Error> {
                let axis = Axis::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
                Ok(FileLimits::Same(plain_counts(axis)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FileLimits, A::Error> {
                let mut each: Vec<(Size, Vec<usize>)> = Vec::new();
                while let Some(One(size)) = map.next_key::<One<Size>>()? {
                    if each.iter().any(|(other, _)| *other == size) {
                        return Err(A::Error::custom(format!("`{size}` is in the table twice")));
                    }
                    each.push((size, plain_counts(map.next_value()?)));
                }
                match each.len() {
                    0 => Err(A::Error::custom("an empty table; expected at least one size of partition")),
                    _ => Ok(FileLimits::Each(each)),
                }
            }
        }
        fn plain_counts(Axis(counts): Axis<Files>) -> Vec<usize> {
            counts.into_iter().map(|count| count.0).collect()
        }
        deserializer.deserialize_any(Limits)
    }
}
