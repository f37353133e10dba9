//! Galaxies to draw images for: a CSV file in, magnitudes and redshifts out.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use pipeline::simulate::Known;

/// The largest catalogue that is read, in bytes once unpacked.
const MAX_CATALOGUE_BYTES: u64 = 1 << 30;
/// Redshifts that an image can be drawn for.
const REDSHIFTS: std::ops::Range<f64> = 1e-4..1.0;
/// Magnitudes that an image can be drawn for.
const MAGNITUDES: std::ops::Range<f64> = 5.0..30.0;
const COLUMNS: [&str; 6] = ["u", "g", "r", "i", "z", "redshift"];

/// Reads a CSV file, gzipped if it is named so.
pub(super) fn read(path: &Path) -> Result<Vec<Known>> {
    let name = path.display();
    let file = BufReader::new(File::open(path).with_context(|| format!("open catalogue `{name}`"))?);
    let is_packed = path.extension().is_some_and(|ending| ending == "gz");
    let bytes: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    parse(bytes.take(MAX_CATALOGUE_BYTES)).with_context(|| format!("catalogue `{name}`"))
}

fn parse(bytes: impl Read) -> Result<Vec<Known>> {
    let mut bytes = bytes;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&mut bytes);
    let header = reader.headers()?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let Some(found) = header.iter().position(|name| name.eq_ignore_ascii_case(column)) else {
            let found: String = header.iter().collect::<Vec<_>>().join(",").chars().take(80).collect();
            bail!("no column `{column}`: found `{found}`, expected {} among them", COLUMNS.join(","));
        };
        *place = found;
    }
    let mut known = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut values = [0.0; COLUMNS.len()];
        for ((value, place), column) in values.iter_mut().zip(places).zip(COLUMNS) {
            let text = &record[place];
            let expected = if column == "redshift" { REDSHIFTS } else { MAGNITUDES };
            *value = text.parse().ok().filter(|value| expected.contains(value)).with_context(|| {
                let found: String = text.chars().take(40).collect();
                let (low, high) = (expected.start, expected.end);
                format!("line {line}, column `{column}`: found `{found}`, a number from {low} to {high} expected")
            })?;
        }
        let [u, g, r, i, z, redshift] = values;
        known.push(Known { magnitudes: [u, g, r, i, z], redshift });
    }
    ensure!(!known.is_empty(), "no galaxies in it");
    let is_cut = reader.position().byte() >= MAX_CATALOGUE_BYTES;
    ensure!(!is_cut, "more than {MAX_CATALOGUE_BYTES} bytes; split it");
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", parse(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn columns_are_found_by_name() {
        let known = parse(&b"id,redshift,u,G,r,i,z\nx,0.1,19,18,17,16.5,16\n"[..]).unwrap();
        assert_eq!(known, [Known { magnitudes: [19.0, 18.0, 17.0, 16.5, 16.0], redshift: 0.1 }]);
    }

    #[test]
    fn what_is_no_catalogue_is_refused() {
        assert!(refused("u,g,r,i,z\n").starts_with("no column `redshift`: found `u,g,r,i,z`"));
        assert!(refused("").starts_with("no column `u`"));
        assert_eq!(refused("u,g,r,i,z,redshift\n"), "no galaxies in it");
        for (bad, column) in
            [("19,18,17,16,-9999,0.1", "z"), ("19,18,NaN,16,16,0.1", "r"), ("19,18,17,16,16,x", "redshift")]
        {
            let message = refused(&format!("u,g,r,i,z,redshift\n{bad}\n"));
            assert!(message.starts_with(&format!("line 2, column `{column}`: found `")), "{message}");
        }
        assert!(refused("u,g,r,i,z,redshift\n1,2\n").contains("2 fields"));
    }
}
