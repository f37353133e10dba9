//! `cosmicai status`: progress of a run.

#[cfg(feature = "aws")]
mod execution;
mod folder;

use anyhow::Result;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::run_target::{RunArgument, Target};
use crate::settings::Settings;

/// Show the progress of a run, and why tasks failed.
///
/// Finished tasks are counted in storage. SLURM or Step Functions reports pending, running and failed tasks. Exit
/// status: 1 if the run has ended and tasks are missing, 0 otherwise. Executions on AWS need a build with `--features
/// aws`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai status /scratch/ada/sky/results",
    "cosmicai status arn:aws:states:us-east-1:123456789012:execution:sky:NAME",
]))]
pub(crate) struct Options {
    #[command(flatten)]
    which: RunArgument,
}

pub(crate) async fn status(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    match options.which.target()? {
        #[cfg(feature = "aws")]
        Target::Execution(arn) => execution::status(&arn, settings, printer).await,
        #[cfg(not(feature = "aws"))]
        Target::Execution(_) => anyhow::bail!(crate::without_aws::message("the status of an execution on AWS")),
        Target::Folder { url, store } => folder::status(url, store, settings, printer).await,
    }
}
