//! Start of a run on a cluster: follow the jobs that already run, or submit the unfinished tasks.

use std::path::Path;

use pipeline::planning::Origin;
use pipeline::prepare::{PrepareError, Prepared, delete, plan_only, prepare, read_plan};
use pipeline::results::Results;
use pipeline::storage::{StorageError, Stores};
use records::payload::Payload;
use records::plan::Plan;
use records::request::{ExecutionInput, IfTaken};
use records::submission::Submission;

use super::Slurm;
use super::cluster::{Cluster, ClusterError};
use super::existing_run::{self, FolderError};
use super::request::Request;
use super::submission_file::SubmissionError;
use crate::ExecutorError;

/// Folder of the job logs in the working directory, for results folders that are not on this machine.
const LOGS: &str = "cosmicai-logs";

/// Error of starting a run on a cluster.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The run cannot be planned, or its folder holds another run.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A request to a store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Jobs of an earlier run in the same folder have not ended.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The submission of an earlier run cannot be read.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// A SLURM command failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Jobs of the run are queued, but its submission does not list them.
    #[error(
        "`{url}`: jobs {ids} of this run are queued, but its submission.json does not list them; cancel them \
         first: scancel {ids}"
    )]
    Strays {
        /// Results folder.
        url: String,
        /// Ids of the jobs.
        ids: String,
    },
    /// The run in this folder is running with another payload.
    #[error(
        "`{url}`: run {run_id} is running with another payload: {differences}; wait until it has ended, or stop it \
         with `cosmicai stop`"
    )]
    OtherPayload {
        /// Results folder.
        url: String,
        /// Id of the run.
        run_id: String,
        /// Keys of the payloads that differ, with both values.
        differences: String,
    },
    /// The folder of the job logs cannot be created or used.
    #[error("cannot use `{folder}` as the folder of the job logs: {problem}")]
    Logs {
        /// Path of the folder.
        folder: String,
        /// Error in words.
        problem: String,
    },
    /// SLURM rejected the request. No job was submitted.
    #[error("no job was submitted: {0}")]
    NothingSubmitted(ExecutorError),
    /// sbatch's answer does not tell if SLURM accepted the jobs. The results folder is kept.
    #[error("a job may have been submitted: {0}; check `squeue`, then pass `--resume` to continue")]
    MayHaveSubmitted(ExecutorError),
    /// The submission failed halfway.
    #[error("the submission failed halfway: {0}; pass `--resume` to try again")]
    Halfway(ExecutorError),
}

/// Start of a run on a cluster.
#[derive(Debug)]
pub enum Begun {
    /// The jobs were already running. Follow them.
    Running(Plan, Submission),
    /// The jobs were submitted.
    Submitted(Plan, Submission),
    /// Every task was already finished.
    NothingLeft(Plan),
}

/// Starts a run. If the run is resumed and its jobs already run, returns them. Otherwise plans the run, claims its
/// folder and submits the unfinished tasks.
///
/// # Errors
/// See [`BeginError`]. If no job was submitted, the folder is released again.
pub async fn begin(slurm: &Slurm, stores: &Stores, start: ExecutionInput, origin: Origin) -> Result<Begun, BeginError> {
    let turn = slurm.submissions_so_far().await.map_err(BeginError::NothingSubmitted)?;
    if let Some((plan, submission)) = running(slurm, &start.payload, start.if_taken).await? {
        return Ok(Begun::Running(plan, submission));
    }
    let request = slurm.request.clone().unwrap_or_default();
    slurm.test(&request).await.map_err(|error| BeginError::NothingSubmitted(error.into()))?;
    submit(slurm, turn, stores, start, &request, origin).await
}

/// Makes the scripts of a run: the array and the summarize job. Writes and submits nothing.
///
/// # Errors
/// The run cannot be planned.
pub async fn dry_run(
    cluster: &Cluster,
    results: &Results,
    stores: &Stores,
    start: ExecutionInput,
    request: &Request,
    origin: Origin,
) -> Result<(String, String), BeginError> {
    let (plan, _) = plan_only(stores, start.payload, start.model.as_deref(), origin).await?;
    let logs = logs_folder(results, &plan.run_id)?;
    Ok(Slurm::scripts(cluster, &plan, results, &logs, request))
}

