//! Reads the rows of a VOTable in its binary serialisations: values in big-endian bytes, row after row, in base64.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::{alphabet, engine::DecodePaddingMode};

use super::super::check_rows;
use super::field::{Column, Count, Field, Kind};

/// Base64 with or without padding at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads all rows, and adds the cells of the fields that have a place to `columns`. Returns the number of rows.
///
/// `has_mask` is true for BINARY2, in which each row begins with a bit for each field that is missing.
pub(super) fn read(
    text: String,
    fields: &[Field],
    places: &[Option<usize>],
    has_mask: bool,
    columns: &mut [Column],
) -> Result<usize, String> {
    let mut packed = text.into_bytes();
    packed.retain(|byte| !byte.is_ascii_whitespace());
    let bytes = BASE64.decode(&packed).map_err(|error| format!("the stream is not base64: {error}"))?;
    drop(packed);
    let mut rest = bytes.as_slice();
    let mut rows = 0;
    while !rest.is_empty() {
        let row = rows + 1;
        let before = rest.len();
        let mask = if has_mask { take(&mut rest, fields.len().div_ceil(8)).ok_or_else(|| ends_in(row))? } else { &[] };
        for (index, field) in fields.iter().enumerate() {
            let (count, cell) = cell(&mut rest, field).ok_or_else(|| ends_in(row))?;
            let Some(place) = places[index] else { continue };
            let is_missing = mask.get(index / 8).is_some_and(|bits| bits >> (7 - index % 8) & 1 == 1);
            push(&mut columns[place], field, count, cell, is_missing)
                .map_err(|problem| format!("row {row}, column `{}`: {problem}", field.name))?;
        }
        if rest.len() == before {
            return Err("rows without any bytes".to_owned());
        }
        rows = row;
        check_rows(rows)?;
    }
    Ok(rows)
}

fn ends_in(row: usize) -> String {
    format!("the stream ends within row {row}: truncated or damaged")
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// Takes the cell of a field. Returns its number of values, and its bytes.
fn cell<'a>(rest: &mut &'a [u8], field: &Field) -> Option<(usize, &'a [u8])> {
    let count = match field.count {
        Count::Fixed(count) => count,
        Count::Variable => u32::from_be_bytes(take(rest, 4)?.try_into().ok()?) as usize,
    };
    let bytes = match field.kind {
        Kind::Bit => count.div_ceil(8),
        Kind::Boolean | Kind::UnsignedByte | Kind::Char => count,
        Kind::Short | Kind::UnicodeChar => count.checked_mul(2)?,
        Kind::Int | Kind::Float => count.checked_mul(4)?,
        Kind::Long | Kind::Double | Kind::FloatComplex => count.checked_mul(8)?,
        Kind::DoubleComplex => count.checked_mul(16)?,
    };
    Some((count, take(rest, bytes)?))
}

fn push(column: &mut Column, field: &Field, count: usize, cell: &[u8], is_missing: bool) -> Result<(), String> {
    if let Column::Texts(values) = column {
        let text = if is_missing { None } else { text(field.kind, count, cell)? };
        values.push(text);
        return Ok(());
    }
    if is_missing {
        (0..count).for_each(|_| column.push_missing());
        return Ok(());
    }
    let null = field.null.as_ref().and_then(|null| null.parse::<i128>().ok());
    match (column, field.kind) {
        (Column::Integers(values), Kind::UnsignedByte) => {
            values.extend(cell.iter().map(|&byte| known(i128::from(byte), null)));
        }
        (Column::Integers(values), Kind::Short) => {
            values.extend(numbers(cell, i16::from_be_bytes).map(|value| known(value.into(), null)));
        }
        (Column::Integers(values), Kind::Int) => {
            values.extend(numbers(cell, i32::from_be_bytes).map(|value| known(value.into(), null)));
        }
        (Column::Integers(values), Kind::Long) => {
            values.extend(numbers(cell, i64::from_be_bytes).map(|value| known(value.into(), null)));
        }
        (Column::Numbers(values), Kind::Float) => {
            values
                .extend(numbers(cell, f32::from_be_bytes).map(|value| Some(f64::from(value)).filter(|v| !v.is_nan())));
        }
        (Column::Numbers(values), Kind::Double) => {
            values.extend(numbers(cell, f64::from_be_bytes).map(|value| Some(value).filter(|v| !v.is_nan())));
        }
        _ => return Err("expected numbers or text".to_owned()),
    }
    Ok(())
}

fn known(value: i128, null: Option<i128>) -> Option<i128> {
    Some(value).filter(|value| Some(*value) != null)
}

fn numbers<T, const N: usize>(cell: &[u8], convert: fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    cell.as_chunks::<N>().0.iter().map(move |bytes| convert(*bytes))
}

/// Text of a cell: a string up to its first zero, or the number of values that are not text.
fn text(kind: Kind, count: usize, cell: &[u8]) -> Result<Option<String>, String> {
    let text = match kind {
        Kind::Char => {
            let cell = cell.split(|byte| *byte == 0).next().unwrap_or_default();
            std::str::from_utf8(cell).map_err(|_| "text that is not UTF-8".to_owned())?.to_owned()
        }
        Kind::UnicodeChar => {
            let units: Vec<u16> = numbers(cell, u16::from_be_bytes).take_while(|unit| *unit != 0).collect();
            String::from_utf16(&units).map_err(|_| "text that is not UTF-16".to_owned())?
        }
        Kind::Boolean if count == 1 => match cell {
            b"T" | b"t" | b"1" => "T".to_owned(),
            b"F" | b"f" | b"0" => "F".to_owned(),
            _ => String::new(),
        },
        _ => format!("{count} values"),
    };
    let text = text.trim();
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}
