//! Progress of a run on standard error: a bar on a terminal, otherwise plain lines.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeline::event::{Event, EventSink, StopCause};

use crate::counting_bar::write_above;
use crate::printer::{count, usd};

/// Largest number of plain lines that report finished tasks.
const LINES_MAX: usize = 20;

/// Shows the events of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: usize,
    finished: usize,
    failed: usize,
    /// Failed tasks that were reported one by one.
    failed_reported: usize,
    /// Number of running tasks that SLURM or AWS reports.
    running_remotely: usize,
    /// Last reported reason why no task runs.
    waiting: Option<String>,
    images: u64,
    /// Bytes of the current attempt of each running task, to subtract from the bar if the attempt fails.
    running: std::collections::HashMap<usize, u64>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{msg:>24} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, state: Mutex::default() }
    }

    /// Prints a line, above the bar if there is one.
    fn line(&self, text: &str) {
        write_above(&self.bar, text);
    }
}

impl EventSink for Progress {
    fn record(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::RunStarted { run_id, tasks, finished_before, bytes } => {
                state.tasks = *tasks;
                state.finished = *finished_before;
                self.bar.set_length(*bytes);
                self.bar.enable_steady_tick(Duration::from_millis(200));
                let before = match finished_before {
                    0 => String::new(),
                    count => format!(", {count} finished before"),
                };
                self.line(&format!("run {run_id}: {}{before}", count(*tasks, "task")));
            }
            Event::TaskStarted { rank, .. } => {
                state.running.insert(*rank, 0);
            }
            Event::BatchPredicted { rank, samples, bytes } => {
                *state.running.entry(*rank).or_default() += bytes;
                state.images += *samples as u64;
                self.bar.inc(*bytes);
            }
            Event::TaskRetried { rank, attempt, wait_seconds, error } => {
                let subtracted = state.running.remove(rank).unwrap_or(0);
                self.bar.set_position(self.bar.position().saturating_sub(subtracted));
                self.line(&format!("task {rank}: attempt {attempt} failed: {error}; retrying in {wait_seconds:.1} s"));
            }
            Event::TaskFinished { rank, .. } => {
                state.running.remove(rank);
                state.finished += 1;
                let step = state.tasks.div_ceil(LINES_MAX).max(1);
                if self.bar.is_hidden() && (state.finished.is_multiple_of(step) || state.finished == state.tasks) {
                    let images = if state.images > 0 { format!(", {} images", state.images) } else { String::new() };
                    self.line(&format!("{} of {}{images}", state.finished, count(state.tasks, "task")));
                }
            }
            Event::TaskFailed { rank, attempts, error } => {
                state.running.remove(rank);
                state.failed_reported += 1;
                state.failed = state.failed.max(state.failed_reported);
                let tries = if *attempts == 1 { String::new() } else { format!(" after {attempts} attempts") };
                self.line(&format!("task {rank}: failed{tries}: {error}"));
            }
            Event::Counted { running, failed, waiting } => {
                if let Some(why) = waiting.as_ref().filter(|why| state.waiting.as_ref() != Some(*why)) {
                    self.line(why);
                }
                state.waiting.clone_from(waiting);
                state.running_remotely = *running;
                state.failed = state.failed.max(*failed);
            }
            Event::Stopping { cause: StopCause::Interrupt } => {
                self.line("interrupted: stopping the running tasks; press Ctrl-C again to end at once");
            }
            Event::Stopping { cause: StopCause::Budget { bill_usd } } => self.line(&format!(
                "the bill so far, {} USD, is above --budget: stopping the run; finished tasks keep their results",
                usd(*bill_usd)
            )),
            Event::RunFinished { .. } => self.bar.finish_and_clear(),
        }
        let count = |count: usize, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
        let (running, failed) = (count(state.running_remotely, "running"), count(state.failed, "failed"));
        self.bar.set_message(format!("{}/{} tasks{running}{failed}", state.finished, state.tasks));
    }
}
