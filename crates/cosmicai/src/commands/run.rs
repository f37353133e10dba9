//! `cosmicai run`: a payload, from its plan to its results.

mod forecast_options;
mod local;
mod outcome_tables;
mod slurm;
mod slurm_options;
#[cfg(feature = "aws")]
mod step_functions;

use anyhow::{Result, bail};
use astromae::Precision;
use executors::{Budget, CommandLine, Driven, Executor, Interrupts, drive};
use pipeline::event::{StopCause, new_run_id, now};
use pipeline::planning::Origin;
use pipeline::prepare::{Prepared, prepare, read_plan};
use pipeline::results::Results;
use pipeline::storage::Stores;
use records::ExecutorKind;
use records::payload::Payload;
use records::plan::Plan;
use records::report::RunReport;
use records::request::IfTaken;
use records::summary::Summary;
use serde::Serialize;

use self::forecast_options::ForecastOptions;
use self::slurm_options::SlurmOptions;
use crate::forecast::budget::{Upcoming, forecast_run};
use crate::help::section_and_examples;
use crate::outcome::Outcome;
use crate::parent_watch;
use crate::payload_file::read_payload;
use crate::printer::{Printer, count};
use crate::progress::Progress;
use crate::settings::Settings;

pub(crate) use local::run_payload;

/// Payload with the keys that a run needs, in `--help`.
const PAYLOAD: &str = r#"{
  "data_bucket": "sky", "data_prefix": "25MB",  # partitions: sky/25MB/1.pt, ...
  "file_limit": 42,                             # number of partitions and tasks
  "bucket": "sky", "model": "model/astromae.pt",
  "result_path": "results/first",               # in the same bucket
  "batch_size": 256
}"#;

/// Run a payload: predict every partition, write results.
///
/// The payload is JSON in the format of the CAI study (Staylor et al., arXiv:2501.06249). The run writes to `result_path`: <rank>.json and combined_data.json in the format of the CAI study, and plan.json,
/// report.json, summary.json, tasks/<rank>.json and predictions/<rank>.parquet.
///
/// --executor slurm runs the payload on a cluster, as an array of jobs. --executor step-functions runs it on AWS
/// Lambda; this needs a build with `--features aws`. The command follows such a run to its end; after Ctrl-C, the
/// command ends and the run continues. A run on this machine stops at Ctrl-C and can be resumed. `cosmicai status`, `logs` and `stop` take the results folder of the run, or the ARN of the
/// execution.
///
/// With --budget, the command first forecasts the cost. It does not start the run if the cost may exceed the budget, and
/// stops it when the running bill does.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_long_help = section_and_examples(("PAYLOAD.json, without the comments", PAYLOAD), [
    "cosmicai run payload.json --store ./buckets",
    "cosmicai run payload.json --store ./buckets --resume",
    "cosmicai run payload.json --store /scratch/ada --executor slurm \\",
    "    --time 30 --mem 1G --cpus-per-task 4",
    "cosmicai run payload.json --executor step-functions --budget 0.50 \\",
    "    --state-machine arn:aws:states:us-east-1:123456789012:stateMachine:sky",
]))]
pub(crate) struct Options {
    /// Payload of the run: file or URL.
    #[arg(value_name = "PAYLOAD.json")]
    pub(crate) payload: String,
    /// Folder, `s3`, `gs`, `az` or URL of the buckets.
    ///
    /// A folder contains each bucket as a folder. The default is the current folder, and S3 for step-functions, whose
    /// workers read and write S3 only.
    #[arg(long, value_name = "DIR|s3|URL")]
    pub(crate) store: Option<String>,
    /// Model [default: the payload's].
    ///
    /// A URL, a path, or a key in the bucket of the payload.
    #[arg(long, value_name = "URL", hide_short_help = true)]
    pub(crate) model: Option<String>,
    /// Precision: f32, bf16 or int8 [default: payload's].
    #[arg(long, value_name = "NAME")]
    pub(crate) precision: Option<Precision>,
    /// local, slurm or step-functions.
    ///
    /// local runs the tasks on this machine, slurm on a cluster as an array of jobs, step-functions on AWS Lambda with
    /// the state machine that `cosmicai deploy render` makes.
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME", default_value_t = ExecutorName::Local)]
    pub(crate) executor: ExecutorName,
    /// ARN of the state machine, for step-functions.
    #[arg(long, value_name = "ARN", required_if_eq("executor", "step-functions"))]
    pub(crate) state_machine: Option<String>,
    /// Tasks at a time on this machine [default: 1].
    ///
    /// On a cluster, use --array-limit; on AWS, `max_concurrency` in the payload.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Threads of each task [default: cores ÷ workers].
    ///
    /// For tasks on this machine. On a cluster, use --cpus-per-task.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Continue the run in `result_path`.
    ///
    /// Runs only tasks that are missing, that failed, or whose files or model changed.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Delete the run in `result_path` and start again.
    ///
    /// Deletes only files that the run wrote.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Most attempts at a task [default: 3].
    ///
    /// A task is tried again only after errors that may be temporary. For tasks on this machine and in SLURM jobs.
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: Option<u32>,
    /// Write the plan only, for `cosmicai worker`.
    #[arg(long, hide_short_help = true, conflicts_with_all = ["dry_run", "budget", "forecast"])]
    pub(crate) plan_only: bool,
    /// Print the SLURM scripts; write and submit nothing.
    #[arg(long, hide_short_help = true, conflicts_with_all = ["resume", "overwrite"])]
    pub(crate) dry_run: bool,
    /// Stop, as after Ctrl-C, when standard input closes. The program starts itself with this option.
    #[arg(long, hide = true)]
    pub(crate) stop_with_parent: bool,
    #[command(flatten)]
    pub(crate) slurm: SlurmOptions,
    #[command(flatten)]
    pub(crate) forecast: ForecastOptions,
    /// True for the model of the demo, of which there is nothing to tell.
    #[arg(skip)]
    is_demo: bool,
}

