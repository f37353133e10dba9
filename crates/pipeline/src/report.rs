//! What a task and a run did and what it cost: `tasks/<rank>.json` and `report.json`.
//!
//! Plain records with a format version; every time is wall time in seconds unless its name says otherwise. The study's
//! own record of a task is in [`record`](crate::record).

use std::cmp::Ordering;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::Machine;
use crate::flags;
use crate::plan::{FileIdentity, ModelIdentity};

/// The version of `tasks/<rank>.json` and `report.json` that this code writes and reads.
pub const REPORT_FORMAT: u32 = 1;
/// The largest report of a task that is read, in bytes.
pub const MAX_TASK_REPORT_BYTES: u64 = 64 << 20;
/// The largest report of a run that is read, in bytes: ten thousand tasks at some kilobytes each.
pub const MAX_RUN_REPORT_BYTES: u64 = 1 << 30;

/// The longest that executions of a run are believed to have taken: three hundred years.
const MAX_SECONDS: f64 = 1e10;

/// What one task did, written after its results: its presence says that they are complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Version of this format: [`REPORT_FORMAT`].
    pub format_version: u32,
    /// The plan's run.
    pub run_id: String,
    /// The task.
    pub rank: usize,
    /// SHA-256 of the model that predicted.
    pub model_sha256: String,
    /// The files, as planned.
    pub files: Vec<FileIdentity>,
    /// Images pushed through together.
    pub batch_size: usize,
    /// Arithmetic of the model.
    pub precision: String,
    /// Instruction set that ran.
    pub isa: String,
    /// Compute threads.
    pub threads: usize,
    /// Images predicted.
    pub samples: u64,
    /// Bytes of images and magnitudes, as stored.
    pub bytes: u64,
    /// Bytes of rows fetched from storage; what opening the files takes is not in it.
    pub bytes_fetched: u64,
    /// Rows by what is wrong with them.
    pub flagged: FlagCounts,
    /// When the executor had the task ready, RFC 3339.
    pub queued: String,
    /// When the attempt that succeeded began, RFC 3339.
    pub started: String,
    /// When its results were written, RFC 3339.
    pub finished: String,
    /// Where the time went, in the attempt that succeeded.
    pub seconds: PhaseSeconds,
    /// Processor seconds of the threads that convert and predict; what the system spends on files and sockets is not
    /// in it.
    pub cpu_seconds: f64,
    /// Most resident memory of the worker's process until then, in binary MB.
    pub memory_peak_mb: f64,
    /// Attempts made, the last one succeeding.
    pub attempts: u32,
    /// Whether the worker had run a task before, so that the model was there.
    pub warm: bool,
}

/// Wall seconds by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSeconds {
    /// Reading and packing the model; 0 in a warm worker.
    pub init: f64,
    /// Finding and opening the files.
    pub list: f64,
    /// Waiting for rows, as far as that was not hidden behind predicting.
    pub read: f64,
    /// Converting and cropping rows for the model.
    pub decode: f64,
    /// In the model.
    pub infer: f64,
    /// Encoding and writing the results; the task's report itself is not in it.
    pub write: f64,
}

/// Rows by flag; a row may have several. See [`flags`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    /// Rows with any flag.
    pub rows: u64,
    /// Rows with a pixel that is NaN or infinite.
    pub non_finite_pixel: u64,
    /// Rows with a magnitude outside 0 to 40.
    pub bad_magnitude: u64,
    /// Rows whose prediction is not finite or outside 0 to 2.
    pub bad_prediction: u64,
}

/// What a run did, as far as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of this format: [`REPORT_FORMAT`].
    pub format_version: u32,
    /// The plan's run.
    pub run_id: String,
    /// Where the results are.
    pub results_url: String,
    /// The model.
    pub model: ModelIdentity,
    /// Where the tasks ran: `local`, …
    pub executor: String,
    /// The machine; where workers ran elsewhere, that of the executor.
    pub machine: Machine,
    /// Instruction set that ran.
    pub isa: String,
    /// Arithmetic of the model.
    pub precision: String,
    /// Workers at a time.
    pub workers: usize,
    /// Compute threads of each.
    pub threads: usize,
    /// When this execution began, RFC 3339. Tasks may have run in an earlier one.
    pub started: String,
    /// When it ended, RFC 3339.
    pub finished: String,
    /// Wall seconds of this execution.
    pub seconds: f64,
    /// Wall seconds of the earlier executions of this run that left a report; 0 of a run that was never resumed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds_before: f64,
    /// Tasks of the plan.
    pub tasks_planned: usize,
    /// Images predicted by the finished tasks.
    pub samples: u64,
    /// Bytes of their images and magnitudes, as stored.
    pub bytes: u64,
    /// The finished tasks by rank, those of earlier executions included.
    pub tasks: Vec<TaskReport>,
    /// The tasks that failed, by rank.
    pub failed: Vec<FailedTask>,
    /// Ranks of the tasks that were not taken up or were abandoned.
    pub left: Vec<usize>,
    /// What a cloud says it will charge for; absent where nobody charges, or where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
    /// The same of the earlier executions; absent where one of them did not say, or there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_before: Option<Billed>,
    /// What a cluster's scheduler says of the jobs that did the tasks; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// What was foretold of this execution before it began; absent where nobody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foretold: Option<Foretold>,
}

