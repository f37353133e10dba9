//! Finds arrays and columns by the name that the user states, or by common names.

use super::super::columns::{OTHER_NAMES, Role};
use super::super::npy::{Element, Header};
use super::super::{IngestError, input};
use super::table::{self, Column};
use super::{Array, Arrays, is_file};

/// Names of an array of images. The data set of Pasquet et al. 2019 has `cube`, and its example `data`.
const IMAGES: [&[&str]; 2] = [&["images"], &["cube", "data"]];
/// Name of an array of records, if there are several.
pub(super) const LABELS: &str = "labels";
/// Identifiers of spectra, for a source without identifiers of objects.
const SPECTRUM_IDS: [&str; 2] = ["specobjid", "spec_obj_id"];
/// Option that states that a partition gets no column of this role.
pub(super) const NONE: &str = "none";

/// Finds the array of images.
pub(super) fn find_images(arrays: &Arrays, wanted: Option<&str>) -> Result<usize, IngestError> {
    let places = |name: &str| {
        let same = |(at, array): (usize, &Array)| array.name.eq_ignore_ascii_case(name).then_some(at);
        arrays.arrays.iter().enumerate().find_map(same)
    };
    let missing = |name: &str| {
        let found: Vec<String> = arrays
            .arrays
            .iter()
            .map(|array| match &array.header {
                Ok(header) => format!("`{}` {} {}", array.name, header.describe(), header.python_shape()),
                Err(_) => format!("`{}`", array.name),
            })
            .collect();
        let found = if found.is_empty() { "no arrays".to_owned() } else { found.join(", ") };
        input(
            &arrays.source(),
            format!("{name}: array not found; found {found}; name the array of images with `--images NAME`"),
        )
    };
    if let Some(name) = wanted {
        return places(name).ok_or_else(|| missing(name));
    }
    for names in IMAGES {
        let found: Vec<usize> = names.iter().filter_map(|name| places(name)).collect();
        match found.as_slice() {
            [] => {}
            &[one] => return Ok(one),
            _ => {
                return Err(input(
                    &arrays.source(),
                    format!(
                        "the arrays {} could each be the images; choose one with `--images NAME`",
                        names.join(" and ")
                    ),
                ));
            }
        }
    }
    Err(missing("images"))
}

/// Finds the array of records, if there is one.
pub(super) fn find_table(arrays: &Arrays, wanted: Option<&str>, images: usize) -> Result<Option<usize>, IngestError> {
    if let Some(name) = wanted {
        let place = arrays.arrays.iter().position(|array| array.name == name);
        let place = place.ok_or_else(|| input(&arrays.source(), format!("no array `{name}`")))?;
        return match arrays.readable(place)?.element {
            Element::Record(_) => Ok(Some(place)),
            Element::Scalar(_) => Err(input(name, "expected an array of records with named fields")),
        };
    }
    let is_table = |(at, array): (usize, &Array)| {
        let is_record = matches!(&array.header, Ok(header) if matches!(header.element, Element::Record(_)));
        (is_record && at != images).then_some(at)
    };
    let tables: Vec<usize> = arrays.arrays.iter().enumerate().filter_map(is_table).collect();
    match tables.as_slice() {
        [] => Ok(None),
        &[one] => Ok(Some(one)),
        several => {
            let name = |at: usize| arrays.arrays.get(at).map_or("", |array| array.name.as_str());
            let labels = several.iter().copied().find(|&at| name(at) == LABELS);
            labels.map(Some).ok_or_else(|| {
                let names: Vec<&str> = several.iter().map(|&at| name(at)).collect();
                input(
                    &arrays.source(),
                    format!("more than one array of records: {}; choose one with `--labels NAME`", names.join(", ")),
                )
            })
        }
    }
}

/// Columns of the archive and of the array of records. Arrays in files of their own are taken by their option only.
pub(super) fn all_columns(arrays: &Arrays, table: Option<usize>, images: usize) -> Vec<Column> {
    let of_array = |(at, array): (usize, &Array)| {
        let header = array.header.as_ref().ok()?;
        let is_record = matches!(header.element, Element::Record(_));
        let is_taken = if is_record { Some(at) == table } else { !is_file(&array.name) && at != images };
        is_taken.then(|| table::columns(&array.name, at, header))
    };
    arrays.arrays.iter().enumerate().filter_map(of_array).flatten().collect()
}

