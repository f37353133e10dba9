//! Progress of a run, by its results folder and by the state of its SLURM jobs.

use std::collections::BTreeMap;

use executors::slurm::{self, Jobs, is_live};
use pipeline::finished::finished;
use pipeline::results::Results;
use pipeline::unattended::run_report;
use records::ExecutorKind;
use records::plan::Plan;
use records::report::{FailedTask, Job, RunReport};
use records::submission::Submission;

use crate::ranks_in_words::list_ranks;
use anyhow::Result;
use serde::Serialize;

use crate::outcome::Outcome;
use crate::printer::{Printer, duration, grouped, table};
use crate::run_target;
use crate::settings::Settings;

/// State of a run.
#[derive(Serialize)]
struct RunStatus {
    run_id: String,
    results: String,
    tasks: usize,
    finished: usize,
    failed: Vec<FailedTask>,
    /// Ranks of tasks that neither finished nor failed.
    left: Vec<usize>,
    /// True if jobs of the run wait or run; None if that is not known.
    is_live: Option<bool>,
    seconds: f64,
    /// Jobs of the tasks, for a run on SLURM.
    jobs: Option<Vec<Job>>,
    /// Ids of the submitted jobs.
    job_ids: Vec<String>,
}

pub(super) async fn status(url: &str, store: Option<&str>, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let results = run_target::open_results(url, store, settings).await?;
    let plan = run_target::read_plan_of(&results).await?;
    let submission = slurm::read_submission(&results, &plan).await?;
    let queried = match &submission {
        Some(submission) => match query(&results, &plan, submission).await {
            Ok(known) => Some(known),
            Err(error) => {
                printer.tell(&format!("cannot query the jobs from this machine: {error:#}"));
                None
            }
        },
        None => None,
    };
    let job_ids = submission.iter().flat_map(Submission::ids).map(str::to_owned).collect();
    let (report, is_live) = match queried {
        Some((report, is_live)) => (report, Some(is_live)),
        None => {
            let tasks = finished(&results, &plan).await?;
            let report = run_report(&results, &plan, tasks, ExecutorKind::Workers, plan.created.clone(), 1).await?;
            let is_live = report.is_complete().then_some(false);
            (report, is_live)
        }
    };
    let known = RunStatus {
        run_id: plan.run_id.clone(),
        results: results.url(),
        tasks: plan.tasks.len(),
        finished: report.tasks.len(),
        failed: report.failed,
        left: report.left,
        is_live,
        seconds: report.seconds,
        jobs: report.scheduled.map(|scheduled| scheduled.jobs),
        job_ids,
    };
    printer.print(&known, human)?;
    let is_incomplete = known.is_live == Some(false) && known.finished < known.tasks;
    Ok(if is_incomplete { Outcome::Incomplete } else { Outcome::Done })
}

/// Queries SLURM. Returns the report, and true if a job waits or runs.
async fn query(results: &Results, plan: &Plan, submission: &Submission) -> Result<(RunReport, bool)> {
    let slurm = slurm::open_run(results.clone(), submission).await?;
    let mut jobs: Jobs = slurm.jobs(submission).await?;
    let report = slurm.report(plan, submission, &mut jobs).await?;
    Ok((report, jobs.values().any(is_live)))
}

fn human(known: &RunStatus) -> String {
    let status = match known.is_live {
        Some(true) => "running",
        _ if known.finished == known.tasks => "finished",
        Some(false) => "ended, with tasks missing",
        None => "not finished; unknown if workers are running",
    };
    let mut rows = vec![
        ["status".to_owned(), status.to_owned()],
        ["tasks finished".to_owned(), format!("{} of {}", grouped(known.finished as u64), grouped(known.tasks as u64))],
        ["time since start".to_owned(), duration(known.seconds)],
    ];
    if let Some(jobs) = &known.jobs {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for job in jobs {
            let why = if job.state == "PENDING" && !job.reason.is_empty() {
                format!(" ({})", job.reason)
            } else {
                String::new()
            };
            *states.entry(job.state.clone() + &why).or_default() += 1;
        }
        let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        rows.push(["SLURM jobs".to_owned(), known.job_ids.join(", ")]);
        rows.push([
            "job states".to_owned(),
            if states.is_empty() { "unknown to SLURM".to_owned() } else { states.join(", ") },
        ]);
    }
    let mut text = table(["run", &known.run_id], rows);
    for failed in &known.failed {
        text += &format!("task {}: failed: {}\n", failed.rank, failed.error);
    }
    if known.is_live != Some(true) && !known.left.is_empty() {
        text += &format!("not run: {}\n", list_ranks(&known.left));
    }
    text + &format!("results in {}\n", known.results)
}
