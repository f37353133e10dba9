//! Reads columns of a catalogue: a table of text (CSV and its relatives), Parquet, FITS or VOTable.
//!
//! The first bytes of the file determine its format. Gzip and bzip2 are decompressed. The whole file is held in memory,
//! together with the columns that were requested. A column with several values in each row (`MODELMAG` of SDSS) appears
//! as one column for each value: `MODELMAG[0]`, `MODELMAG[1]`, ….

mod fits;
mod parquet;
mod table;
mod text;
mod votable;

use astromae::file_kind::{FileKind, Purpose, START_BYTES, identify};
use bytes::Bytes;
use pipeline::decoder::guarded;
use pipeline::storage::Stores;

use super::columns::{Role, choose};
use super::file_kind::other_kind;
use super::packed::unpacked;
use super::{IngestError, MAX_SAMPLES, input};
pub(super) use table::Table;

/// Maximum size of a catalogue in bytes, compressed and decompressed.
const MAX_CATALOGUE_BYTES: u64 = 4 << 30;
/// Maximum length of a text field in bytes. A few bytes of Parquet may repeat a long text many times.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Maximum number of values in each row for which a column appears as one column for each value.
const MAX_VECTOR: usize = 32;
/// Texts that mark a missing value, in lower case. An empty field is missing too.
const NULLS: [&str; 8] = ["nan", "null", "none", "na", "n/a", "--", "masked", "\\n"];

/// A catalogue and the names of its columns.
#[derive(Debug)]
pub(super) struct Catalogue {
    bytes: Bytes,
    form: Form,
    names: Vec<String>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Text(text::Layout),
    Parquet,
    /// A binary table of a FITS file, by its index among the tables.
    Fits(usize),
    /// A table of a VOTable, by its index among those with data.
    VoTable(usize),
}

/// Column as it is stored, with its number of values in each row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    name: String,
    values_per_row: usize,
}

/// Place of a column in the file: the stored column, and which of its values in each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    column: usize,
    value: usize,
    values_per_row: usize,
}

/// One column. Missing values are None.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i128>>),
    Numbers(Vec<Option<f64>>),
}

impl Catalogue {
    /// Reads the file and determines the names of its columns. `stated` holds roles of columns that the user stated;
    /// they select a table of a file that has several.
    pub(super) async fn fetch(stores: &Stores, name: &str, stated: &[(Role, String)]) -> Result<Self, IngestError> {
        let bytes = match super::pipe::read(name, MAX_CATALOGUE_BYTES) {
            Some(read) => read.map_err(|problem| input(name, problem))?,
            None => {
                let (bucket, key) = stores.open_url(name)?;
                bucket.read(&key, MAX_CATALOGUE_BYTES, "a catalogue").await?
            }
        };
        Self::open(bytes, stated).map_err(|problem| input(name, problem))
    }

    fn open(bytes: Bytes, stated: &[(Role, String)]) -> Result<Self, String> {
        let bytes = unpacked(bytes, MAX_CATALOGUE_BYTES)?;
        let (form, stored) = guarded(|| Self::form(&bytes, stated)).map_err(|panicked| panicked.to_string())??;
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for (column, Stored { name, values_per_row }) in stored.into_iter().enumerate() {
            if (2..=MAX_VECTOR).contains(&values_per_row) {
                names.extend((0..values_per_row).map(|value| format!("{name}[{value}]")));
                places.extend((0..values_per_row).map(|value| Place { column, value, values_per_row }));
            } else {
                names.push(name);
                places.push(Place { column, value: 0, values_per_row });
            }
        }
        Ok(Self { bytes, form, names, places })
    }

    fn form(bytes: &Bytes, stated: &[(Role, String)]) -> Result<(Form, Vec<Stored>), String> {
        if bytes.starts_with(b"PAR1") {
            return Ok((Form::Parquet, parquet::columns(bytes)?));
        }
        if bytes.starts_with(b"SIMPLE  =") {
            let mut tables = fits::tables(bytes)?;
            let table = choose_table(&tables, stated)?;
            return Ok((Form::Fits(table), tables.swap_remove(table)));
        }
        if identify(&bytes[..bytes.len().min(START_BYTES)], "") == Some(FileKind::VoTable) {
            let mut tables = votable::tables(bytes)?;
            let table = choose_table(&tables, stated)?;
            return Ok((Form::VoTable(table), tables.swap_remove(table)));
        }
        let expected = "CSV, Parquet, FITS or VOTable";
        if let Some(problem) = other_kind(bytes, Purpose::Catalogue, expected, &[FileKind::Text]) {
            return Err(problem);
        }
        let layout = text::Layout::of(bytes)?;
        let stored = layout.names.iter().map(|name| Stored { name: name.clone(), values_per_row: 1 }).collect();
        Ok((Form::Text(layout), stored))
    }

