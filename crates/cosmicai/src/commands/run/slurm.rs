//! A payload on a cluster: hand an array of jobs to SLURM, follow it, tell what came of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pipeline::event::{new_run_id, now};
use pipeline::payload::Payload;
use pipeline::plan::{Origin, Plan};
use pipeline::prepare::{IfTaken, Prepared, delete, plan_alone, prepare, read_plan};
use pipeline::results::Results;
use pipeline::storage::Stores;
use pipeline::summary::{summarize, write_report};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

use super::budget::{Budget, Meter};
use super::{Options, budget_is_spent, created_by, tell};
use crate::commands::{Outcome, folder};
use crate::executor::slurm::{Cluster, Jobs, Request, Submission, quoted};
use crate::executor::{Executor, Slurm};
use crate::printer::{Printer, write_out};
use crate::progress::Progress;
use crate::settings::Settings;

/// The wait between the first looks at the jobs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Folder of the jobs' logs where the run's own folder is not one of this machine.
const LOGS: &str = "cosmicai-logs";

pub(super) async fn run(
    payload: Payload,
    options: &Options,
    settings: &Settings,
    printer: &Printer,
) -> Result<Outcome> {
    check(options)?;
    let cluster = Cluster::find().await?;
    let stores = settings.stores(options.store()).await?;
    let request = request(options, settings)?;
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    if options.dry_run {
        return dry_run(payload, &stores, &cluster, &results, &request, options).await;
    }
    let budget = Budget::foretell(&payload, &stores, options, settings, printer).await?;
    let slurm = Slurm {
        cluster,
        results,
        request: Some(request.clone()),
        look_every: LOOK_EVERY,
        submission: Mutex::default(),
    };
    // From here on a signal to end waits until it is known which jobs there are.
    let mut signals = Signals::listen()?;
    let turn = slurm.turn().await?;
    let handed_in = match at_work(&slurm, &payload, options.if_taken()).await? {
        Some((plan, submission)) => {
            let id = &submission.arrays[0].id;
            printer.tell(&format!("job {id} of this run is still at work: following it as it was handed in"));
            Some((plan, submission))
        }
        None => {
            slurm.test(&request).await.context("nothing was handed in")?;
            hand_in(&slurm, turn, payload, &stores, &request, options).await?
        }
    };
    let Some((plan, submission)) = handed_in else {
        printer.tell("every task is finished: nothing was handed in");
        return sum_up(&slurm, options, printer).await;
    };
    let url = slurm.results.url();
    let shown = quoted(&url);
    if let [.., array] = submission.arrays.as_slice() {
        let cluster = &submission.cluster;
        printer.tell(&format!("job {} on cluster {cluster}; its script: {url}job/array.sbatch", array.id));
    }
    *slurm.submission.lock().await = Some(submission);
    tokio::select! {
        outcome = follow(&slurm, &plan, budget.as_ref(), options, printer) => outcome.inspect_err(|_| {
            printer.tell(&format!("the jobs may go on; how far they are: cosmicai status {shown}"));
        }),
        () = signals.heard() => {
            printer.tell(&format!(
                "interrupted: the jobs go on; to see how far they are: cosmicai status {shown}\n\
                 to follow them again: {}\nto end them: cosmicai stop {shown}",
                options.command_to_resume()
            ));
            Ok(Outcome::Interrupted)
        }
    }
}

/// Ctrl-C, and what a lost terminal or a session's end send.
struct Signals(Vec<Signal>);

