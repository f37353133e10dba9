//! What was measured at one point of a sweep: a line of its JSON lines; and whose the folder of its results is.
//!
//! Plain records with a format version: a line is written after each run and read by whoever goes on with the sweep or
//! reports on it, a claim lies beside the results. Never here: which points there are, and how a run is started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Machine;
use crate::report::{Billed, PhaseSeconds};

/// The version of the record that this code writes and reads.
pub const SWEEP_FORMAT: u32 = 1;
/// The longest line that is read, in bytes: ten thousand task times and all else.
pub const MAX_SWEEP_LINE_BYTES: usize = 1 << 20;
/// The version of the claim that this code writes and reads.
pub const SWEEP_CLAIM_FORMAT: u32 = 1;

/// One run of a sweep. Times are wall seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Version of this format: [`SWEEP_FORMAT`].
    pub format_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// SHA-256 of what the sweep is made from, so that lines of another one are not taken for its own.
    pub sweep_sha256: String,
    /// Name of the experiment that the point belongs to.
    pub experiment: String,
    /// Index of the point among all points of the sweep, before they were shuffled.
    pub point: usize,
    /// 1 for the first measured repeat of the point.
    pub repeat: usize,
    /// The point's settings.
    pub settings: PointSettings,
    /// The run, and where its results lie.
    pub run_id: String,
    /// Where its results lie.
    pub results_url: String,
    /// Version of the program.
    pub program: String,
    /// Commit of its sources; empty where it is not known.
    pub commit: String,
    /// The machine that ran it, or that followed it.
    pub machine: Machine,
    /// Instruction set that ran.
    pub isa: String,
    /// When the run began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub finished: String,
    /// The whole run, from its start to its summary: what the study calls total execution time.
    pub seconds: f64,
    /// From the first task's start to the last one's end.
    pub map_seconds: f64,
    /// Tasks of its plan.
    pub tasks: usize,
    /// Of these, the ones that are finished.
    pub tasks_finished: usize,
    /// Images predicted.
    pub samples: u64,
    /// Bytes of their images and magnitudes, as stored.
    pub bytes: u64,
    /// Mean of the study's `total_cpu_time (seconds)`: the loop that reads and predicts.
    pub runtime_seconds_mean: f64,
    /// Mean of the study's `total_process_memory (MB)`, in binary MB.
    pub memory_mb_mean: f64,
    /// Most resident memory of any worker, in binary MB.
    pub memory_mb_peak: f64,
    /// Sum of the study's `total_cpu_memory (MB)`: what the loops allocated, in MB of 10⁶ bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_mb: Option<f64>,
    /// The study's loop seconds of each task, by rank.
    pub task_seconds: Vec<f64>,
    /// Sums over the tasks, by phase.
    pub phases: PhaseSeconds,
    /// Processor seconds of the threads that convert and predict.
    pub cpu_seconds: f64,
    /// What a cloud says it will charge for; absent where nobody charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
}

/// What distinguishes the points of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointSettings {
    /// Where tasks ran: `local`, `slurm`, `step-functions`.
    pub executor: String,
    /// Images in a batch.
    pub batch_size: usize,
    /// Nominal size of a partition in binary MB, as its folder is named: 25 for `25MB`.
    pub partition_mb: f64,
    /// The first so many partitions.
    pub file_limit: usize,
    /// Arithmetic of the model.
    pub precision: String,
    /// Compute threads of each worker; absent where the executor decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Tasks at a time; absent where the executor decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Memory asked for a worker, in binary MB; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
    /// What sizes were multiplied by, `partition_mb` among them: 0.02 where 0.5 MB stand for the definition's 25 MB.
    #[serde(default = "whole")]
    pub scale: f64,
    /// Settings of the payload that no axis varies but that differ from its defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
}

/// The scale of lines that were written before there was one.
fn whole() -> f64 {
    1.0
}

/// Which sweep has a folder of results: the one that writes these lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepClaim {
    /// Version of this format: [`SWEEP_CLAIM_FORMAT`].
    pub format_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// Absolute path of the file with its lines.
    pub lines: String,
}

impl SweepClaim {
    /// Reads a claim.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        crate::report::check_format(json, SWEEP_CLAIM_FORMAT)?;
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }
}

