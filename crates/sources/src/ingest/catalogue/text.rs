//! Reads tables of text: CSV with any common delimiter, tables of TOPCAT, VizieR and numpy, and ECSV.
//!
//! [`Layout::of`] finds the line of names and the delimiter. Lines that begin with `#` are comments, as many archives
//! write them. If the first other line holds numbers, the names are in the comment before it.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder};

use super::{Values, check_rows};

/// Maximum number of columns.
const MAX_COLUMNS: usize = 10_000;
/// Maximum number of comments before the table in which names are searched.
const MAX_COMMENTS: usize = 1_000;
/// Number of lines after the names that must agree with the delimiter.
const SAMPLE_LINES: usize = 20;
/// Characters of a line that only draws a rule below the names.
const RULE: &[u8] = b"-=+|:;, \t\r";
/// Delimiters, in the order in which they are tried.
const DELIMITERS: [Delimiter; 5] = [
    Delimiter::Character(b'\t'),
    Delimiter::Character(b','),
    Delimiter::Character(b';'),
    Delimiter::Character(b'|'),
    Delimiter::Spaces,
];

/// What separates the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Character(u8),
    /// Any number of spaces and tabs.
    Spaces,
}

/// Layout of a table of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) names: Vec<String>,
    delimiter: Delimiter,
    /// Offset of the first row.
    body: usize,
}

/// A line that is not empty, with its offset in the file.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    at: usize,
    bytes: &'a [u8],
}

impl Layout {
    /// Finds the names of the columns and the delimiter.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        let mark = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut comments = Vec::new();
        let mut content = Vec::new();
        for line in lines(bytes, mark) {
            match line.bytes.strip_prefix(b"#") {
                Some(_) if !content.is_empty() => {}
                Some(comment) if comments.len() < MAX_COMMENTS => comments.push(comment),
                Some(_) => {}
                None => content.push(line),
            }
            if content.len() > SAMPLE_LINES {
                break;
            }
        }
        let Some((&first, samples)) = content.split_first() else {
            return Err(match comments.is_empty() {
                true => "no text in the file".to_owned(),
                false => "only comments in the file (lines that begin with `#`), and no rows".to_owned(),
            });
        };
        let is_ipac = |line: &Line<'_>| !line.bytes.starts_with(b"|") && !line.bytes.starts_with(b"\\");
        if first.bytes.starts_with(b"\\") || (first.bytes.starts_with(b"|") && samples.iter().any(is_ipac)) {
            return Err("an IPAC table, which is not read; convert it: \
                        `astropy.table.Table.read(F, format='ascii.ipac').write('c.csv')`"
                .to_owned());
        }
        let delimiter = match ecsv_delimiter(&comments) {
            Some(delimiter) => delimiter?,
            None => find_delimiter(first, samples),
        };
        let fields = split(first.bytes, delimiter)?;
        let (names, body) = if fields.iter().any(|field| is_number(field)) {
            (names_in_comment(&comments, fields.len(), delimiter)?, first.at)
        } else {
            let rule = samples.iter().take(2).rposition(is_rule);
            let last = rule.map_or(first, |rule| samples[rule]);
            (fields, bytes.len().min(last.at + last.bytes.len() + 1))
        };
        if names.len() > MAX_COLUMNS {
            return Err(format!("{} columns in the first line, more than the limit of {MAX_COLUMNS}", names.len()));
        }
        Ok(Self { names, delimiter, body })
    }

    /// Reads these columns as text.
    pub(super) fn read(&self, bytes: &[u8], columns: &[usize]) -> Result<Vec<Values>, String> {
        let mut texts: Vec<Vec<Option<String>>> = vec![Vec::new(); columns.len()];
        // Number of the line in which the rows begin, from 1.
        let before = bytes[..self.body].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        let mut append = |fields: &[Cow<'_, str>], line: u64| {
            if fields.len() != self.names.len() {
                let (found, names) = (fields.len(), self.names.len());
                return Err(format!("line {line}: {found} fields, but {names} columns have names"));
            }
            for (texts, &column) in texts.iter_mut().zip(columns) {
                let text = fields[column].trim();
                texts.push(Some(text).filter(|text| !text.is_empty()).map(str::to_owned));
            }
            check_rows(texts.first().map_or(0, Vec::len))
        };
        match self.delimiter {
            Delimiter::Character(delimiter) => {
                let mut reader = ReaderBuilder::new()
                    .delimiter(delimiter)
                    .comment(Some(b'#'))
                    .flexible(true)
                    .has_headers(false)
                    .from_reader(&bytes[self.body..]);
                let mut record = ByteRecord::new();
                while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
                    let line = before + record.position().map_or(0, |at| at.line() - 1);
                    if record.len() == 1 && record[0].trim_ascii().is_empty() {
                        continue;
                    }
                    let fields = record.iter().map(|field| str::from_utf8(field).map(Cow::Borrowed));
                    let fields = fields.collect::<Result<Vec<_>, _>>();
                    append(&fields.map_err(|_| format!("line {line}: text that is not UTF-8"))?, line)?;
                }
            }
            Delimiter::Spaces => {
                for line in lines(bytes, self.body).filter(|line| !line.bytes.starts_with(b"#")) {
                    let fields: Vec<Cow<'_, str>> = spaced(line.bytes)?.into_iter().map(Cow::Owned).collect();
                    let number = bytes[self.body..line.at].iter().filter(|&&byte| byte == b'\n').count() as u64;
                    append(&fields, before + number)?;
                }
            }
        }
        Ok(texts.into_iter().map(Values::Texts).collect())
    }
}

