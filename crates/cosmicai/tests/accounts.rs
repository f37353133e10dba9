//! `cosmicai cost`, `forecast`, `report` and `run --budget`, on small runs and on the records of the CAI study (ignored
//! tests).

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Sandbox, cosmicai, error_of, reference_data};

fn json_of(command: &mut assert_cmd::Command) -> Value {
    let output = command.args(["--format", "json"]).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

/// Records in the CAI study's format, of `count` workers with partitions of 25 MB.
fn records(count: usize, seconds: f64) -> Value {
    let samples = 1_278.0;
    let record = |rank: usize| {
        json!({
            "total_cpu_time (seconds)": seconds,
            "total_cpu_memory (MB)": 17_865.562948,
            "total_process_memory (MB)": 1_720.11,
            "library_overhead_memory (MB)": 1_720.11 - 5.009765625 - 60.66470718383789,
            "total_image_memory (MB)": 5.009765625,
            "total_model_memory (MB)": 60.66470718383789,
            "execution_time (seconds/batch)": seconds / (samples / 256.0),
            "num_batches": 5,
            "batch_size": 256,
            "device": "cpu",
            "throughput_bps": samples * 20_520.0 * 8.0 / seconds,
            "sample_persec": samples / seconds,
            "result_path": "result-partition-25MB/step4_1GB/",
            "data_path": format!("25MB/{}.pt", rank + 1)
        })
    };
    (0..count).map(record).collect()
}

/// Row of 25 MB in the CAI study's table, from records with its means: 6.35 s and 1,720.11 MB of 42 workers.
#[test]
fn cost_reproduces_a_row_of_the_study() {
    let sandbox = Sandbox::new();
    sandbox.write("records.json", records(42, 6.35).to_string().as_bytes());
    let file = sandbox.path("records.json");
    let costs = json_of(cosmicai().arg("cost").arg(&file).args(["--total-seconds", "25.8"]));
    let study = &costs["study"];
    let rounded = |key: &str, decimals: usize| format!("{:.decimals$}", study[key].as_f64().unwrap());
    assert_eq!(study["files"], 42);
    assert_eq!(rounded("data_gb", 2), "1.03");
    assert_eq!(rounded("runtime_s_mean", 2), "6.35");
    assert_eq!(rounded("memory_mb_mean", 2), "1720.11");
    assert_eq!(rounded("cost_usd", 4), "0.0075");
    assert_eq!(rounded("throughput_gb_per_s", 4), "0.1615");
    assert_eq!(rounded("performance_efficiency", 2), "21.62");
    // 42 functions of 10,240 MB, each billed for its loop, for 7.26 s of start-up and for fetching 86 MB.
    let lines = costs["bill"]["lines"].as_array().unwrap();
    let total: f64 = lines.iter().map(|line| line["amount_usd"].as_f64().unwrap()).sum();
    assert!((total - costs["bill"]["total_usd"].as_f64().unwrap()).abs() < 1e-12);
    assert!((0.09..0.12).contains(&total), "{total}");
    for line in lines {
        let amount = line["quantity"].as_f64().unwrap() * line["usd_per_unit"].as_f64().unwrap();
        assert!((amount - line["amount_usd"].as_f64().unwrap()).abs() < 1e-9, "{line}");
        assert!(line["source"].as_str().unwrap().starts_with("https://") && line["read"].as_str().unwrap().len() >= 7);
    }
    let ways: Vec<&str> =
        costs["throughput"].as_array().unwrap().iter().map(|way| way["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["sum_of_workers", "map", "end_to_end"]);
    let end_to_end = costs["throughput"][2]["gb_per_s"].as_f64().unwrap();
    assert!((end_to_end - 42.0 * 1_278.0 * 20_520.0 / 1_073_741_824.0 / 25.8).abs() < 1e-9);
    assert!(costs["throughput"][1]["gb_per_s"].is_null(), "the duration of the Map is unknown");
}

/// Record after `gb` GB as the CAI study's script for a cluster writes it: all counts from the start of the process.
fn step(gb: u64, images_per_s: f64, device: &str) -> Value {
    let (batches, batch_size) = (103 * gb, 512);
    let images = (batches * batch_size) as f64;
    let seconds = images / images_per_s;
    json!({
        "total_execution_time (seconds)": seconds,
        "total_process_memory (MB)": 1_600.0,
        "num_batches": batches,
        "batch_size": batch_size,
        "device": device,
        "GB_processed": gb,
        "execution_time_per_batch": seconds / batches as f64,
        "throughput_bps": images * 20_520.0 * 8.0 / seconds,
        "sample_persec": [images / seconds],
    })
}

#[test]
fn total_json_of_a_cluster_is_one_run_of_its_last_step() {
    let sandbox = Sandbox::new();
    let steps: Value = (1..=1_024).map(|gb| step(gb, 250.0, "cpu")).collect();
    sandbox.write("total.json", steps.to_string().as_bytes());
    let file = sandbox.path("total.json");
    let costs = json_of(cosmicai().arg("cost").arg(&file));
    assert_eq!((&costs["executor"], &costs["study"]["files"]), (&json!("slurm"), &json!(1)));
    assert_eq!(costs["study"]["data_gb"], 1_024.0);
    let seconds = 1_024.0 * 103.0 * 512.0 / 250.0;
    assert_eq!(costs["study"]["runtime_s_mean"], seconds);
    assert!((costs["throughput"][0]["images_per_s"].as_f64().unwrap() - 250.0).abs() < 1e-9);
    let findings = json_of(cosmicai().arg("audit").arg(&file));
    assert_eq!(findings["findings"], json!([]));
    let mut wrong = steps;
    wrong[3]["sample_persec"] = json!([250.0, 251.0]);
    sandbox.write("total.json", wrong.to_string().as_bytes());
    for command in ["cost", "audit"] {
        let error = error_of(cosmicai().arg(command).arg(&file));
        assert!(error.contains("record 3 of 1024") && error.contains("`sample_persec` is a list of 2"), "{error}");
    }
}

#[test]
fn jobs_of_a_cluster_are_workers() {
    let sandbox = Sandbox::new();
    for job in 0..12_u64 {
        let files: Value = (0..2)
            .map(|file| {
                let mut stats = step(1, 250.0 + file as f64, "cuda");
                stats.as_object_mut().unwrap().remove("GB_processed");
                json!({ "file_index": 2 * job + file, "stats": stats })
            })
            .collect();
        sandbox.write(&format!("jobs/job_{job}.json"), files.to_string().as_bytes());
    }
    let folder = sandbox.path("jobs");
    let costs = json_of(cosmicai().arg("cost").arg(&folder));
    assert_eq!((&costs["executor"], &costs["study"]["files"]), (&json!("slurm"), &json!(24)));
    assert_eq!(costs["bill"]["lines"][0]["unit"], "accelerator hour");
    let rate = costs["throughput"][0]["images_per_s"].as_f64().unwrap();
    assert!((12.0 * 250.0..12.0 * 251.0).contains(&rate), "workers read their files one after the other: {rate}");
    let findings = json_of(cosmicai().arg("audit").arg(&folder));
    assert_eq!(findings["findings"], json!([]));
    sandbox.write("jobs/job_99.json", &std::fs::read(sandbox.path("jobs/job_3.json")).unwrap());
    let output = cosmicai().arg("audit").arg(&folder).assert().code(4).get_output().stdout.clone();
    assert!(String::from_utf8(output).unwrap().contains("duplicate_file"));
}

#[test]
fn report_compares_kinds_of_machines() {
    let sandbox = Sandbox::new();
    for (name, rate, device) in [("cpu", 250.0, "cpu"), ("cuda", 9_000.0, "cuda")] {
        let steps: Value = (1..=8).map(|gb| step(gb, rate, device)).collect();
        sandbox.write(&format!("{name}/total.json"), steps.to_string().as_bytes());
    }
    sandbox.write("lambda.json", records(42, 6.35).to_string().as_bytes());
    sandbox.write("laptop.json", local_records(51_130.0, 400.0, 512).to_string().as_bytes());
    let inputs = ["cpu/total.json", "cuda/total.json", "lambda.json", "laptop.json"].map(|name| sandbox.path(name));
    let out = sandbox.path("report");
    cosmicai().arg("report").args(&inputs).arg("--out").arg(&out).assert().success();
    let plot = std::fs::read_to_string(out.join("pictures/machines-by-data.svg")).unwrap();
    for kind in ["one machine", "HPC CPU, one process", "HPC GPU, one process", "cloud (Lambda)"] {
        assert!(plot.contains(kind), "{kind} is missing");
    }
    let rows: Value = serde_json::from_slice(&std::fs::read(out.join("comparison.json")).unwrap()).unwrap();
    let trimmed = rows["rows"].as_array().unwrap().iter().map(|row| row["task_s_mean_trimmed"].as_f64().unwrap());
    assert_eq!(trimmed.count(), 4);
}

#[test]
fn prices_and_assumptions_can_be_replaced() {
    let sandbox = Sandbox::new();
    sandbox.write("records.json", records(10, 6.0).to_string().as_bytes());
    let file = sandbox.path("records.json");
    let table = cosmicai().args(["cost", "--print-prices"]).assert().success().get_output().stdout.clone();
    let table = String::from_utf8(table).unwrap();
    let doubled = table.replace("usd = 0.0000166667", "usd = 0.0000333334");
    assert_ne!(doubled, table);
    sandbox.write("prices.toml", doubled.as_bytes());
    let amount = |arguments: &[&str]| {
        let costs = json_of(cosmicai().arg("cost").arg(&file).args(arguments));
        costs["bill"]["lines"][0]["amount_usd"].as_f64().unwrap()
    };
    let plain = amount(&[]);
    let prices = sandbox.path("prices.toml").display().to_string();
    assert!((amount(&["--prices", &prices]) / plain - 2.0).abs() < 1e-9);
    assert!((amount(&["--assume", "memory_mb=5120"]) / plain - 0.5).abs() < 0.01);
    assert_eq!(amount(&["--free-tier"]), 0.0);

    let wrong = |arguments: &[&str]| error_of(cosmicai().arg("cost").arg(&file).args(arguments));
    assert!(wrong(&["--assume", "memory=1"]).contains("the names are memory_mb"));
    sandbox.write("wrong.toml", b"format_version = 7");
    let path = sandbox.path("wrong.toml").display().to_string();
    assert!(wrong(&["--prices", &path]).contains("wrong.toml"));
    let missing = sandbox.path("nothing.json");
    assert!(error_of(cosmicai().arg("cost").arg(&missing)).contains("nothing.json"));
    sandbox.write("bad.json", b"[{\"data_path\": 3, \"throughput_bps\": \"x\"}]");
    assert!(error_of(cosmicai().arg("cost").arg(sandbox.path("bad.json"))).contains("record 0 of 1"));
}

#[test]
fn cost_and_report_of_a_local_run() {
    let sandbox = Sandbox::with_partitions("10MB", 3, 12);
    sandbox.run(&sandbox.payload(json!({}))).assert().success();
    let results = sandbox.path("sky/results");
    let costs = json_of(cosmicai().arg("cost").arg(&results));
    assert_eq!((&costs["executor"], &costs["study"]["files"]), (&json!("local"), &json!(3)));
    assert_eq!(costs["bill"]["total_usd"], 0.0);
    assert!(costs["throughput"][2]["images_per_s"].as_f64().unwrap() > 0.0);

    let out = sandbox.path("report");
    let printed = json_of(cosmicai().arg("report").arg(&results).arg("--out").arg(&out).args(["--title", "<b>A & B"]));
    assert_eq!(printed["findings"], 0);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<h1>&lt;b&gt;A &amp; B</h1>"));
    // The page makes no requests and runs no scripts.
    for forbidden in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("Tasks over time") && page.contains("Time of the workers by phase"));
    for name in ["report.md", "comparison.json", "workers.csv", "pictures/timeline-1.svg", "pictures/timeline-1.png"] {
        assert!(out.join(name).metadata().unwrap().len() > 100, "{name}");
    }
    let facts: Value = serde_json::from_slice(&std::fs::read(out.join("comparison.json")).unwrap()).unwrap();
    assert_eq!((&facts["format_version"], &facts["rows"][0]["files"]), (&json!(1), &json!(3)));

    // A report of the same run with the first as baseline: one run is not enough for a verdict.
    let again = sandbox.path("again");
    let baseline = out.join("comparison.json");
    json_of(cosmicai().arg("report").arg(&results).arg("--out").arg(&again).arg("--baseline").arg(&baseline));
    let facts: Value = serde_json::from_slice(&std::fs::read(again.join("comparison.json")).unwrap()).unwrap();
    assert_eq!(facts["changes"]["changed"][0]["verdict"], "not repeated");
    assert_eq!(facts["changes"]["new"], json!([]));
    assert_eq!(facts["changes"]["gone"], json!([]));
}

/// Rows of the CAI study's table for which the raw records are available.
#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn report_reproduces_rows_of_the_study() {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| reference_data(&format!("study/records/{name}.json"));
    let names = ["100MB-1File-32", "10MB-1GB-256", "100MB-1GB-256"];
    json_of(cosmicai().arg("report").args(names.map(file)).arg("--out").arg(out.path()));
    let csv = std::fs::read_to_string(out.path().join("workers.csv")).unwrap();
    for row in [
        "10,105,3.33,\"1,186.80\",1.03,0.0068,0.3080,256,–,45.61,",
        "100,1,225.48,\"2,738.23\",0.10,0.0101,0.0004,32,–,0.04,",
        "100,11,24.07,\"4,313.57\",1.07,0.0186,0.0446,256,–,2.40,",
    ] {
        assert!(csv.contains(row), "{row} is not in\n{csv}");
    }
    let header = csv.lines().next().unwrap();
    assert!(header.contains("Bill ($)") && header.contains("End to end (GB/s)"), "{header}");
}

#[test]
fn forecast_meets_the_deadline_and_lists_its_assumptions() {
    let sandbox = Sandbox::new();
    sandbox.write("records.json", records(42, 6.35).to_string().as_bytes());
    let file = sandbox.path("records.json");
    let forecast = |arguments: &[&str]| {
        json_of(cosmicai().args(["forecast", "--from"]).arg(&file).args(["--data-size", "12.6GB"]).args(arguments))
    };
    let found = forecast(&[]);
    let front = found["front"].as_array().unwrap();
    assert!(front.len() > 1);
    let median = |one: &Value, what: &str| one[what]["median"].as_f64().unwrap();
    assert!(front.windows(2).all(|pair| median(&pair[0], "seconds") <= median(&pair[1], "seconds")));
    assert!(found["assumptions"].as_array().unwrap().len() > 20);
    assert_eq!(forecast(&[]), found, "the same seed gives another forecast");
    assert_ne!(forecast(&["--seed", "1"])["front"], found["front"]);

    let kept = forecast(&["--deadline", "2m"]);
    assert!(kept["best"]["seconds"]["high"].as_f64().unwrap() <= 120.0);
    assert!(median(&kept["best"], "usd") <= median(&front[0], "usd"));
    let cheap = forecast(&["--budget", "0.7"]);
    assert!(cheap["best"]["usd"]["high"].as_f64().unwrap() <= 0.7);
    let mut hopeless = cosmicai();
    hopeless.args(["forecast", "--from"]).arg(&file).args(["--data-size", "12.6GB", "--deadline", "1s"]);
    assert!(error_of(&mut hopeless).contains("no setting keeps"));

    // A petabyte needs more than one execution.
    let found = json_of(cosmicai().args(["forecast", "--from"]).arg(&file).args([
        "--data-size",
        "1PB",
        "--partition-mb",
        "100",
    ]));
    let best = &found["best"];
    let of_work = |key: &str| best["work"][key].as_u64().unwrap();
    assert!(of_work("executions") > 10 && of_work("tasks") <= of_work("executions") * 10_000, "{best}");
    assert!(of_work("files") <= of_work("executions") * 1_000_000, "{best}");
    assert!(best["slowest_task_seconds"]["median"].as_f64().unwrap() < 900.0);
    // 2.7 million function hours of 10 GB, at one sixtieth of a dollar per 1,000 GB·s, cost hundreds of thousands of
    // USD.
    assert!(median(best, "usd") > 1e4);
}

#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn validates_the_forecast_on_the_study_and_plots_it() {
    let out = tempfile::tempdir().unwrap();
    let plot = out.path().join("forecast.svg");
    let mut command = cosmicai();
    command
        .arg("validate-forecast")
        .args(["study/worker_times.csv", "study/total_execution_time.csv"].map(reference_data));
    let replay = json_of(command.arg("--plot").arg(&plot));
    assert_eq!(replay["forecast"].as_array().unwrap().len(), 28);
    assert!(replay["fitted_on"].as_u64().unwrap() <= 7);
    assert!(replay["median_error"].as_f64().unwrap() <= 0.20 && replay["largest_error"].as_f64().unwrap() <= 0.60);
    assert!(std::fs::read_to_string(plot).unwrap().contains("forecast total time"));
}