/// Time and cost as they were foretold, and as they became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foretold {
    /// Wall seconds, the median of the simulated executions.
    pub seconds: f64,
    /// 90 % of them lie between these.
    pub seconds_90: [f64; 2],
    /// What it became: on this machine from the planning to the end, elsewhere the report's own `seconds`.
    pub seconds_actual: f64,
    /// USD, likewise.
    pub usd: f64,
    /// 90 % lie between these.
    pub usd_90: [f64; 2],
    /// Where the speed of a worker was measured.
    pub source: String,
    /// USD that the run might cost; None without a limit.
    pub budget_usd: Option<f64>,
    /// USD that it cost by the same prices; None where the cloud did not say what it bills.
    pub usd_actual: Option<f64>,
}

/// What a cluster's scheduler says of the jobs of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The scheduler and its version.
    pub scheduler: String,
    /// The name of the cluster.
    pub cluster: String,
    /// The jobs that did tasks, as far as the scheduler remembers them.
    pub jobs: Vec<Job>,
}

/// One job, in the scheduler's own words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The tasks that were given to it.
    pub ranks: Vec<usize>,
    /// Its state, such as `COMPLETED`, `TIMEOUT` or `OUT_OF_MEMORY`.
    pub state: String,
    /// Why it waits, or why it ended; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Exit status and signal.
    pub exit_code: String,
    /// Where it ran.
    pub nodes: String,
    /// Processors that it had.
    pub cpus: u64,
    /// Wall seconds that it ran.
    pub elapsed_seconds: f64,
    /// Wall seconds that it was allowed; None without a limit.
    pub time_limit_seconds: Option<f64>,
    /// Memory that it asked for on a node, in binary MB; None where it did not.
    pub memory_mb: Option<f64>,
    /// Most resident memory, in binary MB; None where nobody counted.
    pub memory_max_mb: Option<f64>,
    /// How often the scheduler began it again.
    pub restarts: u32,
}

/// What Lambda says of the invocations of a run, in its REPORT lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Billed {
    /// Invocations, those that failed included.
    pub invocations: u64,
    /// Of these, the ones that began with a new environment.
    pub cold: u64,
    /// Milliseconds that handlers ran.
    pub duration_ms: f64,
    /// Milliseconds that are charged.
    pub billed_ms: f64,
    /// Milliseconds that new environments took to begin.
    pub init_ms: f64,
    /// Configured memory × charged time, in GB·s of 1,024 MB.
    pub gb_s: f64,
    /// Configured memory of the largest function, in MB.
    pub memory_mb: f64,
    /// Most memory that any invocation used, in MB.
    pub memory_used_mb_max: f64,
}

/// A task that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTask {
    /// The task.
    pub rank: usize,
    /// Its files.
    pub files: Vec<String>,
    /// Attempts made.
    pub attempts: u32,
    /// What went wrong the last time.
    pub error: String,
}

impl RunReport {
    /// Whether every task of the plan is finished.
    pub fn is_complete(&self) -> bool {
        self.tasks.len() == self.tasks_planned
    }

    /// Wall seconds of all executions.
    pub fn total_seconds(&self) -> f64 {
        self.seconds + self.seconds_before
    }

    /// What a cloud says of all executions; None where it did not speak of one of them.
    pub fn total_billed(&self) -> Option<Billed> {
        let billed = self.billed.as_ref()?;
        match &self.billed_before {
            Some(before) => Some(billed.and(before)),
            None => (self.seconds_before == 0.0).then(|| billed.clone()),
        }
    }

    /// Takes over from the report that lies where this one goes what earlier executions took.
    pub(crate) fn follow(&mut self, earlier: &RunReport) {
        (self.seconds_before, self.billed_before) = match earlier.started.cmp(&self.started) {
            _ if earlier.run_id != self.run_id => return,
            Ordering::Less => (earlier.total_seconds(), earlier.total_billed()),
            // The same execution, looked at again.
            Ordering::Equal => (earlier.seconds_before, earlier.billed_before.clone()),
            // This one has the time from before the earlier one in it.
            Ordering::Greater => return,
        };
    }
}

impl Billed {
    fn and(&self, other: &Billed) -> Billed {
        Billed {
            invocations: self.invocations + other.invocations,
            cold: self.cold + other.cold,
            duration_ms: self.duration_ms + other.duration_ms,
            billed_ms: self.billed_ms + other.billed_ms,
            init_ms: self.init_ms + other.init_ms,
            gb_s: self.gb_s + other.gb_s,
            memory_mb: self.memory_mb.max(other.memory_mb),
            memory_used_mb_max: self.memory_used_mb_max.max(other.memory_used_mb_max),
        }
    }
}

