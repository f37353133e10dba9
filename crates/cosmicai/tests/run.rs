//! `cosmicai run`: from a payload to its results, on folders and on an S3 server, and resuming.

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::process::{self, Running};
use support::s3::Server;
use support::{Sandbox, cosmicai, error_of};

/// Keys of a record in the CAI study's format.
const STUDY_KEYS: [&str; 14] = [
    "total_cpu_time (seconds)",
    "total_cpu_memory (MB)",
    "total_process_memory (MB)",
    "library_overhead_memory (MB)",
    "total_image_memory (MB)",
    "total_model_memory (MB)",
    "execution_time (seconds/batch)",
    "num_batches",
    "batch_size",
    "device",
    "throughput_bps",
    "sample_persec",
    "result_path",
    "data_path",
];

/// Bytes of the predictions of a run, by rank.
fn predictions(sandbox: &Sandbox, results: &str, ranks: usize) -> BTreeMap<usize, Vec<u8>> {
    (0..ranks).map(|rank| (rank, sandbox.bytes(&format!("sky/{results}/predictions/{rank}.parquet")))).collect()
}

#[test]
fn file_limit_selects_partitions_in_listing_order_and_records_have_the_study_keys() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 20);
    // Neighbours that a prefix without its final slash would include.
    sandbox.partition("10MB-old/1.pt", 3, 1);
    sandbox.write("sky/10MB/notes.txt", b"not a partition");
    sandbox.run(&sandbox.payload(json!({}))).assert().success();
    let records = sandbox.json("sky/results/combined_data.json");
    let records = records.as_array().unwrap();
    let order: Vec<&str> = records.iter().map(|record| record["data_path"].as_str().unwrap()).collect();
    // S3 lists keys in the order of their bytes.
    let expected = [1, 10, 11, 12, 2, 3, 4, 5, 6, 7, 8].map(|number| format!("10MB/{number}.pt"));
    assert_eq!(order, expected);
    for (rank, record) in records.iter().enumerate() {
        let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert_eq!(keys, STUDY_KEYS, "rank {rank}");
        assert_eq!(*record, sandbox.json(&format!("sky/results/{rank}.json")));
        let number = |key: &str| record[key].as_f64().unwrap();
        let seconds = number("total_cpu_time (seconds)");
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "rank {rank}: {a} and {b}");
        close(number("throughput_bps") * seconds, 20.0 * 20_520.0 * 8.0);
        close(number("sample_persec") * seconds, 20.0);
        close(number("execution_time (seconds/batch)"), seconds / (20.0 / 256.0));
        let parts = number("total_image_memory (MB)") + number("total_model_memory (MB)");
        close(number("library_overhead_memory (MB)") + parts, number("total_process_memory (MB)"));
        assert_eq!(record["num_batches"], 1);
        assert_eq!(record["device"], "cpu");
        assert_eq!(record["result_path"], "results/");
    }
    let payload = sandbox.json("sky/results/payload.json");
    assert_eq!(payload["data_map"]["1"], "10MB/10.pt");
    assert_eq!(payload["file_limit"], "11");
    let report = sandbox.json("sky/results/report.json");
    assert_eq!(report["tasks"].as_array().unwrap().len(), 11);
    assert_eq!(report["samples"], 220);
}

#[test]
fn predictions_do_not_depend_on_workers_threads_batch_size_and_store() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 37);
    let server = Server::start(sandbox.folder.path());
    let mut all = Vec::new();
    for (name, options) in [
        ("one", &["--workers", "1"][..]),
        ("two", &["--workers", "2", "--threads", "1"]),
        ("seven", &["--workers", "7", "--threads", "3"]),
    ] {
        let payload =
            sandbox.payload(json!({ "result_path": name, "batch_size": if name == "two" { 7 } else { 256 } }));
        sandbox.run(&payload).args(options).assert().success();
        all.push(predictions(&sandbox, name, 11));
    }
    let payload = sandbox.payload(json!({ "result_path": "s3" }));
    let mut command = cosmicai();
    server.env(command.arg("run").arg(payload).args(["--store", "s3"])).assert().success();
    all.push(predictions(&sandbox, "s3", 11));
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(sandbox.json("sky/s3/combined_data.json").as_array().unwrap().len(), 11);
}

