//! Predictions as CSV: `data_path,row,z_phot,z_spec,flags`. A redshift that is not known is an empty field.

use bytes::Bytes;
use csv::{ReaderBuilder, StringRecord};

use super::{OutputError, Table, encode, malformed};
use crate::predict::Predicted;

const HEADER: [&str; 5] = ["data_path", "row", "z_phot", "z_spec", "flags"];

/// See [`Format::Csv`](super::Format::Csv).
#[derive(Debug)]
pub struct Writer(csv::Writer<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Result<Self, OutputError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER).map_err(encode)?;
        Ok(Self(writer))
    }

    pub(super) fn append(&mut self, data_path: &str, predicted: &Predicted) -> Result<(), OutputError> {
        for (row, (z_phot, flags)) in predicted.z_phot.iter().zip(&predicted.flags).enumerate() {
            let z_spec = predicted.z_spec.as_ref().map_or(String::new(), |z_spec| z_spec[row].to_string());
            let (row, z_phot, flags) = (row.to_string(), z_phot.to_string(), flags.to_string());
            self.0.write_record([data_path, &row, &z_phot, &z_spec, &flags]).map_err(encode)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Bytes, OutputError> {
        self.0.into_inner().map(Bytes::from).map_err(|error| encode(error.to_string()))
    }
}

pub(super) fn read(bytes: &[u8], name: &str) -> Result<Table, OutputError> {
    let mut reader = ReaderBuilder::new().from_reader(bytes);
    let header = reader.headers().map_err(|error| malformed(name, error))?;
    if !header.iter().eq(HEADER) {
        let found: String = header.iter().collect::<Vec<_>>().join(",").chars().take(80).collect();
        let problem = format!("neither Parquet nor CSV with the columns {}: found `{found}`", HEADER.join(","));
        return Err(malformed(name, problem));
    }
    let mut table = Table::default();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(name, error))?;
        table.data_path.push(record[0].to_owned());
        table.row.push(field(&record, 1, name)?);
        table.z_phot.push(field(&record, 2, name)?);
        table.z_spec.push(if record[3].is_empty() { None } else { Some(field(&record, 3, name)?) });
        table.flags.push(field(&record, 4, name)?);
    }
    Ok(table)
}

fn field<T: std::str::FromStr>(record: &StringRecord, column: usize, name: &str) -> Result<T, OutputError> {
    record[column].parse().map_err(|_| {
        let line = record.position().map_or(0, csv::Position::line);
        let found: String = record[column].chars().take(40).collect();
        malformed(name, format!("line {line}, column `{}`: found `{found}`, a number expected", HEADER[column]))
    })
}