/// For serde, which asks about a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl FlagCounts {
    /// Counts the flags of rows.
    pub fn count(rows: &[u8]) -> Self {
        let with = |flag: u8| rows.iter().filter(|&&flags| flags & flag != 0).count() as u64;
        Self {
            rows: with(u8::MAX),
            non_finite_pixel: with(flags::NON_FINITE_PIXEL),
            bad_magnitude: with(flags::BAD_MAGNITUDE),
            bad_prediction: with(flags::BAD_PREDICTION),
        }
    }

    /// Adds the counts of other rows.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.non_finite_pixel += other.non_finite_pixel;
        self.bad_magnitude += other.bad_magnitude;
        self.bad_prediction += other.bad_prediction;
    }
}

impl TaskReport {
    /// Reads a `tasks/<rank>.json`.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        parse(json)
    }
}

impl RunReport {
    /// Reads a `report.json`.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let report: Self = parse(json)?;
        for (key, seconds) in [("seconds", report.seconds), ("seconds_before", report.seconds_before)] {
            if !(0.0..=MAX_SECONDS).contains(&seconds) {
                return Err(format!("`{key}` is {seconds}; 0 to {MAX_SECONDS} are expected"));
            }
        }
        Ok(report)
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    check_format(json, REPORT_FORMAT)?;
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// Whether a JSON object carries this `format_version`, before anything else of it is believed.
pub(crate) fn check_format(json: &[u8], expected: u32) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Head {
        format_version: u32,
    }
    let head: Head = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    match head.format_version {
        found if found == expected => Ok(()),
        found => Err(format!("format_version {found} found, {expected} expected; it was written by another version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_counted() {
        let counts = FlagCounts::count(&[0, 1, 2, 3, 4, 0, 5]);
        assert_eq!(counts, FlagCounts { rows: 5, non_finite_pixel: 3, bad_magnitude: 2, bad_prediction: 2 });
        let mut sum = counts;
        sum.add(FlagCounts::count(&[4]));
        assert_eq!((sum.rows, sum.bad_prediction), (6, 3));
    }

    #[test]
    fn another_version_is_not_believed() {
        assert_eq!(check_format(br#"{"format_version": 1, "x": []}"#, 1), Ok(()));
        assert!(check_format(br#"{"format_version": 2}"#, 1).unwrap_err().starts_with("format_version 2 found, 1"));
        assert!(check_format(br#"{"format": 1}"#, 1).unwrap_err().contains("format_version"));
        assert!(TaskReport::parse(br#"{"format_version": 1}"#).unwrap_err().contains("run_id"));
    }

    fn report(started: &str, seconds: f64, billed: Option<f64>) -> RunReport {
        let billed = billed.map(|gb_s| Billed { gb_s, invocations: 2, ..Billed::default() });
        let json = serde_json::json!({
            "format_version": REPORT_FORMAT, "run_id": "r", "results_url": "", "executor": "local",
            "model": { "url": "", "sha256": "", "bytes": 0 }, "machine": Machine::detect(), "isa": "", "precision": "f32",
            "workers": 1, "threads": 1, "started": started, "finished": "", "seconds": seconds, "tasks_planned": 0,
            "samples": 0, "bytes": 0, "tasks": [], "failed": [], "left": [], "billed": billed,
        });
        RunReport::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn times_that_cannot_be_are_not_believed() {
        let mut json = serde_json::to_value(report("2026-01-01T00:00:00Z", 3.0, None)).unwrap();
        for wrong in [-5.0, 1e300] {
            json["seconds_before"] = wrong.into();
            assert!(RunReport::parse(json.to_string().as_bytes()).unwrap_err().contains("`seconds_before`"));
        }
    }

    #[test]
    fn executions_of_one_run_add_up() {
        let first = report("2026-01-01T00:00:00Z", 3.0, Some(1.0));
        let mut second = report("2026-01-01T01:00:00Z", 5.0, Some(2.0));
        second.follow(&first);
        assert_eq!((second.total_seconds(), second.total_billed().unwrap().gb_s), (8.0, 3.0));
        assert_eq!(second.total_billed().unwrap().invocations, 4);
        // Looked at again, with nothing added; and gone on with.
        let mut again = report("2026-01-01T01:00:00Z", 5.5, None);
        again.follow(&second);
        assert_eq!((again.total_seconds(), again.total_billed()), (8.5, None));
        let mut third = report("2026-01-01T02:00:00Z", 1.0, Some(1.0));
        third.follow(&again);
        assert_eq!((third.total_seconds(), third.total_billed()), (9.5, None));
        // A report that begins with the plan has all executions in it; another run's is not counted.
        let mut whole = report("2025-12-31T23:00:00Z", 20.0, None);
        whole.follow(&third);
        assert_eq!(whole.total_seconds(), 20.0);
        let mut other = RunReport { run_id: "other".to_owned(), ..report("2026-01-01T03:00:00Z", 2.0, None) };
        other.follow(&third);
        assert_eq!(other.total_seconds(), 2.0);
    }
}
