use records::plan::{FileIdentity, ModelIdentity};
use records::report::{PhaseSeconds, StoreRequests, TaskReport};
use serde_json::json;

use super::*;
use crate::s3_requests::S3Requests;
use crate::{MB, SAMPLE_BYTES};

fn run(records: Vec<Record>) -> MeasuredRun {
    MeasuredRun {
        name: "run".into(),
        records,
        written: Vec::new(),
        report: None,
        plan: None,
        stated: Stated::default(),
    }
}

/// Record of 2 s with this number of samples in its throughput.
fn record(path: Option<&str>, samples: f64) -> Record {
    Record {
        seconds: Some(2.0),
        throughput_bps: Some(samples * SAMPLE_BYTES * 8.0 / 2.0),
        data_path: path.map_or(json!(null), |path| json!(path)),
        ..Record::default()
    }
}

fn stated(run: &MeasuredRun, stated: Stated) -> MeasuredRun {
    MeasuredRun { stated, ..run.clone() }
}

fn gb(mb: f64) -> Option<f64> {
    Some(mb / MB_PER_GB)
}

fn task(rank: usize, files: usize, started: &str, finished: &str) -> TaskReport {
    let file = |number| FileIdentity {
        key: format!("25MB/{number}.pt"),
        bytes: 1,
        e_tag: None,
        modified: None,
        objects: None,
    };
    TaskReport {
        format_version: 1,
        run_id: "run".into(),
        rank,
        model_sha256: String::new(),
        files: (0..files).map(file).collect(),
        batch_size: 256,
        precision: "float32".into(),
        isa: "avx2".into(),
        threads: 1,
        samples: 10,
        bytes: 100,
        bytes_fetched: 100,
        flagged: Default::default(),
        queued: started.into(),
        started: started.into(),
        finished: finished.into(),
        seconds: PhaseSeconds::default(),
        cpu_seconds: 1.0,
        memory_peak_mb: 100.0,
        attempts: 1,
        warm: false,
        requests: None,
        predictions_sha256: None,
    }
}

/// Report of an execution of 30 s after earlier ones of `seconds_before`.
fn report(tasks: Vec<TaskReport>, executor: ExecutorKind, seconds_before: f64) -> RunReport {
    RunReport {
        format_version: 1,
        run_id: "run".into(),
        results_url: String::new(),
        model: ModelIdentity { url: String::new(), sha256: String::new(), bytes: 1 },
        executor,
        machine: serde_json::from_value(json!({ "arch": "x86_64", "os": "linux", "cores": 2 })).unwrap(),
        isa: "avx2".into(),
        precision: "float32".into(),
        workers: 1,
        threads: 1,
        started: "2026-11-25T10:00:00Z".into(),
        finished: "2026-11-25T10:00:30Z".into(),
        seconds: 30.0,
        seconds_before,
        tasks_planned: tasks.len(),
        samples: 700,
        bytes: 7_000,
        tasks,
        failed: Vec::new(),
        left: Vec::new(),
        billed: None,
        billed_before: None,
        scheduled: None,
        forecast: None,
    }
}

fn reported(records: Vec<Record>, report: RunReport) -> MeasuredRun {
    MeasuredRun { report: Some(report), ..run(records) }
}

/// Times on 2026-11-25 after 10:00:00.
fn at(seconds: &str) -> String {
    format!("2026-11-25T10:00:{seconds}Z")
}

fn tasks(spans: &[(&str, &str)]) -> Vec<TaskReport> {
    spans.iter().enumerate().map(|(rank, (from, to))| task(rank, 1, &at(from), &at(to))).collect()
}

#[test]
fn partition_size_is_stated_or_the_upper_median_of_the_records() {
    let sizes = |names: &[&str]| run(names.iter().map(|name| record(Some(name), 1.0)).collect());
    assert_eq!(sizes(&[]).partition_mb(), None);
    assert_eq!(sizes(&["10MB/1.pt"]).partition_mb(), Some(10.0));
    assert_eq!(sizes(&["10MB/1.pt", "25MB/2.pt"]).partition_mb(), Some(25.0));
    assert_eq!(sizes(&["100MB/1.pt", "10MB/2.pt", "25MB/3.pt"]).partition_mb(), Some(25.0));
    let by_user = stated(&sizes(&["10MB/1.pt"]), Stated { partition_mb: Some(50.0), ..Stated::default() });
    assert_eq!(by_user.partition_mb(), Some(50.0));
}

