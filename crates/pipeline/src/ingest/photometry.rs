//! A catalogue without images: magnitudes and redshifts alone, for a sky to be simulated with.
//!
//! In: a file or URL. Out: one entry for each row, in order. Never here: whether a value can be true.

use super::catalogue::{Catalogue, MAX_CATALOGUE_BYTES, Values};
use super::columns::{Role, choose};
use super::{IngestError, MAX_SAMPLES};
use crate::partition::BANDS;
use crate::storage::Stores;

/// Reads the magnitudes u g r i z and the redshift of each row of a CSV, Parquet or FITS catalogue; what is not known
/// is NaN.
///
/// # Errors
/// Where it cannot be read, where columns are missing or not clear, and where a field is no number.
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
        return Err(complain("no column for the redshift; say which it is: `--columns redshift=NAME`".to_owned()));
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
