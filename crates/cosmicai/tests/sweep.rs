//! `cosmicai sweep`: its lines, continuing after an interruption, and invalid definitions.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use nix::sys::signal::Signal;
use records::sweep::SweepPoint;
use serde_json::{Value, json};
use support::process::{self, Running};
use support::{Sandbox, cosmicai, error_of};

/// Definition with two experiments, four points, and three repeats of each point.
const SWEEP: &str = r#"
repeats = 3
seed = 7
[data]
bucket = "sky"
model = "Anomaly Detection/model.safetensors"
[base]
partition = "1MB"
batch_size = 16
threads = 1
[[experiment]]
name = "batches"
file_limit = 1
batch_size = [8, 16]
[[experiment]]
name = "files"
file_limit = [2, 3]
world_size = 1
"#;
const RUNS: usize = 12;

/// Makes a store with three partitions of 30 images, and a definition file.
fn sandbox(definition: &str) -> Sandbox {
    let sandbox = Sandbox::with_partitions("1MB", 3, 30);
    sandbox.write("tiny.toml", definition.as_bytes());
    sandbox
}

fn sweep(sandbox: &Sandbox) -> Command {
    sweep_of(sandbox, "tiny.toml")
}

fn sweep_of(sandbox: &Sandbox, definition: &str) -> Command {
    let mut command = cosmicai();
    command.arg("sweep").arg(sandbox.path(definition)).arg("--store").arg(sandbox.folder.path());
    command
}

