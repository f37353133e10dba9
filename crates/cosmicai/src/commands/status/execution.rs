//! Progress of an execution on AWS.

use anyhow::Result;
use executors::step_functions::{Cloud, Counts, Execution, Status};
use pipeline::prepare::read_plan;
use records::plan::Plan;
use records::request::RunState;
use serde::Serialize;

use crate::aws_execution;
use crate::outcome::Outcome;
use crate::printer::{Printer, duration, table};
use crate::settings::Settings;

/// State of an execution.
#[derive(Serialize)]
struct ExecutionStatus {
    #[serde(flatten)]
    execution: Execution,
    seconds: f64,
    results: Option<String>,
    /// Number of tasks of the plan; None until there is a plan.
    tasks: Option<usize>,
    /// Number of tasks whose results are in storage.
    finished: Option<usize>,
    /// Number of tasks that this execution dispatched, by state.
    #[serde(rename = "handed_out")]
    dispatched: Option<Counts>,
}

pub(super) async fn status(arn: &str, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let cloud = aws_execution::cloud(settings, arn).await;
    let found = cloud.describe(arn).await?;
    let dispatched = cloud.counts(&found.arn).await?;
    let results = aws_execution::results(&found, settings).await.ok();
    let (mut tasks, mut finished) = (None, None);
    if let Some(results) = &results
        && let Some(plan) = read_plan(results).await?
        && is_of(&cloud, &found, &plan).await?
    {
        let keys = results.list_task_reports().await?;
        tasks = Some(plan.tasks.len());
        finished = Some(plan.tasks.iter().filter(|task| keys.contains(&results.task_report(task.rank))).count());
    }
    let seconds = aws_execution::seconds(&found);
    let results = results.map(|results| results.url());
    let known = ExecutionStatus { execution: found, seconds, results, tasks, finished, dispatched };
    printer.print(&known, human)?;
    Ok(match known.execution.status {
        Status::Ended(_) => Outcome::Incomplete,
        Status::Running | Status::Succeeded => Outcome::Done,
    })
}

/// Returns true if the plan in the results folder is the one of this execution.
async fn is_of(cloud: &Cloud, execution: &Execution, plan: &Plan) -> Result<bool> {
    let output = cloud.output_of(&execution.arn, "Initialize").await?;
    let state = output.and_then(|output| serde_json::from_str::<RunState>(&output).ok());
    Ok(state.is_some_and(|state| state.run.run_id == plan.run_id))
}

fn human(known: &ExecutionStatus) -> String {
    let ExecutionStatus { execution: found, seconds, results, tasks, finished, dispatched } = known;
    let mut rows = vec![
        ["status".to_owned(), found.status.to_string()],
        ["started".to_owned(), found.started.clone()],
        ["ended".to_owned(), found.ended.clone().unwrap_or_else(|| "–".to_owned())],
        ["duration".to_owned(), duration(*seconds)],
    ];
    if let (Some(tasks), Some(finished)) = (tasks, finished) {
        rows.push(["tasks finished".to_owned(), format!("{finished} of {tasks}")]);
    }
    if let Some(counts) = dispatched {
        let text = format!("{} pending, {} running, {} failed", counts.pending, counts.running, counts.failed);
        rows.push(["tasks dispatched".to_owned(), text]);
    }
    let mut text = table(["execution", &found.name], rows);
    if let Some(error) = &found.error {
        text += &format!("{error}: {}\n", found.cause.as_deref().unwrap_or("no cause stated"));
    }
    text + &results.as_ref().map_or_else(String::new, |url| format!("results in {url}\n"))
}
