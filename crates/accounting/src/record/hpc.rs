//! Records of the CAI study's runs on a cluster: `total.json`, `<GB>.json` and `job_<N>.json`.
//!
//! `total.json` has one record for each GB that a single process has read. Times, batches and rates count from the
//! start of the process, so each record includes those before it: only the last one describes the run.
//! `job_<N>.json` has one record for each file that a rank read, one after the other, as `{file_index, stats}`.

use serde_json::{Map, Value};

use super::Record;

/// Key of the time in records of Lambda. [`Record`] reads the time from it.
pub(super) const SECONDS: &str = "total_cpu_time (seconds)";
/// Key of the time in records of the cluster.
const SECONDS_HPC: &str = "total_execution_time (seconds)";
/// Keys that must be numbers.
const NUMBERS: [&str; 13] = [
    SECONDS,
    "total_cpu_memory (MB)",
    "total_process_memory (MB)",
    "library_overhead_memory (MB)",
    "total_image_memory (MB)",
    "total_model_memory (MB)",
    "execution_time (seconds/batch)",
    "execution_time_per_batch",
    "num_batches",
    "batch_size",
    "throughput_bps",
    "sample_persec",
    "GB_processed",
];
/// Longest value that a message quotes, in characters.
const MAX_QUOTED: usize = 40;

/// Value of a record that has the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    /// A number is something else.
    #[error("`{key}` is {found}; expected a number")]
    NotNumber {
        /// Key of the value.
        key: String,
        /// Value, shortened.
        found: String,
    },
    /// A list has not exactly one number.
    #[error("`{key}` is a list of {length} values; expected a number, or a list of one number")]
    List {
        /// Key of the value.
        key: String,
        /// Number of values.
        length: usize,
    },
    /// Both names of the time are there.
    #[error("it has both `{SECONDS}` and `{SECONDS_HPC}`; expected one of them")]
    TwoTimes,
    /// The number of a file is something else.
    #[error("`file_index` is {0}; expected a whole number, 0 or more")]
    FileIndex(String),
    /// The measurements of a file are not an object.
    #[error("`stats` is {0}; expected an object")]
    Stats(String),
}

/// Reads the number of the file, and returns the measurements, of a record `{file_index, stats}`. Returns other records
/// as they are.
pub(super) fn without_wrapper(mut record: Map<String, Value>) -> Result<(Map<String, Value>, Option<u64>), ValueError> {
    let Some(index) = record.get("file_index").filter(|_| record.contains_key("stats")) else {
        return Ok((record, None));
    };
    let index = index.as_u64().ok_or_else(|| ValueError::FileIndex(quoted(index)))?;
    match record.remove("stats") {
        Some(Value::Object(stats)) => Ok((stats, Some(index))),
        other => Err(ValueError::Stats(quoted(&other.unwrap_or_default()))),
    }
}

/// Gives the time its name in records of Lambda, takes numbers out of lists of one number (the study's scripts for the
/// cluster write `sample_persec` as such a list), and checks that the others are numbers.
pub(super) fn with_plain_numbers(record: &mut Map<String, Value>) -> Result<(), ValueError> {
    if let Some(seconds) = record.remove(SECONDS_HPC)
        && record.insert(SECONDS.to_owned(), seconds).is_some()
    {
        return Err(ValueError::TwoTimes);
    }
    for key in NUMBERS {
        let Some(value) = record.get_mut(key) else { continue };
        if let Value::Array(list) = value {
            match &mut list[..] {
                [one] => *value = one.take(),
                _ => return Err(ValueError::List { key: key.to_owned(), length: list.len() }),
            }
        }
        if !value.is_number() && !value.is_null() {
            return Err(ValueError::NotNumber { key: key.to_owned(), found: quoted(value) });
        }
    }
    Ok(())
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => {
            let text = other.to_string();
            let short: String = text.chars().take(MAX_QUOTED).collect();
            if short.len() < text.len() { short + "…" } else { short }
        }
    }
}

/// Records of workers, and the records of a file from which they were computed, if these are something else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerRecords {
    /// One record for each worker.
    pub records: Vec<Record>,
    /// Records of the file, if it has several for each worker; otherwise empty.
    pub written: Vec<Record>,
}

impl WorkerRecords {
    /// Computes the records of workers from the records of one file.
    pub fn of_file(written: Vec<Record>) -> Self {
        let is_all = |has: fn(&Record) -> bool| !written.is_empty() && written.iter().all(has);
        if is_all(|record| record.gb_processed.is_some()) {
            let last = written.iter().max_by(|a, b| {
                let gb = |record: &Record| record.gb_processed.unwrap_or_default();
                gb(a).total_cmp(&gb(b))
            });
            return Self { records: last.cloned().into_iter().collect(), written };
        }
        if is_all(|record| record.file_index.is_some()) {
            return Self { records: vec![sum_of_files(&written)], written };
        }
        Self { records: written, written: Vec::new() }
    }

    /// Adds the workers of another file.
    pub fn append(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.written.append(&mut other.written);
    }
}

/// Record of a worker that read several files one after the other. A sum is `None` if a file does not have the value.
fn sum_of_files(files: &[Record]) -> Record {
    let sum = |of: fn(&Record) -> Option<f64>| files.iter().map(of).sum::<Option<f64>>();
    let same = |of: fn(&Record) -> Option<f64>| {
        let first = files.first().and_then(of)?;
        files.iter().all(|file| of(file) == Some(first)).then_some(first)
    };
    let seconds = sum(|file| file.seconds);
    let over_time = |amount: Option<f64>| amount.zip(seconds).map(|(amount, seconds)| amount / seconds);
    let names = files.iter().filter_map(|file| file.file_index).map(|index| Value::String(index.to_string()));
    let device = files.first().and_then(|file| file.device.clone());
    Record {
        seconds,
        process_memory_mb: files.iter().filter_map(|file| file.process_memory_mb).reduce(f64::max),
        num_batches: sum(|file| file.num_batches),
        batch_size: same(|file| file.batch_size),
        device,
        throughput_bps: over_time(sum(|file| Some(file.throughput_bps? * file.seconds?))),
        sample_persec: over_time(sum(Record::samples)),
        data_path: Value::Array(names.collect()),
        file_index: files.first().and_then(|file| file.file_index),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests;
