//! Finds the arrays and columns of a partition, by the names that the user states or by common names.

use pipeline::objects::Objects;
use pipeline::partition::{BANDS, Dtype};

use super::super::columns::Role;
use super::super::partition_sink::{Columns, reject_duplicates};
use super::super::{ArraySource, IngestError, input};
use super::magnitudes::{self, MagnitudeSet};
use super::names::{
    LABELS, NONE, all_columns, file_column, find_images, find_table, guess, has_name, listed, one_value, searched,
    shape,
};
use super::table::{self, Column, Values, Wanted};
use super::{Arrays, is_file};

/// Arrays and columns of a partition.
pub(super) struct Chosen {
    /// Index of the array of images.
    pub(super) images: usize,
    magnitudes: MagnitudeSet,
    object_id: Option<Column>,
    ra: Option<Column>,
    dec: Option<Column>,
    redshift: Option<Column>,
    /// Messages for the user.
    pub(super) notes: Vec<String>,
}

/// Chooses the arrays and columns.
pub(super) fn choose(arrays: &Arrays, source: &ArraySource) -> Result<Chosen, IngestError> {
    let complain = |problem: String| input(&arrays.source(), problem);
    let images = find_images(arrays, source.images.as_deref())?;
    let table = find_table(arrays, source.labels.as_deref(), images)?;
    let columns = all_columns(arrays, table, images);
    let sets = magnitudes::sets(&columns);
    let has_bare_set = sets.iter().any(MagnitudeSet::is_bare);
    let magnitudes = match source.magnitudes.as_deref() {
        Some(file) if is_file(file) => {
            let column = file_column(arrays, file)?;
            if column.length != BANDS {
                let shape = shape(arrays, column.array);
                return Err(input(file, format!("magnitudes of shape {shape}; expected (n, 5), bands u g r i z")));
            }
            MagnitudeSet { name: file.to_owned(), columns: vec![column] }
        }
        wanted => {
            magnitudes::choose(sets, wanted).map_err(|problem| complain(problem + &searched(arrays, &columns)))?
        }
    };
    let mut notes = Vec::new();
    let mut role = |role: Role, wanted: Option<&str>| -> Result<Option<Column>, IngestError> {
        match wanted {
            Some(NONE) => Ok(None),
            Some(file) if is_file(file) => one_value(arrays, file_column(arrays, file)?).map(Some),
            Some(name) => {
                let found = columns.iter().filter(|column| has_name(arrays, column, name)).collect::<Vec<_>>();
                match found.as_slice() {
                    [] => Err(complain(format!("no array or column `{name}` for `{role}`; {}", listed(&columns)))),
                    [column] => one_value(arrays, (*column).clone()).map(Some),
                    _ => Err(complain(format!(
                        "an array and a column `{name}`; write the column as `ARRAY.{name}`, such as `{LABELS}.{name}`"
                    ))),
                }
            }
            None => {
                let found = guess(&columns, role, has_bare_set).map_err(complain)?;
                let Some(column) = found else { return Ok(None) };
                if role == Role::ObjectId && column.is_float() {
                    notes.push(format!(
                        "column `{}` is left out: a float does not hold every digit of an identifier",
                        column.name
                    ));
                    return Ok(None);
                }
                one_value(arrays, column).map(Some)
            }
        }
    };
    let chosen = Chosen {
        images,
        object_id: role(Role::ObjectId, source.object_id.as_deref())?,
        ra: role(Role::Ra, source.ra.as_deref())?,
        dec: role(Role::Dec, source.dec.as_deref())?,
        redshift: role(Role::Redshift, source.redshift.as_deref())?,
        magnitudes,
        notes: Vec::new(),
    };
    let notes = chosen.describe(arrays, table, &columns).into_iter().chain(notes).collect();
    Ok(Chosen { notes, ..chosen })
}