/// Finds the run in the folder if it is resumed and its jobs are pending or running. Otherwise makes sure that no job
/// writes into the folder.
async fn running(
    slurm: &Slurm,
    payload: &Payload,
    if_taken: IfTaken,
) -> Result<Option<(Plan, Submission)>, BeginError> {
    if if_taken == IfTaken::Refuse {
        return Ok(None);
    }
    let Some(plan) = read_plan(&slurm.results).await? else { return Ok(None) };
    let url = slurm.results.url();
    let submission = existing_run::read_submission(&slurm.results, &plan).await?;
    let ids = slurm.stray_jobs(&plan.run_id, submission.as_ref()).await?.join(" ");
    if !ids.is_empty() {
        return Err(BeginError::Strays { url, ids });
    }
    let Some(submission) = submission else { return Ok(None) };
    let is_here = submission.cluster == slurm.cluster.name;
    if is_here && if_taken == IfTaken::Resume && slurm.is_running(&submission).await? {
        let differences = plan.payload.differences(payload);
        if !differences.is_empty() {
            let differences = differences.join("; ");
            return Err(BeginError::OtherPayload { url, run_id: plan.run_id, differences });
        }
        return Ok(Some((plan, submission)));
    }
    existing_run::end_jobs(&slurm.results, &plan).await?;
    Ok(None)
}

async fn submit(
    slurm: &Slurm,
    turn: usize,
    stores: &Stores,
    start: ExecutionInput,
    request: &Request,
    origin: Origin,
) -> Result<Begun, BeginError> {
    let run_id = origin.run_id.clone();
    let prepared = prepare(stores, start.payload, start.model.as_deref(), start.if_taken, origin).await?;
    let Prepared { plan, results, finished, .. } = prepared;
    let mut is_left = vec![true; plan.tasks.len()];
    finished.iter().for_each(|report| is_left[report.rank] = false);
    let left: Vec<usize> = (0..plan.tasks.len()).filter(|&rank| is_left[rank]).collect();
    if left.is_empty() {
        return Ok(Begun::NothingLeft(plan));
    }
    let submitted = match make_logs_folder(&results, &plan.run_id) {
        Ok(logs) => {
            let mut submission = slurm.empty_submission(&plan, &logs, turn);
            match slurm.submit(&plan, &left, request, &mut submission).await {
                Ok(()) => Ok(submission),
                Err(error) if may_have_submitted(&error) => {
                    return Err(BeginError::MayHaveSubmitted(error));
                }
                Err(error) if submission.arrays.is_empty() => Err(BeginError::NothingSubmitted(error)),
                Err(error) => return Err(BeginError::Halfway(error)),
            }
        }
        Err(error) => Err(error),
    };
    match submitted {
        Ok(submission) => Ok(Begun::Submitted(plan, submission)),
        Err(error) => {
            // Release the folder, so that the same command does not find it taken.
            if plan.run_id == run_id {
                delete(&results, &plan).await?;
            }
            Err(error)
        }
    }
}

/// Returns true if SLURM may have accepted a job whose id is unknown.
pub(super) fn may_have_submitted(error: &ExecutorError) -> bool {
    matches!(error, ExecutorError::Cluster(error) if error.may_have_submitted())
}

fn make_logs_folder(results: &Results, run_id: &str) -> Result<String, BeginError> {
    let logs = logs_folder(results, run_id)?;
    match std::fs::create_dir_all(&logs) {
        Ok(()) => Ok(logs),
        Err(error) => Err(BeginError::Logs { folder: logs, problem: error.to_string() }),
    }
}

/// Folder of the job logs: in the results folder if that is on this machine, otherwise in the working directory.
fn logs_folder(results: &Results, run_id: &str) -> Result<String, BeginError> {
    let url = results.bucket().url(results.job("").trim_end_matches('/'));
    let bad = |folder: &str, problem: &str| BeginError::Logs { folder: folder.to_owned(), problem: problem.to_owned() };
    let logs = if url.starts_with('/') {
        url
    } else {
        let folder = Path::new(LOGS).join(run_id);
        std::path::absolute(&folder).map_err(|error| bad(LOGS, &error.to_string()))?.display().to_string()
    };
    if logs.contains(char::is_control) {
        return Err(bad(&logs.escape_debug().to_string(), "the path has control characters"));
    }
    Ok(logs)
}
