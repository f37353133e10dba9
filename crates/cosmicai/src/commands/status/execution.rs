//! How far an execution on AWS is.

use anyhow::Result;
use pipeline::plan::Plan;
use pipeline::prepare::read_plan;
use pipeline::request::Standing;
use serde::Serialize;

use crate::commands::{Outcome, execution};
use crate::executor::step_functions::{Cloud, Counts, Execution, Status};
use crate::printer::{Printer, table};
use crate::settings::Settings;

/// What is known of an execution.
#[derive(Serialize)]
struct Known {
    #[serde(flatten)]
    execution: Execution,
    seconds: f64,
    results: Option<String>,
    /// Tasks of the plan; absent until there is one.
    tasks: Option<usize>,
    /// Of these, the ones whose results are in storage.
    finished: Option<usize>,
    /// How those stand that this execution handed out.
    handed_out: Option<Counts>,
}

pub(super) async fn status(arn: &str, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let cloud = execution::cloud(settings, arn).await;
    let found = cloud.describe(arn).await?;
    let handed_out = cloud.counts(&found.arn).await?;
    let results = execution::results(&found, settings).await.ok();
    let (mut tasks, mut finished) = (None, None);
    if let Some(results) = &results
        && let Some(plan) = read_plan(results).await?
        && is_of(&cloud, &found, &plan).await?
    {
        let keys = results.list_task_reports().await?;
        tasks = Some(plan.tasks.len());
        finished = Some(plan.tasks.iter().filter(|task| keys.contains(&results.task_report(task.rank))).count());
    }
    let seconds = execution::seconds(&found);
    let results = results.map(|results| results.url());
    let known = Known { execution: found, seconds, results, tasks, finished, handed_out };
    printer.print(&known, human)?;
    Ok(match known.execution.status {
        Status::Ended(_) => Outcome::Incomplete,
        Status::Running | Status::Succeeded => Outcome::Done,
    })
}

/// Whether the plan that lies in its folder is the one that an execution goes by, and not another's.
async fn is_of(cloud: &Cloud, execution: &Execution, plan: &Plan) -> Result<bool> {
    let output = cloud.output_of(&execution.arn, "Initialize").await?;
    let standing = output.and_then(|output| serde_json::from_str::<Standing>(&output).ok());
    Ok(standing.is_some_and(|standing| standing.run.run_id == plan.run_id))
}

fn human(known: &Known) -> String {
    let Known { execution: found, seconds, results, tasks, finished, handed_out } = known;
    let mut rows = vec![
        ["status".to_owned(), found.status.to_string()],
        ["started".to_owned(), found.started.clone()],
        ["ended".to_owned(), found.ended.clone().unwrap_or_else(|| "–".to_owned())],
        ["duration".to_owned(), execution::duration(*seconds)],
    ];
    if let (Some(tasks), Some(finished)) = (tasks, finished) {
        rows.push(["tasks finished".to_owned(), format!("{finished} of {tasks}")]);
    }
    if let Some(counts) = handed_out {
        let text = format!("{} pending, {} running, {} failed", counts.pending, counts.running, counts.failed);
        rows.push(["tasks handed out".to_owned(), text]);
    }
    let mut text = table(["execution", &found.name], rows);
    if let Some(error) = &found.error {
        text += &format!("{error}: {}\n", found.cause.as_deref().unwrap_or("no cause"));
    }
    text + &results.as_ref().map_or_else(String::new, |url| format!("results in {url}\n"))
}