#[test]
fn forecast_of_a_payload_matches_its_plan() {
    let sandbox = Sandbox::with_partitions("10MB", 8, 12);
    sandbox.run(&sandbox.payload(json!({"result_path": "measured/"}))).assert().success();
    let measured = sandbox.path("sky/measured").display().to_string();
    let forecast = |payload: &Path, more: &[&str]| {
        let mut command = cosmicai();
        command.arg("forecast").arg(payload).arg("--store").arg(sandbox.folder.path()).args(["--from", &measured]);
        json_of(command.args(more))
    };
    let tasks = |found: &Value| found["as_asked"]["work"]["tasks"].as_u64().unwrap();
    let local = ["--executor", "local"];
    let each = forecast(&sandbox.payload(json!({})), &local);
    assert_eq!((tasks(&each), &each["executor"]), (8, &json!("local")));
    assert_eq!(tasks(&forecast(&sandbox.payload(json!({"world_size": 3})), &local)), 3);
    // No setting is faster than all cores of this machine.
    let rate = each["rates"][0]["images_per_s"].as_f64().unwrap() / each["rates"][0]["threads"].as_f64().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    for one in each["front"].as_array().unwrap() {
        let at_once = one["worker_images_per_s"].as_f64().unwrap() * one["setting"]["concurrency"].as_f64().unwrap();
        assert!(at_once <= rate * cores * 1.001, "{one}");
    }
    assert!(tasks(&forecast(&sandbox.payload(json!({})), &["--executor", "slurm"])) == 8);
    assert!(tasks(&forecast(&sandbox.payload(json!({})), &[])) == 8);

    let wrong = |more: &[&str]| {
        let mut command = cosmicai();
        error_of(command.args(["forecast", "--data-size", "1GB", "--from", &measured]).args(more))
    };
    assert!(wrong(&["--memory-mb", "20000"]).contains("Lambda offers 128 to 10240"));
    assert!(wrong(&["--assume", "concurrency=0"]).contains("from 1 to"));
}