impl Chosen {
    /// Messages that say which columns were taken, if their names are not those of the arrays of a partition, and which
    /// arrays were left out.
    fn describe(&self, arrays: &Arrays, table: Option<usize>, columns: &[Column]) -> Vec<String> {
        let mut notes = Vec::new();
        let roles =
            [("object_id", &self.object_id), ("ra", &self.ra), ("dec", &self.dec), ("redshift", &self.redshift)];
        let magnitudes: Vec<&str> = self.magnitudes.columns.iter().map(|column| column.name.as_str()).collect();
        let named: Vec<String> = std::iter::once(("magnitudes", magnitudes.join(",")))
            .chain(roles.into_iter().filter_map(|(role, column)| Some((role, column.as_ref()?.name.clone()))))
            .filter(|(role, name)| role != name && !is_file(name))
            .map(|(role, name)| format!("{role}={name}"))
            .collect();
        if !named.is_empty() {
            notes.push(format!("columns: {}", named.join(" ")));
        }
        let used: Vec<usize> = self.used().map(|column| column.array).chain([self.images]).collect();
        for (at, array) in arrays.arrays.iter().enumerate() {
            if !used.contains(&at) {
                notes.push(format!("array `{}` is not part of a partition: left out", array.name));
            }
        }
        if let Some(table) = table.filter(|table| used.contains(table)) {
            let of_table = |column: &&Column| column.array == table;
            let left = columns.iter().filter(of_table).count() - self.used().filter(|column| of_table(column)).count();
            if left > 0 {
                let name = arrays.arrays.get(table).map_or("", |array| array.name.as_str());
                notes.push(format!("{left} other columns of `{name}` are not part of a partition: left out"));
            }
        }
        notes
    }

    fn used(&self) -> impl Iterator<Item = &Column> {
        let roles = [&self.object_id, &self.ra, &self.dec, &self.redshift];
        self.magnitudes.columns.iter().chain(roles.into_iter().flatten())
    }

    /// Reads the columns, each array in one pass.
    pub(super) fn read(&self, arrays: &mut Arrays) -> Result<Columns, IngestError> {
        let samples = self.magnitudes.columns.first().map_or(0, |column| column.rows);
        if samples == 0 {
            return Err(input(&arrays.source(), "no rows"));
        }
        for column in self.used() {
            if column.rows != samples {
                let shape = shape(arrays, column.array);
                return Err(input(
                    &arrays.describe(column.array),
                    format!("expected shape ({samples},), found {shape}: as many rows as the magnitudes"),
                ));
            }
        }
        let is_id = |column: &Column| self.object_id.as_ref() == Some(column);
        let mut read: Vec<(Column, Values)> = Vec::new();
        let mut passes: Vec<usize> = self.used().map(|column| column.array).collect();
        passes.sort_unstable();
        passes.dedup();
        for array in passes {
            let wanted: Vec<(&Column, Wanted)> = self
                .used()
                .filter(|column| column.array == array)
                .map(|column| (column, if is_id(column) { Wanted::Texts } else { Wanted::Numbers }))
                .collect();
            let values = table::read(arrays, array, &wanted)?;
            read.extend(wanted.into_iter().map(|(column, _)| column.clone()).zip(values));
        }
        let numbers = |column: &Column| {
            read.iter().find_map(|(found, values)| match values {
                Values::Numbers(numbers) if found == column => Some(numbers.clone()),
                _ => None,
            })
        };
        let degrees = |column: &Option<Column>| match column.as_ref().and_then(numbers) {
            Some(values) => values.into_iter().map(Some).collect(),
            None => vec![None; samples],
        };
        let objects = match (&self.object_id, &self.ra, &self.dec) {
            (None, None, None) => None,
            (_, ra, dec) => {
                let ids = read.iter().find_map(|(_, values)| match values {
                    Values::Texts(texts) => Some(texts.iter().cloned().map(Some).collect()),
                    Values::Numbers(_) => None,
                });
                let objects = Objects::new(ids.unwrap_or_else(|| vec![None; samples]), degrees(ra), degrees(dec))
                    .map_err(|problem| input(&arrays.source(), problem.to_string()))?;
                let shown = self.object_id.as_ref().map_or_else(String::new, |id| arrays.describe(id.array));
                reject_duplicates(&objects, &shown)?;
                Some(objects)
            }
        };
        let bands: Vec<Vec<f64>> = self.magnitudes.columns.iter().filter_map(numbers).collect();
        let magnitudes = match bands.as_slice() {
            [together] => together.clone(),
            bands => (0..samples).flat_map(|row| bands.iter().map(move |band| band[row])).collect(),
        };
        let is_float32 = self.magnitudes.columns.iter().all(|column| column.dtype() == Dtype::F32);
        Ok(Columns {
            magnitudes,
            magnitude_dtype: if is_float32 { Dtype::F32 } else { Dtype::F64 },
            redshift: self.redshift.as_ref().and_then(|column| Some((numbers(column)?, column.dtype()))),
            objects,
        })
    }
}
