//! What was measured at one point of a sweep: a line of its JSON lines.
//!
//! A plain record with a format version, written after each run and read by whoever goes on with the sweep or reports on
//! it. Never here: which points there are, and how a run is started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Machine;
use crate::report::{Billed, PhaseSeconds};

/// The version of the record that this code writes and reads.
pub const SWEEP_FORMAT: u32 = 1;
/// The longest line that is read, in bytes: ten thousand task times and all else.
pub const MAX_SWEEP_LINE_BYTES: usize = 1 << 20;

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

impl SweepPoint {
    /// Reads one line.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MAX_SWEEP_LINE_BYTES {
            return Err(format!("a line of {} bytes, where {MAX_SWEEP_LINE_BYTES} are expected at most", line.len()));
        }
        crate::report::check_format(line, SWEEP_FORMAT)?;
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }
}