#[test]
fn lists_and_summarizes_2300_partitions() {
    let sandbox = Sandbox::new();
    let one = support::partition(2, 1);
    for number in 1..=2300 {
        sandbox.write(&format!("sky/10MB/{number}.pt"), &one);
    }
    let server = Server::start(sandbox.folder.path());
    let payload = sandbox.payload(json!({ "file_limit": 5000, "world_size": 230, "order": "natural" }));
    let mut command = cosmicai();
    server.env(command.arg("run").arg(payload).args(["--store", "s3"])).assert().success();
    let records = sandbox.json("sky/results/combined_data.json");
    let records = records.as_array().unwrap();
    assert_eq!(records.len(), 230);
    let files: Vec<&str> = records
        .iter()
        .flat_map(|record| record["data_path"].as_array().unwrap())
        .map(|key| key.as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 2300);
    assert!(files.iter().enumerate().all(|(index, key)| *key == format!("10MB/{}.pt", index + 1)));

    let payload = sandbox.payload(json!({ "file_limit": 5000, "result_path": "each" }));
    sandbox.run(&payload).assert().success();
    assert_eq!(sandbox.json("sky/each/combined_data.json").as_array().unwrap().len(), 2300);
}

#[test]
fn precision_option_is_recorded_in_payload_and_reports() {
    let sandbox = Sandbox::with_partitions("10MB", 1, 4);
    let payload = sandbox.payload(json!({}));
    sandbox.run(&payload).args(["--precision", "f32"]).assert().success();
    for file in ["payload.json", "report.json", "tasks/0.json"] {
        assert_eq!(sandbox.json(&format!("sky/results/{file}"))["precision"], "f32", "{file}");
    }
    let error = error_of(sandbox.run(&payload).args(["--precision", "f31"]));
    assert!(error.contains("`f31` is unknown"), "{error}");
}

#[test]
fn existing_results_are_refused_resumed_or_overwritten() {
    let sandbox = Sandbox::with_partitions("10MB", 3, 8);
    let payload = sandbox.payload(json!({}));
    sandbox.run(&payload).assert().success();
    let before = sandbox.bytes("sky/results/0.json");
    let error = error_of(&mut sandbox.run(&payload));
    assert!(error.contains("--resume") && error.contains("--overwrite") && error.contains("results"), "{error}");
    // The same folder, written without the final slash, with another payload.
    let other = sandbox.payload(json!({ "result_path": "results", "batch_size": 4 }));
    assert!(error_of(&mut sandbox.run(&other)).contains("--resume"));
    let error = error_of(sandbox.run(&other).arg("--resume"));
    assert!(error.contains("batch_size"), "{error}");
    assert_eq!(sandbox.bytes("sky/results/0.json"), before, "a refused run changed something");

    // Every task is finished, so resuming writes nothing.
    sandbox.run(&payload).arg("--resume").assert().success();
    assert_eq!(sandbox.bytes("sky/results/0.json"), before);

    sandbox.write("sky/results/mine.txt", b"not the run's");
    sandbox.run(&other).arg("--overwrite").assert().success();
    assert_eq!(sandbox.json("sky/results/0.json")["batch_size"], 4);
    assert_eq!(sandbox.bytes("sky/results/mine.txt"), b"not the run's");
}

#[test]
fn resume_repeats_only_tasks_with_a_changed_file_or_model() {
    let sandbox = Sandbox::with_partitions("10MB", 3, 8);
    let payload = sandbox.payload(json!({}));
    sandbox.run(&payload).assert().success();
    let started = |rank: usize| sandbox.json(&format!("sky/results/tasks/{rank}.json"))["started"].clone();
    let before: Vec<Value> = (0..3).map(started).collect();
    let old = predictions(&sandbox, "results", 3);
    sandbox.partition("10MB/2.pt", 9, 99);
    sandbox.run(&payload).arg("--resume").assert().success();
    let now: Vec<Value> = (0..3).map(started).collect();
    assert!(now[0] == before[0] && now[1] != before[1] && now[2] == before[2]);
    let new = predictions(&sandbox, "results", 3);
    assert!(new[&0] == old[&0] && new[&1] != old[&1] && new[&2] == old[&2]);

    std::fs::write(sandbox.model(), astromae::init::seeded(&astromae::init::Sizes::small(), 2)).unwrap();
    sandbox.run(&payload).arg("--resume").assert().success();
    let newest = predictions(&sandbox, "results", 3);
    assert!((0..3).all(|rank| newest[&rank] != new[&rank]));
}

