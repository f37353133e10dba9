//! Events of a run, and measurements of the clock, the process and the machine.
//!
//! Executors and [`run_task`](crate::run_task) send [`Event`]s to an [`EventSink`]. Removing a sink changes no result.
//! This module is the only one that reads the clock and the statistics of the process.

mod clock;
mod machine;
mod process;

use serde::{Deserialize, Serialize};

pub(crate) use clock::unix_seconds;
pub use clock::{Stopwatch, new_run_id, now};
pub use machine::{cpu_features, this_machine};
pub use process::{memory_peak_mb, thread_cpu_seconds};

/// Event of a run. Ranks are the ranks of tasks in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The executor started a run.
    RunStarted {
        /// Id of the run.
        run_id: String,
        /// Number of tasks in the plan.
        tasks: usize,
        /// Number of tasks that an earlier execution finished. They are not repeated.
        finished_before: usize,
        /// Size in bytes of the files of the remaining tasks.
        bytes: u64,
    },
    /// A worker started a task.
    TaskStarted {
        /// Rank of the task.
        rank: usize,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Size of the task's files in bytes.
        bytes: u64,
    },
    /// A worker predicted some images.
    BatchPredicted {
        /// Rank of the task.
        rank: usize,
        /// Number of images in this batch. Another attempt reports its images again.
        samples: usize,
        /// Size of these images in bytes, as stored.
        bytes: u64,
    },
    /// An attempt of a task failed, and the executor will try again. The predictions of the failed attempt are lost.
    TaskRetried {
        /// Rank of the task.
        rank: usize,
        /// Number of the attempt that failed.
        attempt: u32,
        /// Seconds until the next attempt.
        wait_seconds: f64,
        /// Error of the attempt.
        error: String,
    },
    /// A task finished: all its results are written.
    TaskFinished {
        /// Rank of the task.
        rank: usize,
        /// Number of images predicted.
        samples: usize,
        /// Wall seconds of the last attempt.
        seconds: f64,
    },
    /// A task failed and will not be tried again. Other tasks continue.
    TaskFailed {
        /// Rank of the task.
        rank: usize,
        /// Number of attempts.
        attempts: u32,
        /// Error of the last attempt.
        error: String,
    },
    /// Numbers of tasks, as a remote scheduler reports them (SLURM or Step Functions).
    Counted {
        /// Number of tasks that run now.
        running: usize,
        /// Number of tasks that failed and will not be tried again.
        failed: usize,
        /// Reason why tasks wait, if none runs.
        waiting: Option<String>,
    },
    /// The run is being stopped before its end; finished tasks keep their results.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// The run ended: no task runs any more.
    RunFinished {
        /// Number of finished tasks, including tasks that earlier executions finished.
        finished: usize,
        /// Number of tasks that failed.
        failed: usize,
        /// Number of tasks that were not started or were abandoned.
        left: usize,
    },
}

/// Reason to stop a run before its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum StopCause {
    /// The running bill passed the budget.
    Budget {
        /// USD so far.
        bill_usd: f64,
    },
    /// The user asked for it: Ctrl-C, or another signal to end.
    Interrupt,
}

impl StopCause {
    /// The reason in words, as services show it beside a stopped execution.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Budget { .. } => "the budget of `cosmicai run` is spent",
            Self::Interrupt => "`cosmicai run` was interrupted",
        }
    }
}

/// Receiver of events, such as a progress bar, a history file or the console.
pub trait EventSink: Send + Sync {
    /// Receives one event. The events of one task arrive in order. Events of different tasks interleave. Must return
    /// quickly.
    fn record(&self, event: &Event);
}

/// Event sink that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

impl EventSink for NullSink {
    fn record(&self, _event: &Event) {}
}