    /// Names of the columns, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the columns at these indices. Each index may occur once. All columns have the same length.
    fn read(&self, columns: &[usize]) -> Result<Vec<Values>, String> {
        if let Some(&wide) = columns.iter().find(|&&at| self.places[at].values_per_row > MAX_VECTOR) {
            let (name, found) = (&self.names[wide], self.places[wide].values_per_row);
            return Err(format!("column `{name}`: expected one value in each row, found {found}"));
        }
        let mut stored: Vec<usize> = columns.iter().map(|&at| self.places[at].column).collect();
        stored.sort_unstable();
        stored.dedup();
        let read = guarded(|| match &self.form {
            Form::Text(layout) => layout.read(&self.bytes, &stored),
            Form::Parquet => parquet::read(&self.bytes, &stored),
            Form::Fits(table) => fits::read(&self.bytes, *table, &stored),
            Form::VoTable(table) => votable::read(&self.bytes, *table, &stored),
        });
        let read = read.map_err(|panicked| panicked.to_string())??;
        let of = |&at: &usize| -> Result<Values, String> {
            let Place { column, value, values_per_row } = self.places[at];
            let found = &read[stored.partition_point(|&earlier| earlier < column)];
            if values_per_row == 0 || !found.len().is_multiple_of(values_per_row) {
                return Err(format!("column `{}`: not {values_per_row} values in each row: damaged", self.names[at]));
            }
            Ok(found.every(values_per_row, value))
        };
        let read = columns.iter().map(of).collect::<Result<Vec<Values>, String>>()?;
        match read.first().map(Values::len) {
            Some(0) => Err("no rows".to_owned()),
            Some(rows) if read.iter().any(|column| column.len() != rows) => {
                Err("columns of different lengths".to_owned())
            }
            _ => Ok(read),
        }
    }
}

/// Chooses the table of a file that has the columns of a catalogue. If no table has them, chooses the first, whose
/// columns a message can name.
fn choose_table(tables: &[Vec<Stored>], stated: &[(Role, String)]) -> Result<usize, String> {
    let fits = |table: &&Vec<Stored>| {
        let names: Vec<String> = table
            .iter()
            .flat_map(|column| match column.values_per_row {
                count @ 2..=MAX_VECTOR => (0..count).map(|value| format!("{}[{value}]", column.name)).collect(),
                _ => vec![column.name.clone()],
            })
            .collect();
        choose(&names, stated).is_ok()
    };
    let mut fitting = tables.iter().enumerate().filter(|(_, table)| fits(table)).map(|(index, _)| index);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Ok(0),
        (Some(first), Some(second)) => Err(format!(
            "tables {} and {} of the file both have magnitudes; save the right one as a file of its own",
            first + 1,
            second + 1
        )),
    }
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Numbers(values) => values.len(),
        }
    }

    /// Copies one of `count` consecutive values: those at `first`, `first + count`, ….
    fn every(&self, count: usize, first: usize) -> Self {
        match self {
            Self::Texts(values) => Self::Texts(values.iter().skip(first).step_by(count).cloned().collect()),
            Self::Integers(values) => Self::Integers(values.iter().skip(first).step_by(count).copied().collect()),
            Self::Numbers(values) => Self::Numbers(values.iter().skip(first).step_by(count).copied().collect()),
        }
    }

    /// Converts the column to numbers. Missing values become NaN. Fails for the first value that is no number.
    fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let mut first = None;
        let numbers = self.numbers_or(name, |row, problem| {
            first.get_or_insert_with(|| format!("row {row}, {problem}"));
        });
        first.map_or(Ok(numbers), Err)
    }

    /// Converts the column to numbers. Missing values become NaN. Calls `reject` with the rows whose value is no number,
    /// and makes them NaN.
    fn numbers_or(&self, name: &str, mut reject: impl FnMut(usize, String)) -> Vec<f64> {
        let mut number = |(row, text): (usize, &Option<String>)| {
            let Some(text) = text.as_deref().map(str::trim).filter(|text| !is_null(text)) else { return f64::NAN };
            text.parse().unwrap_or_else(|_| {
                let shown: String = text.chars().take(40).collect();
                reject(row, format!("column `{name}`: expected a number, found `{shown}`"));
                f64::NAN
            })
        };
        match self {
            Self::Texts(values) => values.iter().enumerate().map(&mut number).collect(),
            Self::Integers(values) => values.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect(),
            Self::Numbers(values) => values.iter().map(|value| value.unwrap_or(f64::NAN)).collect(),
        }
    }

    /// Converts the column to identifiers. Fails for floats, because they do not hold every digit of an identifier.
    fn identifiers(&self, name: &str) -> Result<Vec<Option<String>>, String> {
        let floats = |shown: &str| {
            format!(
                "column `{name}` holds floats{shown}, which do not hold every digit of an identifier; store the column \
                 as whole numbers or text"
            )
        };
        match self {
            // A column without any value has no type.
            Self::Numbers(values) if values.iter().any(Option::is_some) => Err(floats("")),
            Self::Texts(values) if let Some(float) = float_among_numbers(values) => {
                Err(floats(&format!(" (`{}`)", float.chars().take(40).collect::<String>())))
            }
            values => Ok((0..values.len()).map(|row| values.text(row)).collect()),
        }
    }

    /// Returns one value as text, as it appears in the name of a file.
    pub(super) fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Texts(values) => {
                values[row].as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
            }
            Self::Integers(values) => values[row].map(|value| value.to_string()),
            Self::Numbers(values) => values[row].map(|value| value.to_string()),
        }
    }
}

/// Returns the first text that is written as a float, if all texts of the column are numbers. A program wrote these
/// identifiers as floats: `1.2376E+18`, `1237648720693755904.0`.
fn float_among_numbers(texts: &[Option<String>]) -> Option<&str> {
    let known = || texts.iter().flatten().map(|text| text.trim()).filter(|text| !is_null(text));
    let float = known().find(|text| text.contains(['.', 'e', 'E']) && text.parse::<f64>().is_ok_and(f64::is_finite))?;
    known().all(|text| text.parse::<f64>().is_ok()).then_some(float)
}

fn is_null(text: &str) -> bool {
    text.is_empty() || NULLS.iter().any(|null| text.eq_ignore_ascii_case(null))
}

fn check_rows(rows: usize) -> Result<(), String> {
    if rows > MAX_SAMPLES { Err(format!("{rows} rows, more than the limit of {MAX_SAMPLES}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