/// Writes prices at which an hour of this machine costs `usd_per_hour`, so that a run of seconds has a cost.
fn prices_with_local_hour(sandbox: &Sandbox, usd_per_hour: f64) -> String {
    let table = cosmicai().args(["cost", "--print-prices"]).assert().success().get_output().stdout.clone();
    let table = String::from_utf8(table).unwrap();
    let (before, after) = table.split_once("[local_hour]").unwrap();
    let after = after.replacen("usd = 0.0", &format!("usd = {usd_per_hour}"), 1);
    sandbox.write("prices.toml", format!("{before}[local_hour]{after}").as_bytes());
    sandbox.path("prices.toml").display().to_string()
}

#[test]
fn run_does_not_start_if_the_forecast_exceeds_the_budget() {
    let sandbox = Sandbox::with_partitions("10MB", 3, 12);
    sandbox.run(&sandbox.payload(json!({"result_path": "measured/"}))).assert().success();
    let measured = sandbox.path("sky/measured").display().to_string();
    let prices = prices_with_local_hour(&sandbox, 3_600.0);
    let payload = sandbox.payload(json!({}));
    let mut command = sandbox.run(&payload);
    command.args(["--budget", "0.0001", "--prices", &prices, "--forecast-from", &measured]);
    let error = error_of(&mut command);
    assert!(error.contains("above --budget 0.000100") && error.contains("so the run was not started"), "{error}");
    assert!(!sandbox.path("sky/results").exists());
    let mut command = sandbox.run(&payload);
    command.args(["--budget", "1", "--forecast-from", &measured]);
    assert!(error_of(&mut command).contains("is 0 in the table of prices"));

    // Within the budget, the report has the forecast and the actual cost.
    let mut command = sandbox.run(&payload);
    command.args(["--budget", "1000", "--prices", &prices, "--forecast-from", &measured]);
    let printed = json_of(&mut command);
    let forecast = &printed["report"]["forecast"];
    let seconds = printed["report"]["seconds"].as_f64().unwrap();
    assert!((forecast["usd_actual"].as_f64().unwrap() - seconds).abs() < 1e-9, "one USD per second: {forecast}");
    // This time includes planning and reading the model, which the run's own time does not.
    assert!(forecast["seconds_actual"].as_f64().unwrap() >= seconds);
    assert_eq!(forecast["budget_usd"], 1_000.0);
    assert_eq!(sandbox.json("sky/results/report.json")["forecast"], *forecast);
}

