//! `cosmicai audit`: exit statuses, JSON output, invalid files, and runs of this program.

mod support;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use support::{Sandbox, cosmicai};

/// Folder of records with planted errors.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../accounting/tests/audit")
}

fn audit(file: &Path) -> Command {
    let mut command = cosmicai();
    command.arg("audit").arg(file);
    command
}

/// Runs an audit, and returns the sorted codes of its findings and the exit status.
fn found(command: &mut Command) -> (Vec<String>, i32) {
    let output = command.args(["--format", "json"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    let findings = printed["findings"].as_array().unwrap();
    for finding in findings {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["code", "severity", "message", "evidence", "file"]);
        assert!(["error", "warning", "note"].contains(&finding["severity"].as_str().unwrap()));
    }
    let mut codes: Vec<String> = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    (codes, output.status.code().unwrap())
}

#[test]
fn finds_the_planted_errors_of_every_file() {
    let index: Value = serde_json::from_slice(&std::fs::read(corpus().join("expected.json")).unwrap()).unwrap();
    assert!(index.as_object().unwrap().len() > 10, "{index}");
    for (file, expected) in index.as_object().unwrap() {
        // A payload is read only beside a file with the name that the CAI study uses. The files of this folder have other names.
        if !expected["payload"].is_null() {
            continue;
        }
        let mut command = audit(&corpus().join(file));
        for (option, key) in [
            ("--expect-files", "expect_files"),
            ("--total-seconds", "total_seconds"),
            ("--partition-mb", "partition_mb"),
        ] {
            if !expected[key].is_null() {
                command.args([option, &expected[key].to_string()]);
            }
        }
        let (codes, status) = found(&mut command);
        assert_eq!(json!(codes), expected["codes"], "{file}");
        let warnings = [
            "stragglers",
            "memory_outliers",
            "missing_in_sequence",
            "lexicographic_selection",
            "partition_size_differs",
            "throughput_not_end_to_end",
        ];
        let worst = match codes.as_slice() {
            [] => 0,
            codes if codes.iter().all(|code| warnings.contains(&code.as_str())) => 3,
            _ => 4,
        };
        assert_eq!(status, worst, "{file}");
    }
}

#[test]
fn text_output_lists_findings_or_states_that_there_are_none() {
    let output = audit(&corpus().join("12-straggler.json")).assert().code(3).get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(
        text.contains("warning") && text.contains("stragglers: 1 worker of 12") && text.contains("median_s"),
        "{text}"
    );
    let output = audit(&corpus().join("clean-study-25MB.json")).assert().code(0).get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("no findings in 12 records"), "{text}");
}

#[test]
fn compares_records_with_the_payload_beside_them() {
    let sandbox = Sandbox::new();
    let records = std::fs::read(corpus().join("clean-study-25MB.json")).unwrap();
    sandbox.write("run/combined_data.json", &records);
    let file = sandbox.path("run/combined_data.json");
    assert_eq!(found(&mut audit(&file)), (vec![], 0));
    sandbox.write("run/payload.json", br#"{"batch_size": "512", "result_path": "result-partition/step4_1GB"}"#);
    assert_eq!(found(&mut audit(&file)), (vec!["payload_mismatch".to_owned()], 4));
    // A file with one record is audited without the payload.
    sandbox.write("run/0.json", &serde_json::to_vec(&serde_json::from_slice::<Value>(&records).unwrap()[0]).unwrap());
    assert_eq!(found(&mut audit(&sandbox.path("run/0.json"))), (vec![], 0));
}

#[test]
fn rejects_files_that_are_not_records() {
    let sandbox = Sandbox::new();
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    for (name, bytes, words) in [
        ("none.json", None, "none.json"),
        ("text.json", Some(&b"not JSON"[..]), "not a file of records"),
        ("cut.json", Some(b"[{\"throughput_bps\": 1, \"data_path\": \"a"), "not a file of records"),
        ("number.json", Some(b"7"), "neither"),
        ("other.json", Some(b"[{\"a\": 1}]"), "none of the CAI study's keys"),
        ("words.json", Some(b"[{\"data_path\": \"a\", \"throughput_bps\": \"fast\"}]"), "record 0 of 1"),
        ("huge-number.json", Some(b"[{\"data_path\": \"a\", \"throughput_bps\": 1e999}]"), "not a file of records"),
        ("nested.json", Some(&nested), "not a file of records"),
        ("binary.json", Some(b"\x00\xff\xfe"), "not a file of records"),
    ] {
        if let Some(bytes) = bytes {
            sandbox.write(name, bytes);
        }
        let output = audit(&sandbox.path(name)).assert().code(1).get_output().clone();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(words) && !error.contains("panicked"), "{name}: {error}");
    }
    audit(&corpus().join("clean-study-25MB.json")).args(["--total-seconds", "-1"]).assert().code(2);
    cosmicai().arg("audit").assert().code(2);
}

