//! Correct runs like those of the CAI study (arXiv:2501.06249) and of cosmicai, made from seeds, and copies with one
//! planted error each.

use accounting::statistics::Random;
use serde_json::{Map, Value, json};

const MODEL_MB: f64 = 60.66470718383789;
const SAMPLE_BYTES: f64 = 20_520.0;
const MB: f64 = 1_048_576.0;

/// Run, facts stated about it, and expected findings.
pub(crate) struct Planted {
    /// Name of its file: row of the CAI study's table, and planted error.
    pub(crate) name: &'static str,
    /// Row of the CAI study's table.
    pub(crate) row: Option<u32>,
    pub(crate) records: Value,
    pub(crate) expect_files: Option<usize>,
    pub(crate) total_seconds: Option<f64>,
    pub(crate) partition_mb: Option<f64>,
    pub(crate) payload: Option<Map<String, Value>>,
    /// Expected codes in alphabetical order.
    pub(crate) codes: Vec<&'static str>,
}

impl Planted {
    /// Returns true if the run is small enough for a file.
    pub(crate) fn is_file(&self) -> bool {
        self.records.as_array().is_none_or(|records| records.len() <= 20)
    }
}

/// Records like the CAI study's: the first files of a folder in name order, with one worker each.
pub(crate) fn study_like(files: usize, samples: u64, batch_size: u64, random: &mut Random) -> Value {
    let mut names: Vec<String> = (1..=files.max(517)).map(|number| number.to_string()).collect();
    names.sort();
    let mb = (samples as f64 * SAMPLE_BYTES / MB).round();
    let records = names.iter().take(files).map(|name| {
        let seconds = samples as f64 / 208.0 * (1.0 + 0.04 * random.normal().clamp(-3.0, 3.0)) + 0.3 * random.uniform();
        let memory_mb = 1_740.0 + 25.0 * random.normal().clamp(-3.0, 3.0);
        record(seconds, samples, batch_size, memory_mb, json!(format!("{mb}MB/{name}.pt")))
    });
    Value::Array(records.collect())
}

fn record(seconds: f64, samples: u64, batch_size: u64, process_mb: f64, data_path: Value) -> Value {
    let of = samples as f64;
    let image_mb = batch_size.min(samples) as f64 * SAMPLE_BYTES / MB;
    json!({
        "total_cpu_time (seconds)": seconds,
        "total_cpu_memory (MB)": of * 13.979313731276548,
        "total_process_memory (MB)": process_mb,
        "library_overhead_memory (MB)": process_mb - image_mb - MODEL_MB,
        "total_image_memory (MB)": image_mb,
        "total_model_memory (MB)": MODEL_MB,
        "execution_time (seconds/batch)": seconds / (of / batch_size as f64),
        "num_batches": samples.div_ceil(batch_size),
        "batch_size": batch_size,
        "device": "cpu",
        "throughput_bps": of * SAMPLE_BYTES * 8.0 / seconds,
        "sample_persec": of / seconds,
        "result_path": "result-partition/step4_1GB/",
        "data_path": data_path,
    })
}

/// Replaces the time, and all values that are computed from it.
pub(crate) fn retime(record: &mut Value, seconds: f64) {
    let factor = seconds / number(record, "total_cpu_time (seconds)");
    for (key, factor) in [
        ("total_cpu_time (seconds)", factor),
        ("execution_time (seconds/batch)", factor),
        ("throughput_bps", 1.0 / factor),
        ("sample_persec", 1.0 / factor),
    ] {
        scale(record, key, factor);
    }
}

/// Removes the second digit of a value.
pub(crate) fn lose_digit(record: &mut Value, key: &str) {
    let mut printed = number(record, key).to_string();
    printed.remove(1);
    record[key] = json!(printed.parse::<f64>().unwrap());
}

/// Rounds all numbers to `digits` significant digits.
pub(crate) fn round(record: &mut Value, digits: usize) {
    for (_, value) in record.as_object_mut().unwrap() {
        if let Some(number) = value.as_f64() {
            let rounded: f64 = format!("{number:.*e}", digits - 1).parse().unwrap();
            *value = if value.is_u64() { json!(rounded as u64) } else { json!(rounded) };
        }
    }
}

