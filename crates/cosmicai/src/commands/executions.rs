//! `cosmicai executions`: executions of a state machine.

#[cfg(feature = "aws")]
mod list;

use anyhow::Result;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::Settings;

/// List the executions of a state machine on AWS.
///
/// The latest execution comes first. With --format csv, each line has the total time of an execution and the time of its
/// Map, in seconds; this takes one more request for each execution. This command needs a build with `--features aws`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai executions arn:aws:states:us-east-1:123456789012:stateMachine:sky",
    "cosmicai executions ARN --limit 1000 --format csv > executions.csv",
]))]
pub(crate) struct Options {
    /// ARN of the state machine.
    ///
    /// The stack that `deploy/lambda` describes has it as the output StateMachineArn.
    #[arg(value_name = "STATE_MACHINE_ARN")]
    state_machine: String,
    /// Largest number of executions to list.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(crate) async fn executions(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    #[cfg(feature = "aws")]
    {
        list::list(&options.state_machine, usize::from(options.limit), settings, printer).await
    }
    #[cfg(not(feature = "aws"))]
    {
        let _ = (options.limit, settings, printer);
        anyhow::bail!(crate::without_aws::message(&format!("listing the executions of {}", options.state_machine)))
    }
}