impl Signals {
    fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals: std::io::Result<_> = kinds.into_iter().map(signal).collect();
        Ok(Self(signals.context("listen for signals")?))
    }

    /// Waits for the first of them, even one that came before.
    async fn heard(&mut self) {
        std::future::poll_fn(|context| {
            let heard = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

async fn follow(
    slurm: &Slurm,
    plan: &Plan,
    budget: Option<&Budget>,
    options: &Options,
    printer: &Printer,
) -> Result<Outcome> {
    let progress = Progress::new();
    let meter = Meter::new(&progress, budget);
    let mut execution = slurm.execute(plan, &meter);
    let mut report = tokio::select! {
        report = &mut execution => report?,
        bill = meter.exceeded() => {
            printer.tell(&budget_is_spent(bill));
            if let Some(submission) = folder::submission(&slurm.results, plan).await? {
                slurm.stop(&submission).await?;
            }
            execution.await?
        }
    };
    if let Some(budget) = budget {
        budget.add_to(&mut report);
    }
    write_report(&slurm.results, &report).await?;
    tell(&summarize(&slurm.results, plan).await?, &report, options, printer)
}

/// Shows a run of which nothing is left to do.
async fn sum_up(slurm: &Slurm, options: &Options, printer: &Printer) -> Result<Outcome> {
    let plan = folder::plan(&slurm.results).await?;
    let submission = folder::submission(&slurm.results, &plan).await?.unwrap_or_else(|| slurm.nothing(&plan, "", 0));
    let report = slurm.report(&plan, &submission, &mut Jobs::new()).await?;
    write_report(&slurm.results, &report).await?;
    tell(&summarize(&slurm.results, &plan).await?, &report, options, printer)
}

/// The run in the folder whose tasks are at work, where it is to be resumed; refuses where it is to be overwritten.
async fn at_work(slurm: &Slurm, payload: &Payload, if_taken: IfTaken) -> Result<Option<(Plan, Submission)>> {
    if if_taken == IfTaken::Refuse {
        return Ok(None);
    }
    let Some(plan) = read_plan(&slurm.results).await? else { return Ok(None) };
    let url = slurm.results.url();
    let submission = folder::submission(&slurm.results, &plan).await?;
    let strays = slurm.strays(&plan.run_id, submission.as_ref()).await?.join(" ");
    if !strays.is_empty() {
        bail!(
            "`{url}`: jobs {strays} of this run are in the queue, and nothing tells who handed them in; first: scancel {strays}"
        );
    }
    let Some(submission) = submission else { return Ok(None) };
    let is_here = submission.cluster == slurm.cluster.name;
    if is_here && if_taken == IfTaken::Resume && slurm.is_at_work(&submission).await? {
        let differences = plan.payload.differences(payload);
        if !differences.is_empty() {
            bail!("`{url}`: run {} is at work with another payload: it has {}", plan.run_id, differences.join("; "));
        }
        return Ok(Some((plan, submission)));
    }
    folder::end_cluster_jobs(&slurm.results, &plan).await?;
    Ok(None)
}

/// Plans the run, claims its folder, and hands in what is left of it; None where nothing is.
async fn hand_in(
    slurm: &Slurm,
    turn: usize,
    payload: Payload,
    stores: &Stores,
    request: &Request,
    options: &Options,
) -> Result<Option<(Plan, Submission)>> {
    let run_id = new_run_id();
    let origin = Origin { run_id: run_id.clone(), created: now(), created_by: created_by() };
    let prepared = prepare(stores, payload, options.model.as_deref(), options.if_taken(), origin).await?;
    let Prepared { plan, results, finished, .. } = prepared;
    let mut is_left = vec![true; plan.tasks.len()];
    finished.iter().for_each(|report| is_left[report.rank] = false);
    let left: Vec<usize> = (0..plan.tasks.len()).filter(|&rank| is_left[rank]).collect();
    if left.is_empty() {
        return Ok(None);
    }
    let logs = logs_folder(&results, &plan.run_id)?;
    std::fs::create_dir_all(&logs).with_context(|| format!("folder of logs `{logs}`"))?;
    let mut submission = slurm.nothing(&plan, &logs, turn);
    match slurm.submit(&plan, &left, request, &mut submission).await {
        Ok(()) => Ok(Some((plan, submission))),
        Err(error) if submission.arrays.is_empty() => {
            // The folder was claimed for nothing, and the same command must not find it taken.
            if plan.run_id == run_id {
                delete(&results, &plan).await?;
            }
            Err(error).context("nothing was handed in")
        }
        Err(error) => Err(error).context("what was handed in was cancelled; go on with --resume"),
    }
}

async fn dry_run(
    payload: Payload,
    stores: &Stores,
    cluster: &Cluster,
    results: &Results,
    request: &Request,
    options: &Options,
) -> Result<Outcome> {
    let origin = Origin { run_id: new_run_id(), created: now(), created_by: created_by() };
    let (plan, _) = plan_alone(stores, payload, options.model.as_deref(), origin).await?;
    let logs = logs_folder(results, &plan.run_id)?;
    let (array, summarize) = Slurm::scripts(cluster, &plan, results, &logs, request);
    write_out(format!("{array}\n{summarize}").as_bytes())?;
    Ok(Outcome::Done)
}

/// What a person asked for, with what the nodes must know.
fn request(options: &Options, settings: &Settings) -> Result<Request> {
    let program = settings.program().context("the system does not say where this program lies")?;
    let store = options.store();
    // A folder by its whole path, since jobs begin elsewhere.
    let is_folder = !Stores::is_url(store) || store.starts_with(['.', '/', '~']);
    let store = if is_folder && Path::new(store).is_dir() {
        std::path::absolute(store)?.display().to_string()
    } else {
        store.to_owned()
    };
    let program = program.display().to_string();
    let endpoint_url = settings.endpoint_given().map(str::to_owned);
    Ok(Request { program, store, endpoint_url, attempts: options.attempts, ..options.slurm.clone() })
}

/// Where the logs of the jobs lie: in the run's folder where that is one, or else beside where one stands.
fn logs_folder(results: &Results, run_id: &str) -> Result<String> {
    let url = results.bucket().url(results.job("").trim_end_matches('/'));
    let logs = if url.starts_with('/') {
        url
    } else {
        std::path::absolute(Path::new(LOGS).join(run_id))?.display().to_string()
    };
    if logs.contains(char::is_control) {
        bail!("folder of logs {logs:?}: a name in one line is expected");
    }
    Ok(logs)
}

fn check(options: &Options) -> Result<()> {
    let local = [
        ("--workers", options.workers.is_some(), "--array-limit"),
        ("--threads", options.threads.is_some(), "--cpus-per-task"),
    ];
    if let Some((option, _, instead)) = local.iter().find(|(_, is_given, _)| *is_given) {
        bail!("{option} is for tasks on this machine; on a cluster {instead} decides");
    }
    if options.store().starts_with("memory:") {
        bail!("--store `{}`: the nodes cannot see it", options.store());
    }
    options.slurm.check().map_err(|problem| anyhow::anyhow!(problem))
}