impl SweepPoint {
    /// Reads one line, whose numbers a run can have measured.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MAX_SWEEP_LINE_BYTES {
            return Err(format!("a line of {} bytes, where {MAX_SWEEP_LINE_BYTES} are expected at most", line.len()));
        }
        crate::report::check_format(line, SWEEP_FORMAT)?;
        let point: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        point.check().map(|()| point)
    }

    /// Which run it was: of two lines of one run, one is too many.
    pub fn run(&self) -> (&str, usize, usize) {
        (&self.sweep_sha256, self.point, self.repeat)
    }

    /// Refuses what no run can have measured, by its key.
    pub fn check(&self) -> Result<(), String> {
        let Self { settings, tasks, tasks_finished, samples, .. } = self;
        let counts = [
            ("repeat", self.repeat),
            ("tasks", *tasks),
            ("settings.batch_size", settings.batch_size),
            ("settings.file_limit", settings.file_limit),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(format!("`{key}` is 0; 1 or more is expected"));
        }
        if tasks_finished > tasks {
            return Err(format!("`tasks_finished` is {tasks_finished}, of {tasks} `tasks`"));
        }
        if *samples == 0 && *tasks_finished > 0 {
            return Err(format!("`samples` is 0, though `tasks_finished` is {tasks_finished}"));
        }
        let memory = settings.memory_mb.map(|mb| ("settings.memory_mb", mb));
        let above_zero = [
            ("seconds", self.seconds),
            ("settings.partition_mb", settings.partition_mb),
            ("settings.scale", settings.scale),
        ];
        for (key, value) in above_zero.into_iter().chain(memory) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("`{key}` is {value}; more than 0 is expected"));
            }
        }
        let PhaseSeconds { init, list, read, decode, infer, write } = self.phases;
        let zero_or_more = [
            // Times of tasks are told in whole milliseconds.
            ("map_seconds", self.map_seconds),
            ("runtime_seconds_mean", self.runtime_seconds_mean),
            ("memory_mb_mean", self.memory_mb_mean),
            ("memory_mb_peak", self.memory_mb_peak),
            ("allocated_mb", self.allocated_mb.unwrap_or_default()),
            ("cpu_seconds", self.cpu_seconds),
            ("phases.init", init),
            ("phases.list", list),
            ("phases.read", read),
            ("phases.decode", decode),
            ("phases.infer", infer),
            ("phases.write", write),
        ];
        let of_tasks = self.task_seconds.iter().map(|seconds| ("task_seconds", *seconds));
        for (key, value) in zero_or_more.into_iter().chain(of_tasks) {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(format!("`{key}` is {value}; 0 or more is expected"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A line with `value` at `key`, which may lie deeper, as `phases.read`.
    fn line(key: &str, value: Value) -> Vec<u8> {
        let mut line = json!({
            "format_version": SWEEP_FORMAT, "sweep": "s", "sweep_sha256": "ab", "experiment": "e", "point": 0, "repeat": 1,
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
    fn what_no_run_can_have_measured_is_refused_by_its_key() {
        assert!(SweepPoint::parse(&line("seconds", json!(0.001))).is_ok());
        for key in ["seconds", "settings.partition_mb", "settings.memory_mb"] {
            for value in [json!(0.0), json!(-1.5)] {
                let error = SweepPoint::parse(&line(key, value)).unwrap_err();
                assert!(error.starts_with(&format!("`{key}` is ")) && error.contains("more than 0"), "{error}");
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
            let error = SweepPoint::parse(&line(key, json!(-0.1))).unwrap_err();
            assert_eq!(error, format!("`{key}` is -0.1; 0 or more is expected"));
        }
        for (key, value, words) in [
            ("task_seconds", json!([5.0, -5.0]), "`task_seconds` is -5; 0 or more"),
            ("repeat", json!(0), "`repeat` is 0; 1 or more"),
            ("settings.batch_size", json!(0), "`settings.batch_size` is 0"),
            ("samples", json!(0), "`samples` is 0, though `tasks_finished` is 2"),
            ("tasks_finished", json!(3), "`tasks_finished` is 3, of 2 `tasks`"),
        ] {
            let error = SweepPoint::parse(&line(key, value)).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        // JSON has no infinity, and its parser takes no number that would become one.
        let text = String::from_utf8(line("seconds", json!(12345.5))).unwrap().replace("12345.5", "1e999");
        assert!(SweepPoint::parse(text.as_bytes()).is_err());
    }
}
