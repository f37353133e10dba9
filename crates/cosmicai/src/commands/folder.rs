//! A run by the folder of its results.

use anyhow::{Context, Result, bail};
use pipeline::plan::Plan;
use pipeline::prepare::read_plan;
use pipeline::results::Results;

use crate::executor::Slurm;
use crate::executor::slurm::{Cluster, Submission, quoted};
use crate::settings::Settings;

/// The folder that a URL names, or in a store a bucket and a folder.
pub(super) async fn results(url: &str, store: Option<&str>, settings: &Settings) -> Result<Results> {
    match store {
        Some(store) => {
            let (bucket, folder) = url.split_once('/').unwrap_or((url, ""));
            Ok(Results::new(settings.stores(store).await?.bucket(bucket)?, folder))
        }
        None => Ok(Results::open(&settings.stores(".").await?, url)?),
    }
}

/// The plan in it.
pub(super) async fn plan(results: &Results) -> Result<Plan> {
    match read_plan(results).await? {
        Some(plan) => Ok(plan),
        None => bail!("`{}` holds no plan.json: not the results of a run, or not of ours", results.url()),
    }
}

/// What its run handed to SLURM; None where that did nothing.
pub(super) async fn submission(results: &Results, plan: &Plan) -> Result<Option<Submission>> {
    Ok(Submission::read(results).await?.filter(|submission| submission.run_id == plan.run_id))
}

/// Makes sure that no job of a cluster writes into a folder that is to be resumed or overwritten: refuses where tasks are
/// at work, and ends the job that sums up.
pub(super) async fn end_cluster_jobs(results: &Results, plan: &Plan) -> Result<()> {
    let Some(submission) = submission(results, plan).await? else { return Ok(()) };
    let (url, ids) = (results.url(), submission.ids().join(", "));
    let slurm = slurm(results.clone(), &submission).await.with_context(|| {
        format!(
            "`{url}`: whether its jobs {ids} on cluster {} have ended cannot be asked here; go on there, or if they have, \
             delete {url}job/submission.json",
            submission.cluster
        )
    })?;
    if slurm.is_at_work(&submission).await? {
        bail!(
            "`{url}`: jobs {ids} of the run in it still wait or run, and would write into it; first: cosmicai stop {}",
            quoted(&url)
        );
    }
    Ok(slurm.end_summary(&submission).await?)
}

/// Asks the cluster that a run was handed to.
pub(super) async fn slurm(results: Results, submission: &Submission) -> Result<Slurm> {
    let cluster = Cluster::find().await?;
    if cluster.name != submission.cluster {
        bail!("the run was handed to cluster {}, and this is {}; ask there", submission.cluster, cluster.name);
    }
    Ok(Slurm { cluster, results, request: None, look_every: std::time::Duration::ZERO, submission: Default::default() })
}