#[test]
fn bad_partition_fails_alone_and_resume_finishes_it_after_repair() {
    let sandbox = Sandbox::with_partitions("10MB", 5, 8);
    let whole = sandbox.bytes("sky/10MB/3.pt");
    sandbox.write("sky/10MB/3.pt", &whole[..whole.len() / 2]);
    let payload = sandbox.payload(json!({}));
    let error = error_of(&mut sandbox.run(&payload));
    assert!(error.contains("3.pt") && error.contains("--resume") && error.contains("failed: 2"), "{error}");
    assert!(sandbox.path("sky/results/4.json").exists());
    assert!(!sandbox.path("sky/results/2.json").exists());
    assert!(!sandbox.path("sky/results/combined_data.json").exists());
    let report = sandbox.json("sky/results/report.json");
    assert_eq!(report["failed"][0]["rank"], 2);
    assert_eq!(report["failed"][0]["attempts"], 1, "a malformed file is not tried again");
    let kept = sandbox.bytes("sky/results/tasks/4.json");

    sandbox.write("sky/10MB/3.pt", &whole);
    sandbox.run(&payload).arg("--resume").assert().success();
    assert_eq!(sandbox.json("sky/results/combined_data.json").as_array().unwrap().len(), 5);
    assert_eq!(sandbox.bytes("sky/results/tasks/4.json"), kept, "a finished task was repeated");
}

/// Starts a run on one thread and waits until three of its twelve tasks have finished.
fn started(sandbox: &Sandbox, results: &str) -> Running {
    started_by(sandbox, results, &["env"])
}

/// As [`started`], by another program that executes its last arguments.
fn started_by(sandbox: &Sandbox, results: &str, starter: &[&str]) -> Running {
    let payload = sandbox.payload(json!({ "result_path": results, "file_limit": 12 }));
    let mut command = process::command(starter[0]);
    command
        .args(&starter[1..])
        .arg(env!("CARGO_BIN_EXE_cosmicai"))
        .arg("run")
        .arg(&payload)
        .arg("--store")
        .arg(sandbox.folder.path())
        .args(["--workers", "1", "--threads", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let run = Running::start(&mut command);
    let deadline = Instant::now() + Duration::from_secs(60);
    while finished(sandbox, results) < 3 {
        assert!(Instant::now() < deadline, "three tasks did not finish within a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    run
}

fn finished(sandbox: &Sandbox, results: &str) -> usize {
    (0..12).filter(|rank| sandbox.path(&format!("sky/{results}/tasks/{rank}.json")).exists()).count()
}

#[test]
fn resume_after_kill_gives_the_results_of_an_uninterrupted_run() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 400);
    let uninterrupted = sandbox.payload(json!({ "result_path": "whole", "file_limit": 12 }));
    sandbox.run(&uninterrupted).assert().success();

    started(&sandbox, "killed").kill();
    let survived = finished(&sandbox, "killed");
    assert!((3..12).contains(&survived), "{survived} tasks had finished when the run was killed");
    let before: Vec<Vec<u8>> =
        (0..survived).map(|rank| sandbox.bytes(&format!("sky/killed/tasks/{rank}.json"))).collect();

    let payload = sandbox.payload(json!({ "result_path": "killed", "file_limit": 12 }));
    sandbox.run(&payload).arg("--resume").assert().success();
    for (rank, before) in before.iter().enumerate() {
        assert_eq!(sandbox.bytes(&format!("sky/killed/tasks/{rank}.json")), *before, "rank {rank} was repeated");
    }
    assert_eq!(predictions(&sandbox, "killed", 12), predictions(&sandbox, "whole", 12));
    assert_eq!(sandbox.json("sky/killed/combined_data.json").as_array().unwrap().len(), 12);
}

#[test]
fn ctrl_c_leaves_complete_objects_and_prints_how_to_resume() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 400);
    let run = started(&sandbox, "results");
    run.send(Signal::SIGINT);
    let (status, error) = run.end();
    assert_eq!(status.code(), Some(130), "{error}");
    assert!(error.contains("--resume"), "{error}");
    let report = sandbox.json("sky/results/report.json");
    let (done, left) = (report["tasks"].as_array().unwrap().len(), report["left"].as_array().unwrap().len());
    assert_eq!(done + left, 12);
    assert!(done >= 3 && left > 0, "{done} done, {left} left");
    let parts = std::fs::read_dir(sandbox.path("sky/results")).unwrap();
    let names: Vec<String> = parts.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains('#') && !name.starts_with('.')), "{names:?}");
    let payload = sandbox.payload(json!({ "file_limit": 12 }));
    sandbox.run(&payload).arg("--resume").assert().success();
}

