//! `cosmicai executions`: the runs of a state machine.

use anyhow::Result;
use serde::Serialize;

use super::{Outcome, execution};
use crate::executor::step_functions::Execution;
use crate::printer::{Printer, table};
use crate::settings::Settings;

/// List the executions of a state machine on AWS, the latest first.
///
/// Example: cosmicai executions arn:aws:states:us-east-1:123456789012:stateMachine:cosmicai
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// ARN of the state machine; the stack that was made from `deploy/lambda` has it as StateMachineArn.
    #[arg(value_name = "STATE_MACHINE_ARN")]
    state_machine: String,
    /// At most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// An execution and how long it took, or takes.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    execution: Execution,
    seconds: f64,
}

pub(crate) async fn executions(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let cloud = execution::cloud(settings, &options.state_machine).await;
    let found = cloud.executions(&options.state_machine, usize::from(options.limit)).await?;
    let listed: Vec<Listed> =
        found.into_iter().map(|found| Listed { seconds: execution::seconds(&found), execution: found }).collect();
    printer.print(&listed, |listed| {
        let rows = listed.iter().map(|Listed { execution: found, seconds }| {
            let ended = found.ended.clone().unwrap_or_else(|| "–".to_owned());
            let duration = execution::duration(*seconds);
            [found.name.clone(), found.status.to_string(), found.started.clone(), ended, duration]
        });
        table(["execution", "status", "started", "ended", "duration"], rows)
    })?;
    Ok(Outcome::Done)
}
