//! Run of a payload on a cluster: submit an array of jobs, follow it, print its outcome.

use std::path::Path;

use anyhow::{Context, Result, bail};
use executors::slurm::{Begun, Cluster, Jobs, Request, begin, dry_run};
use executors::{Interrupts, Slurm};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::{summarize, write_report};
use records::payload::Payload;
use records::plan::Plan;
use records::request::ExecutionInput;

use super::{Options, Shown, budget, drive_and_print, origin, print_outcome};
use crate::outcome::Outcome;
use crate::printer::{Printer, write_out};
use crate::settings::Settings;

pub(super) async fn run(
    payload: Payload,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    check(options)?;
    let request = request(options, settings)?;
    request.check()?;
    let cluster = Cluster::find(request.clusters.as_deref()).await?;
    let stores = settings.stores(options.store()).await?;
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    let start = ExecutionInput { payload, model: options.model.clone(), if_taken: options.if_taken() };
    if options.dry_run {
        let (array, summarize) = dry_run(&cluster, &results, &stores, start, &request, origin()).await?;
        write_out(format!("{array}\n{summarize}").as_bytes())?;
        return Ok(Outcome::Done);
    }
    let budget = budget(&start.payload, &stores, options, settings, printer).await?;
    let slurm = Slurm::new(cluster, results, Some(request), None);
    // Handle interrupts only after the submission, when the jobs are known.
    let mut interrupts = Interrupts::listen()?;
    let (plan, submission) = match begin(&slurm, &stores, start, origin()).await? {
        Begun::NothingLeft(plan) => {
            printer.tell("every task is finished: no job was submitted");
            return print_finished(&slurm, &plan, options, settings, printer).await;
        }
        Begun::Running(plan, submission) => {
            let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
            let ids = ids.join(", ");
            printer.tell(&format!("job {ids} of this run is still running: following it as it was submitted"));
            (plan, submission)
        }
        Begun::Submitted(plan, submission) => (plan, submission),
    };
    let url = slurm.results.url();
    if let [.., array] = submission.arrays.as_slice() {
        let cluster = &submission.cluster;
        printer.tell(&format!("job {} on cluster {cluster}; its script: {url}job/array.sbatch", array.id));
    }
    *slurm.submission.lock().await = Some(submission);
    let status = settings.command("status").argument(&url);
    let stop = settings.command("stop").argument(&url);
    let shown = Shown { options, settings, printer };
    let when_detached = || {
        printer.tell(&format!(
            "interrupted; jobs that have not ended continue; to see their progress: {status}\n\
             to follow them again: {}\nto stop them: {stop}",
            options.command_to_resume(settings)
        ));
    };
    drive_and_print(&slurm, &plan, budget.as_ref(), &mut interrupts, shown, when_detached).await.inspect_err(|_| {
        printer.tell(&format!("the jobs may continue; to see their progress: {status}"));
    })
}

/// Reports a run whose tasks are all finished.
async fn print_finished(
    slurm: &Slurm,
    plan: &Plan,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    let submission = executors::slurm::read_submission(&slurm.results, plan).await?;
    let submission = submission.unwrap_or_else(|| slurm.empty_submission(plan, "", 0));
    let report = slurm.report(plan, &submission, &mut Jobs::new()).await?;
    write_report(&slurm.results, &report).await?;
    print_outcome(&summarize(&slurm.results, plan).await?, &report, options, settings, printer)
}

/// Returns the request to SLURM, with the program, store and endpoint that the nodes need.
fn request(options: &Options, settings: &Settings) -> Result<Request> {
    let program = settings.program().context("cannot find the path of this program")?;
    let store = options.store();
    // Jobs start in another folder: a folder needs its absolute path.
    let is_folder = !Stores::is_url(store) || store.starts_with(['.', '/', '~']);
    let store = if is_folder && Path::new(store).is_dir() {
        std::path::absolute(store)?.display().to_string()
    } else {
        store.to_owned()
    };
    let endpoint_url = settings.endpoint_given().map(str::to_owned);
    let program = program.display().to_string();
    let request = options.slurm.request();
    let clusters = request.clusters.or_else(|| settings.clusters().map(str::to_owned));
    Ok(Request { program, store, endpoint_url, attempts: options.attempts, clusters, ..options.slurm.request() })
}

fn check(options: &Options) -> Result<()> {
    let local = [
        ("--workers", options.workers.is_some(), "--array-limit"),
        ("--threads", options.threads.is_some(), "--cpus-per-task"),
    ];
    if let Some((option, _, instead)) = local.iter().find(|(_, is_given, _)| *is_given) {
        bail!("{option} is for tasks on this machine; on a cluster, pass {instead}");
    }
    if options.store().starts_with("memory:") {
        bail!("--store `{}`: the nodes of the cluster cannot read it; pass a shared folder or a URL", options.store());
    }
    Ok(())
}
