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