/// The records state a much faster machine, so the forecast is within the budget but the run is not.
#[test]
fn run_stops_when_it_exceeds_its_budget_and_can_be_resumed() {
    let sandbox = Sandbox::with_partitions("10MB", 40, 400);
    let mut fast = records(12, 6.35e-6);
    for record in fast.as_array_mut().unwrap() {
        record["throughput_bps"] = json!(1e15);
    }
    sandbox.write("fast.json", fast.to_string().as_bytes());
    let fast = sandbox.path("fast.json").display().to_string();
    let prices = prices_with_local_hour(&sandbox, 3_600.0);
    let payload = sandbox.payload(json!({"file_limit": 40}));
    let mut command = sandbox.run(&payload);
    // The forecast includes 0.4 s for the plan and the model, and the time to summarize 40 records.
    command.args(["--budget", "0.9", "--prices", &prices, "--forecast-from", &fast, "--threads", "1"]);
    let output = command.assert().code(1).get_output().clone();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        messages.contains("is above --budget") && messages.contains("--budget 0.9") && messages.contains("--resume"),
        "{messages}"
    );
    let report = sandbox.json("sky/results/report.json");
    assert!(!report["left"].as_array().unwrap().is_empty());
    assert!(report["forecast"]["usd_actual"].as_f64().unwrap() > 0.9);
    // The report keeps the time of earlier executions after the run is resumed twice.
    sandbox.run(&payload).arg("--resume").assert().success();
    sandbox.run(&payload).arg("--resume").assert().success();
    assert_eq!(sandbox.json("sky/results/combined_data.json").as_array().unwrap().len(), 40);
    let last = sandbox.json("sky/results/report.json");
    let (first, before, here) = (&report["seconds"], &last["seconds_before"], &last["seconds"]);
    let [first, before, here] = [first, before, here].map(|seconds| seconds.as_f64().unwrap());
    assert!(before > first, "{before} s before the last execution, but the first one took {first} s");
    let mut command = cosmicai();
    let costs = json_of(command.args(["cost", "--prices", &prices]).arg(sandbox.path("sky/results")));
    let [total, map, bill] =
        [&costs["throughput"][2]["seconds"], &costs["throughput"][1]["seconds"], &costs["bill"]["total_usd"]]
            .map(|value| value.as_f64().unwrap());
    assert!(
        (total - before - here).abs() < 1e-9 && (bill - total).abs() < 1e-9,
        "one USD per second: {bill} for {total} s"
    );
    assert!(map < total, "{map} s of tasks in {total} s");
}