fn number(record: &Value, key: &str) -> f64 {
    record[key].as_f64().unwrap()
}

fn scale(record: &mut Value, key: &str, factor: f64) {
    record[key] = json!(number(record, key) * factor);
}

fn twelve() -> Value {
    study_like(12, 1_278, 256, &mut Random::new(12))
}

fn correct(name: &'static str, records: Value) -> Planted {
    Planted {
        name,
        row: None,
        records,
        expect_files: None,
        total_seconds: None,
        partition_mb: None,
        payload: None,
        codes: Vec::new(),
    }
}

/// Correct runs, without findings.
pub(crate) fn clean() -> Vec<Planted> {
    let milliseconds = |number: u64| {
        // Tasks of milliseconds vary a lot, and each has one small batch.
        let seconds = 0.02 * (1.0 + 4.0 * (number % 3) as f64);
        record(seconds, 20, 256, 70.0 + 9.0 * number as f64, json!(format!("sky/{number}.pt")))
    };
    let several = |rank: u64| {
        let files: Vec<String> = (3 * rank + 1..=3 * rank + 3).map(|number| format!("sky/{number}.pt")).collect();
        let mut record = record(4.0 + 0.1 * rank as f64, 600, 256, 900.0, json!(files));
        // Three files of 200 images: three small batches, the first of 200.
        record["num_batches"] = json!(3);
        record["total_image_memory (MB)"] = json!(200.0 * SAMPLE_BYTES / MB);
        record["library_overhead_memory (MB)"] = json!(900.0 - 200.0 * SAMPLE_BYTES / MB - MODEL_MB);
        record
    };
    let short_last: Vec<Value> = (1..=13)
        .map(|number| {
            let samples = if number == 13 { 300 } else { 1_278 };
            let seconds = samples as f64 / 205.0 + 0.01 * number as f64;
            record(seconds, samples, 256, 1_700.0, json!(format!("25MB/{number}.pt")))
        })
        .collect();
    let mut rounded = twelve();
    rounded.as_array_mut().unwrap().iter_mut().for_each(|record| round(record, 6));
    let mut two_decimals = twelve();
    for record in two_decimals.as_array_mut().unwrap() {
        for (_, value) in record.as_object_mut().unwrap() {
            if value.is_f64() {
                *value = json!((value.as_f64().unwrap() * 100.0).round() / 100.0);
            }
        }
    }
    let mut asked = correct("clean-as-asked", twelve());
    asked.expect_files = Some(12);
    asked.total_seconds = Some(25.8);
    asked.partition_mb = Some(25.0);
    asked.payload = json!({
        "batch_size": "256",
        "result_path": "result-partition/step4_1GB",
        "data_prefix": "25MB",
        "data_map": twelve().as_array().unwrap().iter().enumerate()
            .map(|(rank, record)| (rank.to_string(), record["data_path"].clone())).collect::<Map<_, _>>(),
    })
    .as_object()
    .cloned();
    vec![
        correct("clean-study-25MB", twelve()),
        correct("clean-one-worker", study_like(1, 5_113, 32, &mut Random::new(1))),
        correct("clean-milliseconds", (1..=11).map(milliseconds).collect()),
        correct("clean-several-files-a-worker", (0..4).map(several).collect()),
        correct("clean-short-last-file", Value::Array(short_last)),
        Planted {
            expect_files: Some(11),
            ..correct("clean-one-left-out-as-asked", {
                let mut records = twelve();
                records.as_array_mut().unwrap().remove(6);
                records
            })
        },
        correct("clean-last-file-alone", json!([record(1.4, 280, 256, 4_300.0, json!("100MB/130.pt"))])),
        correct("clean-six-digits", rounded),
        correct("clean-two-decimals", two_decimals),
        asked,
    ]
}

/// Runs with one error each.
pub(crate) fn planted() -> Vec<Planted> {
    by_row().into_iter().chain(by_code()).collect()
}

/// Plants an error in a run of twelve records.
fn with(name: &'static str, row: u32, codes: &[&'static str], plant: impl FnOnce(&mut Vec<Value>)) -> Planted {
    let Value::Array(mut records) = twelve() else { unreachable!() };
    plant(&mut records);
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    Planted { row: (row > 0).then_some(row), codes, ..correct(name, Value::Array(records)) }
}

