//! `cosmicai bench`: its output and invalid options.

mod support;

use serde_json::Value;
use support::{Sandbox, cosmicai, error_of};

/// Command that measures a small model for a short time.
fn bench(sandbox: &Sandbox, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = cosmicai();
    command.env("TMPDIR", sandbox.path("")).args(["bench", "--seconds", "0.03", "--model"]).arg(sandbox.model());
    command.args(arguments);
    command
}

fn entries(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.path("")).unwrap().count()
}

#[test]
fn record_has_the_requested_rates_and_profile() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("record/machine.json");
    let mut command =
        bench(&sandbox, &["--threads", "1,2", "--batch", "8,1", "--profile", "--format", "json", "--out"]);
    let printed = command.arg(&out).assert().success();
    let record: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!(record, sandbox.json("record/machine.json"));
    assert_eq!(entries(&sandbox), 2, "expected only the bucket of the model and the record");

    assert_eq!(record["format_version"], 1);
    for key in ["arch", "os", "cores", "isa", "features"] {
        assert!(!record["machine"][key].is_null(), "{key}: {}", record["machine"]);
    }
    assert!(record["command"].as_str().unwrap().starts_with("cosmicai bench --precision f32"), "{}", record["command"]);
    assert!(record["first_result_ms"].as_f64().unwrap() > 0.0);

    let precisions: Vec<&str> =
        record["checks"].as_array().unwrap().iter().map(|check| check["precision"].as_str().unwrap()).collect();
    assert_eq!(precisions[0], "f32");
    assert!(record["checks"][0]["largest_difference"].as_f64().unwrap() <= 1e-5);

    let measurements = record["measurements"].as_array().unwrap();
    let order: Vec<(&str, u64, u64)> = measurements
        .iter()
        .map(|m| (m["precision"].as_str().unwrap(), m["threads"].as_u64().unwrap(), m["batch"].as_u64().unwrap()))
        .collect();
    let expected =
        precisions.iter().flat_map(|precision| [1, 2].map(|threads| [8, 1].map(|b| (*precision, threads, b))));
    assert_eq!(order, expected.flatten().collect::<Vec<_>>());
    for measurement in measurements {
        let number = |key: &str| measurement[key].as_f64().unwrap();
        let percent_of_peak = number("percent_of_peak");
        assert!(percent_of_peak > 0.0 && percent_of_peak < 110.0, "{measurement}");
        let operations = number("gflop_per_s") * 1e3 / number("images_per_s");
        let expected = record["model"]["mflop_per_image"].as_f64().unwrap();
        assert!((operations / expected - 1.0).abs() < 0.01, "{operations} and {expected}: {measurement}");
        assert!(number("memory_peak_mb") > 1.0 && number("peak_gflop_per_s") > 0.0, "{measurement}");
    }
    for precision in &precisions {
        let peaks = &record["peaks"][precision];
        assert!(peaks["gflop_per_s_1_thread"].is_number() && peaks["gflop_per_s_2_threads"].is_number(), "{peaks}");
    }

    let parts: Vec<&Value> =
        record["profile"].as_array().unwrap().iter().filter(|part| part["precision"] == "f32").collect();
    assert_eq!((&parts[0]["part"], &parts[1]["part"]), (&"read".into(), &"decode".into()));
    assert_eq!(parts.len(), 2 + astromae::Part::ALL.len());
    let share: f64 = parts.iter().map(|part| part["share_percent"].as_f64().unwrap()).sum();
    assert!((share - 100.0).abs() < 0.1, "{share}");
    assert!(parts[0]["percent_of_peak"].is_null() && parts[2]["percent_of_peak"].is_number(), "{parts:?}");
}

#[test]
fn text_output_is_a_table_with_the_chosen_instruction_set() {
    let sandbox = Sandbox::new();
    let mut command = bench(&sandbox, &["--precision", "f32", "--threads", "1", "--batch", "2", "--isa", "scalar"]);
    let printed = command.assert().success();
    let table = String::from_utf8_lossy(&printed.get_output().stdout);
    for expected in ["images/s", "% of peak", "scalar", "off float64", "first result"] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn rejects_invalid_options_and_states_expected_values() {
    let sandbox = Sandbox::new();
    for (arguments, expected) in [
        (["--precision", "f31"], "`f31` is unknown; available: f32"),
        (["--threads", "0"], "1..=1024"),
        (["--batch", "5000"], "1..=4096"),
        (["--seconds", "-1"], "above 0 and up to 600"),
        (["--isa", "mmx"], "`mmx` is unknown; available here:"),
    ] {
        let error = error_of(cosmicai().arg("bench").args([arguments[0].to_owned() + "=" + arguments[1]]));
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    sandbox.write("no-model.pt", b"not a model");
    let mut command = cosmicai();
    command.env("TMPDIR", sandbox.path("")).args(["bench", "--model"]).arg(sandbox.path("no-model.pt"));
    let error = error_of(&mut command);
    assert!(error.contains("no-model.pt"), "{error}");
    let mut command = bench(&sandbox, &["--out", "s3://bucket/record.json"]);
    assert!(error_of(&mut command).contains("expected a file of this machine"));
    assert_eq!(entries(&sandbox), 2);
}