#[test]
fn tasks_are_those_of_the_report_or_else_the_records() {
    let records = vec![record(None, 1.0); 3];
    assert_eq!(run(records.clone()).tasks(), 3);
    assert_eq!(run(Vec::new()).tasks(), 0);
    let two = report(tasks(&[("00", "10"), ("10", "20")]), ExecutorKind::Local, 0.0);
    assert_eq!(reported(records, two).tasks(), 2);
}

#[test]
fn files_are_those_of_the_records_or_else_the_report() {
    let mut several = record(None, 1.0);
    several.data_path = json!(["a/1.pt", "a/2.pt", "a/3.pt"]);
    let records = vec![record(Some("a/4.pt"), 1.0), several, record(None, 1.0)];
    assert_eq!(run(records.clone()).files(), 5, "a record without a name counts as one file");
    let report =
        report(vec![task(0, 2, &at("00"), &at("01")), task(1, 4, &at("00"), &at("01"))], ExecutorKind::Local, 0.0);
    assert_eq!(reported(Vec::new(), report.clone()).files(), 6);
    assert_eq!(reported(records, report).files(), 5);
    assert_eq!(run(Vec::new()).files(), 0);
}

#[test]
fn short_last_file_counts_as_a_full_one() {
    let files = |names: [&str; 3], samples: [f64; 3]| {
        run(names.iter().zip(samples).map(|(name, samples)| record(Some(name), samples)).collect())
    };
    let short = [1_278.0, 1_278.0, 40.0];
    assert_eq!(files(["25MB/1.pt", "25MB/2.pt", "25MB/3.pt"], short).data_gb(), gb(75.0));
    assert_eq!(files(["1.pt", "2.pt", "3.pt"], short).data_gb(), gb(75.0));
    let two = run(vec![record(Some("1.pt"), 1_278.0), record(Some("2.pt"), 255.0)]);
    assert_eq!((two.partition_mb(), two.data_gb()), (Some(25.0), gb(50.0)));
    // Files of different sizes count by their own size.
    let mixed = files(["1.pt", "2.pt", "3.pt"], [511.0, 1_278.0, 5_113.0]).data_gb();
    assert_eq!(mixed, gb(10.0 + 25.0 + 100.0));
    let alone = 300.0 * SAMPLE_BYTES / MB;
    assert_eq!(run(vec![record(None, 300.0)]).data_gb(), gb(alone));
}

#[test]
fn two_short_files_count_by_their_own_size() {
    // Sizes in MB that are not whole would be rounded if they were within 1 %.
    let of_mb = |mb: f64| record(Some("1.pt"), mb * MB / SAMPLE_BYTES);
    let sum = |sizes: &[f64]| run(sizes.iter().map(|mb| of_mb(*mb)).collect()).data_gb().unwrap() * MB_PER_GB;
    assert!((sum(&[25.0, 25.0, 25.0, 4.0]) - 100.0).abs() < 1e-9, "one short file");
    assert!((sum(&[25.0, 25.0, 25.0, 4.0, 6.0]) - 85.0).abs() < 1e-9, "two short files");
    assert!((sum(&[25.0, 25.0, 40.0]) - 90.0).abs() < 1e-9, "a larger file");
    // Within 5 % of the usual size, files have the usual size, in both directions.
    assert!((sum(&[20.0, 20.0, 20.0, 20.5, 19.5, 4.0]) - 120.0).abs() < 1e-9);
    // 5 % above is still the usual size; 5 % below is not short.
    assert!((sum(&[20.0, 20.0, 20.0, 21.0, 4.0]) - 100.0).abs() < 1e-9, "exactly 5 % above");
    assert!((sum(&[20.0, 20.0, 20.0, 19.0, 4.0]) - 100.0).abs() < 1e-9, "exactly 5 % below");
    assert!((sum(&[20.0, 20.0, 20.0, 22.0, 4.0]) - 86.0).abs() < 1e-9, "10 % above");
    assert!((sum(&[100.0, 100.0, 100.0, 104.0, 4.0]) - 500.0).abs() < 1e-9, "the bound is relative");
}