/// Runs with the errors of the CAI study's table.
fn by_row() -> Vec<Planted> {
    let truncated = |name, expect_files| Planted {
        row: Some(2),
        expect_files,
        codes: vec!["truncated_at_1000"],
        ..correct(name, study_like(1_000, 511, 256, &mut Random::new(2)))
    };
    let short_file = {
        let mut names: Vec<u64> = (1..=20).collect();
        names.sort_by_key(u64::to_string);
        let records = names.into_iter().take(13).map(|number| {
            let samples = if number == 20 { 407 } else { 1_278 };
            record(samples as f64 / 207.0, samples, 256, 1_740.0, json!(format!("25MB/{number}.pt")))
        });
        Planted {
            row: Some(5),
            codes: vec!["lexicographic_selection"],
            ..correct("5-short-last-file-in-the-middle", records.collect())
        }
    };
    let incomplete = |name, expect_files| Planted {
        expect_files: Some(expect_files),
        ..with(name, 4, &["missing_records"], |records| records.truncate(8))
    };
    let payload = |changes: Value| changes.as_object().cloned();
    let cost = |records: &mut Vec<Value>| {
        for record in records {
            let [seconds, mb] =
                ["total_cpu_time (seconds)", "total_process_memory (MB)"].map(|key| number(record, key));
            record["Cost ($)"] = json!(seconds * mb / 1_024.0 * 0.00001667);
        }
    };
    let mean = |records: &[Value]| {
        records.iter().map(|record| number(record, "total_cpu_time (seconds)")).sum::<f64>() / records.len() as f64
    };
    vec![
        truncated("2-one-page", None),
        truncated("2-one-page-of-1230", Some(1_230)),
        with("3-siblings-merged", 3, &["mixed_batch_size", "mixed_result_path", "duplicate_file"], |records| {
            let siblings: Vec<Value> = records[..6]
                .iter()
                .map(|sibling| {
                    let seconds = 1.03 * number(sibling, "total_cpu_time (seconds)");
                    let mut sibling = record(seconds, 1_278, 512, 2_100.0, sibling["data_path"].clone());
                    sibling["result_path"] = json!("result-partition/step4_1GB-512/");
                    sibling
                })
                .collect();
            records.extend(siblings);
        }),
        with("3-nested-merged", 3, &["mixed_result_path"], |records| {
            records[7]["result_path"] = json!("result-partition/step4_1GB/old/");
        }),
        incomplete("4-eight-of-130", 130),
        with("4-eight-left-of-130", 4, &["missing_in_sequence"], |records| {
            records.truncate(8);
            for (record, number) in records.iter_mut().zip([16, 39, 41, 66, 79, 92, 118, 121]) {
                record["data_path"] = json!(format!("25MB/{number}.pt"));
            }
        }),
        with("4-some-without-memory", 4, &["missing_value"], |records| {
            for record in &mut records[5..] {
                record.as_object_mut().unwrap().remove("total_process_memory (MB)");
            }
        }),
        Planted {
            payload: payload(json!({ "batch_size": 256, "data_prefix": "25MB", "file_limit": "130" })),
            ..with("4-fewer-than-the-limit", 4, &["below_file_limit"], |_| {})
        },
        with("4-one-lost", 4, &["missing_in_sequence"], |records| {
            records.remove(6);
        }),
        Planted {
            payload: payload(json!({ "data_map": twelve().as_array().unwrap().iter().enumerate()
                .map(|(rank, record)| (rank.to_string(), record["data_path"].clone())).collect::<Map<_, _>>() })),
            ..with("4-fewer-than-planned", 4, &["missing_records"], |records| records.truncate(8))
        },
        short_file,
        Planted {
            payload: payload(json!({ "batch_size": 512, "result_path": "results/other/", "data_prefix": "10MB" })),
            ..with("6-another-run-s-payload", 6, &["payload_mismatch"], |_| {})
        },
        with("7-cost-by-memory-used", 7, &["cost_is_not_the_bill"], cost),
        with("8-data-by-mean-time", 8, &["throughput_not_end_to_end"], |records| {
            let rate = 12.0 * 25.0 / 1_024.0 / mean(records);
            records.iter_mut().for_each(|record| record["Throughput (GB/s)"] = json!(rate));
        }),
        with("9-gigabits-called-GB", 9, &["throughput_in_gigabits"], |records| {
            for record in records {
                record["Throughput (GB/s)"] = json!(number(record, "throughput_bps") / 1e9);
            }
        }),
        with("9-throughput-in-gigabits", 9, &["throughput_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "throughput_bps", 1e-9));
        }),
        with("9-throughput-in-bytes", 9, &["throughput_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "throughput_bps", 0.125));
        }),
        with("10-swapped-throughput", 10, &["swapped_values"], |records| {
            let [second, fourth] = [2, 4].map(|index: usize| records[index]["throughput_bps"].clone());
            (records[2]["throughput_bps"], records[4]["throughput_bps"]) = (fourth, second);
        }),
        with("10-swapped-memory", 10, &["swapped_values"], |records| {
            let [second, fourth] = [2, 4].map(|index: usize| records[index]["total_process_memory (MB)"].clone());
            (records[2]["total_process_memory (MB)"], records[4]["total_process_memory (MB)"]) = (fourth, second);
        }),
        with("10-lost-digit-allocated", 10, &["lost_digit"], |records| {
            lose_digit(&mut records[1], "total_cpu_memory (MB)");
        }),
        with("10-lost-digit-process", 10, &["lost_digit"], |records| {
            lose_digit(&mut records[1], "total_process_memory (MB)");
        }),
        with("10-lost-digit-throughput", 10, &["lost_digit"], |records| lose_digit(&mut records[1], "throughput_bps")),
        with("10-allocated-as-process", 10, &["allocated_as_process_memory"], |records| {
            for record in records {
                record["total_process_memory (MB)"] = record["total_cpu_memory (MB)"].clone();
            }
        }),
        Planted {
            row: Some(11),
            total_seconds: Some(163.2),
            codes: vec!["worker_outlasts_run"],
            ..correct("11-another-run-s-time", {
                let mut records = study_like(1, 5_113, 32, &mut Random::new(1));
                retime(&mut records[0], 225.48);
                records
            })
        },
        with("12-straggler", 12, &["stragglers"], |records| {
            let seconds = 4.0 * number(&records[9], "total_cpu_time (seconds)");
            retime(&mut records[9], seconds);
        }),
    ]
}

