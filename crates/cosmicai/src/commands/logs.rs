//! `cosmicai logs`: what the functions of an execution wrote.

use anyhow::Result;

use super::{Outcome, execution};
use crate::executor::step_functions::lines;
use crate::printer::write_out;
use crate::settings::Settings;

/// Print what the functions of an execution on AWS wrote into their logs, in order of time.
///
/// The lines are those of all executions that ran at the same time with the same functions; `--filter` takes a pattern
/// of CloudWatch, such as the name of a run, or REPORT for what Lambda bills.
///
/// Example: cosmicai logs ARN --filter REPORT
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: execution::Which,
    /// Only lines that match this CloudWatch filter pattern.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
}

pub(crate) async fn logs(options: Options, settings: &Settings) -> Result<Outcome> {
    let arn = options.which.arn()?;
    let cloud = execution::cloud(settings, &arn).await;
    let found = cloud.describe(&arn).await?;
    let groups = cloud.log_groups(&found.arn).await?;
    for line in lines(&cloud, &groups, &found, options.filter.as_deref()).await? {
        write_out(format!("{}\n", line.text).as_bytes())?;
    }
    Ok(Outcome::Done)
}