/// Bytes of every file in a folder of the sandbox, by its path in the sandbox.
fn files(sandbox: &Sandbox, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![sandbox.path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(
                    path.strip_prefix(sandbox.folder.path()).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

/// Parses the lines of a file.
fn lines(sandbox: &Sandbox, name: &str) -> Vec<SweepPoint> {
    let bytes = sandbox.bytes(name);
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| SweepPoint::parse(line.as_bytes()).unwrap()).collect()
}

fn runs(lines: &[SweepPoint]) -> Vec<(usize, usize)> {
    lines.iter().map(|line| (line.point, line.repeat)).collect()
}

/// Checks that every run has one line.
fn assert_complete(lines: &[SweepPoint]) {
    let runs = runs(lines);
    assert_eq!(runs.len(), RUNS);
    let expected: BTreeSet<_> = (0..4).flat_map(|point| (1..=3).map(move |repeat| (point, repeat))).collect();
    assert_eq!(runs.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_run_has_a_line_and_results_in_an_order_drawn_from_the_seed() {
    let sandbox = sandbox(SWEEP);
    let plan = sweep(&sandbox).args(["--dry-run", "--format", "json"]).output().unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(!sandbox.path("tiny.jsonl").exists(), "--dry-run wrote something");
    let planned: Vec<(usize, usize)> = plan
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["point"].as_u64().unwrap() as usize, run["repeat"].as_u64().unwrap() as usize))
        .collect();

    let output = sweep(&sandbox).args(["--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = lines(&sandbox, "tiny.jsonl");
    assert_complete(&lines);
    assert_eq!(runs(&lines), planned);
    assert!(!runs(&lines).is_sorted());
    let mut printed: Vec<SweepPoint> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(runs(&printed).is_sorted());
    printed.sort_by_key(|line| planned.iter().position(|run| *run == (line.point, line.repeat)));
    assert_eq!(printed, lines);

    for line in &lines {
        let (experiment, files) = [("batches", 1), ("batches", 1), ("files", 2), ("files", 3)][line.point];
        assert_eq!((line.sweep.as_str(), line.experiment.as_str()), ("tiny", experiment));
        assert_eq!((line.settings.file_limit, line.settings.threads), (files, Some(1)));
        assert_eq!((line.settings.partition_mb, line.settings.scale), (1.0, 1.0));
        assert_eq!((line.samples, line.tasks, line.tasks_finished), (30 * files as u64, 1, 1));
        assert_eq!(line.settings.others.contains_key("world_size"), experiment == "files");
        assert_eq!(line.task_seconds.len(), 1);
        assert!(line.seconds >= line.map_seconds && line.map_seconds > 0.0 && line.runtime_seconds_mean > 0.0);
        assert!(line.memory_mb_peak > 1.0 && line.memory_mb_mean > 1.0 && line.cpu_seconds > 0.0, "{line:?}");
        assert!(line.commit.is_empty() || line.commit.len() == 40, "{}", line.commit);
        let label = format!("local-f32-1MB-x{files}-b{}-t1", line.settings.batch_size);
        let folder = format!("sky/sweeps/tiny/{experiment}/{label}/{}", line.repeat);
        assert_eq!(sandbox.json(&format!("{folder}/report.json"))["run_id"], *line.run_id);
        assert_eq!(sandbox.json(&format!("{folder}/0.json"))["batch_size"], line.settings.batch_size);
        let payload = format!("tiny.payloads/{experiment}/{label}/{}.json", line.repeat);
        assert_eq!(sandbox.json(&payload)["file_limit"], files);
    }
    assert!(sandbox.path("sky/sweeps/tiny/batches/local-f32-1MB-x1-b8-t1/warm-up/report.json").exists());

    // Every run is finished, so the sweep runs and writes nothing.
    let before = sandbox.bytes("tiny.jsonl");
    sweep(&sandbox).assert().success();
    assert_eq!(sandbox.bytes("tiny.jsonl"), before);

    // A new comment does not change the sweep. Another number of repeats does, and then only --overwrite deletes lines.
    sandbox.write("tiny.toml", format!("# again\n{SWEEP}").as_bytes());
    sweep(&sandbox).assert().success();
    let other = SWEEP.replace("repeats = 3", "repeats = 1");
    sandbox.write("tiny.toml", other.as_bytes());
    for arguments in [&[][..], &["--dry-run"], &["--scale", "0.5"]] {
        let error = error_of(sweep(&sandbox).args(arguments));
        assert!(error.contains("line 1") && error.contains("--overwrite") && error.contains("--out"), "{error}");
    }
    assert_eq!(sandbox.bytes("tiny.jsonl"), before);
    sweep(&sandbox).arg("--overwrite").assert().success();
    assert_eq!(self::lines(&sandbox, "tiny.jsonl").len(), 4);
}

/// Starts a sweep and waits until more than `wanted` of its runs have lines.
fn started(sandbox: &Sandbox, wanted: usize) -> Running {
    let count =
        || std::fs::read(sandbox.path("tiny.jsonl")).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count());
    started_until(sandbox, "tiny.toml", || count() > wanted)
}

/// Starts a sweep and waits until a condition holds.
fn started_until(sandbox: &Sandbox, definition: &str, condition: impl Fn() -> bool) -> Running {
    let mut command = process::command(env!("CARGO_BIN_EXE_cosmicai"));
    command
        .arg("sweep")
        .arg(sandbox.path(definition))
        .arg("--store")
        .arg(sandbox.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let sweep = Running::start(&mut command);
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the condition does not hold after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    sweep
}

#[test]
fn continues_after_kill_without_repeating_or_changing_lines() {
    let sandbox = sandbox(SWEEP);
    let mut kills = 0;
    for wanted in [1, 4, 8] {
        started(&sandbox, wanted).kill();
        kills += usize::from(lines(&sandbox, "tiny.jsonl").len() < RUNS);
    }
    assert!(kills > 0, "every sweep had ended before it was killed");
    let before = sandbox.bytes("tiny.jsonl");
    sweep(&sandbox).assert().success();
    let after = sandbox.bytes("tiny.jsonl");
    assert!(after.starts_with(&before), "lines that were there changed");
    assert_complete(&lines(&sandbox, "tiny.jsonl"));
    for line in lines(&sandbox, "tiny.jsonl") {
        let report = PathBuf::from(&line.results_url.trim_start_matches("file://")).join("report.json");
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        assert_eq!(report["run_id"], *line.run_id);
    }
}

#[test]
fn continues_after_kill_before_the_first_line() {
    let sandbox = sandbox(SWEEP);
    let claim = sandbox.path("sky/sweeps/tiny/sweep.json");
    let warm_up = sandbox.path("sky/sweeps/tiny/batches");
    for wanted in [&claim, &warm_up] {
        started_until(&sandbox, "tiny.toml", || wanted.exists()).kill();
    }
    assert!(sandbox.bytes("tiny.jsonl").is_empty(), "the sweep was killed too late");
    sweep(&sandbox).assert().success();
    assert_complete(&lines(&sandbox, "tiny.jsonl"));
}

#[test]
fn results_of_another_sweep_need_overwrite() {
    let sandbox = sandbox(&SWEEP.replace("repeats = 3", "repeats = 1"));
    sweep(&sandbox).arg("--dry-run").assert().success();
    assert!(!sandbox.path("sky/sweeps").exists(), "--dry-run wrote something");
    sweep(&sandbox).assert().success();
    let claim = sandbox.json("sky/sweeps/tiny/sweep.json");
    assert_eq!((&claim["format_version"], &claim["sweep"]), (&1.into(), &"tiny".into()));
    let of_first = sandbox.path("tiny.jsonl").canonicalize().unwrap().display().to_string();
    assert_eq!(claim["lines"], *of_first);

    // Another sweep with the same `name`, and the same definition with another file of lines.
    let other = format!("name = \"tiny\"\n{}", SWEEP.replace("repeats = 3", "repeats = 2"));
    sandbox.write("other.toml", other.as_bytes());
    let before = files(&sandbox, "sky");
    let other_out = sandbox.path("other-out.jsonl");
    for command in [&mut sweep_of(&sandbox, "other.toml"), sweep(&sandbox).arg("--out").arg(&other_out)] {
        let error = error_of(command);
        for words in ["sky/sweeps/tiny` has the results of sweep `tiny`", &*of_first, "another `name`", "--overwrite"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(files(&sandbox, "sky") == before, "{error}");
    }
    // The first sweep still continues with its own lines.
    sweep(&sandbox).assert().success();

    sweep_of(&sandbox, "other.toml").arg("--overwrite").assert().success();
    assert_eq!(lines(&sandbox, "other.jsonl").len(), 8);
    sandbox.write("tiny.jsonl", b"");
    let error = error_of(&mut sweep(&sandbox));
    assert!(error.contains("other.jsonl"), "{error}");

    // A sweep with another name has its own folder.
    sandbox.write("other.toml", other.replace("\"tiny\"", "\"else\"").as_bytes());
    sweep_of(&sandbox, "other.toml").arg("--out").arg(&other_out).assert().success();
    assert!(sandbox.path("sky/sweeps/else/sweep.json").exists());
}

#[test]
fn results_that_no_sweep_claimed_need_overwrite() {
    let sandbox = sandbox(&format!("result_path = \"results\"\n{SWEEP}"));
    let own = "sky/results/batches/local-f32-1MB-x1-b8-t1/1";
    let payload = sandbox.payload(json!({
        "result_path": own.strip_prefix("sky/"), "data_prefix": "1MB", "model": "Anomaly Detection/model.safetensors",
    }));
    sandbox.run(&payload).assert().success();
    let before = files(&sandbox, "sky");
    assert!(before.contains_key(Path::new(&format!("{own}/report.json"))));
    let error = error_of(&mut sweep(&sandbox));
    for words in [own, "no sweep has claimed", "another `name` or `result_path`", "--overwrite"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(files(&sandbox, "sky") == before, "{error}");
    for claim in ["", "{}", "{\"format_version\": 2}"] {
        sandbox.write("sky/results/sweep.json", claim.as_bytes());
        let error = error_of(&mut sweep(&sandbox));
        assert!(error.contains("is not the claim of a sweep") && error.contains("--overwrite"), "{error}");
    }
    sweep(&sandbox).arg("--overwrite").assert().success();
    assert_complete(&lines(&sandbox, "tiny.jsonl"));
}

#[test]
fn stops_when_another_sweep_overwrites_its_folder() {
    let sandbox = sandbox(&SWEEP.replace("repeats = 3", "repeats = 50"));
    let first = started(&sandbox, 1);
    sandbox.write("other.toml", format!("name = \"tiny\"\n{}", SWEEP.replace("repeats = 3", "repeats = 1")).as_bytes());
    sweep_of(&sandbox, "other.toml").arg("--overwrite").assert().success();
    let (status, error) = first.end();
    assert!(!status.success() && error.contains("other.jsonl"), "{error}");
    assert_eq!(lines(&sandbox, "other.jsonl").len(), 4);
}

#[test]
fn ctrl_c_stops_the_sweep_and_prints_how_to_continue() {
    let sandbox = sandbox(&SWEEP.replace("repeats = 3", "repeats = 50"));
    let first = started(&sandbox, 2);
    first.send(Signal::SIGINT);
    let (status, error) = first.end();
    assert_eq!(status.code(), Some(130), "{error}");
    assert!(error.contains("to continue: cosmicai sweep"), "{error}");
    assert!(lines(&sandbox, "tiny.jsonl").len() >= 2);
}

#[test]
fn truncated_last_line_is_removed_and_its_run_repeated() {
    let sandbox = sandbox(SWEEP);
    sweep(&sandbox).assert().success();
    let whole = sandbox.bytes("tiny.jsonl");
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    sandbox.write("tiny.jsonl", &whole[..last + 100]);
    let output = sweep(&sandbox).assert().success().get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("100 bytes"));
    assert!(sandbox.bytes("tiny.jsonl").starts_with(&whole[..last]));
    assert_complete(&lines(&sandbox, "tiny.jsonl"));

    // The program does not repair other invalid lines.
    let doubled = [&whole[..last], &whole[..last]].concat();
    for (bytes, words) in [(&doubled[..], "twice"), (b"not a line\n", "not a line of a sweep")] {
        sandbox.write("tiny.jsonl", bytes);
        let error = error_of(&mut sweep(&sandbox));
        assert!(error.contains(words) && error.contains("line "), "{error}");
        assert_eq!(sandbox.bytes("tiny.jsonl"), bytes);
    }
    let error = error_of(sweep(&sandbox).arg("--overwrite"));
    assert!(error.contains("was not changed"), "{error}");
}

#[test]
fn rejects_a_second_sweep_with_the_same_file_of_lines() {
    let sandbox = sandbox(&SWEEP.replace("repeats = 3", "repeats = 50"));
    let first = started(&sandbox, 1);
    for arguments in [&[][..], &["--overwrite"]] {
        let error = error_of(sweep(&sandbox).args(arguments));
        assert!(error.contains("wait until it ends, or choose another `name` and --out"), "{error}");
    }
    first.kill();
}

#[test]
fn failed_point_is_reported_and_retried_by_the_next_sweep() {
    let sandbox = sandbox(SWEEP);
    let third = sandbox.bytes("sky/1MB/3.pt");
    sandbox.write("sky/1MB/3.pt", &third[..third.len() / 2]);
    let error = error_of(&mut sweep(&sandbox));
    assert!(error.contains("files/local-f32-1MB-x3-b16-t1, repeat 1: failed"), "{error}");
    assert!(error.contains("3 runs failed; to try again: cosmicai sweep"), "{error}");
    let before = lines(&sandbox, "tiny.jsonl");
    assert_eq!(before.len(), 9);
    assert!(before.iter().all(|line| line.point != 3));
    sandbox.write("sky/1MB/3.pt", &third);
    sweep(&sandbox).assert().success();
    let after = lines(&sandbox, "tiny.jsonl");
    assert_eq!(after[..9], before);
    assert_complete(&after);
}

#[test]
fn simulates_partitions_at_scale_and_only_once() {
    let sandbox = Sandbox::new();
    let definition = r#"
        [data]
        bucket = "sky"
        model = "Anomaly Detection/model.safetensors"
        simulate = true
        seed = 9
        [[experiment]]
        name = "sizes"
        partition = ["25MB", "50MB"]
        data_size = "150MB"
        batch_size = 8
    "#;
    sandbox.write("tiny.toml", definition.as_bytes());
    sweep(&sandbox).args(["--scale", "0.01"]).assert().success();
    let measured = lines(&sandbox, "tiny.jsonl");
    let mut found: Vec<_> =
        measured.iter().map(|line| (line.settings.partition_mb, line.settings.file_limit, line.samples)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    // 262,144 and 524,288 bytes over 20,508 are 12 and 25 galaxies.
    assert_eq!(found.iter().map(|one| (one.1, one.2)).collect::<Vec<_>>(), [(6, 72), (3, 75)]);
    assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), [0.25, 0.5]);
    assert!(measured.iter().all(|line| line.settings.scale == 0.01));
    let part = sandbox.path("sky/simulated-9/0.25MB/1.pt");
    let written = std::fs::metadata(&part).unwrap().modified().unwrap();
    let output = sweep(&sandbox).args(["--scale", "0.01", "--overwrite"]).assert().success().get_output().clone();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("simulating"));
    assert_eq!(std::fs::metadata(&part).unwrap().modified().unwrap(), written);
}

/// Definition of a sweep over simulated partitions of 1 MB, with one repeat and no warm-up.
fn simulated(name: &str, files: usize) -> String {
    format!(
        "name = \"{name}\"\nwarm_up = 0\n[data]\nbucket = \"sky\"\nmodel = \"Anomaly Detection/model.safetensors\"\n\
         simulate = true\n[[experiment]]\nname = \"e\"\npartition = \"1MB\"\nfile_limit = {files}\nbatch_size = 64\n"
    )
}

/// Files in the bucket other than partitions, results, the model and the lock.
fn leftovers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let is_expected = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_part = path.parent().unwrap().ends_with("simulated-2025/1MB") && name.ends_with(".pt");
        is_part || name == ".lock" || name == "model.safetensors" || path.starts_with("sky/sweeps")
    };
    files(sandbox, "sky").into_keys().filter(|path| !is_expected(path)).collect()
}

#[test]
fn concurrent_sweeps_share_simulated_partitions() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", simulated("small", 2).as_bytes());
    sandbox.write("large.toml", simulated("large", 5).as_bytes());
    let both = ["small.toml", "large.toml"].map(|definition| started_until(&sandbox, definition, || true));
    for sweep in both {
        let (status, error) = sweep.end();
        assert!(status.success(), "{error}");
    }
    assert_eq!((lines(&sandbox, "small.jsonl").len(), lines(&sandbox, "large.jsonl").len()), (1, 1));
    assert_eq!(leftovers(&sandbox), Vec::<PathBuf>::new());
    let made = files(&sandbox, "sky/simulated-2025/1MB");
    assert_eq!(made.len(), 5);

    // A missing partition is simulated again with the same bytes. The other partitions are not written again.
    let part = |number: usize| sandbox.path(&format!("sky/simulated-2025/1MB/{number}.pt"));
    let written = |number| std::fs::metadata(part(number)).unwrap().modified().unwrap();
    let before = [1, 3, 5].map(written);
    std::fs::remove_file(part(2)).unwrap();
    sweep_of(&sandbox, "small.toml").arg("--overwrite").assert().success();
    assert!(files(&sandbox, "sky/simulated-2025/1MB") == made);
    assert_eq!([1, 3, 5].map(written), before);
}