/// Executor, as a value of `--executor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExecutorName {
    /// This machine.
    Local,
    /// A cluster, as an array of SLURM jobs.
    Slurm,
    /// AWS Lambda, scheduled by a Step Functions state machine (`cosmicai deploy render` makes it).
    StepFunctions,
}

impl ExecutorName {
    pub(crate) fn kind(self) -> ExecutorKind {
        match self {
            Self::Local => ExecutorKind::Local,
            Self::Slurm => ExecutorKind::Slurm,
            Self::StepFunctions => ExecutorKind::StepFunctions,
        }
    }
}

/// Output of `run --plan-only`.
#[derive(Serialize)]
struct Planned {
    run_id: String,
    plan: String,
    tasks: usize,
    finished: usize,
}

pub(crate) async fn run(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    if options.stop_with_parent {
        parent_watch::interrupt_when_parent_ends();
    }
    let payload = read_payload(&settings.stores(".").await?, &options.payload).await?;
    options.check()?;
    let payload = match options.precision {
        Some(precision) => payload.with_precision(precision),
        None => payload,
    };
    match options.executor {
        ExecutorName::Local if options.plan_only => {
            let stores = settings.stores(options.store()).await?;
            plan_only(payload, &stores, &options, printer).await
        }
        ExecutorName::Local => {
            let stores = settings.stores(options.store()).await?;
            run_payload(payload, &stores, &options, settings, printer).await
        }
        ExecutorName::Slurm => slurm::run(payload, &options, settings, printer).await,
        #[cfg(feature = "aws")]
        ExecutorName::StepFunctions => step_functions::run(payload, &options, settings, printer).await,
        #[cfg(not(feature = "aws"))]
        ExecutorName::StepFunctions => bail!(crate::without_aws::message("--executor step-functions")),
    }
}

