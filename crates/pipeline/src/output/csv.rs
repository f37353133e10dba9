//! Writes and reads predictions as CSV: `data_path,row,z_phot,z_spec,flags`, then `object_id,ra,dec` if they are known.
//! Unknown values are empty fields.

use bytes::Bytes;
use csv::{ReaderBuilder, StringRecord};

use super::{OutputError, Table, encode, known, malformed};
use crate::objects::COLUMNS;
use crate::predict::Predicted;

const HEADER: [&str; 5] = ["data_path", "row", "z_phot", "z_spec", "flags"];

/// Writer of [`Format::Csv`](super::Format::Csv).
#[derive(Debug)]
pub struct Writer {
    encoder: csv::Writer<Vec<u8>>,
    with_objects: bool,
}

impl Writer {
    pub(super) fn new(with_objects: bool) -> Result<Self, OutputError> {
        let mut encoder = csv::Writer::from_writer(Vec::new());
        let objects = if with_objects { &COLUMNS[..] } else { &[] };
        encoder.write_record(HEADER.iter().chain(objects)).map_err(encode)?;
        Ok(Self { encoder, with_objects })
    }

    pub(super) fn append(&mut self, data_path: &str, predicted: &Predicted) -> Result<(), OutputError> {
        assert!(self.with_objects || predicted.objects.is_none(), "objects in a file without columns for them");
        let text = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        for (row, (z_phot, flags)) in predicted.z_phot.iter().zip(&predicted.flags).enumerate() {
            let z_spec = text(predicted.z_spec.as_ref().and_then(|z_spec| known(z_spec[row])));
            let (number, z_phot, flags) = (row.to_string(), z_phot.to_string(), flags.to_string());
            self.encoder.write_field(data_path).map_err(encode)?;
            for field in [number, z_phot, z_spec, flags] {
                self.encoder.write_field(field).map_err(encode)?;
            }
            if self.with_objects {
                let objects = predicted.objects.as_ref();
                let object_id = objects.and_then(|objects| objects.object_id()[row].as_deref()).unwrap_or_default();
                self.encoder.write_field(object_id).map_err(encode)?;
                self.encoder.write_field(text(objects.and_then(|objects| objects.ra()[row]))).map_err(encode)?;
                self.encoder.write_field(text(objects.and_then(|objects| objects.dec()[row]))).map_err(encode)?;
            }
            self.encoder.write_record(None::<&[u8]>).map_err(encode)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Bytes, OutputError> {
        self.encoder.into_inner().map(Bytes::from).map_err(|error| encode(error.to_string()))
    }
}

/// Reads the columns of predictions by name. Other columns, which another program may have added, are ignored.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<Table, OutputError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().from_reader(bytes);
    let header = reader.headers().map_err(|error| malformed(name, error))?;
    let mut places = [0; HEADER.len()];
    for (place, column) in places.iter_mut().zip(HEADER) {
        let mut found = header.iter().enumerate().filter(|(_, title)| title.trim() == column).map(|(place, _)| place);
        *place = match (found.next(), found.next()) {
            (Some(place), None) => place,
            (Some(_), Some(_)) => return Err(malformed(name, format!("more than one column `{column}`"))),
            (None, _) => {
                let found: String = header.iter().collect::<Vec<_>>().join(",").chars().take(80).collect();
                let problem =
                    format!("expected Parquet, or CSV with the columns {}; found `{found}`", HEADER.join(","));
                return Err(malformed(name, problem));
            }
        };
    }
    let [data_path, row, z_phot, z_spec, flags] = places;
    let mut table = Table::default();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(name, error))?;
        table.data_path.push(record[data_path].to_owned());
        table.row.push(field(&record, row, HEADER[1], name)?);
        table.z_phot.push(field(&record, z_phot, HEADER[2], name)?);
        table.z_spec.push(match record[z_spec].trim() {
            "" => None,
            _ => Some(field(&record, z_spec, HEADER[3], name)?),
        });
        table.flags.push(field(&record, flags, HEADER[4], name)?);
    }
    Ok(table)
}

fn field<T: std::str::FromStr>(
    record: &StringRecord,
    place: usize,
    column: &str,
    name: &str,
) -> Result<T, OutputError> {
    record[place].trim().parse().map_err(|_| {
        let line = record.position().map_or(0, csv::Position::line);
        let found: String = record[place].chars().take(40).collect();
        malformed(name, format!("line {line}, column `{column}`: expected a number, found `{found}`"))
    })
}
