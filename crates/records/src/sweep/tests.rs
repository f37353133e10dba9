use serde_json::{Value, json};

use super::*;

/// Makes a line with `value` at `key`, which may be a path such as `phases.read`.
fn line(key: &str, value: Value) -> Vec<u8> {
    let mut line = json!({
        "format_version": SWEEP_FORMAT, "sweep": "s", "sweep_sha256": "ab", "experiment": "e", "point": 0,
        "repeat": 1,
        "settings": {
            "executor": "local", "batch_size": 8, "partition_mb": 0.25, "file_limit": 2, "precision": "f32",
            "memory_mb": 512.0,
        },
        "run_id": "r", "results_url": "file:///r/", "program": "cosmicai", "commit": "",
        "machine": { "arch": "x86_64", "os": "linux", "cores": 2 }, "isa": "avx2",
        "started": "2026-11-25T16:36:12.438Z", "finished": "2026-11-25T16:36:23.043Z",
        "seconds": 10.6, "map_seconds": 10.5, "tasks": 2, "tasks_finished": 2, "samples": 24, "bytes": 492_192,
        "runtime_seconds_mean": 5.0, "memory_mb_mean": 100.0, "memory_mb_peak": 101.0, "allocated_mb": 3.0,
        "task_seconds": [5.0, 5.0],
        "phases": { "init": 0.0, "list": 0.0, "read": 1.0, "decode": 1.0, "infer": 8.0, "write": 0.0 },
        "cpu_seconds": 10.0,
    });
    let pointer = format!("/{}", key.replace('.', "/"));
    *line.pointer_mut(&pointer).unwrap_or_else(|| panic!("no {key}")) = value;
    line.to_string().into_bytes()
}

#[test]
fn rejects_impossible_numbers_and_names_the_key() {
    assert!(SweepPoint::parse(&line("seconds", json!(0.001))).is_ok());
    for key in ["seconds", "settings.partition_mb", "settings.memory_mb"] {
        for value in [json!(0.0), json!(-1.5)] {
            let error = SweepPoint::parse(&line(key, value)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{key}` is ")) && error.contains("expected more than 0"), "{error}");
        }
    }
    for key in [
        "map_seconds",
        "runtime_seconds_mean",
        "memory_mb_mean",
        "memory_mb_peak",
        "allocated_mb",
        "cpu_seconds",
        "phases.init",
        "phases.list",
        "phases.read",
        "phases.decode",
        "phases.infer",
        "phases.write",
    ] {
        assert!(SweepPoint::parse(&line(key, json!(0.0))).is_ok(), "{key}");
        let error = SweepPoint::parse(&line(key, json!(-0.1))).unwrap_err().to_string();
        assert_eq!(error, format!("`{key}` is -0.1; expected 0 or more"));
    }
    for (key, value, words) in [
        ("task_seconds", json!([5.0, -5.0]), "`task_seconds` is -5; expected 0 or more"),
        ("repeat", json!(0), "`repeat` is 0; expected 1 or more"),
        ("settings.batch_size", json!(0), "`settings.batch_size` is 0"),
        ("samples", json!(0), "`samples` is 0, but `tasks_finished` is 2"),
        ("tasks_finished", json!(3), "`tasks_finished` is 3; expected at most 2, the value of `tasks`"),
    ] {
        let error = SweepPoint::parse(&line(key, value)).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // JSON has no infinity, and the parser rejects numbers that overflow to it.
    let text = String::from_utf8(line("seconds", json!(12345.5))).unwrap().replace("12345.5", "1e999");
    assert!(SweepPoint::parse(text.as_bytes()).is_err());
}
