//! Worker: the model and the working memory of its threads, which it keeps from task to task.

use std::sync::Arc;

use astromae::{Model, Scratch};
use records::report::StoreRequests;

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
    init_requests: Option<StoreRequests>,
    tasks: u64,
}

/// Start of a task in a worker.
pub(crate) struct Start {
    /// Seconds that starting the worker took.
    pub(crate) seconds: f64,
    /// Requests to S3 that starting the worker took.
    pub(crate) requests: Option<StoreRequests>,
    /// True if the worker had run a task before.
    pub(crate) warm: bool,
}

impl Worker {
    /// Creates a worker with `threads` compute threads, clamped to the range from 1 to [`MAX_THREADS`].
    ///
    /// `init_seconds` is the time that reading and packing the model took. The report of the first task contains it.
    pub fn new(model: Arc<Model>, threads: usize, init_seconds: f64) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        Self { model, threads, scratches: Vec::new(), init_seconds, init_requests: None, tasks: 0 }
    }

    /// Adds the requests to S3 that reading the model took. The report of the first task contains them.
    #[must_use]
    pub fn with_requests(mut self, requests: Option<StoreRequests>) -> Self {
        self.init_requests = requests;
        self
    }

    /// Model of the worker.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Number of compute threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Begins a task. Only the first task has the cost of the start.
    pub(crate) fn begin_task(&mut self) -> Start {
        self.tasks += 1;
        match self.tasks {
            1 => Start { seconds: self.init_seconds, requests: self.init_requests, warm: false },
            _ => Start { seconds: 0.0, requests: None, warm: true },
        }
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
