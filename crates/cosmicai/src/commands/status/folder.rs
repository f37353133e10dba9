//! How far a run is, by the folder of its results and by what SLURM says of its jobs.

use std::collections::BTreeMap;

use anyhow::Result;
use pipeline::elsewhere::run_report;
use pipeline::finished::finished;
use pipeline::plan::Plan;
use pipeline::report::{FailedTask, Job, RunReport};
use pipeline::results::Results;
use serde::Serialize;

use crate::commands::run::list;
use crate::commands::{Outcome, execution, folder};
use crate::executor::slurm::{Jobs, Submission, is_live};
use crate::printer::{Printer, grouped, table};
use crate::settings::Settings;

/// What is known of a run.
#[derive(Serialize)]
struct Known {
    run_id: String,
    results: String,
    tasks: usize,
    finished: usize,
    failed: Vec<FailedTask>,
    /// Ranks that neither are finished nor failed.
    left: Vec<usize>,
    /// Whether something still works at it; None where that is not known.
    is_live: Option<bool>,
    seconds: f64,
    /// The jobs that do tasks, where SLURM does.
    jobs: Option<Vec<Job>>,
    /// Ids of what was handed to SLURM.
    job_ids: Vec<String>,
}

pub(super) async fn status(url: &str, store: Option<&str>, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let results = folder::results(url, store, settings).await?;
    let plan = folder::plan(&results).await?;
    let submission = folder::submission(&results, &plan).await?;
    let asked = match &submission {
        Some(submission) => match ask(&results, &plan, submission).await {
            Ok(known) => Some(known),
            Err(error) => {
                printer.tell(&format!("what the jobs do cannot be asked here: {error:#}"));
                None
            }
        },
        None => None,
    };
    let job_ids = submission.iter().flat_map(Submission::ids).map(str::to_owned).collect();
    let (report, is_live) = match asked {
        Some((report, is_live)) => (report, Some(is_live)),
        None => {
            let tasks = finished(&results, &plan).await?;
            let report = run_report(&results, &plan, tasks, "", plan.created.clone(), 1).await?;
            let is_live = report.is_complete().then_some(false);
            (report, is_live)
        }
    };
    let known = Known {
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

/// What SLURM says, and whether a job still waits or runs.
async fn ask(results: &Results, plan: &Plan, submission: &Submission) -> Result<(RunReport, bool)> {
    let slurm = folder::slurm(results.clone(), submission).await?;
    let mut jobs: Jobs = slurm.jobs(submission).await?;
    let report = slurm.report(plan, submission, &mut jobs).await?;
    Ok((report, jobs.values().any(is_live)))
}

fn human(known: &Known) -> String {
    let status = match known.is_live {
        Some(true) => "at work",
        _ if known.finished == known.tasks => "finished",
        Some(false) => "ended, with tasks missing",
        None => "not finished; whether workers are at it is not known",
    };
    let mut rows = vec![
        ["status".to_owned(), status.to_owned()],
        ["tasks finished".to_owned(), format!("{} of {}", grouped(known.finished as u64), grouped(known.tasks as u64))],
        ["since it began".to_owned(), execution::duration(known.seconds)],
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
            "their states".to_owned(),
            if states.is_empty() { "forgotten".to_owned() } else { states.join(", ") },
        ]);
    }
    let mut text = table(["run", &known.run_id], rows);
    for failed in &known.failed {
        text += &format!("task {}: failed: {}\n", failed.rank, failed.error);
    }
    if known.is_live != Some(true) && !known.left.is_empty() {
        text += &format!("not run: {}\n", list(&known.left));
    }
    text + &format!("results in {}\n", known.results)
}
