//! Writes and reads predictions as Parquet, typed and compressed. The same rows give the same bytes.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};

use super::typed_column::{Column, READ};
use super::{OutputError, Table, encode, known, malformed};
use crate::objects;
use crate::parquet_files::{self, ROW_GROUP_ROWS, RowCount, check_parquet};
use crate::predict::Predicted;

/// First bytes of a Parquet file.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Bands of the survey, in order.
const BANDS: [&str; 5] = ["u", "g", "r", "i", "z"];

/// Writer of [`Format::Parquet`](super::Format::Parquet).
#[derive(Debug)]
pub struct Writer {
    schema: Arc<Schema>,
    bands: usize,
    with_objects: bool,
    encoder: ArrowWriter<Vec<u8>>,
}

impl Writer {
    pub(super) fn new(bands: usize, with_objects: bool) -> Result<Self, OutputError> {
        let magnitudes = (0..bands).map(|band| Field::new(band_name(band, bands), DataType::Float64, false));
        let mut fields = vec![
            Field::new("data_path", DataType::Utf8, false),
            Field::new("row", DataType::Int64, false),
            Field::new("z_phot", DataType::Float32, false),
            Field::new("z_spec", DataType::Float64, true),
        ];
        fields.extend(magnitudes);
        fields.push(Field::new("flags", DataType::UInt8, false));
        if with_objects {
            fields.extend(objects::fields());
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { encoder: encoder(schema.clone())?, schema, bands, with_objects })
    }

    pub(super) fn append(&mut self, data_path: &str, predicted: &Predicted) -> Result<(), OutputError> {
        assert!(self.with_objects || predicted.objects.is_none(), "objects in a file without columns for them");
        let rows = predicted.z_phot.len();
        for start in (0..rows).step_by(ROW_GROUP_ROWS) {
            let batch = self.batch(data_path, predicted, start..rows.min(start + ROW_GROUP_ROWS))?;
            self.encoder.write(&batch).map_err(encode)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Bytes, OutputError> {
        self.encoder.into_inner().map(Bytes::from).map_err(encode)
    }

    fn batch(
        &self,
        data_path: &str,
        predicted: &Predicted,
        rows: std::ops::Range<usize>,
    ) -> Result<RecordBatch, OutputError> {
        let z_spec: Float64Array = match &predicted.z_spec {
            Some(z_spec) => z_spec[rows.clone()].iter().map(|&z_spec| known(z_spec)).collect(),
            None => Float64Array::new_null(rows.len()),
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.clone().map(|_| data_path))),
            Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64))),
            Arc::new(Float32Array::from(predicted.z_phot[rows.clone()].to_vec())),
            Arc::new(z_spec),
        ];
        let magnitudes = &predicted.magnitudes[rows.start * self.bands..rows.end * self.bands];
        columns.extend((0..self.bands).map(|band| {
            let magnitudes = magnitudes.iter().skip(band).step_by(self.bands).copied();
            Arc::new(Float64Array::from_iter_values(magnitudes)) as ArrayRef
        }));
        columns.push(Arc::new(UInt8Array::from(predicted.flags[rows.clone()].to_vec())));
        if self.with_objects {
            columns.extend(objects::columns(predicted.objects.as_ref(), rows));
        }
        RecordBatch::try_new(self.schema.clone(), columns).map_err(encode)
    }
}

/// Opens an encoder for these columns. The same rows give the same bytes.
pub(super) fn encoder(schema: Arc<Schema>) -> Result<ArrowWriter<Vec<u8>>, OutputError> {
    parquet_files::encoder(schema, None).map_err(encode)
}

/// Reads the columns of predictions by name. Other columns, which another program may have added, are ignored.
pub(super) fn read(bytes: Bytes, name: &str) -> Result<Table, OutputError> {
    guarded(name, || decode(bytes, name))
}

/// Runs a decoder, and turns its panics into errors that name the file.
pub(super) fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T, OutputError>) -> Result<T, OutputError> {
    parquet_files::guarded(read, |error| malformed(name, error))
}

/// Opens a file and checks its metadata.
///
/// Uses the types of Parquet itself and ignores the Arrow schema that the writing program may have added. It may
/// declare other types for the same text: large strings (pandas), string views (polars) or dictionaries.
pub(super) fn open(bytes: Bytes, name: &str) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, OutputError> {
    let file_bytes = bytes.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
        .map_err(|error| malformed(name, error))?;
    check_parquet(reader.metadata(), file_bytes).map_err(|problem| malformed(name, problem))?;
    Ok(reader)
}

fn decode(bytes: Bytes, name: &str) -> Result<Table, OutputError> {
    let reader = open(bytes, name)?;
    let mut count = RowCount::stated(reader.metadata()).map_err(|error| malformed(name, error))?;
    let fields = reader.schema().fields();
    let places: Vec<usize> = (0..fields.len()).filter(|&at| READ.contains(&fields[at].name().as_str())).collect();
    for column in READ {
        match places.iter().filter(|&&at| fields[at].name() == column).count() {
            0 => return Err(malformed(name, format!("no column `{column}`"))),
            1 => {}
            _ => return Err(malformed(name, format!("more than one column `{column}`"))),
        }
    }
    let mask = ProjectionMask::roots(reader.parquet_schema(), places);
    let reader = reader.with_projection(mask);
    let mut table = Table::default();
    for batch in reader.build().map_err(|error| malformed(name, error))? {
        let batch = batch.map_err(|error| malformed(name, error))?;
        count.add(batch.num_rows()).map_err(|error| malformed(name, error))?;
        let [data_path, row, z_phot, z_spec, flags] = READ.map(|column| Column { batch: &batch, column, name });
        data_path.append_texts(&mut table.data_path)?;
        row.append::<i64>(&mut table.row)?;
        z_phot.append_numbers(|number| table.z_phot.push(number.unwrap_or(f64::NAN) as f32), false)?;
        z_spec.append_numbers(|number| table.z_spec.push(number), true)?;
        flags.append::<u8>(&mut table.flags)?;
    }
    count.finish().map_err(|error| malformed(name, error))?;
    Ok(table)
}

/// Name of a magnitude column: u g r i z if there are five bands, numbers otherwise.
fn band_name(band: usize, bands: usize) -> String {
    if bands == BANDS.len() { BANDS[band].to_owned() } else { format!("magnitude_{band}") }
}
