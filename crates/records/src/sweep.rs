//! Records of a sweep: one JSON line per measured run, and the claim on a results folder.
//!
//! A sweep appends a line after each run. `cosmicai sweep` reads the lines to continue the sweep, and `cosmicai report`
//! reads them to plot it. The claim is a file beside the results. Never here: the definition of a sweep, and how a run
//! starts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::{FormatError, check_format};
use crate::report::{Billed, PhaseSeconds};
use crate::{ExecutorKind, Machine};

/// Version of a sweep line that this program writes and reads.
pub const SWEEP_FORMAT: u32 = 1;
/// Longest line that is read, in bytes: ten thousand task times and all other fields.
pub const MAX_SWEEP_LINE_BYTES: usize = 1 << 20;
/// Version of a claim that this program writes and reads.
pub const SWEEP_CLAIM_FORMAT: u32 = 1;

/// One measured run of a sweep. Times are wall seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Version of this format: [`SWEEP_FORMAT`].
    pub format_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// SHA-256 of the inputs of the sweep, in hexadecimal. It distinguishes the lines of different sweeps.
    pub sweep_sha256: String,
    /// Name of the experiment that the point belongs to.
    pub experiment: String,
    /// Index of the point in the sweep, before shuffling.
    pub point: usize,
    /// Number of the repeat of the point, starting at 1.
    pub repeat: usize,
    /// Settings of the point.
    pub settings: PointSettings,
    /// Id of the run.
    pub run_id: String,
    /// URL of the results folder.
    pub results_url: String,
    /// Version of the program.
    pub program: String,
    /// Commit of the program's source code; empty if unknown.
    pub commit: String,
    /// Machine that ran the tasks; for remote executors, the machine that followed the run.
    pub machine: Machine,
    /// Instruction set that the kernels used.
    pub isa: String,
    /// Start of the run, RFC 3339.
    pub started: String,
    /// End of the run, RFC 3339.
    pub finished: String,
    /// Duration of the whole run, from its start to its summary: the total execution time of the CAI study.
    pub seconds: f64,
    /// Duration from the start of the first task to the end of the last one.
    pub map_seconds: f64,
    /// Number of tasks in the plan.
    pub tasks: usize,
    /// Number of finished tasks.
    pub tasks_finished: usize,
    /// Number of images predicted.
    pub samples: u64,
    /// Bytes of the images and magnitudes, as stored.
    pub bytes: u64,
    /// Mean over the tasks of `total_cpu_time (seconds)` of the study record: the time of the loop that reads and
    /// predicts.
    pub runtime_seconds_mean: f64,
    /// Mean over the tasks of `total_process_memory (MB)` of the study record, in binary MB.
    pub memory_mb_mean: f64,
    /// Largest resident memory of any worker, in binary MB.
    pub memory_mb_peak: f64,
    /// Sum over the tasks of `total_cpu_memory (MB)` of the study record: memory that the loops allocated, in MB of 10⁶
    /// bytes; absent in lines of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_mb: Option<f64>,
    /// Seconds of the loop that reads and predicts, for each task by rank.
    pub task_seconds: Vec<f64>,
    /// Seconds by phase, summed over the tasks.
    pub phases: PhaseSeconds,
    /// Processor seconds of the threads that convert and predict, summed over the tasks.
    pub cpu_seconds: f64,
    /// Usage that the cloud bills; absent if no cloud was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
}

/// Settings of a point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointSettings {
    /// Executor of the runs.
    pub executor: ExecutorKind,
    /// Images in a batch.
    pub batch_size: usize,
    /// Nominal size of a partition in binary MB, as its folder is named: 25 for `25MB`.
    pub partition_mb: f64,
    /// Number of partitions: the first ones in their order.
    pub file_limit: usize,
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Number of compute threads of each worker; absent if the executor decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Number of tasks at a time; absent if the executor decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Memory requested for a worker, in binary MB; absent if none was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
    /// Factor applied to the sizes of the sweep definition, including `partition_mb`: 0.02 if a definition of 25 MB was
    /// run with 0.5 MB.
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// Settings of the payload that no axis varies and that differ from the defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
}

impl PointSettings {
    /// Number of files that a run reads: `file_limit`, as often as `repeat` of the payload states.
    pub fn files(&self) -> usize {
        let repeat = self.others.get("repeat").and_then(|times| times.parse().ok()).unwrap_or(1);
        self.file_limit.saturating_mul(repeat)
    }
}

/// Scale of lines written before `scale` was introduced.
fn default_scale() -> f64 {
    1.0
}

/// Claim of a sweep on a results folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepClaim {
    /// Version of this format: [`SWEEP_CLAIM_FORMAT`].
    pub format_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// Absolute path of the file with the lines of the sweep.
    pub lines: String,
}

impl SweepClaim {
    /// Reads a claim.
    ///
    /// # Errors
    /// The bytes are not a claim of this version.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, SWEEP_CLAIM_FORMAT)?;
        Ok(serde_json::from_slice(json)?)
    }
}

impl SweepPoint {
    /// Reads and checks one line.
    ///
    /// # Errors
    /// The line is too long, is not of this version, or holds an impossible number.
    pub fn parse(line: &[u8]) -> Result<Self, FormatError> {
        if line.len() > MAX_SWEEP_LINE_BYTES {
            return Err(FormatError::Value(format!(
                "line of {} bytes found; at most {MAX_SWEEP_LINE_BYTES} expected",
                line.len()
            )));
        }
        check_format(line, SWEEP_FORMAT)?;
        let point: Self = serde_json::from_slice(line)?;
        point.check().map(|()| point)
    }

    /// Key of the run: SHA-256 of the sweep, point and repeat. Two lines with the same key describe the same run.
    pub fn run_key(&self) -> (&str, usize, usize) {
        (&self.sweep_sha256, self.point, self.repeat)
    }

    /// Checks that the numbers are possible.
    ///
    /// # Errors
    /// A number is impossible. The message names its key.
    pub fn check(&self) -> Result<(), FormatError> {
        let Self { settings, tasks, tasks_finished, samples, .. } = self;
        let counts = [
            ("repeat", self.repeat),
            ("tasks", *tasks),
            ("settings.batch_size", settings.batch_size),
            ("settings.file_limit", settings.file_limit),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(FormatError::Value(format!("`{key}` is 0; expected 1 or more")));
        }
        if tasks_finished > tasks {
            return Err(FormatError::Value(format!(
                "`tasks_finished` is {tasks_finished}; expected at most {tasks}, the value of `tasks`"
            )));
        }
        if *samples == 0 && *tasks_finished > 0 {
            return Err(FormatError::Value(format!("`samples` is 0, but `tasks_finished` is {tasks_finished}")));
        }
        let memory = settings.memory_mb.map(|mb| ("settings.memory_mb", mb));
        let above_zero = [
            ("seconds", self.seconds),
            ("settings.partition_mb", settings.partition_mb),
            ("settings.scale", settings.scale),
        ];
        for (key, value) in above_zero.into_iter().chain(memory) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(FormatError::Value(format!("`{key}` is {value}; expected more than 0")));
            }
        }
        let PhaseSeconds { init, list, read, decode, infer, write } = self.phases;
        let zero_or_more = [
            // Times of tasks are rounded to milliseconds, so a short map takes 0 s.
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
                return Err(FormatError::Value(format!("`{key}` is {value}; expected 0 or more")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
