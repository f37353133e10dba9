//! The three actions of a worker.

use std::time::Duration;

use astromae::Isa;
use pipeline::elsewhere::{run_report, write_failure};
use pipeline::event::{Stopwatch, new_run_id, now};
use pipeline::finished::{finished, finished_task};
use pipeline::plan::{Origin, Plan, Task};
use pipeline::prepare::{Prepared, prepare, read_plan};
use pipeline::report::FailedTask;
use pipeline::request::{Execution, MapError, Request, Standing, Start, State, items};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::{summarize_finished, write_report};
use pipeline::{Attempt, Run, run_task};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::fault::Fault;
use crate::kept::Kept;
use crate::log::Log;

/// Name of this executor in reports.
const EXECUTOR: &str = "step-functions";
/// The part of an invocation's time that is kept for saying that it is over, and its limit.
const RESERVED: (f64, Duration) = (0.1, Duration::from_secs(2));
/// The most ranks that a message lists.
const LISTED_MAX: usize = 20;

/// What serves all invocations of an environment.
#[derive(Debug)]
pub(crate) struct Handler {
    stores: Stores,
    isa: Isa,
    threads: usize,
    function: String,
    kept: Mutex<Kept>,
}

impl Handler {
    pub(crate) fn new(environment: &Environment) -> Result<Self, Fault> {
        Ok(Self {
            stores: Stores::open("s3", environment.storage())?,
            isa: environment.isa()?,
            threads: environment.threads(),
            function: environment.function.clone(),
            kept: Mutex::default(),
        })
    }

    /// Serves one request, of which Lambda will end the process in `remaining`.
    pub(crate) async fn handle(&self, request: Value, remaining: Duration, log: &Log) -> Result<Value, Fault> {
        let allowed = remaining - remaining.mul_f64(RESERVED.0).min(RESERVED.1);
        match Request::parse(request)? {
            Request::Initialize { input, execution } => {
                within(allowed, self.initialize(&Start::parse(&input)?, &execution, log)).await
            }
            Request::Infer { run, task, state } => self.infer(&run, &task, state, allowed, log).await,
            Request::Summarize { standing, execution } => {
                within(allowed, self.summarize(standing, &execution, log)).await
            }
        }
    }

