//! Report of a run: `report.json`.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Billed, REPORT_FORMAT, Scheduled, TaskReport};
use crate::format::{FormatError, check_format};
use crate::plan::ModelIdentity;
use crate::{ExecutorKind, Machine};

/// Largest `report.json` that is read, in bytes: ten thousand tasks of some kilobytes each.
pub const MAX_RUN_REPORT_BYTES: u64 = 1 << 30;

/// Longest duration that a report may state, in seconds: about three hundred years.
const MAX_SECONDS: f64 = 1e10;

/// Report of a run, complete or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of this format: [`REPORT_FORMAT`].
    pub format_version: u32,
    /// Run id of the plan.
    pub run_id: String,
    /// URL of the results folder.
    pub results_url: String,
    /// Model that predicted.
    pub model: ModelIdentity,
    /// Executor that ran the tasks.
    pub executor: ExecutorKind,
    /// Machine that ran the tasks; for remote workers, the machine that wrote this report.
    pub machine: Machine,
    /// Instruction set that the kernels used.
    pub isa: String,
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Number of workers at a time.
    pub workers: usize,
    /// Number of compute threads of each worker.
    pub threads: usize,
    /// Start of this execution, RFC 3339. Some tasks may have run in an earlier execution.
    pub started: String,
    /// End of this execution, RFC 3339.
    pub finished: String,
    /// Wall seconds of this execution.
    pub seconds: f64,
    /// Wall seconds of the earlier executions of this run that left a report; 0 if the run was never resumed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds_before: f64,
    /// Number of tasks in the plan.
    pub tasks_planned: usize,
    /// Number of images predicted by the finished tasks.
    pub samples: u64,
    /// Bytes of the images and magnitudes of the finished tasks, as stored.
    pub bytes: u64,
    /// Reports of the finished tasks by rank, including those of earlier executions.
    pub tasks: Vec<TaskReport>,
    /// Tasks that failed, by rank.
    pub failed: Vec<FailedTask>,
    /// Ranks of the tasks that did not start or were abandoned.
    pub left: Vec<usize>,
    /// Usage that the cloud bills for this execution; absent if no cloud was used or its logs could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
    /// Usage that the cloud bills for the earlier executions; absent if there were none, or if it is unknown for one of
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_before: Option<Billed>,
    /// Jobs that ran the tasks, as the scheduler of the cluster reports them; absent without a scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// Forecast of this execution, made before it started; absent if none was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<RunForecast>,
}

/// Forecast time and cost of a run, with the actual values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunForecast {
    /// Forecast wall seconds: the median of the simulated executions.
    pub seconds: f64,
    /// Interval that holds 90 % of the simulated wall seconds.
    pub seconds_90: [f64; 2],
    /// Actual wall seconds. On this machine, they run from planning to the end; for remote executors, they are the
    /// `seconds` of the report.
    pub seconds_actual: f64,
    /// Forecast cost in USD: the median of the simulated executions.
    pub usd: f64,
    /// Interval that holds 90 % of the simulated costs, in USD.
    pub usd_90: [f64; 2],
    /// Source of the worker speed: a measured run or a benchmark.
    pub source: String,
    /// Budget of the run in USD; `None` without a limit.
    pub budget_usd: Option<f64>,
    /// Actual cost in USD at the same prices; `None` if the billed usage is unknown.
    pub usd_actual: Option<f64>,
}

/// Task that failed on its last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTask {
    /// Rank of the task.
    pub rank: usize,
    /// Keys of the files of the task.
    pub files: Vec<String>,
    /// Number of attempts.
    pub attempts: u32,
    /// Error of the last attempt.
    pub error: String,
}

