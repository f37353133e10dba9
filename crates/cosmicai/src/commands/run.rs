//! `cosmicai run`: a payload from plan to results.

mod budget;
mod slurm;
mod step_functions;

use std::path::Path;

use anyhow::{Context, Result, bail};
use astromae::Precision;
use pipeline::event::{Stopwatch, new_run_id, now};
use pipeline::payload::{MAX_PAYLOAD_BYTES, Payload};
use pipeline::plan::Origin;
use pipeline::prepare::{IfTaken, Prepared, prepare, read_plan};
use pipeline::report::{Foretold, RunReport};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::{Summary, summarize, write_report};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::budget::{Budget, BudgetOptions, Meter};
use super::{Outcome, folder, metrics, tether};
use crate::executor::slurm::{Request, quoted};
use crate::executor::{ATTEMPTS, BACKOFF, Executor, Local};
use crate::printer::{Printer, bytes, grouped, table, usd};
use crate::progress::Progress;
use crate::settings::Settings;

/// The most ranks that a message lists.
const LISTED_MAX: usize = 20;

/// Run a payload: plan, predict every partition, write the study's result files and ours.
///
/// The payload is the study's JSON: bucket, data_bucket, data_prefix, result_path, file_limit, batch_size, and the
/// folder of the model (S3_object_name) or its URL (model). Under `result_path` appear <rank>.json and
/// combined_data.json as the study has them, plan.json, report.json, summary.json, tasks/<rank>.json and
/// predictions/<rank>.parquet.
///
/// With --executor slurm the same payload runs on a cluster, as an array of jobs; with --executor step-functions on AWS
/// Lambda. Both are followed to their end. Ctrl-C stops following, not the run; `status`, `logs` and `stop` take the run's
/// folder, or the execution's ARN.
///
/// With --budget a run is foretold first, not begun where it would cost more, and ended where its running bill passes it.
///
/// Example: cosmicai run payload.json --store ./buckets
/// Example: cosmicai run payload.json --store /scratch/ada --executor slurm --time 30 --mem 1G --cpus-per-task 4
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Payload: file or URL.
    #[arg(value_name = "PAYLOAD.json")]
    pub(super) payload: String,
    /// Where the buckets are: a folder that holds them as folders, `s3` (or `gs`, `az`), or a URL. By default the folder
    /// here; for step-functions S3, where alone its workers look.
    #[arg(long, value_name = "DIR|s3|URL")]
    pub(super) store: Option<String>,
    /// Model to use instead of the payload's: URL, path, or key in its bucket.
    #[arg(long, value_name = "URL")]
    pub(super) model: Option<String>,
    /// Arithmetic of the model's products, instead of the payload's.
    #[arg(long)]
    pub(super) precision: Option<Precision>,
    /// Where tasks run.
    #[arg(long, value_enum, default_value_t = Where::Local)]
    pub(super) executor: Where,
    /// ARN of the state machine that hands out the tasks, for step-functions.
    #[arg(long, value_name = "ARN", required_if_eq("executor", "step-functions"))]
    pub(super) state_machine: Option<String>,
    /// Tasks at a time, on this machine [default: 1]; on a cluster --array-limit, on AWS the payload's `max_concurrency`.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,
    /// Compute threads of each worker, on this machine; by default the cores are shared among the workers.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Go on with the run in `result_path`: only what is missing, failed, or made from other files or another model.
    #[arg(long, conflicts_with = "overwrite")]
    pub(super) resume: bool,
    /// Delete what the run in `result_path` wrote, nothing else, and begin anew.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// How often a task is tried where trying again can help, on this machine or within a job of SLURM [default: 3].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) attempts: Option<u32>,
    /// Plan the run and claim its folder, and leave its tasks to `cosmicai worker`.
    #[arg(long, conflicts_with_all = ["dry_run", "budget", "forecast"])]
    pub(super) plan_only: bool,
    /// Print the scripts that would be handed to SLURM, and write nothing.
    #[arg(long, conflicts_with_all = ["resume", "overwrite"])]
    pub(super) dry_run: bool,
    /// End, as by Ctrl-C, when standard input does: how the program starts itself.
    #[arg(long, hide = true)]
    pub(super) tethered: bool,
    #[command(flatten)]
    pub(super) slurm: Request,
    #[command(flatten)]
    pub(super) budget: BudgetOptions,
}

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Where {
    /// On this machine.
    Local,
    /// On a cluster, as an array of jobs of SLURM.
    Slurm,
    /// On AWS Lambda, handed out by a state machine of Step Functions (`cosmicai deploy render` makes it).
    StepFunctions,
}