/// Records like those of the CAI study's script for one machine, without paths and without the memory of the process.
fn local_records(samples: f64, seconds: f64, batch_size: usize) -> Value {
    json!([{
        "total_cpu_time (seconds)": seconds,
        "total_cpu_memory (MB)": samples * 20.2,
        "execution_time (seconds/batch)": seconds / (samples / batch_size as f64),
        "num_batches": (samples / batch_size as f64).ceil(),
        "batch_size": batch_size,
        "device": "cpu",
        "throughput_bps": samples * 20_520.0 * 8.0 / seconds,
        "sample_persec": samples / seconds,
    }])
}

#[test]
fn report_reproduces_the_table_of_the_study_for_one_machine() {
    let sandbox = Sandbox::new();
    for (batch, seconds) in [(32, 58.2933463), (256, 40.8175005)] {
        let records = local_records(5_113.0, seconds, batch).to_string();
        sandbox.write(&format!("local-{batch}.json"), records.as_bytes());
    }
    sandbox.write("lambda.json", records(1, 21.0).to_string().as_bytes());
    let mut graphics = records(1, 2.3);
    graphics[0]["device"] = json!("cuda");
    sandbox.write("cuda.json", graphics.to_string().as_bytes());
    let files = ["local-32.json", "local-256.json", "lambda.json", "cuda.json"].map(|name| sandbox.path(name));
    cosmicai().arg("report").args(&files).arg("--out").arg(sandbox.path("out")).assert().success();
    let table = String::from_utf8(sandbox.bytes("out/one-process.csv")).unwrap();
    // The CAI study's column of GB/s contains Gbit/s: 0.0144 and 0.0206.
    for row in [
        ",0.10,58.29,\"103,282.6\",0.0017,32,0.0144,",
        ",0.10,40.82,\"103,282.6\",0.0024,256,0.0206,",
        "1720,1,\"local, cuda\"",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert_eq!(table.lines().count(), 4, "{table}");
    let workers = String::from_utf8(sandbox.bytes("out/workers.csv")).unwrap();
    assert_eq!(workers.lines().count(), 2, "{workers}");

    // A message states the assumed executor, and an option overrides it.
    let output = cosmicai().arg("cost").arg(&files[0]).assert().success().get_output().clone();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(messages.contains("assumed to be a run on one machine") && messages.contains("--executor"), "{messages}");
    let costs = json_of(cosmicai().arg("cost").arg(&files[0]).args(["--executor", "step-functions"]));
    assert_eq!(costs["executor"], "step-functions");
    assert!(costs["bill"]["total_usd"].as_f64().unwrap() > 0.0);
    assert!(error_of(cosmicai().arg("cost").arg(&files[0]).args(["--executor", "moon"])).contains("step-functions"));
    let mut command = cosmicai();
    command.args(["forecast", "--data-size", "1GB", "--from"]).arg(&files[3]);
    assert!(error_of(&mut command).contains("`cuda`"));
}

#[test]
fn cost_warns_about_inconsistent_records() {
    let sandbox = Sandbox::new();
    let mut two = records(4, 6.0).as_array().unwrap().clone();
    two.extend(records(4, 6.1).as_array().unwrap().iter().cloned().map(|mut record| {
        record["batch_size"] = json!(512);
        record
    }));
    sandbox.write("two.json", Value::Array(two).to_string().as_bytes());
    let mut command = cosmicai();
    let output = command.arg("cost").arg(sandbox.path("two.json")).args(["--format", "json"]).assert().success();
    let messages = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(messages.contains("doubtful") && messages.contains("mixed_batch_size"), "{messages}");
    let costs: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let codes: Vec<&str> =
        costs["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"mixed_batch_size") && codes.contains(&"duplicate_file"), "{codes:?}");
    cosmicai().arg("report").arg(sandbox.path("two.json")).arg("--out").arg(sandbox.path("out")).assert().success();
    assert!(String::from_utf8(sandbox.bytes("out/workers.csv")).unwrap().contains(",mixed,"));
    let total = |value: &str| format!("{}={value}", sandbox.path("two.json").display());
    let mut command = cosmicai();
    command.arg("report").arg(sandbox.path("two.json")).arg("--out").arg(sandbox.path("out"));
    command.args(["--total-seconds", &total("30"), "--total-seconds", &total("40")]);
    assert!(error_of(&mut command).contains("named twice"));
}

/// A run of 0.1 GB is cheaper and faster than a run of 1 GB, but they are not comparable.
#[test]
fn pareto_front_compares_runs_of_one_data_size() {
    let sandbox = Sandbox::new();
    for (name, files, seconds) in [("small", 4, 6.0), ("large", 41, 6.1), ("large-slow", 42, 9.0)] {
        sandbox.write(&format!("{name}.json"), records(files, seconds).to_string().as_bytes());
    }
    let files = ["small.json", "large.json", "large-slow.json"].map(|name| sandbox.path(name));
    cosmicai().arg("report").args(&files).arg("--out").arg(sandbox.path("out")).assert().success();
    let page = String::from_utf8(sandbox.bytes("out/report.html")).unwrap();
    assert!(
        page.contains("Pareto-optimal for its data size: 2 points."),
        "expected the small run and the faster large run: {page}"
    );
}
