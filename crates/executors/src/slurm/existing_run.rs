//! Run on a cluster, found by its results folder.

use pipeline::results::Results;
use records::plan::Plan;
use records::submission::Submission;

use super::Slurm;
use super::cluster::{Cluster, ClusterError};
use super::submission_file::{self, SubmissionError};

/// Error of finding or stopping the jobs of a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The submission cannot be read.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// A SLURM command failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The run belongs to another cluster, which SLURM does not reach from here.
    #[error(
        "the run was submitted to cluster {theirs}, but this machine belongs to {ours}; run the command there ({cause})"
    )]
    OtherCluster {
        /// Cluster of the run.
        theirs: String,
        /// Cluster of this machine.
        ours: String,
        /// Answer of SLURM to a request for the other cluster.
        cause: ClusterError,
    },
    /// This machine cannot tell if the jobs still run.
    #[error(
        "`{url}`: cannot check if jobs {ids} on cluster {cluster} have ended: {cause}; resume on that cluster, or \
         delete {url}job/submission.json if they have ended"
    )]
    Unknown {
        /// Results folder.
        url: String,
        /// Ids of the jobs.
        ids: String,
        /// Cluster of the run.
        cluster: String,
        /// Cause of the failure.
        cause: Box<FolderError>,
    },
    /// Jobs of the run still run and would write into the folder.
    #[error(
        "`{url}`: jobs {ids} of this run still wait or run and would write into this folder; stop them first \
         with `cosmicai stop`"
    )]
    Running {
        /// Results folder.
        url: String,
        /// Ids of the jobs.
        ids: String,
    },
}

/// Reads the submission of the run of this plan. `None` if nothing was submitted.
///
/// # Errors
/// The submission cannot be read.
pub async fn read_submission(results: &Results, plan: &Plan) -> Result<Option<Submission>, SubmissionError> {
    Ok(submission_file::read(results).await?.filter(|submission| submission.run_id == plan.run_id))
}

/// Opens the run of a submission, to query or stop its jobs from this machine.
///
/// # Errors
/// This machine has no SLURM, or SLURM does not reach the cluster of the run from here.
pub async fn open_run(results: Results, submission: &Submission) -> Result<Slurm, FolderError> {
    let mut cluster = Cluster::find(None).await?;
    if cluster.name != submission.cluster {
        // SLURM may reach the other cluster from here, as `--clusters` does.
        let (theirs, ours) = (submission.cluster.clone(), cluster.name);
        cluster = match Cluster::find(Some(&theirs)).await {
            Ok(cluster) => cluster,
            Err(cause) => return Err(FolderError::OtherCluster { theirs, ours, cause }),
        };
    }
    Ok(Slurm::new(cluster, results, None, Some(submission.clone())))
}

/// Makes sure that no job writes into a folder before it is resumed or overwritten. Cancels the summarize job.
///
/// # Errors
/// Jobs of the arrays are pending or running, or this machine cannot tell if they are.
pub async fn end_jobs(results: &Results, plan: &Plan) -> Result<(), FolderError> {
    let Some(submission) = read_submission(results, plan).await? else { return Ok(()) };
    let (url, ids) = (results.url(), submission.ids().join(", "));
    let slurm = match open_run(results.clone(), &submission).await {
        Ok(slurm) => slurm,
        Err(error) => {
            return Err(FolderError::Unknown { url, ids, cluster: submission.cluster.clone(), cause: Box::new(error) });
        }
    };
    if slurm.is_running(&submission).await? {
        return Err(FolderError::Running { url, ids });
    }
    Ok(slurm.end_summarize_job(&submission).await?)
}