#[test]
fn data_size_multiplies_by_files_and_prefers_the_stated_size() {
    let mut several = record(None, 1.0);
    several.data_path = json!(["25MB/1.pt", "25MB/2.pt"]);
    let records = run(vec![several, record(Some("25MB/3.pt"), 1.0)]);
    assert_eq!(records.data_gb(), gb(75.0));
    let by_user = stated(&records, Stated { partition_mb: Some(10.0), ..Stated::default() });
    assert_eq!(by_user.data_gb(), gb(30.0));
    assert_eq!(run(Vec::new()).data_gb(), None);
    // A record without a size counts as the usual one.
    let unknown = Record { data_path: json!("2.pt"), ..Record::default() };
    assert_eq!(run(vec![record(Some("25MB/1.pt"), 1.0), unknown]).data_gb(), gb(50.0));
}

#[test]
fn named_sizes_differ_by_record() {
    let mixed = run(vec![record(Some("25MB/1.pt"), 1.0), record(Some("10MB/1.pt"), 1.0)]);
    assert_eq!(mixed.data_gb(), gb(35.0), "the name of the folder counts, although one is shorter");
}

#[test]
fn check_requires_a_time_above_0_in_every_record() {
    assert_eq!(run(vec![record(None, 1.0)]).check(), Ok(()));
    assert_eq!(run(Vec::new()).check(), Err(MeasuredRunError::NoRecords { run: "run".into() }));
    for seconds in [None, Some(0.0), Some(-1.0), Some(f64::NAN)] {
        let wrong = Record { seconds, ..record(None, 1.0) };
        let error = run(vec![record(None, 1.0), wrong]).check().unwrap_err();
        assert_eq!(error, MeasuredRunError::NoTime { run: "run".into(), index: 1, records: 2 }, "{seconds:?}");
        assert!(error.to_string().contains("record 1 of 2"), "{error}");
    }
}

#[test]
fn contradiction_compares_stated_times_with_records() {
    let of = |total_seconds, map_seconds| {
        let slow = Record { seconds: Some(9.0), ..record(None, 1.0) };
        let run = run(vec![slow, record(None, 1.0)]);
        stated(&run, Stated { total_seconds, map_seconds, ..Stated::default() }).contradiction()
    };
    assert_eq!(of(None, None), None);
    assert_eq!(of(Some(9.0), None), None, "as long as the slowest worker");
    assert_eq!(of(None, Some(9.0)), None);
    assert_eq!(of(Some(10.0), Some(10.0)), None);
    let message = of(Some(8.0), None).unwrap();
    assert!(message.contains("9.00 s") && message.contains("8 s"), "{message}");
    assert!(of(None, Some(8.0)).unwrap().contains("9.00 s"));
    assert_eq!(of(Some(10.0), Some(11.0)).unwrap(), "the Map took 11 s, longer than the whole run, 10 s");
    // The total time is compared with the workers, not the time of the Map.
    assert_eq!(of(Some(10.0), Some(8.0)), None);
}

#[test]
fn bytes_and_samples_are_those_of_the_report_or_else_the_records() {
    let one = Record { sample_persec: Some(50.3), ..record(None, 100.0) };
    let records = vec![one.clone(), one];
    let of_records = run(records.clone());
    assert_eq!(of_records.bytes(), Some(200.0 * SAMPLE_BYTES));
    assert_eq!(of_records.samples(), Some(202.0), "each record has a whole number of images");
    let with_report = reported(records.clone(), report(Vec::new(), ExecutorKind::Local, 0.0));
    assert_eq!((with_report.bytes(), with_report.samples()), (Some(7_000.0), Some(700.0)));
    let mut incomplete = of_records;
    incomplete.records.push(Record { seconds: Some(1.0), ..Record::default() });
    assert_eq!((incomplete.bytes(), incomplete.samples()), (None, None));
}

