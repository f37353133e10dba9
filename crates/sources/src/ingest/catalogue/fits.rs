//! Reads a binary table of a FITS file. Integers keep every digit. `TNULL`, `TSCAL` and `TZERO` are applied.

use fitsio_pure::bintable::{
    BinaryColumnData, BinaryColumnDescriptor, BinaryColumnType, extract_column_scaling, parse_binary_table_columns,
    read_binary_column,
};
use fitsio_pure::hdu::{Hdu, HduInfo};
use fitsio_pure::value::Value;

use super::super::fits_file;
use super::{Stored, Values, check_rows};

/// Columns of each binary table of the file, in order.
pub(super) fn tables(bytes: &[u8]) -> Result<Vec<Vec<Stored>>, String> {
    let hdus = fits_file::parse(bytes)?;
    let mut tables = Vec::new();
    for hdu in hdus.iter().filter(is_table) {
        let stored = |column: BinaryColumnDescriptor| Stored {
            name: column.name.unwrap_or_default().trim().to_owned(),
            // The repeat count of text is its length.
            values_per_row: if column.col_type == BinaryColumnType::Ascii { 1 } else { column.repeat },
        };
        tables.push(columns(bytes, hdu)?.into_iter().map(stored).collect());
    }
    if tables.is_empty() {
        let ascii = hdus.iter().any(|hdu| matches!(hdu.info, HduInfo::AsciiTable { .. }));
        let found = if ascii { " (it has an ASCII table, which is not read)" } else { "" };
        return Err(format!("FITS file without a binary table{found}; expected the catalogue in one"));
    }
    Ok(tables)
}

/// Reads these columns of a table. All values of a row follow each other.
pub(super) fn read(bytes: &[u8], table: usize, wanted: &[usize]) -> Result<Vec<Values>, String> {
    let hdus = fits_file::parse(bytes)?;
    let table = hdus.iter().filter(is_table).nth(table).ok_or_else(|| "FITS file without this table".to_owned())?;
    let columns = columns(bytes, table)?;
    wanted.iter().map(|&column| values(bytes, table, &columns[column], column)).collect()
}

fn is_table(hdu: &&Hdu) -> bool {
    matches!(hdu.info, HduInfo::BinaryTable { .. })
}

fn columns(bytes: &[u8], table: &Hdu) -> Result<Vec<BinaryColumnDescriptor>, String> {
    let HduInfo::BinaryTable { naxis1, naxis2, tfields, .. } = table.info else {
        return Err("FITS file without a binary table".to_owned());
    };
    check_rows(naxis2)?;
    let columns = parse_binary_table_columns(&table.cards, tfields).map_err(|error| error.to_string())?;
    // The decoder trusts the widths of the columns. If they exceed the row, it would read bytes of the next row.
    let width = columns.iter().try_fold(0_usize, |sum, column| sum.checked_add(column.byte_width));
    if width != Some(naxis1) {
        return Err(format!("the columns (`TFORM`) take {width:?} bytes, but a row (`NAXIS1`) has {naxis1}: damaged"));
    }
    let inside = naxis1.checked_mul(naxis2).and_then(|size| size.checked_add(table.data_start));
    if inside.is_none_or(|end| end > bytes.len()) {
        return Err(format!("{naxis2} rows of {naxis1} bytes, more than the file holds: truncated"));
    }
    Ok(columns)
}

fn values(bytes: &[u8], table: &Hdu, column: &BinaryColumnDescriptor, index: usize) -> Result<Values, String> {
    let name = column.name.as_deref().unwrap_or_default();
    let data = read_binary_column(bytes, table, index).map_err(|error| format!("column `{name}`: {error}"))?;
    let (scale, zero) = extract_column_scaling(&table.cards, index + 1);
    let null = integer_card(table, &format!("TNULL{}", index + 1));
    let integers = |raw: Vec<i64>| {
        let known = |&raw: &i64| (Some(raw) != null).then_some(raw);
        // FITS stores unsigned integers as signed integers with an offset.
        if scale == 1.0 && zero.fract() == 0.0 && zero.abs() <= 2_f64.powi(63) {
            let zero = zero as i128;
            Values::Integers(raw.iter().map(|raw| known(raw).map(|raw| i128::from(raw) + zero)).collect())
        } else {
            Values::Numbers(raw.iter().map(|raw| known(raw).map(|raw| zero + scale * raw as f64)).collect())
        }
    };
    let numbers = |raw: Vec<f64>| {
        Values::Numbers(raw.into_iter().map(|raw| Some(zero + scale * raw).filter(|value| !value.is_nan())).collect())
    };
    Ok(match data {
        BinaryColumnData::Ascii(texts) => {
            let known = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            Values::Texts(texts.into_iter().map(known).collect())
        }
        BinaryColumnData::Byte(raw) => integers(raw.into_iter().map(i64::from).collect()),
        BinaryColumnData::Short(raw) => integers(raw.into_iter().map(i64::from).collect()),
        BinaryColumnData::Int(raw) => integers(raw.into_iter().map(i64::from).collect()),
        BinaryColumnData::Long(raw) => integers(raw),
        BinaryColumnData::Float(raw) => numbers(raw.into_iter().map(f64::from).collect()),
        BinaryColumnData::Double(raw) => numbers(raw),
        _ => return Err(format!("column `{name}`: expected numbers or text, found {:?}", column.col_type)),
    })
}

fn integer_card(table: &Hdu, keyword: &str) -> Option<i64> {
    table.cards.iter().find(|card| card.keyword_str() == keyword).and_then(|card| match card.value {
        Some(Value::Integer(value)) => Some(value),
        _ => None,
    })
}
