//! `cosmicai logs`: logs of the workers of a run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use executors::slurm;
use records::natural_order;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::write_out;
use crate::run_target::{self, RunArgument, Target};
use crate::settings::Settings;
use crate::visible::visible;

/// Print the logs of the workers of a run.
///
/// For a run on a cluster, prints the logs of its jobs, one after another. Each line starts with the name of the job.
/// --filter keeps lines that contain a text; --rank keeps the job of one task.
///
/// For an execution on AWS, prints the logs of its functions in order of time. They include lines of other executions
/// that used the same functions at the same time. --filter takes a filter pattern of CloudWatch, such as a run id, or
/// REPORT for what Lambda bills. Executions on AWS need a build with `--features aws`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai logs /scratch/ada/sky/results --rank 17",
    "cosmicai logs arn:aws:states:us-east-1:123456789012:execution:sky:NAME \\",
    "    --filter REPORT",
]))]
pub(crate) struct Options {
    #[command(flatten)]
    which: RunArgument,
    /// Print only lines that contain this text.
    ///
    /// On AWS, print only lines that match this filter pattern of CloudWatch.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
    /// Print only the job of the task of this rank (cluster only).
    #[arg(long, value_name = "N")]
    rank: Option<usize>,
}

pub(crate) async fn logs(options: Options, settings: &Settings) -> Result<Outcome> {
    match options.which.target()? {
        Target::Execution(_) if options.rank.is_some() => {
            bail!("--rank needs a run on a cluster; on AWS, use --filter")
        }
        #[cfg(feature = "aws")]
        Target::Execution(arn) => of_execution(&arn, options.filter.as_deref(), settings).await,
        #[cfg(not(feature = "aws"))]
        Target::Execution(_) => anyhow::bail!(crate::without_aws::message("the logs of an execution on AWS")),
        Target::Folder { url, store } => of_jobs(url, store, &options, settings).await,
    }
}

#[cfg(feature = "aws")]
async fn of_execution(arn: &str, filter: Option<&str>, settings: &Settings) -> Result<Outcome> {
    let cloud = crate::aws_execution::cloud(settings, arn).await;
    let found = cloud.describe(arn).await?;
    let groups = cloud.log_groups(&found.arn).await?;
    for line in executors::step_functions::lines(&cloud, &groups, &found, filter).await? {
        write_out(format!("{}\n", visible(&line.text)).as_bytes())?;
    }
    Ok(Outcome::Done)
}

async fn of_jobs(url: &str, store: Option<&str>, options: &Options, settings: &Settings) -> Result<Outcome> {
    let results = run_target::open_results(url, store, settings).await?;
    let plan = run_target::read_plan_of(&results).await?;
    let Some(submission) = slurm::read_submission(&results, &plan).await? else {
        bail!(
            "`{}`: no job of this run was submitted to SLURM; look for the logs of its workers where you started them",
            results.url()
        );
    };
    let all = std::fs::read_dir(&submission.logs).with_context(|| format!("folder of logs `{}`", submission.logs))?;
    let mut names: Vec<String> = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".log"));
    if let Some(rank) = options.rank {
        let jobs = submission.arrays.iter().flat_map(|array| array.jobs().into_iter().map(move |job| (&array.id, job)));
        let of_rank: Vec<String> = jobs
            .filter(|(_, (_, ranks))| ranks.contains(&rank))
            .map(|(id, (index, _))| format!("{id}_{index}.log"))
            .collect();
        if of_rank.is_empty() {
            bail!("--rank {rank}: no job of the last submission has this task; the run has {} tasks", plan.tasks.len());
        }
        names.retain(|name| of_rank.contains(name));
    }
    names.sort_by(|a, b| natural_order(a, b));
    for name in names {
        let path = PathBuf::from(&submission.logs).join(&name);
        let text = std::fs::read(&path).with_context(|| format!("log `{}`", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let job = name.trim_end_matches(".log");
        let wanted = text.lines().filter(|line| options.filter.as_ref().is_none_or(|filter| line.contains(filter)));
        write_out(wanted.map(|line| format!("{job}: {}\n", visible(line))).collect::<String>().as_bytes())?;
    }
    Ok(Outcome::Done)
}
