//! What happens while a run is executed, told to whoever listens; and the clock and the process, read nowhere else.
//!
//! In: calls from the executor and from [`run_task`](crate::run_task). Out: [`Event`]s to an [`EventSink`]. Removing a
//! sink changes no result.

mod clock;
mod machine;
mod process;

use serde::{Deserialize, Serialize};

pub use clock::{Stopwatch, new_run_id, now, seconds_between};
pub use machine::{Machine, cpu_features};
pub use process::{memory_peak_mb, thread_cpu_seconds};

/// One thing that happened. Ranks are those of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The executor took up a plan.
    RunStarted {
        /// The plan's run.
        run_id: String,
        /// Tasks of the plan.
        tasks: usize,
        /// Tasks that an earlier execution finished, and that are not repeated.
        finished_before: usize,
        /// Bytes of the files of the tasks that are left.
        bytes: u64,
    },
    /// A worker took up a task.
    TaskStarted {
        /// The task.
        rank: usize,
        /// 1 for the first time.
        attempt: u32,
        /// Bytes of its files.
        bytes: u64,
    },
    /// Some images went through the model.
    BatchPredicted {
        /// The task.
        rank: usize,
        /// Images, counted anew in every attempt.
        samples: usize,
        /// Their bytes, as stored.
        bytes: u64,
    },
    /// A task failed in a way that another attempt may heal; it will be tried again. What it predicted is forgotten.
    TaskRetried {
        /// The task.
        rank: usize,
        /// The attempt that failed.
        attempt: u32,
        /// Seconds until the next one.
        wait_seconds: f64,
        /// What went wrong.
        error: String,
    },
    /// A task's results are all written.
    TaskFinished {
        /// The task.
        rank: usize,
        /// Images predicted.
        samples: usize,
        /// Wall seconds of the last attempt.
        seconds: f64,
    },
    /// A task failed for good; the others go on.
    TaskFailed {
        /// The task.
        rank: usize,
        /// Attempts made.
        attempts: u32,
        /// What went wrong the last time.
        error: String,
    },
    /// Where tasks run elsewhere: how they stand by what the one who hands them out says.
    Counted {
        /// Tasks that run now.
        running: usize,
        /// Tasks that failed for good.
        failed: usize,
        /// Why nothing runs, where something waits.
        waiting: Option<String>,
    },
    /// No task runs any more.
    RunFinished {
        /// Tasks whose results are written, those finished before included.
        finished: usize,
        /// Tasks that failed.
        failed: usize,
        /// Tasks that were not taken up or were abandoned.
        left: usize,
    },
}

/// Someone who listens: a progress bar, a history file, a console.
pub trait EventSink: Send + Sync {
    /// Called in order for the events of one task; tasks interleave. Must return quickly.
    fn record(&self, event: &Event);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl EventSink for Silence {
    fn record(&self, _event: &Event) {}
}
