//! `cosmicai status`: how far a run is.

mod execution;
mod folder;

use anyhow::Result;

use super::Outcome;
use super::execution::{Target, Which};
use crate::printer::Printer;
use crate::settings::Settings;

/// Show how far a run is: its tasks, its jobs or its execution, and why it failed where it did.
///
/// Finished tasks are counted in storage; those that wait, run or failed by who hands them out: SLURM or Step Functions. Exit
/// status 1 where the run has ended and tasks are missing, 0 otherwise.
///
/// Example: cosmicai status /scratch/ada/sky/results
/// Example: cosmicai status arn:aws:states:us-east-1:123456789012:execution:cosmicai:20260102030405-0123456789abcdef
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) async fn status(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    match options.which.target()? {
        Target::Execution(arn) => execution::status(&arn, settings, printer).await,
        Target::Folder { url, store } => folder::status(url, store, settings, printer).await,
    }
}