impl RunReport {
    /// Reads a `report.json`.
    ///
    /// # Errors
    /// The bytes are not a report of this version, or a duration in it is impossible.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, REPORT_FORMAT)?;
        let report: Self = serde_json::from_slice(json)?;
        for (key, seconds) in [("seconds", report.seconds), ("seconds_before", report.seconds_before)] {
            if !(0.0..=MAX_SECONDS).contains(&seconds) {
                return Err(FormatError::Value(format!("`{key}` is {seconds}; expected 0 to {MAX_SECONDS}")));
            }
        }
        Ok(report)
    }

    /// Returns true if every task of the plan is finished.
    pub fn is_complete(&self) -> bool {
        self.tasks.len() == self.tasks_planned
    }

    /// Wall seconds of all executions of the run.
    pub fn total_seconds(&self) -> f64 {
        self.seconds + self.seconds_before
    }

    /// Billed usage of all executions of the run; `None` if it is unknown for one of them.
    pub fn total_billed(&self) -> Option<Billed> {
        let billed = self.billed.as_ref()?;
        match &self.billed_before {
            Some(before) => Some(billed.plus(before)),
            None => (self.seconds_before == 0.0).then(|| billed.clone()),
        }
    }

    /// Takes the time and billed usage of earlier executions from `earlier`, the report that this one replaces.
    pub fn add_earlier_executions(&mut self, earlier: &RunReport) {
        (self.seconds_before, self.billed_before) = match earlier.started.cmp(&self.started) {
            _ if earlier.run_id != self.run_id => return,
            Ordering::Less => (earlier.total_seconds(), earlier.total_billed()),
            // Both reports describe the same execution.
            Ordering::Equal => (earlier.seconds_before, earlier.billed_before.clone()),
            // This report starts before the earlier one, so it already includes that time.
            Ordering::Greater => return,
        };
    }
}

/// Returns true for 0. Serde requires the reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(started: &str, seconds: f64, billed: Option<f64>) -> RunReport {
        let billed = billed.map(|gb_s| Billed { gb_s, invocations: 2, ..Billed::default() });
        let json = serde_json::json!({
            "format_version": REPORT_FORMAT, "run_id": "r", "results_url": "", "executor": "local",
            "model": { "url": "", "sha256": "", "bytes": 0 }, "machine": Machine::default(), "isa": "",
            "precision": "f32", "workers": 1, "threads": 1, "started": started, "finished": "", "seconds": seconds,
            "tasks_planned": 0,
            "samples": 0, "bytes": 0, "tasks": [], "failed": [], "left": [], "billed": billed,
        });
        RunReport::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn rejects_impossible_durations() {
        let mut json = serde_json::to_value(report("2026-01-01T00:00:00Z", 3.0, None)).unwrap();
        for wrong in [-5.0, 1e300] {
            json["seconds_before"] = wrong.into();
            assert!(
                RunReport::parse(json.to_string().as_bytes()).unwrap_err().to_string().contains("`seconds_before`")
            );
        }
    }

    #[test]
    fn totals_sum_over_executions_of_the_same_run() {
        let first = report("2026-01-01T00:00:00Z", 3.0, Some(1.0));
        let mut second = report("2026-01-01T01:00:00Z", 5.0, Some(2.0));
        second.add_earlier_executions(&first);
        assert_eq!((second.total_seconds(), second.total_billed().unwrap().gb_s), (8.0, 3.0));
        assert_eq!(second.total_billed().unwrap().invocations, 4);
        // A second report on the same execution adds nothing.
        let mut again = report("2026-01-01T01:00:00Z", 5.5, None);
        again.add_earlier_executions(&second);
        assert_eq!((again.total_seconds(), again.total_billed()), (8.5, None));
        let mut third = report("2026-01-01T02:00:00Z", 1.0, Some(1.0));
        third.add_earlier_executions(&again);
        assert_eq!((third.total_seconds(), third.total_billed()), (9.5, None));
        // A report that starts with the plan already includes all executions.
        let mut whole = report("2025-12-31T23:00:00Z", 20.0, None);
        whole.add_earlier_executions(&third);
        assert_eq!(whole.total_seconds(), 20.0);
        let mut other = RunReport { run_id: "other".to_owned(), ..report("2026-01-01T03:00:00Z", 2.0, None) };
        other.add_earlier_executions(&third);
        assert_eq!(other.total_seconds(), 2.0);
    }
}
