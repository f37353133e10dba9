//! Run of a payload on this machine.

use anyhow::Result;
use executors::{ATTEMPTS, BACKOFF, Interrupts, Local};
use pipeline::event::Stopwatch;
use pipeline::prepare::{Prepared, prepare};
use pipeline::storage::Stores;
use records::payload::Payload;
use tokio_util::sync::CancellationToken;

use super::{Options, Shown, budget, drive_and_print, origin, refuse_if_cluster_jobs_run};
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::{Settings, cores};

/// Runs a payload in this process and prints its outcome.
pub(crate) async fn run_payload(
    payload: Payload,
    stores: &Stores,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    let isa = settings.isa()?;
    refuse_if_cluster_jobs_run(&payload, stores, options).await?;
    let budget = budget(&payload, stores, options, settings, printer).await?;
    let Prepared { plan, results, data, model, .. } =
        prepare(stores, payload, options.model.as_deref(), options.if_taken(), origin()).await?;
    let watch = Stopwatch::start();
    let model = model.load(plan.payload.precision, isa)?;
    for message in model.config().messages().iter().filter(|_| !options.is_demo) {
        printer.tell(&format!("model `{}`: {message}", plan.model.url));
    }
    let workers = options.workers.map_or(1, usize::from);
    let executor = Local {
        data,
        results,
        model,
        init_seconds: watch.seconds(),
        workers,
        threads: options.threads.map_or_else(|| (cores() / workers).max(1), usize::from),
        attempts: options.attempts.unwrap_or(ATTEMPTS),
        backoff: BACKOFF,
        cancel: CancellationToken::new(),
    };
    let mut interrupts = Interrupts::listen()?;
    let shown = Shown { options, settings, printer };
    drive_and_print(&executor, &plan, budget.as_ref(), &mut interrupts, shown, || {}).await
}
