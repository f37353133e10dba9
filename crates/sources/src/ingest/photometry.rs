//! Reads magnitudes and redshifts from a catalogue without images, to simulate a sky of these galaxies.
//!
//! Returns one entry for each row, in order. Does not check that the values are physical.

use pipeline::partition::BANDS;
use pipeline::storage::Stores;

use super::catalogue::{Catalogue, Table};
use super::columns::{Role, choose};
use super::{IngestError, input};

/// Reads the magnitudes u g r i z and the redshift of each row of a CSV, Parquet or FITS catalogue.
///
/// `name` is the path or URL of the catalogue. `columns` states roles of columns; other roles are guessed from the names. Missing
/// values are NaN.
///
/// # Errors
/// Returns an [`IngestError`] if the catalogue cannot be read, if a column is missing or ambiguous, or if a field is
/// not a number.
pub async fn photometry(
    stores: &Stores,
    name: &str,
    columns: &[(Role, String)],
) -> Result<Vec<([f64; BANDS], f64)>, IngestError> {
    let complain = |problem| input(name, problem);
    let catalogue = Catalogue::fetch(stores, name, columns).await?;
    let chosen = choose(catalogue.names(), columns).map_err(complain)?;
    let Some(redshift) = chosen.redshift else {
        return Err(complain("no column for the redshift; name it with `--columns redshift=NAME`".to_owned()));
    };
    let places = chosen.bands.into_iter().chain([redshift]);
    let table = Table::read(&catalogue, places.clone()).map_err(complain)?;
    let columns = places.map(|place| table.numbers(place)).collect::<Result<Vec<_>, _>>().map_err(complain)?;
    Ok((0..table.len()).map(|row| (std::array::from_fn(|band| columns[band][row]), columns[BANDS][row])).collect())
}
