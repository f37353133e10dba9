//! Worker: the model and the working memory of its threads, which it keeps from task to task.

use std::sync::Arc;

use astromae::{Model, Scratch};

/// Maximum number of compute threads of a worker.
pub const MAX_THREADS: usize = 1_024;

/// Worker that predicts one partition at a time on a fixed number of threads.
#[derive(Debug)]
pub struct Worker {
    model: Arc<Model>,
    threads: usize,
    /// Working memory of each thread. Empty before the first rows and while the threads use it.
    scratches: Vec<Scratch>,
    init_seconds: f64,
    tasks: u64,
}

impl Worker {
    /// Creates a worker with `threads` compute threads, clamped to the range from 1 to [`MAX_THREADS`].
    ///
    /// `init_seconds` is the time that reading and packing the model took. The report of the first task contains it.
    pub fn new(model: Arc<Model>, threads: usize, init_seconds: f64) -> Self {
        Self { model, threads: threads.clamp(1, MAX_THREADS), scratches: Vec::new(), init_seconds, tasks: 0 }
    }

    /// Model of the worker.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Number of compute threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Begins a task. Returns the seconds that starting the worker took, and true if the worker was warm. Only the
    /// first task has a start.
    pub(crate) fn begin_task(&mut self) -> (f64, bool) {
        self.tasks += 1;
        if self.tasks == 1 { (self.init_seconds, false) } else { (0.0, true) }
    }

    /// Takes the working memory of all threads. Allocates it the first time, and after an abandoned task that did not
    /// give it back.
    pub(super) fn take_scratches(&mut self) -> Vec<Scratch> {
        let mut scratches = std::mem::take(&mut self.scratches);
        scratches.resize_with(self.threads, || self.model.scratch());
        scratches
    }

    pub(super) fn give_back(&mut self, scratches: Vec<Scratch>) {
        self.scratches = scratches;
    }
}
