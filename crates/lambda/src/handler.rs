//! Handlers of the three requests: initialize, infer, summarize.

use std::time::Duration;

use astromae::Isa;
use pipeline::event::{Stopwatch, new_run_id, now};
use pipeline::finished::{finished, finished_task};
use pipeline::planning::Origin;
use pipeline::prepare::{Prepared, prepare, read_plan};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::{summarize_finished, write_report};
use pipeline::unattended::{run_report, write_failure};
use pipeline::{Attempt, Run, run_task};
use records::ExecutorKind;
use records::plan::{Plan, Task};
use records::report::FailedTask;
use records::request::{Execution, ExecutionInput, MapError, Request, RunState, State, items};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::fault::Fault;
use crate::log::Log;
use crate::model_cache::ModelCache;

/// Share of an invocation's time that is reserved for reporting that the time is over.
const RESERVED_SHARE: f64 = 0.1;
/// Longest time that is reserved for reporting that the time is over.
const RESERVED_MAX: Duration = Duration::from_secs(2);
/// Largest number of ranks that a message lists.
const LISTED_MAX: usize = 20;

/// Handler of all invocations of one Lambda environment.
#[derive(Debug)]
pub(crate) struct Handler {
    stores: Stores,
    isa: Isa,
    threads: usize,
    function: String,
    model_cache: Mutex<ModelCache>,
}

impl Handler {
    /// Opens the stores and selects the instruction set.
    pub(crate) fn new(environment: &Environment) -> Result<Self, Fault> {
        Ok(Self {
            stores: Stores::open("s3", environment.storage())?,
            isa: environment.isa()?,
            threads: environment.threads(),
            function: environment.function.clone(),
            model_cache: Mutex::default(),
        })
    }

    /// Handles one request. Lambda stops the invocation after `remaining`.
    pub(crate) async fn handle(&self, request: Value, remaining: Duration, log: &Log) -> Result<Value, Fault> {
        let allowed = remaining - remaining.mul_f64(RESERVED_SHARE).min(RESERVED_MAX);
        match Request::parse(request)? {
            Request::Initialize { input, execution } => {
                within(allowed, self.initialize(&ExecutionInput::parse(&input)?, &execution, log)).await
            }
            Request::Infer { run, task, state } => self.infer(&run, &task, state, allowed, log).await,
            Request::Summarize { run_state, execution } => {
                within(allowed, self.summarize(run_state, &execution, log)).await
            }
        }
    }

    /// Plans a run, claims its results folder, and writes the list of unfinished tasks.
    async fn initialize(&self, input: &ExecutionInput, execution: &Execution, log: &Log) -> Result<Value, Fault> {
        let watch = Stopwatch::start();
        let run_id = Some(execution.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(new_run_id);
        let created_by = format!("cosmicai {}, {}, {}", env!("CARGO_PKG_VERSION"), self.function, execution.id);
        let origin = Origin { run_id, created: now(), created_by };
        let ExecutionInput { payload, model, if_taken } = input.clone();
        let prepared = prepare(&self.stores, payload, model.as_deref(), if_taken, origin).await?;
        let Prepared { plan, results, finished, .. } = &prepared;
        log.add_field("run_id", plan.run_id.clone());
        let unfinished = unfinished(plan, finished.iter().map(|report| report.rank));
        let run_state = self.dispatch(plan, results, &unfinished, execution).await?;
        log.phase("initialize", watch.seconds());
        Ok(run_state)
    }

    /// Runs one task, unless it is already finished. Stops early enough to report the progress before Lambda stops the
    /// invocation.
    async fn infer(&self, run: &Plan, task: &Task, state: State, allowed: Duration, log: &Log) -> Result<Value, Fault> {
        log.add_field("run_id", run.run_id.clone());
        log.add_field("rank", task.rank);
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
            let mut model = self.model_cache.lock().await;
            let worker = model.worker(&self.stores, run, self.isa, self.threads).await?;
            let shared = Run { plan: run, data: &data, results: &results, events: log };
            log.task(&run_task(shared, task, attempt, worker).await?);
            Ok(())
        };
        let outcome = tokio::time::timeout(allowed, work).await;
        let Err(fault) = outcome.unwrap_or_else(|_| Err(Fault::task_deadline(task.rank, log.samples(), task.bytes())))
        else {
            return Ok(json!({"rank": task.rank}));
        };
        let files = task.files.iter().map(|file| file.key.clone()).collect();
        let failed = FailedTask { rank: task.rank, files, attempts, error: fault.to_string() };
        // The other half of the reserved time is for the answer to the state machine.
        match tokio::time::timeout(RESERVED_MAX / 2, write_failure(&results, &failed)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log.add_field("failure_not_written", error.to_string()),
            Err(_) => log.add_field("failure_not_written", "out of time"),
        }
        Err(fault)
    }

