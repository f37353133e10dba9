//! Tasks on this machine, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use astromae::Model;
use async_trait::async_trait;
use pipeline::Run;
use pipeline::event::{Event, EventSink, Machine, Stopwatch, now};
use pipeline::finished::finished;
use pipeline::plan::{Plan, Task};
use pipeline::predict::Worker;
use pipeline::report::{REPORT_FORMAT, RunReport};
use pipeline::results::Results;
use pipeline::storage::Bucket;
use tokio_util::sync::CancellationToken;

use super::attempts::{Attempts, Outcome};
use super::{Executor, ExecutorError};

/// Runs tasks in this process, `workers` at a time, all with one model.
#[derive(Debug)]
pub struct Local {
    /// The bucket of the partitions.
    pub data: Bucket,
    /// The folder of the results.
    pub results: Results,
    /// The model, shared by all workers.
    pub model: Arc<Model>,
    /// What reading and packing the model took; the first task's report bears it.
    pub init_seconds: f64,
    /// Tasks at a time. One is enough where partitions are large: its threads use every core, and it reads the next
    /// rows while it predicts. More hide the requests at the ends of small ones.
    pub workers: usize,
    /// Compute threads of each worker.
    pub threads: usize,
    /// How often a task is tried, where trying again can help.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from then on.
    pub backoff: Duration,
    /// Cancelling it makes no further task begin and abandons those under way.
    pub cancel: CancellationToken,
}

#[async_trait]
impl Executor for Local {
    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let started = now();
        let watch = Stopwatch::start();
        let before = finished(&self.results, plan).await?;
        let mut outcomes: HashMap<usize, Outcome> =
            before.into_iter().map(|report| (report.rank, Outcome::Finished(Box::new(report)))).collect();
        let todo: Vec<&Task> = plan.tasks.iter().filter(|task| !outcomes.contains_key(&task.rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: outcomes.len(),
            bytes: todo.iter().map(|task| task.bytes()).sum(),
        });
        let run = Run { plan, data: &self.data, results: &self.results, events };
        let queue = Mutex::new(todo.into_iter());
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
    /// One worker: takes tasks from the queue until it is empty or the run is cancelled.
    async fn work<'p>(
        &self,
        run: Run<'_>,
        queue: &Mutex<impl Iterator<Item = &'p Task>>,
        mut worker: Worker,
    ) -> Vec<(usize, Outcome)> {
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
        mut outcomes: HashMap<usize, Outcome>,
        started: String,
        watch: Stopwatch,
    ) -> RunReport {
        let (mut tasks, mut failed, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for rank in 0..plan.tasks.len() {
            match outcomes.remove(&rank) {
                Some(Outcome::Finished(report)) => tasks.push(*report),
                Some(Outcome::Failed(task)) => failed.push(task),
                Some(Outcome::Abandoned) | None => left.push(rank),
            }
        }
        RunReport {
            format_version: REPORT_FORMAT,
            run_id: plan.run_id.clone(),
            results_url: self.results.url(),
            model: plan.model.clone(),
            executor: "local".to_owned(),
            machine: Machine::detect(),
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
            foretold: None,
        }
    }
}