impl Where {
    pub(super) const ALL: [Where; 3] = [Where::Local, Where::Slurm, Where::StepFunctions];

    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Where::Local => "local",
            Where::Slurm => "slurm",
            Where::StepFunctions => "step-functions",
        }
    }
}

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What is printed afterwards.
#[derive(Serialize)]
struct Printed<'a> {
    summary: &'a Summary,
    report: &'a RunReport,
}

/// What is printed of a run that was planned alone.
#[derive(Serialize)]
struct Planned {
    run_id: String,
    plan: String,
    tasks: usize,
    finished: usize,
}

pub(crate) async fn run(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    if options.tethered {
        tether::interrupt_when_released();
    }
    let payload = read_payload(&settings.stores(".").await?, &options.payload).await?;
    options.check()?;
    let payload = match options.precision {
        Some(precision) => payload.with_precision(precision),
        None => payload,
    };
    match options.executor {
        Where::Local if options.plan_only => {
            let stores = settings.stores(options.store()).await?;
            plan_only(payload, &stores, &options, printer).await
        }
        Where::Slurm => slurm::run(payload, &options, settings, printer).await,
        Where::Local => {
            let stores = settings.stores(options.store()).await?;
            run_payload(payload, &stores, &options, settings, printer).await
        }
        Where::StepFunctions => step_functions::run(payload, &options, settings, printer).await,
    }
}

impl Options {
    /// Whether each option is for the executor that is asked for.
    fn check(&self) -> Result<()> {
        if self.executor != Where::Slurm && (self.dry_run || self.slurm != Request::default()) {
            bail!("--dry-run and the options under SLURM are for --executor slurm");
        }
        if self.executor != Where::Local && self.plan_only {
            bail!("--plan-only is for workers that you start yourself, without --executor");
        }
        Ok(())
    }

    pub(super) fn store(&self) -> &str {
        self.store.as_deref().unwrap_or(match self.executor {
            Where::Local | Where::Slurm => ".",
            Where::StepFunctions => "s3",
        })
    }

    fn if_taken(&self) -> IfTaken {
        match (self.resume, self.overwrite) {
            (true, _) => IfTaken::Resume,
            (_, true) => IfTaken::Overwrite,
            _ => IfTaken::Refuse,
        }
    }

    /// The same command, to go on.
    fn command_to_resume(&self) -> String {
        let mut command = format!("cosmicai run {} --store {}", quoted(&self.payload), quoted(self.store()));
        if self.executor == Where::Slurm {
            command += " --executor slurm";
            command += &self.slurm.to_command_line();
        }
        if let Some(state_machine) = &self.state_machine {
            command += &format!(" --executor step-functions --state-machine {state_machine}");
        }
        if let Some(model) = &self.model {
            command += &format!(" --model {}", quoted(model));
        }
        if let Some(attempts) = self.attempts {
            command += &format!(" --attempts {attempts}");
        }
        if let Some(precision) = self.precision {
            command += &format!(" --precision {precision}");
        }
        if let Some(workers) = self.workers {
            command += &format!(" --workers {workers}");
        }
        if let Some(threads) = self.threads {
            command += &format!(" --threads {threads}");
        }
        command += &self.budget.to_command_line();
        command + " --resume"
    }
}

