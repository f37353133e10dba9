//! How far a sweep is: a bar on a terminal, a line for each run elsewhere, both on standard error.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pipeline::sweep::SweepPoint;

use super::points::{Point, Repeat, Sweep};

/// A bar over the data of the runs, as large runs take longer than small ones; its text counts the runs.
pub(super) struct Progress {
    bar: ProgressBar,
    runs: usize,
    done: AtomicUsize,
}

impl Progress {
    /// Of a sweep of which some runs are left, and `done` were made before.
    pub(super) fn new(sweep: &Sweep, left: &[Repeat], done: usize) -> Progress {
        let bar = ProgressBar::new(left.iter().map(|run| sweep.points[run.point].bytes()).sum());
        if let Ok(style) = ProgressStyle::with_template("{msg:>24} {wide_bar} {bytes}/{total_bytes} eta {eta}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let progress = Progress { bar, runs: left.len() + done, done: AtomicUsize::new(done) };
        if !left.is_empty() {
            let before = if done > 0 { format!(", {done} measured before") } else { String::new() };
            progress.line(&format!("sweep {}: {} runs{before}", sweep.name, progress.runs));
        }
        progress.count();
        progress
    }

    /// A run was measured.
    pub(super) fn done(&self, point: &Point, measured: &SweepPoint) {
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

    /// A run failed.
    pub(super) fn failed(&self, point: &Point, run: Repeat, said: &str) {
        self.bar.inc(point.bytes());
        self.line(&format!("{}, repeat {}: failed: {said}", point.name(), run.repeat));
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// A line among the progress: above the bar on a terminal, as it is elsewhere.
    pub(super) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            // A closed standard error is no reason to stop.
            drop(writeln!(std::io::stderr(), "{text}"));
        } else {
            self.bar.println(text);
        }
    }

    fn count(&self) {
        self.bar.set_message(format!("{} of {} runs", self.done.load(Ordering::Relaxed), self.runs));
    }
}
