//! Reads records in the CAI study's format from any `combined_data.json`, `total.json` or `job_<N>.json`, with all
//! values optional.
//!
//! [`records::study_record`] writes complete records. This module expects nothing, because the CAI study's own files
//! have records of several versions of its worker.

mod hpc;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{MB, SAMPLE_BYTES};

pub use hpc::WorkerRecords;

/// Largest file of records that is read, in bytes.
pub const MAX_RECORDS_BYTES: u64 = 1 << 30;

/// Record of one worker. Units are those of the CAI study's keys. A value that the file does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Rank of the task. The CAI study's records do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// Wall seconds of the loop.
    #[serde(rename = "total_cpu_time (seconds)")]
    pub seconds: Option<f64>,
    /// Bytes allocated in the loop, in MB of 10⁶ bytes.
    #[serde(rename = "total_cpu_memory (MB)")]
    pub allocated_mb: Option<f64>,
    /// Peak resident memory of the process, in binary MB.
    #[serde(rename = "total_process_memory (MB)")]
    pub process_memory_mb: Option<f64>,
    /// Memory of the process without a batch and the model, in binary MB.
    #[serde(rename = "library_overhead_memory (MB)")]
    pub overhead_memory_mb: Option<f64>,
    /// Size of one batch as stored, in binary MB.
    #[serde(rename = "total_image_memory (MB)")]
    pub image_memory_mb: Option<f64>,
    /// Size of the model's parameters in float32, in binary MB.
    #[serde(rename = "total_model_memory (MB)")]
    pub model_memory_mb: Option<f64>,
    /// Seconds ÷ (samples ÷ batch size).
    #[serde(rename = "execution_time (seconds/batch)")]
    pub seconds_per_batch: Option<f64>,
    /// Seconds ÷ number of batches, in records of the cluster.
    #[serde(rename = "execution_time_per_batch")]
    pub seconds_per_whole_batch: Option<f64>,
    /// Number of batches. The last one of each file may be smaller.
    pub num_batches: Option<f64>,
    /// Number of images in a batch.
    pub batch_size: Option<f64>,
    /// Device that computed: `cpu` or `cuda`.
    pub device: Option<String>,
    /// Bits of images and magnitudes ÷ seconds.
    pub throughput_bps: Option<f64>,
    /// Images ÷ seconds.
    pub sample_persec: Option<f64>,
    /// Place of the results, from the payload.
    pub result_path: Option<String>,
    /// Key of the partition, or a list of keys.
    pub data_path: Value,
    /// Binary GB that the process has read since its start, in records of `total.json`.
    #[serde(rename = "GB_processed")]
    pub gb_processed: Option<f64>,
    /// Number of the file, in records of `job_<N>.json`.
    #[serde(skip)]
    pub file_index: Option<u64>,
    /// Other keys of the record, such as a cost.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
    /// Keys whose value is null, Python's `NaN` or `Infinity`, or too large.
    #[serde(skip)]
    pub nulls: Vec<String>,
}

/// Error of [`parse`].
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is not JSON, or not an array or an object.
    #[error("not a file of records: {0}; expected a JSON array of objects with `total_cpu_time (seconds)`")]
    Malformed(String),
    /// A record cannot be read.
    #[error("record {index} of {records} (counted from 0): {problem}")]
    Record {
        /// Index of the record.
        index: usize,
        /// Number of records.
        records: usize,
        /// Error in the record.
        problem: String,
    },
}

