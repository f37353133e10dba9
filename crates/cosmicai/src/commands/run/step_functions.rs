//! Run of a payload on AWS: start the state machine, follow it, print its outcome.

use anyhow::{Context, Result, bail};
use executors::{Interrupts, StepFunctions};
use pipeline::event::new_run_id;
use pipeline::results::Results;
use records::payload::Payload;
use records::request::ExecutionInput;

use super::{Options, Shown, budget, drive_and_print};
use crate::aws_execution;
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::Settings;

/// Store that workers on AWS can reach.
const STORE: &str = "s3";

pub(super) async fn run(
    payload: Payload,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    check(options)?;
    let state_machine = options.state_machine.as_deref().context("--state-machine is missing")?;
    let cloud = aws_execution::cloud(settings, state_machine).await;
    let stores = aws_execution::stores(settings, state_machine).await?;
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    let budget = budget(&payload, &stores, options, settings, printer).await?;
    let start = ExecutionInput { payload, model: options.model.clone(), if_taken: options.if_taken() };
    let mut interrupts = Interrupts::listen()?;
    let arn = StepFunctions::start(&cloud, state_machine, &start, &new_run_id()).await?;
    printer.tell(&format!("execution {arn}"));
    let config = settings.aws().await;
    if let Some(url) = console_url(&arn).filter(|_| config.endpoint_url().is_none()) {
        printer.tell(&url);
    }
    let executor = StepFunctions::new(cloud, arn.clone(), results);
    let [status, logs, stop] = ["status", "logs", "stop"].map(|name| settings.command(name).argument(&arn));
    let when_detached = || {
        printer.tell(&format!(
            "interrupted; the execution continues unless it has ended; to see its progress: {status}\nits logs: {logs}\nto stop it: {stop}"
        ));
    };
    let followed = async {
        let plan = tokio::select! {
            plan = executor.planned() => plan?,
            () = interrupts.next() => {
                when_detached();
                return Ok(Outcome::Interrupted);
            }
        };
        let shown = Shown { options, settings, printer };
        drive_and_print(&executor, &plan, budget.as_ref(), &mut interrupts, shown, when_detached).await
    };
    followed.await.inspect_err(|_| {
        printer.tell(&format!("execution {arn}: its state and logs: {status}; {logs}"));
    })
}

/// Returns an error for a store, an option or a model that workers on Lambda cannot use.
fn check(options: &Options) -> Result<()> {
    if options.store() != STORE {
        bail!(
            "--store `{}`: workers on Lambda read and write S3 only; --endpoint-url sets its address",
            options.store()
        );
    }
    let local = [
        ("--workers", options.workers.is_some(), "`max_concurrency` in the payload"),
        ("--threads", options.threads.is_some(), "the memory of the function"),
        ("--attempts", options.attempts.is_some(), "the state machine"),
    ];
    if let Some((option, _, instead)) = local.iter().find(|(_, is_given, _)| *is_given) {
        bail!("{option} is for tasks on this machine; on Lambda {instead} decides it");
    }
    match &options.model {
        Some(model) if pipeline::storage::Stores::is_url(model) && !model.starts_with("s3://") => {
            bail!("--model `{model}`: workers on Lambda cannot read it; upload it to S3 and pass its s3:// URL")
        }
        _ => Ok(()),
    }
}

/// Returns the URL of an execution in the AWS console.
fn console_url(arn: &str) -> Option<String> {
    let region = arn.split(':').nth(3).filter(|region| !region.is_empty())?;
    Some(format!("https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"))
}
