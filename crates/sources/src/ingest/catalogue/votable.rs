//! Reads the tables of a VOTable: rows as XML (`TABLEDATA`) and in the two binary serialisations.
//!
//! `walk` visits the XML once and collects the fields of every table, and the wanted columns of one table. Rows are
//! counted against `nrows`, and the end of every element is required, so a file that was cut off is an error.

mod binary;
mod field;
mod xml;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Stored, Values, check_rows};
use field::{Column, Field};
use xml::{attribute, check_encoding, predefined, unreadable};

/// Largest number of columns of a table.
const MAX_FIELDS: usize = 10_000;
/// Largest number of tables with data in a file.
const MAX_TABLES: usize = 1_000;

/// Columns of each table of the file, in order. Tables without data are left out.
pub(super) fn tables(bytes: &[u8]) -> Result<Vec<Vec<Stored>>, String> {
    let tables = Walk::new(None).read(bytes)?.tables;
    if tables.is_empty() {
        return Err("VOTable without a table that has data".to_owned());
    }
    Ok(tables.iter().map(|fields| fields.iter().map(Field::stored).collect()).collect())
}

/// Reads these columns of a table. All values of a row follow each other.
pub(super) fn read(bytes: &[u8], table: usize, wanted: &[usize]) -> Result<Vec<Values>, String> {
    let walk = Walk::new(Some((table, wanted))).read(bytes)?;
    Ok(walk.columns.into_iter().map(Column::into_values).collect())
}

/// Serialisation of the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Xml,
    Binary,
    Binary2,
}

/// Table that is being read.
#[derive(Debug, Default)]
struct Table {
    fields: Vec<Field>,
    /// Number of rows that the table states.
    stated: Option<usize>,
    rows: Option<Rows>,
    count: usize,
    has_stream: bool,
    /// Number of cells of the current row so far.
    cells: usize,
    /// For each field, its place among the wanted columns.
    places: Vec<Option<usize>>,
}

struct Walk<'w> {
    wanted: Option<(usize, &'w [usize])>,
    /// Fields of the tables with data, so far.
    tables: Vec<Vec<Field>>,
    columns: Vec<Column>,
    table: Option<Table>,
    /// Text of the current cell, stream or message.
    text: String,
    is_text_read: bool,
    is_error: bool,
}

