//! Parses the type of the elements of an array: a number, text, or a record of named fields.
//!
//! Fields within fields become one flat list, `outer.inner`. A field of a type that is not read here stays in the list,
//! so that only its use is an error.

use super::HeaderError;
use super::literal::Literal;
use super::scalar::Scalar;

/// Maximum size of a record in bytes.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// Maximum depth of records within records.
const MAX_DEPTH: usize = 8;
/// Maximum number of fields of a record, with those of the records in it.
const MAX_FIELDS: usize = 4096;

/// Type of the elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) enum Element {
    Scalar(Scalar),
    Record(Record),
}

/// Record: named fields at fixed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Record {
    /// Size of a record in bytes, with its padding.
    pub(in crate::ingest) bytes: usize,
    pub(in crate::ingest) fields: Vec<Field>,
}

/// Field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Field {
    pub(in crate::ingest) name: String,
    /// Offset in the record, in bytes.
    pub(in crate::ingest) offset: usize,
    /// Number of elements: 1, or the product of the lengths of a sub-array.
    pub(in crate::ingest) length: usize,
    /// Type of an element, or the reason why it cannot be read.
    pub(in crate::ingest) scalar: Result<Scalar, String>,
}

/// A type before its fields are put in one list.
struct Type {
    bytes: usize,
    content: Content,
}

enum Content {
    Scalar(Scalar),
    /// Type of a known size that is not read here, and the reason.
    Opaque(String),
    Record(Vec<Field>),
    /// Number of elements, and their type. It is not a sub-array itself.
    Repeated(usize, Box<Type>),
}

impl Element {
    /// Parses the `descr` of a header.
    pub(super) fn parse(descr: &Literal) -> Result<Self, HeaderError> {
        let Type { bytes, content } = parse(descr, 0)?;
        match content {
            Content::Scalar(scalar) => Ok(Self::Scalar(scalar)),
            Content::Record(fields) => Ok(Self::Record(Record { bytes, fields })),
            Content::Opaque(problem) => Err(HeaderError::Unreadable(problem)),
            Content::Repeated(..) => Err(HeaderError::Unreadable("elements that are arrays themselves".to_owned())),
        }
    }
}

fn parse(descr: &Literal, depth: usize) -> Result<Type, HeaderError> {
    if depth > MAX_DEPTH {
        return Err(unreadable("records within records, too many levels".to_owned()));
    }
    match descr {
        Literal::Text(text) => scalar(text),
        Literal::List(fields) => sequential(fields, depth),
        Literal::Dict(_) => stated(descr, depth),
        Literal::Tuple(items) => match items.as_slice() {
            [element, shape] => repeated(parse(element, depth + 1)?, shape),
            _ => Err(malformed()),
        },
        _ => Err(malformed()),
    }
}

fn scalar(descr: &str) -> Result<Type, HeaderError> {
    if let Some(scalar) = Scalar::parse(descr) {
        return Ok(Type { bytes: scalar.bytes(), content: Content::Scalar(scalar) });
    }
    let kind = descr.trim_start_matches(['<', '>', '|', '=']);
    if kind.starts_with('O') {
        return Err(HeaderError::Pickled);
    }
    let problem = format!("elements of type `{descr}`; expected numbers (f2 f4 f8 i1–i8 u1–u8 b1) or text (S U)");
    // Types of a known size: complex, long double, date, duration, raw bytes, long text.
    let letter = kind.chars().next().filter(|letter| "cfMmVSU".contains(*letter));
    let size = letter.and_then(|_| kind[1..].split('[').next()).and_then(|size| size.parse::<usize>().ok());
    let size = size.and_then(|size| size.checked_mul(if letter == Some('U') { 4 } else { 1 }));
    match size.filter(|&size| is_allowed(size)) {
        Some(bytes) => Ok(Type { bytes, content: Content::Opaque(problem) }),
        None => Err(unreadable(problem)),
    }
}

fn is_allowed(bytes: usize) -> bool {
    bytes <= MAX_RECORD_BYTES
}

/// Parses a list of fields that follow each other: `[('a', '<f4'), ('b', '<f8', (5,))]`.
fn sequential(fields: &[Literal], depth: usize) -> Result<Type, HeaderError> {
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    for field in fields {
        let Some([name, element, shape @ ..]) = field.sequence() else { return Err(malformed()) };
        let element = parse(element, depth + 1)?;
        let element = match shape {
            [] => element,
            [shape] => repeated(element, shape)?,
            _ => return Err(malformed()),
        };
        let offset = bytes;
        bytes = checked_size(bytes.checked_add(element.bytes))?;
        add(&mut found, field_name(name)?, offset, element)?;
    }
    Ok(Type { bytes, content: Content::Record(unique(found)?) })
}