/// A run that was started by `nohup` continues when its terminal closes.
#[test]
fn run_that_ignores_hangups_survives_them() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 400);
    let run = started_by(&sandbox, "results", &["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    run.send(Signal::SIGHUP);
    let (status, error) = run.end();
    assert!(status.success(), "{error}");
    assert_eq!(finished(&sandbox, "results"), 12);
}

/// `env` undoes what `nohup` did, if these tests run under it.
#[cfg(target_os = "linux")]
#[test]
fn hangup_stops_a_run_like_ctrl_c() {
    let sandbox = Sandbox::with_partitions("10MB", 12, 400);
    let run = started_by(&sandbox, "results", &["env", "--default-signal=HUP"]);
    // A terminal that closes may send the signal twice. The second one does not end the run without its report.
    run.send(Signal::SIGHUP);
    run.send(Signal::SIGHUP);
    let (status, error) = run.end();
    assert_eq!(status.code(), Some(130), "{error}");
    assert!(!sandbox.json("sky/results/report.json")["left"].as_array().unwrap().is_empty());
}

#[test]
fn concurrent_runs_need_different_result_paths() {
    let sandbox = Sandbox::with_partitions("10MB", 6, 60);
    let payloads: Vec<_> = ["a", "b"].map(|name| sandbox.payload(json!({ "result_path": name }))).into();
    let alone = sandbox.payload(json!({ "result_path": "alone" }));
    sandbox.run(&alone).assert().success();
    std::thread::scope(|scope| {
        for payload in &payloads {
            scope.spawn(|| sandbox.run(payload).assert().success());
        }
    });
    assert_eq!(predictions(&sandbox, "a", 6), predictions(&sandbox, "alone", 6));
    assert_eq!(predictions(&sandbox, "b", 6), predictions(&sandbox, "alone", 6));

    let same = sandbox.payload(json!({ "result_path": "same" }));
    let codes: Vec<bool> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| sandbox.run(&same).output().unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap().status.success()).collect()
    });
    assert_eq!(codes.iter().filter(|success| **success).count(), 1, "{codes:?}");
    assert_eq!(predictions(&sandbox, "same", 6), predictions(&sandbox, "alone", 6));
}

#[test]
fn summarize_rewrites_combined_records_and_reports_missing_tasks() {
    let sandbox = Sandbox::with_partitions("10MB", 4, 8);
    sandbox.run(&sandbox.payload(json!({}))).assert().success();
    let combined = sandbox.bytes("sky/results/combined_data.json");
    std::fs::remove_file(sandbox.path("sky/results/combined_data.json")).unwrap();
    cosmicai().arg("summarize").arg(sandbox.path("sky/results")).assert().success();
    assert_eq!(sandbox.bytes("sky/results/combined_data.json"), combined);

    std::fs::remove_file(sandbox.path("sky/results/tasks/2.json")).unwrap();
    let error = error_of(cosmicai().arg("summarize").arg(sandbox.path("sky/results")));
    assert!(error.contains("missing: 2;") && error.contains("--resume"), "{error}");
}

#[test]
fn invalid_payload_is_rejected_and_nothing_is_written() {
    let sandbox = Sandbox::with_partitions("10MB", 1, 4);
    for (changes, words) in [
        (json!({ "file_limt": 3 }), vec!["file_limt", "file_limit"]),
        (json!({ "file_limit": null }), vec!["file_limit", "missing"]),
        (json!({ "batch_size": "many" }), vec!["batch_size", "many"]),
        (json!({ "batch_size": 0 }), vec!["batch_size", "0"]),
        (json!({ "batch_size": [256] }), vec!["batch_size"]),
        (json!({ "order": "random" }), vec!["order", "natural"]),
        (json!({ "data_prefix": "20MB" }), vec!["20MB"]),
        (json!({ "data_bucket": "nowhere" }), vec!["nowhere"]),
        (json!({ "S3_object_name": "10MB/none" }), vec!["model"]),
        (json!({ "precision": "f8" }), vec!["precision", "f32"]),
    ] {
        let error = error_of(&mut sandbox.run(&sandbox.payload(changes.clone())));
        assert!(words.iter().all(|word| error.contains(word)), "{changes}: {error}");
        assert!(!sandbox.path("sky/results").exists(), "{changes} wrote something");
    }
}
