//! Columns that were read from a catalogue, found by their index in it.

use super::{Catalogue, Values};

/// Some columns of a catalogue.
pub(in super::super) struct Table<'a> {
    names: &'a [String],
    places: Vec<usize>,
    values: Vec<Values>,
}

impl<'a> Table<'a> {
    /// Reads the columns at these indices, each of them once.
    pub(in super::super) fn read(
        catalogue: &'a Catalogue,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<Self, String> {
        let mut places: Vec<usize> = places.into_iter().collect();
        places.sort_unstable();
        places.dedup();
        Ok(Self { values: catalogue.read(&places)?, names: catalogue.names(), places })
    }

    /// Number of rows.
    pub(in super::super) fn len(&self) -> usize {
        self.values.first().map_or(0, Values::len)
    }

    /// Returns the column at this index of the catalogue.
    ///
    /// # Panics
    /// Panics if the column was not read.
    pub(in super::super) fn of(&self, place: usize) -> &Values {
        &self.values[self.places.binary_search(&place).expect("a column that was read")]
    }

    /// Converts a column to numbers. Missing values become NaN.
    pub(in super::super) fn numbers(&self, place: usize) -> Result<Vec<f64>, String> {
        self.of(place).numbers(&self.names[place])
    }

    /// Converts a column to numbers, and NaN for each value that is no number. Calls `reject` with these rows.
    pub(in super::super) fn numbers_or(&self, place: usize, reject: impl FnMut(usize, String)) -> Vec<f64> {
        self.of(place).numbers_or(&self.names[place], reject)
    }

    /// Converts a column to identifiers.
    pub(in super::super) fn identifiers(&self, place: usize) -> Result<Vec<Option<String>>, String> {
        self.of(place).identifiers(&self.names[place])
    }
}