/// Runs a payload that was read, and prints what came of it.
pub(super) async fn run_payload(
    payload: Payload,
    stores: &Stores,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    let isa = settings.isa()?;
    leave_cluster_jobs_alone(&payload, stores, options).await?;
    let budget = Budget::foretell(&payload, stores, options, settings, printer).await?;
    let origin = Origin { run_id: new_run_id(), created: now(), created_by: created_by() };
    let Prepared { plan, results, data, model, .. } =
        prepare(stores, payload, options.model.as_deref(), options.if_taken(), origin).await?;
    let watch = Stopwatch::start();
    let model = model.load(plan.payload.precision, isa)?;
    for assumed in &model.config().assumed {
        printer.tell(&format!("model `{}`: assumed, as the file does not say: {assumed}", plan.model.url));
    }

    let cancel = CancellationToken::new();
    let listener = tokio::spawn(cancel_on_ctrl_c(cancel.clone()));
    let workers = options.workers.map_or(1, usize::from);
    let executor = Local {
        data,
        results: results.clone(),
        model,
        init_seconds: watch.seconds(),
        workers,
        threads: options.threads.map_or_else(|| (super::cores() / workers).max(1), usize::from),
        attempts: options.attempts.unwrap_or(ATTEMPTS),
        backoff: BACKOFF,
        cancel: cancel.clone(),
    };
    let progress = Progress::new();
    let meter = Meter::new(&progress, budget.as_ref());
    let mut execution = executor.execute(&plan, &meter);
    let (mut report, is_spent) = tokio::select! {
        report = &mut execution => (report?, false),
        bill = meter.exceeded() => {
            printer.tell(&budget_is_spent(bill));
            cancel.cancel();
            (execution.await?, true)
        }
    };
    listener.abort();

    if let Some(budget) = &budget {
        budget.add_to(&mut report);
    }
    write_report(&results, &report).await?;
    let summary = summarize(&results, &plan).await?;
    let outcome = tell(&summary, &report, options, printer)?;
    let is_interrupted = cancel.is_cancelled() && !is_spent;
    Ok(if outcome == Outcome::Incomplete && is_interrupted { Outcome::Interrupted } else { outcome })
}

/// What is said where a run is ended for its cost.
fn budget_is_spent(bill: f64) -> String {
    format!("the running bill, {} USD, has passed --budget: ending the run; what is finished stays", usd(bill))
}

/// Refuses to go on with, or to delete, a run at which jobs of a cluster are at work.
async fn leave_cluster_jobs_alone(payload: &Payload, stores: &Stores, options: &Options) -> Result<()> {
    if options.if_taken() == IfTaken::Refuse {
        return Ok(());
    }
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    match read_plan(&results).await? {
        Some(plan) => folder::end_cluster_jobs(&results, &plan).await,
        None => Ok(()),
    }
}

/// Plans a run for workers that somebody else starts.
async fn plan_only(payload: Payload, stores: &Stores, options: &Options, printer: &Printer) -> Result<Outcome> {
    leave_cluster_jobs_alone(&payload, stores, options).await?;
    let origin = Origin { run_id: new_run_id(), created: now(), created_by: created_by() };
    let Prepared { plan, results, finished, .. } =
        prepare(stores, payload, options.model.as_deref(), options.if_taken(), origin).await?;
    let planned = Planned {
        run_id: plan.run_id.clone(),
        plan: results.bucket().url(&results.plan()),
        tasks: plan.tasks.len(),
        finished: finished.len(),
    };
    printer.print(&planned, |Planned { run_id, plan, tasks, finished }| {
        format!("run {run_id}: {tasks} tasks, {finished} finished before\n{plan}\n")
    })?;
    Ok(Outcome::Done)
}

/// Prints what came of a run.
fn tell(summary: &Summary, report: &RunReport, options: &Options, printer: &Printer) -> Result<Outcome> {
    printer.print(&Printed { summary, report }, human)?;
    if summary.is_complete() {
        return Ok(Outcome::Done);
    }
    say_what_is_missing(summary, report, options, printer);
    Ok(Outcome::Incomplete)
}

/// Reads a payload from a file or a URL.
pub(super) async fn read_payload(stores: &Stores, url: &str) -> Result<Payload> {
    let (bucket, key) = stores.open_url(url)?;
    if key.is_empty() {
        bail!("`{url}` is a folder, where a payload is expected");
    }
    let json = bucket.read(&key, MAX_PAYLOAD_BYTES, "a payload").await?;
    Payload::parse(&json).with_context(|| format!("`{url}`"))
}

/// Program, version and process, for whoever finds the folder taken.
fn created_by() -> String {
    format!("cosmicai {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id())
}

/// The first Ctrl-C stops the run cleanly; the second one ends the program as it always does.
async fn cancel_on_ctrl_c(cancel: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("interrupted: leaving running tasks; press Ctrl-C again to end at once");
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    }
}

