//! A payload on AWS: start the state machine, follow it, tell what came of it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pipeline::event::new_run_id;
use pipeline::payload::Payload;
use pipeline::request::Start;
use pipeline::results::Results;
use pipeline::summary::{Summary, summarize, write_report};

use super::budget::{Budget, Meter};
use super::{Options, budget_is_spent, tell};
use crate::commands::{Outcome, execution};
use crate::executor::{Executor, StepFunctions};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::settings::Settings;

/// The wait between the first looks at an execution.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait for the last lines of Lambda's logs, which come some seconds late.
const LOGS_PATIENCE: Duration = Duration::from_secs(30);
/// What a store must be for workers on AWS to see it.
const STORE: &str = "s3";

pub(super) async fn run(
    payload: Payload,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    check(options)?;
    let state_machine = options.state_machine.as_deref().context("--state-machine is missing")?;
    let cloud = execution::cloud(settings, state_machine).await;
    let stores = execution::stores(settings, state_machine).await?;
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    let budget = Budget::foretell(&payload, &stores, options, settings, printer).await?;
    let start = Start { payload, model: options.model.clone(), if_taken: options.if_taken() };
    let arn = StepFunctions::start(&cloud, state_machine, &start, &new_run_id()).await?;
    printer.tell(&format!("execution {arn}"));
    let config = settings.aws().await;
    if let Some(url) = console_url(&arn).filter(|_| config.endpoint_url().is_none()) {
        printer.tell(&url);
    }
    let executor = StepFunctions { cloud, execution: arn.clone(), results, look_every: LOOK_EVERY };
    tokio::select! {
        outcome = follow(&executor, budget.as_ref(), options, printer) => outcome.inspect_err(|_| {
            printer.tell(&format!("execution {arn}: its state, logs: cosmicai status {arn}; cosmicai logs {arn}"));
        }),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("listen for Ctrl-C")?;
            printer.tell(&format!(
                "interrupted: the execution goes on; to see how far it is: cosmicai status {arn}\n\
                 its logs: cosmicai logs {arn}\nto end it: cosmicai stop {arn}"
            ));
            Ok(Outcome::Interrupted)
        }
    }
}

async fn follow(
    executor: &StepFunctions,
    budget: Option<&Budget>,
    options: &Options,
    printer: &Printer,
) -> Result<Outcome> {
    let plan = executor.planned().await?;
    let progress = Progress::new();
    let meter = Meter::new(&progress, budget);
    let mut report = tokio::select! {
        report = executor.execute(&plan, &meter) => report?,
        bill = meter.exceeded() => {
            printer.tell(&budget_is_spent(bill));
            executor.cloud.stop(&executor.execution, "the budget of `cosmicai run` is spent").await?;
            bail!("stopped; tasks that run end by themselves; to go on with what is missing: {}", options.command_to_resume());
        }
    };
    let results = &executor.results;
    if let Err(unknown) = executor.add_billed(&mut report, LOGS_PATIENCE).await {
        printer.tell(&format!("what Lambda billed is not known: {unknown}"));
    }
    if let Some(budget) = budget {
        budget.add_to(&mut report);
    }
    if (report.billed.is_some() || report.foretold.is_some())
        && let Err(unwritten) = write_report(results, &report).await
    {
        printer.tell(&format!("what Lambda billed and what was foretold are told here only: {unwritten}"));
    }
    let summary = match Summary::read(results).await? {
        Some(summary) if summary.run_id == plan.run_id && report.is_complete() => summary,
        _ => summarize(results, &plan).await?,
    };
    tell(&summary, &report, options, printer)
}

/// What the workers could not see, or would not heed.
fn check(options: &Options) -> Result<()> {
    if options.store() != STORE {
        bail!(
            "--store `{}`: workers on Lambda read and write S3 alone; --endpoint-url says where that is",
            options.store()
        );
    }
    let local = [
        ("--workers", options.workers.is_some(), "`max_concurrency` in the payload"),
        ("--threads", options.threads.is_some(), "the memory of the function"),
        ("--attempts", options.attempts.is_some(), "the state machine"),
    ];
    if let Some((option, _, instead)) = local.iter().find(|(_, is_given, _)| *is_given) {
        bail!("{option} is for tasks on this machine; on Lambda {instead} decides");
    }
    match &options.model {
        Some(model) if pipeline::storage::Stores::is_url(model) && !model.starts_with("s3://") => {
            bail!("--model `{model}`: workers on Lambda cannot read it; upload it once, and give its s3:// URL")
        }
        _ => Ok(()),
    }
}

/// Where AWS shows an execution.
fn console_url(arn: &str) -> Option<String> {
    let region = arn.split(':').nth(3).filter(|region| !region.is_empty())?;
    Some(format!("https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"))
}
