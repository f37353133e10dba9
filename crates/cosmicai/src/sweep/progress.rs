//! Progress of a sweep on standard error: a bar on a terminal, otherwise a line for each run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use records::sweep::SweepPoint;

use super::points::{Point, Repeat, Sweep};
use crate::counting_bar::write_above;
use crate::printer::count;

/// Progress bar of a sweep. It counts bytes, because large runs take longer than small ones; its text counts runs.
pub(crate) struct SweepProgress {
    bar: ProgressBar,
    runs: usize,
    done: AtomicUsize,
}

impl SweepProgress {
    /// Progress of a sweep with runs `left` to do and `done` runs from earlier executions.
    pub(crate) fn new(sweep: &Sweep, left: &[Repeat], done: usize) -> SweepProgress {
        let bar = ProgressBar::new(left.iter().map(|run| sweep.points[run.point].bytes()).sum());
        if let Ok(style) = ProgressStyle::with_template("{msg:>24} {wide_bar} {bytes}/{total_bytes} eta {eta}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let progress = SweepProgress { bar, runs: left.len() + done, done: AtomicUsize::new(done) };
        if !left.is_empty() {
            let before = if done > 0 { format!(", {done} measured before") } else { String::new() };
            progress.line(&format!("sweep {}: {}{before}", sweep.name, count(progress.runs, "run")));
        }
        progress.count();
        progress
    }

    /// Counts a measured run.
    pub(crate) fn done(&self, point: &Point, measured: &SweepPoint) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bar.inc(point.bytes());
        self.count();
        if self.bar.is_hidden() {
            let rate = measured.samples as f64 / measured.seconds;
            let count = self.done.load(Ordering::Relaxed);
            let SweepPoint { repeat, seconds, .. } = measured;
            let name = point.name();
            self.line(&format!(
                "{count} of {}: {name}, repeat {repeat}: {seconds:.2} s, {rate:.0} images/s",
                self.runs
            ));
        }
    }

    /// Counts a failed run, and prints its messages.
    pub(crate) fn failed(&self, point: &Point, run: Repeat, messages: &str) {
        self.bar.inc(point.bytes());
        self.line(&format!("{}, repeat {}: failed: {messages}", point.name(), run.repeat));
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line, above the bar if there is one.
    pub(crate) fn line(&self, text: &str) {
        write_above(&self.bar, text);
    }

    fn count(&self) {
        self.bar.set_message(format!("{} of {} runs", self.done.load(Ordering::Relaxed), self.runs));
    }
}
