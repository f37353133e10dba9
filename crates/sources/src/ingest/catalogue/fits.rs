//! Reads the first binary table of a FITS file. Integers keep every digit. `TNULL`, `TSCAL` and `TZERO` are applied.

use fitsio_pure::bintable::{
    BinaryColumnData, BinaryColumnDescriptor, BinaryColumnType, extract_column_scaling, parse_binary_table_columns,
    read_binary_column,
};
use fitsio_pure::hdu::{Hdu, HduInfo, parse_fits};
use fitsio_pure::value::Value;

use super::{Values, check_rows};

pub(super) fn names(bytes: &[u8]) -> Result<Vec<String>, String> {
    let (_, columns) = open(bytes)?;
    Ok(columns.into_iter().map(|column| column.name.unwrap_or_default().trim().to_owned()).collect())
}

pub(super) fn read(bytes: &[u8], columns: &[usize]) -> Result<Vec<Values>, String> {
    let (table, all) = open(bytes)?;
    columns.iter().map(|&column| values(bytes, &table, &all[column], column)).collect()
}

fn open(bytes: &[u8]) -> Result<(Hdu, Vec<BinaryColumnDescriptor>), String> {
    let fits = parse_fits(bytes).map_err(|error| format!("not a readable FITS file: {error}"))?;
    let table = fits.hdus.into_iter().find(|hdu| matches!(hdu.info, HduInfo::BinaryTable { .. }));
    let table = table.ok_or_else(|| "FITS file without a binary table; expected the catalogue in one".to_owned())?;
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
    Ok((table, columns))
}

fn values(bytes: &[u8], table: &Hdu, column: &BinaryColumnDescriptor, index: usize) -> Result<Values, String> {
    let name = column.name.as_deref().unwrap_or_default();
    if column.repeat != 1 && column.col_type != BinaryColumnType::Ascii {
        return Err(format!("column `{name}`: expected one value in each row, found {}", column.repeat));
    }
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
