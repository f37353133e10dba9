//! List of executions, read from AWS.

use anyhow::Result;
use executors::step_functions::Execution;
use serde::Serialize;

use crate::aws_execution;
use crate::outcome::Outcome;
use crate::printer::{Printer, duration, table};
use crate::settings::Settings;

/// Execution and its duration so far.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    execution: Execution,
    seconds: f64,
}

/// Line of the CSV.
#[derive(Serialize)]
struct Line {
    execution: String,
    status: String,
    /// RFC 3339.
    started: String,
    /// RFC 3339; empty while the execution runs.
    ended: Option<String>,
    /// Seconds of the whole execution so far.
    total_seconds: f64,
    /// Seconds of the Map; empty while it runs, or if the service does not know it.
    map_seconds: Option<f64>,
    arn: String,
}

impl Line {
    fn of(map_seconds: Option<f64>, execution: Execution) -> Line {
        Line {
            total_seconds: aws_execution::seconds(&execution),
            map_seconds,
            execution: execution.name,
            status: execution.status.to_string(),
            started: execution.started,
            ended: execution.ended,
            arn: execution.arn,
        }
    }
}

pub(super) async fn list(state_machine: &str, limit: usize, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let cloud = aws_execution::cloud(settings, state_machine).await;
    let found = cloud.executions(state_machine, limit).await?;
    if printer.is_csv() {
        let mut lines = Vec::with_capacity(found.len());
        for execution in found {
            lines.push(Line::of(cloud.map_seconds(&execution.arn).await?, execution));
        }
        Printer::print_csv(&lines)?;
        return Ok(Outcome::Done);
    }
    let listed: Vec<Listed> =
        found.into_iter().map(|found| Listed { seconds: aws_execution::seconds(&found), execution: found }).collect();
    printer.print(&listed, |listed| {
        let rows = listed.iter().map(|Listed { execution: found, seconds }| {
            [found.name.clone(), found.status.to_string(), found.started.clone(), duration(*seconds)]
        });
        table(["execution", "status", "started", "duration"], rows)
    })?;
    Ok(Outcome::Done)
}
