//! Reads magnitudes and redshifts from a catalogue without images, to simulate a sky of these galaxies.
//!
//! Returns one entry for each row, in order. Does not check that the values are physical.

use pipeline::partition::BANDS;
use pipeline::storage::Stores;

use super::catalogue::{Catalogue, MAX_CATALOGUE_BYTES, Values};
use super::columns::{Role, choose};
use super::{IngestError, MAX_SAMPLES};

/// Reads the magnitudes u g r i z and the redshift of each row of a CSV, Parquet or FITS catalogue.
///
/// `catalogue` is a path or a URL. `columns` states roles of columns; other roles are guessed from the names. Missing
/// values are NaN.
///
/// # Errors
/// Returns an [`IngestError`] if the catalogue cannot be read, if a column is missing or ambiguous, or if a field is
/// not a number.
pub async fn photometry(
    stores: &Stores,
    catalogue: &str,
    columns: &[(Role, String)],
) -> Result<Vec<([f64; BANDS], f64)>, IngestError> {
    let complain = |problem| IngestError::Input { name: catalogue.to_owned(), problem };
    let (bucket, key) = stores.open_url(catalogue)?;
    let bytes = bucket.read(&key, MAX_CATALOGUE_BYTES, "a catalogue").await?;
    let table = Catalogue::open(bytes).map_err(complain)?;
    let chosen = choose(table.names(), columns).map_err(complain)?;
    let Some(redshift) = chosen.redshift else {
        return Err(complain("no column for the redshift; name it with `--columns redshift=NAME`".to_owned()));
    };
    let places: Vec<usize> = chosen.bands.into_iter().chain([redshift]).collect();
    let mut distinct = places.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let values = table.read(&distinct).map_err(complain)?;
    let numbers = |place: usize| -> Result<Vec<f64>, IngestError> {
        let index = distinct.binary_search(&place).expect("every place is among the distinct ones");
        values[index].numbers(&table.names()[place]).map_err(complain)
    };
    let columns = places.into_iter().map(numbers).collect::<Result<Vec<_>, _>>()?;
    let rows = values.first().map_or(0, Values::len).min(MAX_SAMPLES);
    Ok((0..rows).map(|row| (std::array::from_fn(|band| columns[band][row]), columns[BANDS][row])).collect())
}