    /// Plans a run, claims its folder, and writes the list of the tasks that are left.
    async fn initialize(&self, start: &Start, execution: &Execution, log: &Log) -> Result<Value, Fault> {
        let watch = Stopwatch::start();
        let run_id = Some(execution.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(new_run_id);
        let created_by = format!("cosmicai {}, {}, {}", env!("CARGO_PKG_VERSION"), self.function, execution.id);
        let origin = Origin { run_id, created: now(), created_by };
        let Start { payload, model, if_taken } = start.clone();
        let prepared = prepare(&self.stores, payload, model.as_deref(), if_taken, origin).await?;
        let Prepared { plan, results, finished, .. } = &prepared;
        log.about("run_id", plan.run_id.clone());
        let left = left(plan, finished.iter().map(|report| report.rank));
        let standing = self.hand_out(plan, results, &left, execution).await?;
        log.phase("initialize", watch.seconds());
        Ok(standing)
    }

    /// Predicts one task, or finds it finished; stops in time to say how far it came.
    async fn infer(&self, run: &Plan, task: &Task, state: State, allowed: Duration, log: &Log) -> Result<Value, Fault> {
        log.about("run_id", run.run_id.clone());
        log.about("rank", task.rank);
        log.begin();
        let results = self.results(run)?;
        let queued = Some(state.entered_time).filter(|time| !time.is_empty()).unwrap_or_else(now);
        let attempt = Attempt { number: state.retry_count + 1, queued };
        let attempts = attempt.number;
        let work = async {
            if finished_task(&results, run, task).await?.is_some() {
                return Ok(());
            }
            let data = self.stores.bucket(&run.payload.data_bucket)?;
            let mut kept = self.kept.lock().await;
            let worker = kept.worker(&self.stores, run, self.isa, self.threads).await?;
            let shared = Run { plan: run, data: &data, results: &results, events: log };
            log.task(&run_task(shared, task, attempt, worker).await?);
            Ok(())
        };
        let outcome = tokio::time::timeout(allowed, work).await;
        let Err(fault) = outcome.unwrap_or_else(|_| Err(Fault::deadline(task.rank, log.samples(), task.bytes())))
        else {
            return Ok(json!({"rank": task.rank}));
        };
        let files = task.files.iter().map(|file| file.key.clone()).collect();
        let failed = FailedTask { rank: task.rank, files, attempts, error: fault.to_string() };
        // Of what time is left, half is for saying it to the state machine.
        match tokio::time::timeout(RESERVED.1 / 2, write_failure(&results, &failed)).await {
            Ok(Ok(())) => {}
            Ok(Err(unwritten)) => log.about("failure_not_written", unwritten.to_string()),
            Err(_) => log.about("failure_not_written", "out of time"),
        }
        Err(fault)
    }

    /// Sums up. Where ranks are missing, hands them out again once for each redrive, and fails otherwise.
    async fn summarize(&self, standing: Standing, execution: &Execution, log: &Log) -> Result<Value, Fault> {
        let watch = Stopwatch::start();
        log.about("run_id", standing.run.run_id.clone());
        let results = self.results(&standing.run)?;
        let plan = read_plan(&results).await?.filter(|plan| plan.run_id == standing.run.run_id);
        let Some(plan) = plan else {
            let said = format!("`{}` does not hold run {} any more", results.url(), standing.run.run_id);
            return Err(Fault::missing_ranks(&said));
        };
        let reports = finished(&results, &plan).await?;
        let started = Some(execution.start_time.clone()).filter(|time| !time.is_empty()).unwrap_or_else(now);
        let report = run_report(&results, &plan, reports, EXECUTOR, started, standing.max_concurrency).await?;
        write_report(&results, &report).await?;
        let summary = summarize_finished(&results, &plan, &report.tasks).await?;
        log.phase("summarize", watch.seconds());
        if summary.is_complete() {
            return Ok(json!(Standing::new(&plan, &results, 0, execution)));
        }
        if execution.redrive_count > standing.redrives_served {
            let left = left(&plan, report.tasks.iter().map(|task| task.rank));
            return self.hand_out(&plan, &results, &left, execution).await;
        }
        let ranks: Vec<String> = summary.missing.iter().take(LISTED_MAX).map(usize::to_string).collect();
        let more = if summary.missing.len() > LISTED_MAX { ", …" } else { "" };
        let example = report.failed.first().map(|failed| failed.error.clone());
        let map_error = standing.map_error.map(|MapError { error, cause }| format!("the Map: {error} {cause}"));
        let why = [example, map_error].into_iter().flatten().fold(String::new(), |all, why| format!("{all}; {why}"));
        Err(Fault::missing_ranks(&format!(
            "{} of {} tasks are missing: {}{more}{why}; the rest is kept, and `{}` says more",
            summary.missing.len(),
            summary.tasks,
            ranks.join(", "),
            results.bucket().url(&results.report())
        )))
    }

    /// Writes the list of these tasks, and says where it is. What they left when they failed before is forgotten.
    async fn hand_out(
        &self,
        plan: &Plan,
        results: &Results,
        left: &[&Task],
        execution: &Execution,
    ) -> Result<Value, Fault> {
        let list = items(plan, left.iter().copied())?;
        results.bucket().write(&results.items(), list.into()).await?;
        results.bucket().delete(left.iter().map(|task| results.failure(task.rank)).collect()).await?;
        Ok(json!(Standing::new(plan, results, left.len(), execution)))
    }

    fn results(&self, plan: &Plan) -> Result<Results, Fault> {
        Ok(Results::new(self.stores.bucket(&plan.payload.bucket)?, plan.payload.results_folder()))
    }
}

/// What comes of something, unless Lambda would end it first.
async fn within(allowed: Duration, work: impl Future<Output = Result<Value, Fault>>) -> Result<Value, Fault> {
    tokio::time::timeout(allowed, work).await.unwrap_or_else(|_| Err(Fault::out_of_time()))
}

/// The tasks of a plan that are not among these ranks.
fn left(plan: &Plan, finished: impl Iterator<Item = usize>) -> Vec<&Task> {
    let mut is_left = vec![true; plan.tasks.len()];
    finished.for_each(|rank| is_left[rank] = false);
    plan.tasks.iter().filter(|task| is_left[task.rank]).collect()
}
