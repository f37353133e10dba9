//! What a worker keeps from task to task: the model, and the working memory of its threads.

use std::sync::Arc;

use astromae::{Model, Scratch};

/// The most compute threads that a worker may have.
pub const MAX_THREADS: usize = 1_024;

/// Predicts one partition at a time, on a fixed number of threads.
#[derive(Debug)]
pub struct Worker {
    model: Arc<Model>,
    threads: usize,
    /// One for each thread; empty until the first rows, and while threads have them.
    scratches: Vec<Scratch>,
    init_seconds: f64,
    tasks: u64,
}

impl Worker {
    /// A worker with `threads` compute threads, from 1 to [`MAX_THREADS`]. `init_seconds` is what reading and packing
    /// the model took, which the first task's report will bear.
    pub fn new(model: Arc<Model>, threads: usize, init_seconds: f64) -> Self {
        Self { model, threads: threads.clamp(1, MAX_THREADS), scratches: Vec::new(), init_seconds, tasks: 0 }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Compute threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Notes that a task begins. What starting cost it in seconds, and whether the worker was warm.
    pub(crate) fn begin_task(&mut self) -> (f64, bool) {
        self.tasks += 1;
        if self.tasks == 1 { (self.init_seconds, false) } else { (0.0, true) }
    }

    /// Lends the working memory of all threads; made here where it is not there, the first time or because an
    /// abandoned task took it along.
    pub(super) fn take_scratches(&mut self) -> Vec<Scratch> {
        let mut scratches = std::mem::take(&mut self.scratches);
        scratches.resize_with(self.threads, || self.model.scratch());
        scratches
    }

    pub(super) fn give_back(&mut self, scratches: Vec<Scratch>) {
        self.scratches = scratches;
    }
}