impl<'w> Walk<'w> {
    fn new(wanted: Option<(usize, &'w [usize])>) -> Self {
        let (tables, columns, text) = (Vec::new(), Vec::new(), String::new());
        Self { wanted, tables, columns, table: None, text, is_text_read: false, is_error: false }
    }

    fn read(mut self, bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::from_reader(bytes);
        let mut open = 0_usize;
        loop {
            let event = reader
                .read_event()
                .map_err(|error| format!("not a readable VOTable: {error} (at byte {})", reader.error_position()))?;
            match event {
                Event::Eof if open == 0 => break,
                Event::Eof => return Err("the VOTable ends within an element: truncated".to_owned()),
                Event::Decl(declaration) => check_encoding(declaration.encoding())?,
                Event::Start(element) => {
                    open += 1;
                    self.start(&element)?;
                }
                Event::Empty(element) => {
                    self.start(&element)?;
                    self.end(element.local_name().as_ref())?;
                }
                Event::End(element) => {
                    open = open.saturating_sub(1);
                    self.end(element.local_name().as_ref())?;
                }
                Event::Text(text) if self.is_text_read => self.text += &text.decode().map_err(unreadable)?,
                Event::CData(text) if self.is_text_read => self.text += &text.decode().map_err(unreadable)?,
                Event::GeneralRef(reference) if self.is_text_read => {
                    let name = reference.decode().map_err(unreadable)?;
                    match reference.resolve_char_ref().map_err(unreadable)? {
                        Some(character) => self.text.push(character),
                        None => self.text += predefined(&name)?,
                    }
                }
                _ => {}
            }
        }
        match self.wanted {
            Some((table, _)) if table >= self.tables.len() => Err("VOTable without this table".to_owned()),
            _ => Ok(self),
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let attribute = |name: &str| attribute(element, name);
        match element.local_name().as_ref() {
            b"TABLE" => {
                let stated = attribute("nrows")?.map(|rows| {
                    rows.trim().parse().map_err(|_| format!("`nrows` of a table is `{rows}`; expected a number"))
                });
                self.table = Some(Table { stated: stated.transpose()?, ..Table::default() });
            }
            b"FIELD" => {
                let Some(table) = &mut self.table else { return Ok(()) };
                if table.rows.is_some() {
                    return Err("a column (`FIELD`) after the rows of its table".to_owned());
                }
                if table.fields.len() == MAX_FIELDS {
                    return Err(format!("a table with more than {MAX_FIELDS} columns"));
                }
                let name = attribute("name")?.or(attribute("ID")?).unwrap_or_default();
                let (kind, size) = (attribute("datatype")?, attribute("arraysize")?);
                table.fields.push(Field::new(name, kind.as_deref(), size.as_deref())?);
            }
            // The value of missing integers. Other `VALUES` belong to parameters.
            b"VALUES" => {
                let field = self.table.as_mut().filter(|table| table.rows.is_none()).and_then(|t| t.fields.last_mut());
                if let (Some(field), Some(null)) = (field, attribute("null")?) {
                    field.null = Some(null.trim().to_owned());
                }
            }
            b"TABLEDATA" => self.begin_rows(Rows::Xml)?,
            b"BINARY" => self.begin_rows(Rows::Binary)?,
            b"BINARY2" => self.begin_rows(Rows::Binary2)?,
            b"FITS" if self.table.is_some() => {
                return Err("the rows of the VOTable are in a FITS file; pass that file".to_owned());
            }
            b"STREAM" => {
                if let Some(other) = attribute("href")? {
                    return Err(format!("the rows of the VOTable are in another file, `{other}`"));
                }
                let encoding = attribute("encoding")?.unwrap_or_else(|| "none".to_owned());
                if encoding != "base64" {
                    return Err(format!("a stream with the encoding `{encoding}`; expected `base64`"));
                }
                self.begin_text();
            }
            b"TR" => {
                if let Some(table) = &mut self.table {
                    table.cells = 0;
                }
            }
            b"TD" => {
                if let Some(encoding) = attribute("encoding")? {
                    return Err(format!("a cell with the encoding `{encoding}`, which is not read"));
                }
                self.begin_text();
            }
            b"INFO" => {
                self.is_error = attribute("name")?.is_some_and(|name| name == "QUERY_STATUS")
                    && attribute("value")?.is_some_and(|value| value.eq_ignore_ascii_case("ERROR"));
                self.begin_text();
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_text(&mut self) {
        self.text.clear();
        self.is_text_read = true;
    }

    fn begin_rows(&mut self, rows: Rows) -> Result<(), String> {
        let Some(table) = &mut self.table else { return Ok(()) };
        if table.rows.is_some() {
            return Err("a table with two sets of rows".to_owned());
        }
        table.rows = Some(rows);
        table.places = vec![None; table.fields.len()];
        let Some((_, wanted)) = self.wanted.filter(|(table, _)| *table == self.tables.len()) else { return Ok(()) };
        for (place, &column) in wanted.iter().enumerate() {
            let field = table.fields.get(column).ok_or_else(|| "VOTable without this column".to_owned())?;
            table.places[column] = Some(place);
            self.columns.push(Column::of(field));
        }
        Ok(())
    }

    fn end(&mut self, element: &[u8]) -> Result<(), String> {
        let number = self.tables.len() + 1;
        match element {
            b"TD" => {
                self.is_text_read = false;
                let Some(table) = self.table.as_mut().filter(|table| table.rows == Some(Rows::Xml)) else {
                    return Ok(());
                };
                let (row, cell) = (table.count + 1, table.cells);
                table.cells += 1;
                if let Some(&Some(place)) = table.places.get(cell) {
                    let field = &table.fields[cell];
                    self.columns[place]
                        .push_text(field, &self.text)
                        .map_err(|problem| format!("table {number}, row {row}, column `{}`: {problem}", field.name))?;
                }
            }
            b"TR" => {
                let Some(table) = self.table.as_mut().filter(|table| table.rows == Some(Rows::Xml)) else {
                    return Ok(());
                };
                table.count += 1;
                if table.cells != table.fields.len() {
                    return Err(format!(
                        "table {number}, row {}: {} cells, but the table has {} columns",
                        table.count,
                        table.cells,
                        table.fields.len()
                    ));
                }
                check_rows(table.count)?;
            }
            b"STREAM" => {
                self.is_text_read = false;
                let is_binary = |table: &&mut Table| matches!(table.rows, Some(Rows::Binary | Rows::Binary2));
                if let Some(table) = self.table.as_mut().filter(is_binary) {
                    if table.has_stream {
                        return Err(format!("table {number} has two streams"));
                    }
                    table.has_stream = true;
                    let has_mask = table.rows == Some(Rows::Binary2);
                    table.count = binary::read(
                        std::mem::take(&mut self.text),
                        &table.fields,
                        &table.places,
                        has_mask,
                        &mut self.columns,
                    )
                    .map_err(|problem| format!("table {number}: {problem}"))?;
                }
            }
            b"INFO" => {
                self.is_text_read = false;
                if self.is_error {
                    let message = self.text.trim().escape_debug();
                    return Err(format!("the VOTable has no result, but an error of the service: {message}"));
                }
            }
            b"TABLE" => {
                let Some(table) = self.table.take() else { return Ok(()) };
                if let Some(stated) = table.stated.filter(|stated| table.rows.is_some() && *stated != table.count) {
                    return Err(format!(
                        "table {number} states {stated} rows (`nrows`), but has {}: truncated or damaged",
                        table.count
                    ));
                }
                if table.rows.is_some() {
                    if number > MAX_TABLES {
                        return Err(format!("more than {MAX_TABLES} tables"));
                    }
                    self.tables.push(table.fields);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