/// The output is bounded, whatever the number of broken records and the length of names.
#[test]
fn output_for_a_hostile_file_is_short() {
    let sandbox = Sandbox::new();
    let name = "é".repeat(10_000);
    let record = json!({ "total_cpu_time (seconds)": 1.7, "throughput_bps": 3.3, "sample_persec": 9.1, "batch_size": 7.5,
        "total_process_memory (MB)": -4, "total_cpu_memory (MB)": 1e300, "rank": 18446744073709551615_u64,
        "result_path": name, "data_path": [name, {"a": []}, null], "cost": "much" });
    let records = vec![record.to_string(); 200].join(",");
    sandbox.write("hostile.json", format!("[{records}]").as_bytes());
    let output = audit(&sandbox.path("hostile.json")).args(["--format", "json"]).assert().code(4).get_output().clone();
    assert!(output.stdout.len() < 100_000, "{} bytes", output.stdout.len());
}

#[test]
fn finds_nothing_in_a_run_until_it_is_edited() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 20);
    sandbox.run(&sandbox.payload(json!({}))).assert().success();
    let (folder, combined) = (sandbox.path("sky/results"), sandbox.path("sky/results/combined_data.json"));
    assert_eq!(found(&mut audit(&folder)), (vec![], 0));
    assert_eq!(found(audit(&folder).args(["--expect-files", "11"])), (vec![], 0));
    assert_eq!(found(&mut audit(&combined)), (vec![], 0));

    let records = sandbox.json("sky/results/combined_data.json");
    let write = |edit: &dyn Fn(&mut Vec<Value>)| {
        let mut records = records.as_array().unwrap().clone();
        edit(&mut records);
        sandbox.write("sky/results/combined_data.json", Value::Array(records).to_string().as_bytes());
    };
    write(&|records| records.truncate(8));
    assert_eq!(found(&mut audit(&folder)), (vec!["missing_records".to_owned()], 4));
    write(&|records| records[3] = records[4].clone());
    assert_eq!(found(&mut audit(&folder)), (vec!["duplicate_file".to_owned(), "missing_records".to_owned()], 4));
    write(&|records| records[3]["batch_size"] = json!(128));
    let (codes, status) = found(&mut audit(&folder));
    assert!(codes.contains(&"payload_mismatch".to_owned()) && status == 4, "{codes:?}");
    write(&|_| {});

    std::fs::remove_file(sandbox.path("sky/results/predictions/4.parquet")).unwrap();
    assert_eq!(found(&mut audit(&folder)), (vec!["predictions_missing".to_owned()], 4));
}

/// Without combined records, the audit reads the records of the tasks and reports the missing ones.
#[test]
fn reports_missing_records_of_an_incomplete_run() {
    let sandbox = Sandbox::with_partitions("10MB", 5, 8);
    sandbox.write("sky/10MB/3.pt", b"broken");
    sandbox.run(&sandbox.payload(json!({}))).assert().failure();
    let mut command = audit(&sandbox.path("sky/results"));
    let output = command.args(["--format", "json"]).assert().code(4).get_output().stdout.clone();
    let printed: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(printed["findings"][0]["code"], "missing_records");
    assert_eq!(printed["findings"][0]["evidence"]["missing_files"], json!(["10MB/3.pt"]));
    assert_eq!(printed["findings"][0]["evidence"]["report"]["failed"], json!([2]));
}

#[test]
fn finds_the_same_records_in_two_files() {
    let mut command = audit(&corpus().join("clean-study-25MB.json"));
    command.arg(corpus().join("clean-study-25MB.json"));
    assert_eq!(found(&mut command), (vec!["same_records_twice".to_owned()], 3));
}
