//! Columns: one number, text or five magnitudes for each sample, from an array or from a field of an array of records.

use pipeline::partition::{BANDS, Dtype};

use super::super::npy::{Element, Field, Header, Kind, Scalar, read_pieces};
use super::super::{IngestError, MAX_SAMPLES, input};
use super::Arrays;

/// Maximum size in bytes of an array of which columns are held.
const MAX_HELD_BYTES: u64 = 8 << 30;

/// Column of an array, or of the records of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Name of the array or field.
    pub(super) name: String,
    /// Index of the array.
    pub(super) array: usize,
    /// Offset of the value in the row, in bytes.
    pub(super) offset: usize,
    /// Number of values in a row.
    pub(super) length: usize,
    /// Number of rows.
    pub(super) rows: usize,
    /// Type of a value, or the reason why it cannot be read.
    pub(super) scalar: Result<Scalar, String>,
}

impl Column {
    /// Returns true if the values are floats, which do not hold every digit of an identifier.
    pub(super) fn is_float(&self) -> bool {
        matches!(&self.scalar, Ok(Scalar { kind: Kind::Float(_), .. }))
    }

    /// Type in which a partition stores these numbers without loss.
    pub(super) fn dtype(&self) -> Dtype {
        match &self.scalar {
            Ok(Scalar { kind: Kind::Float(4 | 2), .. }) => Dtype::F32,
            _ => Dtype::F64,
        }
    }
}

/// Values of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// Type of the values that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Numbers,
    /// Text, or whole numbers as text with every digit.
    Texts,
}

/// Columns that an array is or has. An array of other shapes has none.
pub(super) fn columns(name: &str, array: usize, header: &Header) -> Vec<Column> {
    let (rows, width) = match *header.shape.as_slice() {
        [rows] | [rows, 1] => (rows, 1),
        [rows, BANDS] => (rows, BANDS),
        _ => return Vec::new(),
    };
    match &header.element {
        Element::Scalar(scalar) => {
            vec![Column { name: name.to_owned(), array, offset: 0, length: width, rows, scalar: Ok(scalar.clone()) }]
        }
        Element::Record(record) if width == 1 => {
            let column = |field: &Field| Column {
                name: field.name.clone(),
                array,
                offset: field.offset,
                length: field.length,
                rows,
                scalar: field.scalar.clone(),
            };
            record.fields.iter().map(column).collect()
        }
        Element::Record(_) => Vec::new(),
    }
}

/// Reads columns of one array, in one pass.
pub(super) fn read(
    arrays: &mut Arrays,
    array: usize,
    wanted: &[(&Column, Wanted)],
) -> Result<Vec<Values>, IngestError> {
    let archive = arrays.describe(array);
    let is_record = matches!(arrays.readable(array)?.element, Element::Record(_));
    let shown = |column: &Column| if is_record { format!("{archive}: {}", column.name) } else { archive.clone() };
    let mut readers = Vec::with_capacity(wanted.len());
    for &(column, kind) in wanted {
        let scalar = column.scalar.as_ref().map_err(|problem| input(&shown(column), problem.clone()))?;
        if kind == Wanted::Numbers && scalar.is_text() {
            return Err(input(&shown(column), format!("expected numbers, found text (`{}`)", scalar.descr)));
        }
        let values = match kind {
            Wanted::Numbers => Values::Numbers(Vec::new()),
            Wanted::Texts => Values::Texts(Vec::new()),
        };
        readers.push((column, scalar, values));
    }
    arrays.with(array, |header, elements| {
        let complain = |problem: String| input(&archive, problem);
        let rows = header.shape.first().copied().unwrap_or(0);
        check_held(header, rows).map_err(complain)?;
        let row_bytes = header.element_bytes() * header.shape.iter().skip(1).product::<usize>();
        // In Fortran order, the array is (width, n) as stored: each "row" below is one value.
        let width = header.shape.get(1).copied().unwrap_or(1);
        let is_scattered = header.is_fortran && width > 1;
        let (piece, count) = if is_scattered { (header.element_bytes(), rows * width) } else { (row_bytes, rows) };
        let mut row = 0;
        read_pieces(elements, piece, count, |bytes| {
            for (column, scalar, values) in &mut readers {
                let length = if is_scattered { 1 } else { column.length };
                let size = scalar.bytes();
                for at in 0..length {
                    let start = column.offset + at * size;
                    let element = bytes.get(start..start + size).ok_or("a field ends behind its record")?;
                    match values {
                        Values::Numbers(numbers) => numbers.push(scalar.number(element)),
                        Values::Texts(texts) => {
                            texts.push(scalar.text(element).map_err(|error| format!("row {row}: {error}"))?);
                        }
                    }
                }
            }
            row += 1;
            Ok(())
        })
        .map_err(complain)?;
        Ok(readers
            .into_iter()
            .map(|(_, _, values)| match values {
                Values::Numbers(numbers) if is_scattered => {
                    Values::Numbers((0..rows * width).map(|at| numbers[at % width * rows + at / width]).collect())
                }
                values => values,
            })
            .collect())
    })
}

fn check_held(header: &Header, rows: usize) -> Result<(), String> {
    if rows > MAX_SAMPLES {
        return Err(format!("{rows} rows, more than the limit of {MAX_SAMPLES}"));
    }
    match header.data_bytes() {
        Some(bytes) if bytes <= MAX_HELD_BYTES => Ok(()),
        _ => Err(format!("larger than the limit of {MAX_HELD_BYTES} bytes")),
    }
}