#[test]
fn runtimes_skip_records_without_a_time() {
    let records = vec![record(None, 1.0), Record::default(), Record { seconds: Some(3.5), ..Record::default() }];
    assert_eq!(run(records).runtimes(), [2.0, 3.5]);
}

#[test]
fn batch_size_is_that_of_all_records() {
    let of = |sizes: &[Option<f64>]| {
        let run = run(sizes.iter().map(|batch_size| Record { batch_size: *batch_size, ..Record::default() }).collect());
        (run.batch_size(), run.has_mixed_batch_sizes())
    };
    assert_eq!(of(&[]), (None, false));
    assert_eq!(of(&[Some(256.0)]), (Some(256.0), false));
    assert_eq!(of(&[Some(256.0), Some(256.0)]), (Some(256.0), false));
    assert_eq!(of(&[Some(256.0), Some(512.0)]), (None, true));
    assert_eq!(of(&[Some(256.0), Some(256.0), Some(512.0)]), (None, true));
    assert_eq!(of(&[Some(256.0), None]), (None, true));
    assert_eq!(of(&[None, Some(256.0)]), (None, true));
    assert_eq!(of(&[None, None]), (None, false));
}

#[test]
fn other_device_names_all_devices_unless_all_are_processors() {
    let of = |devices: &[Option<&str>]| {
        let device = |device: &Option<&str>| Record { device: device.map(str::to_owned), ..Record::default() };
        run(devices.iter().map(device).collect()).other_device()
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[None, Some("cpu"), Some("CPU")]), None);
    assert_eq!(of(&[Some("cuda"), Some("cuda")]).as_deref(), Some("cuda"));
    assert_eq!(of(&[Some("cuda"), None, Some("cpu")]).as_deref(), Some("cpu+cuda"));
}

#[test]
fn total_seconds_are_stated_or_reported_with_earlier_executions() {
    let unknown = run(vec![record(None, 1.0)]);
    assert_eq!(unknown.total_seconds(), None);
    let resumed = reported(Vec::new(), report(Vec::new(), ExecutorKind::Local, 12.0));
    assert_eq!(resumed.total_seconds(), Some(42.0));
    let by_user = Stated { total_seconds: Some(5.0), ..Stated::default() };
    assert_eq!(stated(&resumed, by_user).total_seconds(), Some(5.0));
    assert_eq!(stated(&unknown, by_user).total_seconds(), Some(5.0));
}

#[test]
fn map_seconds_span_all_tasks() {
    let of =
        |spans: &[(&str, &str)]| reported(Vec::new(), report(tasks(spans), ExecutorKind::Local, 0.0)).map_seconds();
    assert_eq!(run(vec![record(None, 1.0)]).map_seconds(), None, "no report");
    assert_eq!(of(&[]), None, "no task");
    assert_eq!(of(&[("05", "15")]), Some(10.0));
    // The last task to start is not the last one to end, and gaps count.
    assert_eq!(of(&[("20", "25"), ("02", "40"), ("30", "35")]), Some(38.0));
    assert_eq!(of(&[("02", "04"), ("10", "12")]), Some(10.0));
    let by_user = Stated { map_seconds: Some(7.0), ..Stated::default() };
    let run = reported(Vec::new(), report(tasks(&[("05", "15")]), ExecutorKind::Local, 0.0));
    assert_eq!(stated(&run, by_user).map_seconds(), Some(7.0));
}

#[test]
fn map_seconds_of_a_resumed_run_skip_gaps() {
    let of =
        |spans: &[(&str, &str)]| reported(Vec::new(), report(tasks(spans), ExecutorKind::Local, 10.0)).map_seconds();
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("02", "04"), ("10", "13")]), Some(5.0), "a gap");
    assert_eq!(of(&[("10", "13"), ("02", "04")]), Some(5.0), "in any order");
    assert_eq!(of(&[("02", "08"), ("05", "13")]), Some(11.0), "an overlap");
    assert_eq!(of(&[("02", "20"), ("05", "13"), ("30", "31")]), Some(19.0), "a task within another");
    assert_eq!(of(&[("02", "08"), ("08", "10")]), Some(8.0), "one directly after another");
    assert_eq!(of(&[("02", "08"), ("03", "08")]), Some(6.0), "two that end together");
    assert_eq!(of(&[("02", "xx")]), None, "an unreadable time");
}

