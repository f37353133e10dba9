//! `cosmicai stop`: end a run that goes on elsewhere.

use anyhow::{Result, bail};

use super::execution::{self, Target, Which};
use super::{Outcome, folder};
use crate::printer::Printer;
use crate::settings::Settings;

/// Stop a run on a cluster or on AWS. What its tasks have written stays, and --resume goes on from there.
///
/// Nothing new begins. On a cluster the jobs are cancelled, and the one that sums up says what is missing. On AWS, tasks that
/// run at that moment end by themselves, within the time that the function has (15 minutes at most): wait for that before
/// --overwrite, as they may still write.
///
/// Example: cosmicai stop /scratch/ada/sky/results
/// Example: cosmicai stop arn:aws:states:us-east-1:123456789012:execution:cosmicai:20260102030405-0123456789abcdef
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) async fn stop(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let what = match options.which.target()? {
        Target::Execution(arn) => {
            execution::cloud(settings, &arn).await.stop(&arn, "`cosmicai stop`").await?;
            arn
        }
        Target::Folder { url, store } => {
            let results = folder::results(url, store, settings).await?;
            let plan = folder::plan(&results).await?;
            let Some(submission) = folder::submission(&results, &plan).await? else {
                bail!(
                    "`{}`: nothing of this run was handed to SLURM; end its workers where they were started",
                    results.url()
                );
            };
            let slurm = folder::slurm(results, &submission).await?;
            let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
            if !slurm.is_at_work(&submission).await? {
                printer.tell(&format!("nothing of the run is at work: job {} has ended", ids.join(", ")));
                return Ok(Outcome::Done);
            }
            slurm.stop(&submission).await?;
            format!("job {}", ids.join(", "))
        }
    };
    printer.tell(&format!("stopped {what}"));
    Ok(Outcome::Done)
}
