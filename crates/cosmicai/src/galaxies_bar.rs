//! Progress bar of a prediction on standard error: galaxies and their rate, over the bytes of all inputs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::grouped;

/// Shows how many galaxies are predicted. The number of all galaxies is known only when every input was opened, so the
/// bar and the time left follow the bytes.
pub(crate) struct GalaxiesBar {
    bar: ProgressBar,
    started: Instant,
    galaxies: AtomicU64,
}

impl GalaxiesBar {
    /// Makes a bar for inputs of `bytes` together.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template("{msg:>32} {wide_bar} {percent:>3} % eta {eta}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, started: Instant::now(), galaxies: AtomicU64::new(0) }
    }

    /// Adds galaxies of `bytes` together.
    pub(crate) fn add(&self, galaxies: usize, bytes: u64) {
        let before = self.galaxies.fetch_add(galaxies as u64, Ordering::Relaxed);
        let all = before + galaxies as u64;
        self.bar.inc(bytes);
        let rate = all as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{} galaxies, {}/s", grouped(all), grouped(rate as u64)));
    }

    /// Bytes so far.
    pub(crate) fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Sets the bytes so far, after an input that was read to its end or failed.
    pub(crate) fn set_position(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Runs `print` while the bar is not shown.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
