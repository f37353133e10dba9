//! `cosmicai logs`: what the workers of a run wrote.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pipeline::natural_order;

use super::execution::{self, Target, Which};
use super::{Outcome, folder};
use crate::executor::step_functions::lines;
use crate::printer::write_out;
use crate::settings::Settings;

/// Print what the workers of a run wrote into their logs.
///
/// Of a run on a cluster, the logs of its jobs, one after another, each line after the name of its job; --filter keeps
/// the lines that hold a text, --rank the job of one task. Of an execution on AWS, what its functions wrote in order of
/// time, which are the lines of all executions that ran at the same time with the same functions; --filter takes a pattern
/// of CloudWatch, such as the name of a run, or REPORT for what Lambda bills.
///
/// Example: cosmicai logs /scratch/ada/sky/results --rank 17
/// Example: cosmicai logs ARN --filter REPORT
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Only lines that hold this text; on AWS, that match this CloudWatch filter pattern.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
    /// Only the job that does the task of this rank, on a cluster.
    #[arg(long, value_name = "N")]
    rank: Option<usize>,
}

pub(crate) async fn logs(options: Options, settings: &Settings) -> Result<Outcome> {
    match options.which.target()? {
        Target::Execution(_) if options.rank.is_some() => {
            bail!("--rank is for a run on a cluster; on AWS --filter finds lines")
        }
        Target::Execution(arn) => of_execution(&arn, options.filter.as_deref(), settings).await,
        Target::Folder { url, store } => of_jobs(url, store, &options, settings).await,
    }
}

async fn of_execution(arn: &str, filter: Option<&str>, settings: &Settings) -> Result<Outcome> {
    let cloud = execution::cloud(settings, arn).await;
    let found = cloud.describe(arn).await?;
    let groups = cloud.log_groups(&found.arn).await?;
    for line in lines(&cloud, &groups, &found, filter).await? {
        write_out(format!("{}\n", line.text).as_bytes())?;
    }
    Ok(Outcome::Done)
}

async fn of_jobs(url: &str, store: Option<&str>, options: &Options, settings: &Settings) -> Result<Outcome> {
    let results = folder::results(url, store, settings).await?;
    let plan = folder::plan(&results).await?;
    let Some(submission) = folder::submission(&results, &plan).await? else {
        bail!("`{}`: nothing of this run was handed to SLURM; who started its workers has their logs", results.url());
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
            bail!("--rank {rank}: no job of the last submission does it; the run has {} tasks", plan.tasks.len());
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
        write_out(wanted.map(|line| format!("{job}: {line}\n")).collect::<String>().as_bytes())?;
    }
    Ok(Outcome::Done)
}
