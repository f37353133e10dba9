//! `cosmicai stop`: stops a run on a cluster or on AWS.

use anyhow::{Result, bail};
use executors::slurm;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::run_target::{self, RunArgument, Target};
use crate::settings::Settings;

/// Stop a run on a cluster or on AWS.
///
/// Finished tasks keep their results; `cosmicai run --resume` continues the run. No new tasks start.
///
/// On a cluster, the jobs are cancelled, and the summarize job reports the missing tasks.
///
/// On AWS, running tasks end by themselves within the timeout of the function (15 minutes at most). Wait for that
/// before you pass --overwrite, because they may still write results. Executions on AWS need a build with `--features
/// aws`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai stop /scratch/ada/sky/results",
    "cosmicai stop arn:aws:states:us-east-1:123456789012:execution:sky:NAME",
]))]
pub(crate) struct Options {
    #[command(flatten)]
    which: RunArgument,
}

pub(crate) async fn stop(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let what = match options.which.target()? {
        #[cfg(feature = "aws")]
        Target::Execution(arn) => {
            crate::aws_execution::cloud(settings, &arn).await.stop(&arn, "`cosmicai stop`").await?;
            arn
        }
        #[cfg(not(feature = "aws"))]
        Target::Execution(_) => anyhow::bail!(crate::without_aws::message("stopping an execution on AWS")),
        Target::Folder { url, store } => {
            let results = run_target::open_results(url, store, settings).await?;
            let plan = run_target::read_plan_of(&results).await?;
            let Some(submission) = slurm::read_submission(&results, &plan).await? else {
                bail!(
                    "`{}`: no job of this run was submitted to SLURM; stop its workers where you started them",
                    results.url()
                );
            };
            let slurm = slurm::open_run(results, &submission).await?;
            let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
            if !slurm.is_running(&submission).await? {
                printer.tell(&format!("no job of this run is pending or running: job {} has ended", ids.join(", ")));
                return Ok(Outcome::Done);
            }
            slurm.cancel(&submission).await?;
            format!("job {}", ids.join(", "))
        }
    };
    printer.tell(&format!("stopped {what}"));
    Ok(Outcome::Done)
}
