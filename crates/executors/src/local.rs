//! Executor that runs tasks in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use astromae::Model;
use async_trait::async_trait;
use pipeline::Run;
use pipeline::event::{Event, EventSink, Stopwatch, now, this_machine};
use pipeline::finished::finished;
use pipeline::predict::Worker;
use pipeline::results::Results;
use pipeline::storage::Bucket;
use records::ExecutorKind;
use records::plan::{Plan, Task};
use records::report::{REPORT_FORMAT, RunReport};
use tokio_util::sync::CancellationToken;

use crate::attempts::{Attempts, TaskOutcome};
use crate::{Executor, ExecutorError};

/// Runs tasks in this process, `workers` at a time, all with one model.
#[derive(Debug)]
pub struct Local {
    /// Bucket of the partitions.
    pub data: Bucket,
    /// Results folder of the run.
    pub results: Results,
    /// Model, shared by all workers.
    pub model: Arc<Model>,
    /// Seconds that reading and packing the model took. The report of the first worker's first task includes them.
    pub init_seconds: f64,
    /// Number of tasks that run at the same time. One is enough for large partitions: its threads use every core, and
    /// it reads the next rows while it predicts. With small partitions, more workers hide the time of the requests at
    /// the start and end of each task.
    pub workers: usize,
    /// Number of compute threads of each worker.
    pub threads: usize,
    /// Largest number of attempts at a task. An error that another attempt cannot fix ends them early.
    pub attempts: u32,
    /// Wait before the second attempt. It doubles before each further attempt.
    pub backoff: Duration,
    /// Token that stops the run when it is cancelled: no further task starts, and running tasks are abandoned.
    pub cancel: CancellationToken,
}

#[async_trait]
impl Executor for Local {
    fn results(&self) -> &Results {
        &self.results
    }

    async fn stop(&self, _reason: &str) -> Result<(), ExecutorError> {
        self.cancel.cancel();
        Ok(())
    }

    fn ends_with_this_process(&self) -> bool {
        true
    }

    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let started = now();
        let watch = Stopwatch::start();
        let before = finished(&self.results, plan).await?;
        let mut outcomes: HashMap<usize, TaskOutcome> =
            before.into_iter().map(|report| (report.rank, TaskOutcome::Finished(Box::new(report)))).collect();
        let unfinished: Vec<&Task> = plan.tasks.iter().filter(|task| !outcomes.contains_key(&task.rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: outcomes.len(),
            bytes: unfinished.iter().map(|task| task.bytes()).sum(),
        });
        let run = Run { plan, data: &self.data, results: &self.results, events };
        let queue = Mutex::new(unfinished.into_iter());
        let workers = (0..self.workers.max(1)).map(|index| {
            let init_seconds = if index == 0 { self.init_seconds } else { 0.0 };
            self.work(run, &queue, Worker::new(self.model.clone(), self.threads, init_seconds))
        });
        outcomes.extend(futures::future::join_all(workers).await.into_iter().flatten());
        let report = self.report(plan, outcomes, started, watch);
        events.record(&Event::RunFinished {
            finished: report.tasks.len(),
            failed: report.failed.len(),
            left: report.left.len(),
        });
        Ok(report)
    }
}

impl Local {
    /// Runs one worker, which takes tasks from the queue until it is empty or the run is cancelled.
    async fn work<'p>(
        &self,
        run: Run<'_>,
        queue: &Mutex<impl Iterator<Item = &'p Task>>,
        mut worker: Worker,
    ) -> Vec<(usize, TaskOutcome)> {
        let mut outcomes = Vec::new();
        let queued = now();
        let attempts = Attempts { attempts: self.attempts, backoff: self.backoff, cancel: &self.cancel };
        while !self.cancel.is_cancelled() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(task) = next else { break };
            outcomes.push((task.rank, attempts.run(run, task, &queued, &mut worker).await));
        }
        outcomes
    }

    fn report(
        &self,
        plan: &Plan,
        mut outcomes: HashMap<usize, TaskOutcome>,
        started: String,
        watch: Stopwatch,
    ) -> RunReport {
        let (mut tasks, mut failed, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for rank in 0..plan.tasks.len() {
            match outcomes.remove(&rank) {
                Some(TaskOutcome::Finished(report)) => tasks.push(*report),
                Some(TaskOutcome::Failed(task)) => failed.push(task),
                Some(TaskOutcome::Abandoned) | None => left.push(rank),
            }
        }
        RunReport {
            format_version: REPORT_FORMAT,
            run_id: plan.run_id.clone(),
            results_url: self.results.url(),
            model: plan.model.clone(),
            executor: ExecutorKind::Local,
            machine: this_machine(),
            isa: self.model.isa().to_string(),
            precision: self.model.precision().to_string(),
            workers: self.workers,
            threads: self.threads,
            started,
            finished: now(),
            seconds: watch.seconds(),
            seconds_before: 0.0,
            tasks_planned: plan.tasks.len(),
            samples: tasks.iter().map(|task| task.samples).sum(),
            bytes: tasks.iter().map(|task| task.bytes).sum(),
            tasks,
            failed,
            left,
            billed: None,
            billed_before: None,
            scheduled: None,
            forecast: None,
        }
    }
}