/// Lines from this offset that are not empty.
fn lines(bytes: &[u8], from: usize) -> impl Iterator<Item = Line<'_>> {
    let mut at = from;
    let lines = bytes[from..].split(|&byte| byte == b'\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        Line { at: start, bytes: line }
    });
    lines.filter(|line| !line.bytes.trim_ascii().is_empty())
}

/// Returns the delimiter that the header of an ECSV file states. Returns None for other files.
fn ecsv_delimiter(comments: &[&[u8]]) -> Option<Result<Delimiter, String>> {
    comments.first().filter(|first| first.trim_ascii_start().starts_with(b"%ECSV"))?;
    let stated = comments.iter().find_map(|comment| comment.trim_ascii().strip_prefix(b"delimiter:"));
    Some(match stated.map(<[u8]>::trim_ascii) {
        None | Some(b"' '" | b"\" \"") => Ok(Delimiter::Spaces),
        Some(b"','" | b"\",\"" | b",") => Ok(Delimiter::Character(b',')),
        Some(other) => Err(format!(
            "ECSV with the delimiter {}; expected a space or a comma",
            String::from_utf8_lossy(&other[..other.len().min(20)])
        )),
    })
}

/// Returns the first delimiter that divides the names, and the row below them, into the same number of fields. If none
/// does, returns the one that divides the names into the most fields.
fn find_delimiter(first: Line<'_>, samples: &[Line<'_>]) -> Delimiter {
    let count = |line: Line<'_>, delimiter| split(line.bytes, delimiter).map_or(0, |fields| fields.len());
    // A rule below the names has one field if it is unbroken.
    let samples: Vec<Line<'_>> = samples.iter().copied().filter(|line| !is_rule(line)).collect();
    let agreeing = |delimiter| {
        let fields = count(first, delimiter);
        let agree = samples.iter().filter(|line| count(**line, delimiter) == fields).count();
        fields > 1 && 2 * agree >= samples.len()
    };
    let most = || DELIMITERS.into_iter().rev().max_by_key(|&delimiter| count(first, delimiter));
    DELIMITERS.into_iter().find(|&delimiter| agreeing(delimiter)).or_else(most).unwrap_or(Delimiter::Character(b','))
}

/// Finds the names in the last comment that has as many fields as a row.
fn names_in_comment(comments: &[&[u8]], columns: usize, delimiter: Delimiter) -> Result<Vec<String>, String> {
    let tried = || std::iter::once(delimiter).chain(DELIMITERS);
    for comment in comments.iter().rev() {
        for names in tried().filter_map(|delimiter| split(comment.trim_ascii(), delimiter).ok()) {
            if names.len() == columns && !names.iter().any(|name| is_number(name)) {
                return Ok(names);
            }
        }
    }
    Err(format!(
        "no line with the names of the columns: the first line has numbers, and no line before it that begins with `#` \
         has {columns} names; add a line such as `object_id,u,g,r,i,z,z_spec`"
    ))
}

fn split(line: &[u8], delimiter: Delimiter) -> Result<Vec<String>, String> {
    match delimiter {
        Delimiter::Spaces => spaced(line),
        Delimiter::Character(delimiter) => {
            let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(line);
            let mut record = ByteRecord::new();
            reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
            let texts = record.iter().map(|field| str::from_utf8(field).map(|text| text.trim().to_owned()));
            texts.collect::<Result<_, _>>().map_err(|_| NOT_TEXT.to_owned())
        }
    }
}

const NOT_TEXT: &str = "not a CSV file: text that is not UTF-8";

/// Splits a line at spaces. Quotes hold a field together, and two of them in it stand for one.
fn spaced(line: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(line).map_err(|_| NOT_TEXT.to_owned())?;
    let mut fields = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut after = quoted;
            loop {
                let (part, more) = after.split_once('"').ok_or_else(|| "a quote that does not end".to_owned())?;
                field += part;
                after = more;
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        after = more;
                    }
                    None => break,
                }
            }
            fields.push(field);
            rest = after.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            fields.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    Ok(fields)
}

fn is_rule(line: &Line<'_>) -> bool {
    let drawn = line.bytes.iter().filter(|byte| b"-=".contains(byte)).count();
    drawn >= 2 && line.bytes.iter().all(|byte| RULE.contains(byte))
}

/// Returns true for a number with a digit. The words `nan` and `inf` may be names.
fn is_number(field: &str) -> bool {
    field.bytes().any(|byte| byte.is_ascii_digit()) && field.parse::<f64>().is_ok()
}