impl Options {
    /// Checks that each option is for the requested executor.
    fn check(&self) -> Result<()> {
        if self.executor != ExecutorName::Slurm && (self.dry_run || self.slurm != SlurmOptions::default()) {
            bail!("--dry-run and the options under SLURM need --executor slurm");
        }
        if self.executor != ExecutorName::Local && self.plan_only {
            bail!("--plan-only is for workers that you start yourself; leave out --executor");
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> &str {
        self.store.as_deref().unwrap_or(match self.executor {
            ExecutorName::Local | ExecutorName::Slurm => ".",
            ExecutorName::StepFunctions => "s3",
        })
    }

    fn if_taken(&self) -> IfTaken {
        match (self.resume, self.overwrite) {
            (true, _) => IfTaken::Resume,
            (_, true) => IfTaken::Overwrite,
            _ => IfTaken::Refuse,
        }
    }

    /// These options as a command line.
    pub(crate) fn command_line(&self, endpoint_url: Option<&str>) -> CommandLine {
        let line = CommandLine::cosmicai("run")
            .argument(&self.payload)
            .option("store", self.store())
            .option_if("endpoint-url", endpoint_url)
            .option_if("model", self.model.as_ref())
            .option_if("precision", self.precision)
            .option_if("executor", Some(self.executor.kind()).filter(|_| self.executor != ExecutorName::Local))
            .option_if("state-machine", self.state_machine.as_ref())
            .option_if("workers", self.workers)
            .option_if("threads", self.threads)
            .option_if("attempts", self.attempts)
            .flag("resume", self.resume)
            .flag("overwrite", self.overwrite)
            .flag("plan-only", self.plan_only)
            .flag("dry-run", self.dry_run)
            .flag("stop-with-parent", self.stop_with_parent);
        self.forecast.add_to(self.slurm.add_to(line))
    }

    /// The command that resumes this run.
    fn command_to_resume(&self, settings: &Settings) -> CommandLine {
        let resumed = Self { resume: true, overwrite: false, stop_with_parent: false, ..self.clone() };
        resumed.command_line(settings.endpoint_given())
    }

    /// Options of a run on this machine that a command starts by itself.
    pub(crate) fn local(payload: &std::path::Path, store: &std::path::Path) -> Self {
        Self {
            payload: payload.display().to_string(),
            store: Some(store.display().to_string()),
            model: None,
            precision: None,
            executor: ExecutorName::Local,
            state_machine: None,
            workers: None,
            threads: None,
            resume: false,
            overwrite: true,
            attempts: None,
            plan_only: false,
            dry_run: false,
            stop_with_parent: false,
            slurm: SlurmOptions::default(),
            forecast: ForecastOptions::default(),
            is_demo: true,
        }
    }
}

/// Returns the identity of a new run: id, time and creator.
fn origin() -> Origin {
    Origin { run_id: new_run_id(), created: now(), created_by: created_by() }
}

/// Returns program, version and process, for the message that a folder is in use.
fn created_by() -> String {
    format!("cosmicai {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id())
}

/// Forecasts a run if requested, and checks its budget.
async fn budget(
    payload: &Payload,
    stores: &Stores,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Option<Budget>> {
    let wanted = &options.forecast;
    if !wanted.is_requested() {
        return Ok(None);
    }
    let (concurrency, threads) = match options.executor {
        ExecutorName::Slurm => (options.slurm.array_limit.map(f64::from), options.slurm.cpus_per_task.map(f64::from)),
        _ => (options.workers.map(f64::from), options.threads.map(f64::from)),
    };
    let upcoming = Upcoming {
        payload,
        stores,
        model: options.model.as_deref(),
        executor: options.executor.kind(),
        resume: options.resume,
        concurrency,
        threads,
    };
    forecast_run(&upcoming, wanted.budget, &wanted.forecast_from, &wanted.terms, settings, printer).await
}

/// Context of printing the end of a run.
#[derive(Clone, Copy)]
struct Shown<'a> {
    options: &'a Options,
    settings: &'a Settings,
    printer: &'a Printer,
}

/// Drives a run to its end and prints its outcome. `when_detached` prints how to find the run again.
async fn drive_and_print(
    executor: &dyn Executor,
    plan: &Plan,
    budget: Option<&Budget>,
    interrupts: &mut Interrupts,
    context: Shown<'_>,
    when_detached: impl Fn(),
) -> Result<Outcome> {
    let Shown { options, settings, printer } = context;
    let progress = Progress::new();
    let driven = drive(executor, plan, budget, &progress, interrupts).await;
    // Its bar would be drawn between the messages below.
    drop(progress);
    match driven? {
        Driven::Ended(ended) => {
            ended.warnings.iter().for_each(|warning| printer.tell(warning));
            let outcome = print_outcome(&ended.summary, &ended.report, options, settings, printer)?;
            Ok(match (ended.stopped, outcome) {
                (Some(StopCause::Interrupt), Outcome::Incomplete) => Outcome::Interrupted,
                // Stopping at the budget is a failure, even if the tasks that were running completed the run.
                (Some(StopCause::Budget { .. }), _) => Outcome::Incomplete,
                (_, outcome) => outcome,
            })
        }
        Driven::Detached => {
            when_detached();
            Ok(Outcome::Interrupted)
        }
        Driven::Killed => {
            printer.tell(&format!("interrupted; to continue the run: {}", options.command_to_resume(settings)));
            Ok(Outcome::Interrupted)
        }
    }
}

/// Returns an error if a run is to be resumed or overwritten while its jobs on a cluster still run.
async fn refuse_if_cluster_jobs_run(payload: &Payload, stores: &Stores, options: &Options) -> Result<()> {
    if options.if_taken() == IfTaken::Refuse {
        return Ok(());
    }
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    match read_plan(&results).await? {
        Some(plan) => Ok(executors::slurm::end_jobs(&results, &plan).await?),
        None => Ok(()),
    }
}

/// Plans a run for workers that the user starts.
async fn plan_only(payload: Payload, stores: &Stores, options: &Options, printer: &Printer) -> Result<Outcome> {
    refuse_if_cluster_jobs_run(&payload, stores, options).await?;
    let Prepared { plan, results, finished, .. } =
        prepare(stores, payload, options.model.as_deref(), options.if_taken(), origin()).await?;
    let planned = Planned {
        run_id: plan.run_id.clone(),
        plan: results.bucket().url(&results.plan()),
        tasks: plan.tasks.len(),
        finished: finished.len(),
    };
    printer.print(&planned, |Planned { run_id, plan, tasks, finished }| {
        format!("run {run_id}: {}, {finished} finished before\n{plan}\n", count(*tasks, "task"))
    })?;
    Ok(Outcome::Done)
}

/// Prints the outcome of a run, and how to continue if tasks are missing.
fn print_outcome(
    summary: &Summary,
    report: &RunReport,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    printer.print(&outcome_tables::Printed { summary, report }, outcome_tables::human)?;
    if summary.is_complete() {
        return Ok(Outcome::Done);
    }
    outcome_tables::print_missing(summary, report, &options.command_to_resume(settings), printer);
    Ok(Outcome::Incomplete)
}

#[cfg(test)]
mod tests;
