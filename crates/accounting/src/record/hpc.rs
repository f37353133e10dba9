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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::parse;
    use super::*;

    /// Record of one GB as `inference_infinite.py` writes it: 103 batches of 512 images in a second each.
    fn step(gb: u64) -> Value {
        let (batches, batch_size) = (103 * gb, 512);
        let seconds = batches as f64;
        json!({
            "total_execution_time (seconds)": seconds,
            "total_process_memory (MB)": 1_600.0 + gb as f64,
            "num_batches": batches,
            "batch_size": batch_size,
            "device": "cpu",
            "GB_processed": gb,
            "execution_time_per_batch": 1.0,
            "throughput_bps": 512.0 * 20_520.0 * 8.0,
            "sample_persec": [512.0],
        })
    }

    fn file(index: u64, samples: f64, seconds: f64) -> Value {
        json!({ "file_index": index, "stats": {
            "total_execution_time (seconds)": seconds,
            "total_process_memory (MB)": 1_000.0 + seconds,
            "num_batches": (samples / 512.0).ceil(),
            "batch_size": 512,
            "device": "cuda",
            "execution_time_per_batch": seconds / (samples / 512.0).ceil(),
            "throughput_bps": samples * 20_520.0 * 8.0 / seconds,
            "sample_persec": [samples / seconds],
        }})
    }

    fn read(value: &Value) -> WorkerRecords {
        WorkerRecords::of_file(parse(value.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn last_step_of_total_json_is_the_run() {
        let steps: Vec<Value> = (1..=1_024).map(step).collect();
        let read = read(&json!(steps));
        assert_eq!((read.records.len(), read.written.len()), (1, 1_024));
        let run = &read.records[0];
        assert_eq!((run.seconds, run.gb_processed), (Some(105_472.0), Some(1_024.0)));
        assert_eq!(run.samples(), Some(105_472.0 * 512.0));
        assert_eq!(run.process_memory_mb, Some(2_624.0));
    }

    #[test]
    fn files_of_a_job_are_one_worker() {
        let read = read(&json!([file(4, 5_113.0, 40.0), file(5, 5_113.0, 60.0)]));
        let [worker] = &read.records[..] else { panic!("{read:?}") };
        assert_eq!((worker.seconds, worker.num_batches, worker.batch_size), (Some(100.0), Some(20.0), Some(512.0)));
        assert!((worker.samples().unwrap() - 10_226.0).abs() < 1e-9);
        assert!((worker.bytes().unwrap() - 10_226.0 * 20_520.0).abs() < 1e-3);
        assert_eq!(worker.process_memory_mb, Some(1_060.0));
        assert_eq!(worker.files(), ["4", "5"]);
        assert_eq!(read.written.len(), 2);
    }

    #[test]
    fn records_of_lambda_stay_as_they_are() {
        let read = read(&json!([{ "total_cpu_time (seconds)": 6.0, "data_path": "25MB/1.pt" }]));
        assert_eq!((read.records.len(), read.written.len()), (1, 0));
    }

    #[test]
    fn wrong_values_are_rejected_by_key() {
        let with = |key: &str, value: Value| {
            let mut step = step(1);
            step[key] = value;
            parse(json!([step]).to_string().as_bytes()).map_err(|error| error.to_string())
        };
        let ends = |result: Result<Vec<Record>, String>, end: &str| {
            let error = result.unwrap_err();
            assert!(error.starts_with("record 0 of 1 (counted from 0): ") && error.ends_with(end), "{error}");
        };
        ends(
            with("sample_persec", json!([1.0, 2.0])),
            "`sample_persec` is a list of 2 values; expected a number, or a list of one number",
        );
        ends(with("sample_persec", json!([])), "list of 0 values; expected a number, or a list of one number");
        ends(with("sample_persec", json!(["fast"])), "`sample_persec` is \"fast\"; expected a number");
        ends(with("sample_persec", json!([[1.0]])), "`sample_persec` is a list; expected a number");
        ends(with("GB_processed", json!("1")), "`GB_processed` is \"1\"; expected a number");
        ends(with("total_execution_time (seconds)", json!({})), "is an object; expected a number");
        ends(with("total_cpu_time (seconds)", json!(1.0)), "expected one of them");
        assert_eq!(with("throughput_bps", json!([3.0])).unwrap()[0].throughput_bps, Some(3.0));
        assert_eq!(with("sample_persec", json!([null])).unwrap()[0].nulls, ["sample_persec"]);
        let wrapped = |value: Value| parse(json!([value]).to_string().as_bytes()).unwrap_err().to_string();
        assert!(wrapped(json!({ "file_index": -1, "stats": {} })).contains("`file_index` is -1"));
        assert!(wrapped(json!({ "file_index": 1, "stats": [] })).contains("`stats` is a list; expected an object"));
    }

    proptest! {
        /// A number and a list of it are read alike, whatever the key.
        #[test]
        fn list_of_one_number_equals_the_number(key in 0..NUMBERS.len(), number in 0.0..1e15_f64) {
            let record = |value: Value| {
                let mut record = json!({ "data_path": "25MB/1.pt" });
                record[NUMBERS[key]] = value;
                parse(record.to_string().as_bytes()).unwrap()
            };
            prop_assert_eq!(record(json!(number)), record(json!([number])));
        }

        #[test]
        fn any_value_of_a_number_is_read_or_rejected_by_key(key in 0..NUMBERS.len(), json in r#"[\[\]{}"a:,0-9]{1,12}"#) {
            let Ok(value) = serde_json::from_str::<Value>(&json) else { return Ok(()) };
            let mut record = json!({ "data_path": "25MB/1.pt" });
            record[NUMBERS[key]] = value;
            if let Err(error) = parse(record.to_string().as_bytes()) {
                prop_assert!(error.to_string().contains(&format!("`{}`", NUMBERS[key])), "{}", error);
            }
        }
    }
}
