//! Reads CSV: a line of column names, then rows. Lines that begin with `#` are comments, as many archives write them.

use csv::{Reader, ReaderBuilder};

use super::{Values, check_rows};

/// Maximum number of columns.
const MAX_COLUMNS: usize = 10_000;

pub(super) fn names(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = reader(bytes);
    let header = reader.headers().map_err(|error| format!("not a CSV file: {error}"))?;
    if header.len() > MAX_COLUMNS {
        return Err(format!("{} columns in the first line, more than the limit of {MAX_COLUMNS}", header.len()));
    }
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

pub(super) fn read(bytes: &[u8], columns: &[usize]) -> Result<Vec<Values>, String> {
    let mut texts: Vec<Vec<Option<String>>> = vec![Vec::new(); columns.len()];
    for record in reader(bytes).records() {
        let record = record.map_err(|error| error.to_string())?;
        for (texts, &column) in texts.iter_mut().zip(columns) {
            let text = record.get(column).map(str::trim).filter(|text| !text.is_empty());
            texts.push(text.map(str::to_owned));
        }
        check_rows(texts.first().map_or(0, Vec::len))?;
    }
    Ok(texts.into_iter().map(Values::Texts).collect())
}

/// Opens a reader that skips the byte order mark, which some programs put before UTF-8.
fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    ReaderBuilder::new().comment(Some(b'#')).from_reader(bytes)
}