    /// Writes the report and the summary. If tasks are missing, dispatches them again once per redrive, and otherwise
    /// fails.
    async fn summarize(&self, state: RunState, execution: &Execution, log: &Log) -> Result<Value, Fault> {
        let watch = Stopwatch::start();
        log.add_field("run_id", state.run.run_id.clone());
        let results = self.results(&state.run)?;
        let plan = read_plan(&results).await?.filter(|plan| plan.run_id == state.run.run_id);
        let Some(plan) = plan else {
            let message = format!("`{}` no longer holds run {}", results.url(), state.run.run_id);
            return Err(Fault::missing_ranks(&message));
        };
        let reports = finished(&results, &plan).await?;
        let started = Some(execution.start_time.clone()).filter(|time| !time.is_empty()).unwrap_or_else(now);
        let executor = ExecutorKind::StepFunctions;
        let report = run_report(&results, &plan, reports, executor, started, state.max_concurrency).await?;
        write_report(&results, &report).await?;
        let summary = summarize_finished(&results, &plan, &report.tasks).await?;
        log.phase("summarize", watch.seconds());
        if summary.is_complete() {
            return Ok(json!(RunState::new(&plan, results.items(), 0, execution)));
        }
        if execution.redrive_count > state.redrives_served {
            let unfinished = unfinished(&plan, report.tasks.iter().map(|task| task.rank));
            return self.dispatch(&plan, &results, &unfinished, execution).await;
        }
        let ranks: Vec<String> = summary.missing.iter().take(LISTED_MAX).map(usize::to_string).collect();
        let more = if summary.missing.len() > LISTED_MAX { ", …" } else { "" };
        let example = report.failed.first().map(|failed| failed.error.clone());
        let map_error = state.map_error.map(|MapError { error, cause }| format!("error of the Map: {error} {cause}"));
        let causes =
            [example, map_error].into_iter().flatten().fold(String::new(), |all, cause| format!("{all}; {cause}"));
        Err(Fault::missing_ranks(&format!(
            "{} of {} tasks are missing: {}{more}{causes}; finished tasks are kept, see `{}`",
            summary.missing.len(),
            summary.tasks,
            ranks.join(", "),
            results.bucket().url(&results.report())
        )))
    }

    /// Writes the list of these tasks for the Map, deletes their records of earlier failures, and returns the state of
    /// the run.
    async fn dispatch(
        &self,
        plan: &Plan,
        results: &Results,
        tasks: &[&Task],
        execution: &Execution,
    ) -> Result<Value, Fault> {
        let list = items(plan, tasks.iter().copied())?;
        results.bucket().write(&results.items(), list.into()).await?;
        results.bucket().delete(tasks.iter().map(|task| results.failure(task.rank)).collect()).await?;
        Ok(json!(RunState::new(plan, results.items(), tasks.len(), execution)))
    }

    fn results(&self, plan: &Plan) -> Result<Results, Fault> {
        Ok(Results::new(self.stores.bucket(&plan.payload.bucket)?, plan.payload.results_folder()))
    }
}

/// Runs `work` and fails if it takes longer than `allowed`.
async fn within(allowed: Duration, work: impl Future<Output = Result<Value, Fault>>) -> Result<Value, Fault> {
    tokio::time::timeout(allowed, work).await.unwrap_or_else(|_| Err(Fault::request_deadline()))
}

/// Tasks of a plan whose ranks are not in `finished`.
fn unfinished(plan: &Plan, finished: impl Iterator<Item = usize>) -> Vec<&Task> {
    let mut is_unfinished = vec![true; plan.tasks.len()];
    finished.for_each(|rank| is_unfinished[rank] = false);
    plan.tasks.iter().filter(|task| is_unfinished[task.rank]).collect()
}
