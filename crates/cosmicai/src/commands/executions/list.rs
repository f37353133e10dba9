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

pub(super) async fn list(state_machine: &str, limit: usize, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let cloud = aws_execution::cloud(settings, state_machine).await;
    let found = cloud.executions(state_machine, limit).await?;
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