/// The column of an array in a file of its own.
pub(super) fn file_column(arrays: &Arrays, file: &str) -> Result<Column, IngestError> {
    let place = arrays.arrays.iter().position(|array| array.name == file);
    let place = place.ok_or_else(|| input(file, "array not found"))?;
    let header = arrays.readable(place)?;
    let mut columns = table::columns(file, place, header);
    match (columns.pop(), columns.is_empty(), &header.element) {
        (Some(column), true, Element::Scalar(_)) => Ok(column),
        (_, _, Element::Record(_)) => Err(input(file, "an array of records; pass it with `--labels F.npy`")),
        _ => {
            Err(input(file, format!("expected (n, 5) for magnitudes, or shape (n,), found {}", header.python_shape())))
        }
    }
}

/// Checks that a column has one value for each sample.
pub(super) fn one_value(arrays: &Arrays, column: Column) -> Result<Column, IngestError> {
    if column.length == 1 {
        return Ok(column);
    }
    let shape = shape(arrays, column.array);
    let problem = format!(
        "`{}`: expected shape ({},), found {shape} with {} values in a row",
        column.name, column.rows, column.length
    );
    Err(input(&arrays.describe(column.array), problem))
}

pub(super) fn shape(arrays: &Arrays, array: usize) -> String {
    arrays.readable(array).map_or_else(|_| "unknown".to_owned(), Header::python_shape)
}

/// Returns true if `name` means this column: its own name, or `ARRAY.NAME`.
pub(super) fn has_name(arrays: &Arrays, column: &Column, name: &str) -> bool {
    let array = arrays.arrays.get(column.array).map_or("", |array| array.name.as_str());
    column.name == name || name.strip_prefix(array).and_then(|rest| rest.strip_prefix('.')) == Some(&*column.name)
}

/// Finds the column of a role by common names, the most certain ones first.
pub(super) fn guess(columns: &[Column], role: Role, has_bare_magnitudes: bool) -> Result<Option<Column>, String> {
    let (role_name, others) = match role {
        Role::ObjectId => ("object_id", &SPECTRUM_IDS[..]),
        Role::Ra => ("ra", &[][..]),
        Role::Dec => ("dec", &[][..]),
        // Without magnitudes named u g r i z, a column `z` is a redshift.
        Role::Redshift if !has_bare_magnitudes => ("redshift", &["z"][..]),
        Role::Redshift => ("redshift", &[][..]),
        Role::Band(_) => return Ok(None),
    };
    let common = OTHER_NAMES.iter().find(|(found, _)| *found == role).map_or(&[][..], |(_, names)| names);
    for names in [&[role_name][..], common, others] {
        let fits =
            |column: &&Column| column.length == 1 && names.iter().any(|name| column.name.eq_ignore_ascii_case(name));
        let found: Vec<&Column> = columns.iter().filter(fits).collect();
        match found.as_slice() {
            [] => {}
            [column] => return Ok(Some((*column).clone())),
            several => {
                let names: Vec<String> = several.iter().map(|column| format!("`{}`", column.name)).collect();
                let option = role_name.replace('_', "-");
                return Err(format!(
                    "columns {} could each be `{role_name}`; choose one with `--{option} NAME`, or none with \
                     `--{option} {NONE}`",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(None)
}

/// Names the first array that could not be searched for columns and the reason, or else the columns that were found.
pub(super) fn searched(arrays: &Arrays, columns: &[Column]) -> String {
    let unreadable = arrays.arrays.iter().find_map(|array| array.header.as_ref().err().map(|error| (array, error)));
    match unreadable {
        Some((array, error)) => format!("; `{}`: {}", array.name, arrays.explain(array, error)),
        None => format!("; {}", listed(columns)),
    }
}

/// Names of the columns, in a message.
pub(super) fn listed(columns: &[Column]) -> String {
    match columns {
        [] => "no columns were found".to_owned(),
        columns => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            format!("the columns are {}", names.join(" "))
        }
    }
}