/// Runs with similar errors, one for each code that the rows of the table do not cover.
fn by_code() -> Vec<Planted> {
    let off = |name, code, key: &'static str| with(name, 0, &[code], move |records| scale(&mut records[3], key, 1.07));
    vec![
        Planted { codes: vec!["no_records"], ..correct("no-records", json!([])) },
        with("image-memory-of-two-batches", 0, &["image_memory_identity"], |records| {
            for record in records {
                let image = 2.0 * number(record, "total_image_memory (MB)");
                let process = number(record, "total_process_memory (MB)");
                record["total_image_memory (MB)"] = json!(image);
                record["library_overhead_memory (MB)"] = json!(process - image - MODEL_MB);
            }
        }),
        Planted { expect_files: Some(11), ..with("one-too-many", 0, &["unexpected_records"], |_| {}) },
        with("rank-twice", 0, &["duplicate_rank"], |records| {
            for (rank, record) in records.iter_mut().enumerate() {
                record["rank"] = json!(rank.min(10));
            }
        }),
        with("rank-left-out", 0, &["missing_records"], |records| {
            for (rank, record) in records.iter_mut().enumerate() {
                record["rank"] = json!(if rank < 6 { rank } else { rank + 1 });
            }
        }),
        with("file-twice", 0, &["duplicate_file"], |records| {
            let copy = records[4].clone();
            records.push(copy);
        }),
        with("mixed-device", 0, &["mixed_device"], |records| records[2]["device"] = json!("cuda")),
        with("mixed-folders", 0, &["mixed_data_prefix"], |records| records[2]["data_path"] = json!("25MB-old/10.pt")),
        with("mixed-models", 0, &["mixed_model_memory"], |records| {
            let rest = number(&records[2], "library_overhead_memory (MB)") + MODEL_MB;
            records[2]["total_model_memory (MB)"] = json!(88.0);
            records[2]["library_overhead_memory (MB)"] = json!(rest - 88.0);
        }),
        with("no-process-memory", 0, &["missing_value"], |records| {
            records[2].as_object_mut().unwrap().remove("total_process_memory (MB)");
        }),
        with("no-number", 0, &["not_finite"], |records| records[2]["sample_persec"] = Value::Null),
        with("negative-time", 0, &["not_positive"], |records| records[2]["total_cpu_time (seconds)"] = json!(-6.1)),
        with("seconds-in-milliseconds", 0, &["seconds_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "total_cpu_time (seconds)", 1e3));
        }),
        with("four-times-the-time", 0, &["seconds_identity", "stragglers"], |records| {
            scale(&mut records[3], "total_cpu_time (seconds)", 4.0);
        }),
        with("throughput-in-megabits-rounded", 0, &["throughput_unit"], |records| {
            for record in records {
                let megabits = (number(record, "throughput_bps") / 1e2).round() / 1e4;
                record["throughput_bps"] = json!(megabits);
            }
        }),
        with("seconds-in-minutes", 0, &["seconds_unit"], |records| {
            scale(&mut records[5], "total_cpu_time (seconds)", 1.0 / 60.0);
        }),
        with("batches-in-milliseconds", 0, &["seconds_per_batch_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "execution_time (seconds/batch)", 1e3));
        }),
        with("samples-a-minute", 0, &["sample_rate_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "sample_persec", 60.0));
        }),
        with("memory-in-bytes", 0, &["memory_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "total_process_memory (MB)", MB));
        }),
        with("memory-in-gigabytes", 0, &["memory_unit"], |records| {
            for record in records {
                let process = number(record, "total_process_memory (MB)") / 1_024.0;
                let parts = number(record, "total_image_memory (MB)") + MODEL_MB;
                record["total_process_memory (MB)"] = json!(process);
                record["library_overhead_memory (MB)"] = json!(process - parts);
            }
        }),
        with("image-memory-in-bytes", 0, &["memory_unit"], |records| {
            records.iter_mut().for_each(|record| scale(record, "total_image_memory (MB)", MB));
        }),
        with("memory-outlier", 0, &["memory_outliers"], |records| {
            let parts = number(&records[8], "total_image_memory (MB)") + MODEL_MB;
            records[8]["total_process_memory (MB)"] = json!(8_000.5);
            records[8]["library_overhead_memory (MB)"] = json!(8_000.5 - parts);
        }),
        off("throughput-off", "throughput_identity", "throughput_bps"),
        off("sample-rate-off", "sample_rate_identity", "sample_persec"),
        off("seconds-per-batch-off", "seconds_per_batch_identity", "execution_time (seconds/batch)"),
        off("seconds-off", "seconds_identity", "total_cpu_time (seconds)"),
        off("image-memory-off", "image_memory_identity", "total_image_memory (MB)"),
        off("overhead-off", "memory_identity", "library_overhead_memory (MB)"),
        off("process-memory-off", "memory_identity", "total_process_memory (MB)"),
        with("batches-off", 0, &["num_batches_identity"], |records| records[3]["num_batches"] = json!(4)),
        with("batch-size-off", 0, &["batch_size_identity", "mixed_batch_size"], |records| {
            records[3]["batch_size"] = json!(128);
        }),
        with("whole-batches", 0, &["seconds_per_batch_identity"], |records| {
            for record in records {
                let seconds = number(record, "total_cpu_time (seconds)") / 5.0;
                record["execution_time (seconds/batch)"] = json!(seconds);
            }
        }),
        with("nothing-fits", 0, &["inconsistent_record"], |records| {
            for (key, factor) in [
                ("throughput_bps", 1.3),
                ("sample_persec", 0.9),
                ("execution_time (seconds/batch)", 1.7),
                ("total_cpu_time (seconds)", 1.1),
            ] {
                scale(&mut records[3], key, factor);
            }
        }),
        Planted {
            partition_mb: Some(10.0),
            ..with("partition-of-another-size", 0, &["partition_size_differs"], |_| {})
        },
    ]
}