#[test]
fn executor_is_stated_or_reported_or_suggested_by_the_records() {
    let lambda = run(vec![record(Some("25MB/1.pt"), 1_278.0)]);
    assert_eq!((lambda.executor(), lambda.why_assumed()), (ExecutorKind::StepFunctions, None));
    let laptop = run(vec![record(None, 5_113.0)]);
    assert_eq!(laptop.executor(), ExecutorKind::Local);
    assert!(laptop.why_assumed().unwrap().contains("result_path"));
    let result_path = Record { result_path: Some("results/".into()), ..record(None, 1.0) };
    assert_eq!(run(vec![result_path]).executor(), ExecutorKind::StepFunctions);
    let mut graphics = lambda.clone();
    graphics.records[0].device = Some("cuda".into());
    assert_eq!((graphics.executor(), graphics.other_device().as_deref()), (ExecutorKind::Local, Some("cuda")));
    assert!(graphics.why_assumed().unwrap().contains("device"));
    let by_user = stated(&graphics, Stated { executor: Some(ExecutorKind::Slurm), ..Stated::default() });
    assert_eq!((by_user.executor(), by_user.why_assumed()), (ExecutorKind::Slurm, None));
    let of_report =
        |run: MeasuredRun| MeasuredRun { report: Some(report(Vec::new(), ExecutorKind::Slurm, 0.0)), ..run };
    assert_eq!(of_report(laptop.clone()).executor(), ExecutorKind::Slurm);
    assert_eq!(of_report(laptop.clone()).why_assumed(), None);
    let both = stated(&of_report(lambda), Stated { executor: Some(ExecutorKind::Workers), ..Stated::default() });
    assert_eq!(both.executor(), ExecutorKind::Workers, "the user knows best");
}

#[test]
fn stated_local_executor_needs_no_reason() {
    let by_user =
        stated(&run(vec![record(None, 1.0)]), Stated { executor: Some(ExecutorKind::Local), ..Stated::default() });
    assert_eq!((by_user.executor(), by_user.why_assumed()), (ExecutorKind::Local, None));
}

#[test]
fn runs_with_a_report_are_ours() {
    assert!(!run(Vec::new()).is_ours());
    assert!(reported(Vec::new(), report(Vec::new(), ExecutorKind::Local, 0.0)).is_ours());
}

#[test]
fn requests_to_s3_are_those_of_the_tasks_with_files() {
    let counted = StoreRequests {
        reads: 4,
        writes: 2,
        others: 0,
        seconds: 0.6,
        min_seconds: 0.05,
        max_seconds: 0.2,
        first: 100.0,
        last: 101.0,
    };
    let with = |rank, files, requests| TaskReport { requests, ..task(rank, files, &at("00"), &at("01")) };
    let of =
        |tasks| S3Requests::of(&reported(vec![record(None, 1.0)], report(tasks, ExecutorKind::StepFunctions, 0.0)));
    let later = StoreRequests { first: 102.0, last: 104.5, ..counted };
    // The third task has no files, and sent no request.
    let all = of(vec![with(0, 1, Some(counted)), with(1, 2, Some(later)), with(2, 0, None)]).unwrap();
    assert_eq!((all.requests, all.writes, all.span_s), (12.0, Some(4.0), 4.5));
    assert!((all.mean_s - 0.1).abs() < 1e-12, "{all:?}");
    // One task did not count, or has counts that cannot be.
    for unknown in [
        None,
        Some(StoreRequests { reads: 0, writes: 0, ..counted }),
        Some(StoreRequests { min_seconds: 0.3, ..counted }),
        Some(StoreRequests { last: 99.0, ..counted }),
    ] {
        assert_eq!(of(vec![with(0, 1, Some(counted)), with(1, 1, unknown)]), None, "{unknown:?}");
    }
    let most = StoreRequests { reads: u64::MAX, ..counted };
    assert!(of(vec![with(0, 1, Some(most))]).unwrap().requests > 1e19);
}