/// Parses a record whose offsets are stated: `{'names': […], 'formats': […], 'offsets': […], 'itemsize': 24}`.
fn stated(descr: &Literal, depth: usize) -> Result<Type, HeaderError> {
    let list = |key: &str| descr.get(key).and_then(Literal::sequence).ok_or_else(malformed);
    let (names, formats, offsets) = (list("names")?, list("formats")?, list("offsets")?);
    if names.len() != formats.len() || names.len() != offsets.len() {
        return Err(malformed());
    }
    let mut found = Vec::new();
    let mut end = 0;
    for ((name, element), offset) in names.iter().zip(formats).zip(offsets) {
        let element = parse(element, depth + 1)?;
        let offset = offset.whole().ok_or_else(malformed)?;
        end = end.max(checked_size(offset.checked_add(element.bytes))?);
        add(&mut found, field_name(name)?, offset, element)?;
    }
    let bytes = match descr.get("itemsize") {
        None => end,
        Some(size) => checked_size(size.whole())?,
    };
    if bytes < end {
        return Err(malformed());
    }
    Ok(Type { bytes, content: Content::Record(unique(found)?) })
}

fn repeated(element: Type, shape: &Literal) -> Result<Type, HeaderError> {
    let lengths: Vec<usize> = match shape {
        &Literal::Whole(length) => vec![length],
        shape => shape
            .sequence()
            .and_then(|lengths| lengths.iter().map(Literal::whole).collect::<Option<_>>())
            .ok_or_else(malformed)?,
    };
    let count = lengths.iter().try_fold(1_usize, |count, &length| count.checked_mul(length));
    let bytes = checked_size(count.and_then(|count| count.checked_mul(element.bytes)))?;
    let count = checked_size(count)?;
    Ok(Type { bytes, content: Content::Repeated(count, Box::new(element)) })
}

/// Adds a field to the list, or the fields of the record in it.
fn add(fields: &mut Vec<Field>, name: String, offset: usize, element: Type) -> Result<(), HeaderError> {
    let (length, content) = match element.content {
        Content::Repeated(length, element) => (length, element.content),
        content => (1, content),
    };
    match content {
        // Padding has no name.
        Content::Opaque(_) if name.is_empty() => {}
        Content::Scalar(scalar) => fields.push(Field { name, offset, length, scalar: Ok(scalar) }),
        Content::Opaque(problem) => fields.push(Field { name, offset, length, scalar: Err(problem) }),
        Content::Record(inner) if length == 1 => fields.extend(inner.into_iter().map(|field| Field {
            name: format!("{name}.{}", field.name),
            offset: offset + field.offset,
            ..field
        })),
        Content::Record(_) | Content::Repeated(..) => {
            let problem = "an array of records, or of arrays, within a record".to_owned();
            fields.push(Field { name, offset, length, scalar: Err(problem) });
        }
    }
    if fields.len() > MAX_FIELDS {
        return Err(unreadable(format!("more than {MAX_FIELDS} fields")));
    }
    Ok(())
}

/// Name of a field. Beside a title, the name is the second of two.
fn field_name(name: &Literal) -> Result<String, HeaderError> {
    let name = match name {
        Literal::Tuple(items) if items.len() == 2 => items[1].text(),
        name => name.text(),
    };
    name.map(str::to_owned).ok_or_else(malformed)
}

fn unique(fields: Vec<Field>) -> Result<Vec<Field>, HeaderError> {
    let mut names = std::collections::HashSet::new();
    match fields.iter().find(|field| !names.insert(field.name.as_str())) {
        Some(field) => Err(unreadable(format!("two fields `{}`", field.name))),
        None => Ok(fields),
    }
}

fn checked_size(bytes: Option<usize>) -> Result<usize, HeaderError> {
    bytes
        .filter(|&bytes| is_allowed(bytes))
        .ok_or_else(|| unreadable(format!("records of more than {MAX_RECORD_BYTES} bytes")))
}

fn unreadable(problem: String) -> HeaderError {
    HeaderError::Unreadable(problem)
}

fn malformed() -> HeaderError {
    unreadable("malformed header: `descr` is not a type that numpy writes".to_owned())
}

#[cfg(test)]
mod tests;
