//! `cosmicai stop`: end an execution on AWS.

use anyhow::Result;

use super::{Outcome, execution};
use crate::printer::Printer;
use crate::settings::Settings;

/// Stop an execution on AWS. What its tasks have written stays, and --resume goes on from there.
///
/// Nothing new begins. Tasks that run at that moment end by themselves, within the time that the function has (15 minutes at
/// most): wait for that before --overwrite, as they may still write.
///
/// Example: cosmicai stop arn:aws:states:us-east-1:123456789012:execution:cosmicai:20260102030405-0123456789abcdef
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: execution::Which,
}

pub(crate) async fn stop(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let arn = options.which.arn()?;
    execution::cloud(settings, &arn).await.stop(&arn, "`cosmicai stop`").await?;
    printer.tell(&format!("stopped {arn}"));
    Ok(Outcome::Done)
}