#[test]
fn next_sweep_removes_files_of_a_killed_simulation() {
    let sandbox = Sandbox::new();
    sandbox.write("tiny.toml", simulated("tiny", 20).as_bytes());
    started_until(&sandbox, "tiny.toml", || !leftovers(&sandbox).is_empty()).kill();
    assert!(!leftovers(&sandbox).is_empty(), "the sweep was killed too late");
    sandbox.write("tiny.toml", simulated("tiny", 1).as_bytes());
    sweep(&sandbox).assert().success();
    assert_eq!(leftovers(&sandbox), Vec::<PathBuf>::new());
}

#[test]
fn sweep_and_report_reject_invalid_lines() {
    let sandbox = sandbox(&SWEEP.replace("repeats = 3", "repeats = 1"));
    sweep(&sandbox).assert().success();
    let text = String::from_utf8(sandbox.bytes("tiny.jsonl")).unwrap();
    let first = text.lines().next().unwrap();
    let mut line: Value = serde_json::from_str(first).unwrap();
    line["seconds"] = json!(-3.0);
    for (lines, words) in [
        (format!("{line}\n"), "line 1"),
        (format!("{line}\n"), "`seconds` is -3"),
        (format!("{text}{first}\n"), "is there twice"),
    ] {
        sandbox.write("tiny.jsonl", lines.as_bytes());
        let mut report = cosmicai();
        report.arg("report").arg(sandbox.path("tiny.jsonl")).arg("--out").arg(sandbox.path("report"));
        for command in [&mut sweep(&sandbox), &mut report] {
            let error = error_of(command);
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

#[test]
fn dry_run_rejects_definitions_that_cannot_run() {
    let sandbox = Sandbox::new();
    let large = simulated("tiny", 1_000_000);
    for (definition, words) in [
        (large.replace("\"1MB\"", "\"100MB\""), "5113000000 galaxies; at most 134217728 can be simulated"),
        (large.replace("file_limit = 1000000", "data_size = \"512KB\""), "less than one partition of 1MB"),
        (large.replace("1000000", "{ 1MB = 2, 3MB = 4 }"), "`file_limit` has `3MB`"),
        (large.replace("warm_up = 0", "warm_up = -1"), "a whole number, 0 or more"),
    ] {
        sandbox.write("tiny.toml", definition.as_bytes());
        let error = error_of(sweep(&sandbox).arg("--dry-run"));
        assert!(error.contains(words), "{words}: {error}");
    }
    sandbox.write("tiny.toml", simulated("tiny", 1).as_bytes());
    let error = error_of(cosmicai().arg("sweep").arg(sandbox.path("tiny.toml")).args(["--dry-run", "--store", "s3"]));
    assert!(error.contains("a folder of this machine"), "{error}");
}

#[test]
fn invalid_definitions_are_rejected_before_any_run() {
    let sandbox = sandbox(SWEEP);
    for (line, changed, words) in [
        ("seed = 7", "sed = 7", "line 3: unknown field `sed`"),
        ("seed = 7", "seed = -7", "line 3: invalid value: integer `-7`, expected a whole number, 0 or more"),
        ("[8, 16]", "[]", "line 14: an empty list"),
        ("[8, 16]", "[8, 0]", "line 14:"),
        ("[8, 16]", "[8, 8]", "line 14: `8` is in the list twice"),
        ("[8, 16]", "\"many\"", "line 14:"),
        ("\"files\"", "\"../files\"", "line 16:"),
        ("\"files\"", "\"batches\"", "line 15: another experiment"),
        ("world_size = 1", "memory = \"1GB\"", "line 15: experiment `files`: `memory`"),
        ("[2, 3]", "[2, 4]", "3 partitions found, 4"),
        ("\"1MB\"", "\"2MB\"", "0 partitions found, 3"),
        ("bucket = \"sky\"", "bucket = \"nowhere\"", "nowhere"),
        ("threads = 1", "executor = \"step-functions\"", "points on step-functions need --state-machine"),
    ] {
        assert!(SWEEP.contains(line), "{line}");
        sandbox.write("tiny.toml", SWEEP.replacen(line, changed, 1).as_bytes());
        let error = error_of(&mut sweep(&sandbox));
        assert!(error.contains(words), "{changed}: {error}");
        assert!(!sandbox.path("sky/sweeps").exists(), "{changed} ran something");
    }
    sandbox.write("tiny.toml", SWEEP.as_bytes());
    for scale in ["NaN", "0", "-1", "inf"] {
        assert!(error_of(sweep(&sandbox).arg(format!("--scale={scale}"))).contains("a number above 0"), "{scale}");
    }
    assert!(error_of(cosmicai().args(["sweep", "nothing.toml"])).contains("nothing.toml"));
}