impl Record {
    /// Keys of the partition files.
    pub fn files(&self) -> Vec<&str> {
        match &self.data_path {
            Value::String(key) => vec![key],
            Value::Array(keys) => keys.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Size of the images and magnitudes in bytes, from throughput and time.
    pub fn bytes(&self) -> Option<f64> {
        Some(self.throughput_bps? * self.seconds? / 8.0)
    }

    /// Number of images, from rate and time.
    pub fn samples(&self) -> Option<f64> {
        Some(self.sample_persec? * self.seconds?)
    }

    /// Bytes that the worker fetched: from its throughput, or else its rate, or else the size in the name of its
    /// folder.
    pub fn bytes_fetched(&self) -> Option<f64> {
        let by_samples = || Some(self.samples()? * SAMPLE_BYTES);
        let by_name = || Some(self.partition_mb_named()? * MB * self.files().len().max(1) as f64);
        self.bytes().or_else(by_samples).or_else(by_name)
    }

    /// Partition size in binary MB in the name of the folder.
    pub fn partition_mb_named(&self) -> Option<f64> {
        self.files().iter().find_map(|key| partition_mb_of(key))
    }

    /// Partition size in binary MB: the size in the name of the folder, or else the size of the data. `None` for
    /// records of `total.json`, whose process reads one partition again and again.
    pub fn partition_mb(&self) -> Option<f64> {
        if self.gb_processed.is_some() {
            return None;
        }
        let files = self.files();
        self.partition_mb_named().or_else(|| {
            let mb = self.bytes()? / MB / files.len().max(1) as f64;
            let whole = mb.round();
            let is_whole = whole >= 1.0 && (mb - whole).abs() <= 0.01 * whole;
            (mb.is_finite() && mb > 0.0).then_some(if is_whole { whole } else { mb })
        })
    }
}

/// Size in the name of a folder of a key: 25 for `sky/25MB/107.pt`.
fn partition_mb_of(key: &str) -> Option<f64> {
    key.rsplit('/').skip(1).find_map(|folder| {
        let size = folder.strip_suffix("MB").or_else(|| folder.strip_suffix("mb"))?;
        size.parse::<f64>().ok().filter(|mb| mb.is_finite() && *mb > 0.0)
    })
}

/// Reads the records of a `combined_data.json`, `total.json` or `job_<N>.json`, or the one record of a `<rank>.json`.
/// [`WorkerRecords`] makes one record for each worker of them.
///
/// Python's `NaN` and `Infinity`, which JSON does not have, count as missing. So do numbers above 10¹⁸, which no
/// measurement here reaches.
///
/// # Errors
/// If the file is not such JSON, or if a record cannot be read. The error names the first such record.
pub fn parse(json: &[u8]) -> Result<Vec<Record>, RecordError> {
    let malformed = |problem: &dyn ToString| RecordError::Malformed(problem.to_string());
    // Some editors write a byte order mark.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let value: Value = match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) => match without_non_finite(json) {
            Some(json) => serde_json::from_slice(&json).map_err(|_| malformed(&error))?,
            None => return Err(malformed(&error)),
        },
    };
    let values = match value {
        Value::Array(values) => values,
        record @ Value::Object(_) => vec![record],
        _ => return Err(malformed(&"neither an array nor an object")),
    };
    let records = values.len();
    let parsed = values.into_iter().enumerate().map(|(index, value)| {
        let at = |problem: String| RecordError::Record { index, records, problem };
        let Value::Object(object) = value else { return Err(at("expected an object".to_owned())) };
        let (mut object, file_index) = hpc::without_wrapper(object).map_err(|error| at(error.to_string()))?;
        hpc::with_plain_numbers(&mut object).map_err(|error| at(error.to_string()))?;
        let nulls = take_nulls(&mut object);
        let record: Record = serde_json::from_value(object.into()).map_err(|error| at(error.to_string()))?;
        let record = Record { nulls, file_index, ..record };
        if record.seconds.is_none() && record.throughput_bps.is_none() && record.data_path.is_null() {
            return Err(at("it has none of the CAI study's keys".to_owned()));
        }
        Ok(record)
    });
    parsed.collect()
}

/// Keys whose value is null. Numbers that are too large to add up become null first.
fn take_nulls(record: &mut Map<String, Value>) -> Vec<String> {
    const LARGEST: f64 = 1e18;
    let mut nulls = Vec::new();
    for (key, value) in record.iter_mut() {
        if value.as_f64().is_some_and(|number| number.abs() > LARGEST) {
            *value = Value::Null;
        }
        if value.is_null() {
            nulls.push(key.clone());
        }
    }
    nulls
}

/// Replaces `NaN`, `Infinity` and `-Infinity` outside of strings with `null`; `None` if there are none.
fn without_non_finite(json: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let (mut out, mut rest, mut is_in_string, mut replaced) = (Vec::with_capacity(json.len()), json, false, false);
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(word) = WORDS.iter().find(|word| !is_in_string && rest.starts_with(word)) {
            out.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            replaced = true;
            continue;
        }
        match byte {
            b'\\' if is_in_string && !after.is_empty() => {
                out.push(byte);
                out.push(after[0]);
                rest = &after[1..];
                continue;
            }
            b'"' => is_in_string = !is_in_string,
            _ => {}
        }
        out.push(byte);
        rest = after;
    }
    replaced.then_some(out)
}

#[cfg(test)]
mod tests;