fn human(printed: &Printed<'_>) -> String {
    let Printed { summary, report } = printed;
    let mut text = summary.accuracy.as_ref().map_or_else(String::new, metrics::human);
    let rate = |amount: f64| if report.seconds > 0.0 { amount / report.seconds } else { 0.0 };
    let here: u64 = report.tasks.iter().filter(|task| task.started >= report.started).map(|task| task.samples).sum();
    let rows = [
        ["tasks".to_owned(), format!("{} of {}", grouped(summary.finished as u64), grouped(summary.tasks as u64))],
        ["images".to_owned(), grouped(summary.samples)],
        ["data".to_owned(), bytes(summary.bytes)],
        ["time of this run".to_owned(), format!("{:.2} s", report.seconds)],
        ["rate of this run".to_owned(), format!("{:.0} images/s", rate(here as f64))],
        ["flagged rows".to_owned(), grouped(summary.flagged.rows)],
        [
            "ran on".to_owned(),
            format!("{} workers × {} threads, {}, {}", report.workers, report.threads, report.isa, report.precision),
        ],
    ];
    text += &table(["run", &report.run_id], rows);
    if let Some(billed) = &report.billed {
        let rows = [
            [
                "invocations".to_owned(),
                format!("{}, {} of them cold", grouped(billed.invocations), grouped(billed.cold)),
            ],
            ["billed time".to_owned(), format!("{:.1} s", billed.billed_ms / 1e3)],
            ["billed memory × time".to_owned(), format!("{:.2} GB·s", billed.gb_s)],
            [
                "memory used, at most".to_owned(),
                format!("{:.0} of {:.0} MB", billed.memory_used_mb_max, billed.memory_mb),
            ],
        ];
        text += &table(["as Lambda says", ""], rows);
    }
    // Of a run that was ended before, nothing can be said.
    if let Some(foretold) = report.foretold.as_ref().filter(|_| report.is_complete()) {
        text += &against_forecast(foretold);
    }
    text + &format!("results in {}\n", report.results_url)
}

/// What was foretold beside what it became.
fn against_forecast(foretold: &Foretold) -> String {
    let Foretold { seconds_90, seconds_actual: seconds, usd: cost, usd_90, usd_actual, .. } = foretold;
    let off = |actual: f64, foretold: f64| match foretold > 0.0 {
        true => format!("{:+.0} %", 100.0 * (actual / foretold - 1.0)),
        false => "–".to_owned(),
    };
    let rows = [
        [
            "time (s)".to_owned(),
            format!("{:.2} ({:.2}–{:.2})", foretold.seconds, seconds_90[0], seconds_90[1]),
            format!("{seconds:.2}"),
            off(*seconds, foretold.seconds),
        ],
        [
            "cost (USD)".to_owned(),
            format!("{} ({}–{})", usd(*cost), usd(usd_90[0]), usd(usd_90[1])),
            usd_actual.map_or_else(|| "not known".to_owned(), usd),
            usd_actual.map_or_else(|| "–".to_owned(), |actual| off(actual, *cost)),
        ],
    ];
    table(["forecast against actual", "foretold (90 %)", "actual", "off by"], rows)
}

fn say_what_is_missing(summary: &Summary, report: &RunReport, options: &Options, printer: &Printer) {
    if !report.failed.is_empty() {
        let ranks: Vec<usize> = report.failed.iter().map(|task| task.rank).collect();
        printer.tell(&format!("{} tasks failed: {}", ranks.len(), list(&ranks)));
    }
    if !report.left.is_empty() {
        let or_ended = match options.executor {
            Where::Local | Where::Slurm => "",
            Where::StepFunctions => ", or were ended by Lambda: see `cosmicai logs`",
        };
        printer.tell(&format!("{} tasks were not run{or_ended}: {}", report.left.len(), list(&report.left)));
    }
    let missing = summary.missing.len();
    printer.tell(&format!(
        "{missing} of {} tasks are missing; to go on with them: {}",
        summary.tasks,
        options.command_to_resume()
    ));
}

/// Ranks, the first of them.
pub(super) fn list(ranks: &[usize]) -> String {
    let shown: Vec<String> = ranks.iter().take(LISTED_MAX).map(usize::to_string).collect();
    let rest = if ranks.len() > LISTED_MAX { format!(" and {} more", ranks.len() - LISTED_MAX) } else { String::new() };
    shown.join(", ") + &rest
}

/// Options of a run that a command makes by itself.
pub(super) fn plain_options(payload: &Path, store: &Path) -> Options {
    Options {
        payload: payload.display().to_string(),
        store: Some(store.display().to_string()),
        model: None,
        precision: None,
        executor: Where::Local,
        state_machine: None,
        workers: None,
        threads: None,
        resume: false,
        overwrite: true,
        attempts: None,
        plan_only: false,
        dry_run: false,
        tethered: false,
        slurm: Request::default(),
        budget: BudgetOptions::default(),
    }
}
