//! Prepares a run: plans it from a payload, and claims its folder so that two runs never write to the same folder.
//!
//! A folder belongs to the run whose `plan.json` is in it. That object is created only if it does not exist yet. A
//! second run is rejected, unless the caller resumes or overwrites. Resuming continues the run in the folder.
//! Overwriting deletes the objects of that run and nothing else. It does not detect workers that still run, so make
//! sure that they have ended before you overwrite.

use records::payload::Payload;
use records::plan::{MAX_PLAN_BYTES, Plan};
use records::report::TaskReport;
use records::request::IfTaken;
use records::{compact_json, json};

use crate::finished::finished;
use crate::model_file::{ModelFile, ModelFileError};
use crate::planning::{Origin, PlanError, plan};
use crate::results::Results;
use crate::storage::{Bucket, StorageError, Stores};

/// Maximum number of attempts to claim a folder while other processes claim and delete in it.
const MAX_CLAIMS: usize = 3;

/// A run that is ready to be executed.
#[derive(Debug)]
pub struct Prepared {
    /// Plan of the run, which is written and claims the folder.
    pub plan: Plan,
    /// Folder of the results.
    pub results: Results,
    /// Bucket of the partitions.
    pub data: Bucket,
    /// File of the model.
    pub model: ModelFile,
    /// Reports of the tasks that an earlier execution finished.
    pub finished: Vec<TaskReport>,
}

/// Error of preparing a run. Nothing was written or deleted, except perhaps before [`PrepareError::Storage`], or if the
/// caller overwrites: the old results are deleted before the new run claims the folder.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A request to a store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No model was found, or more than one.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The run has no partitions, or the existing plan cannot be read.
    #[error("`{url}`: {error}")]
    Plan {
        /// URL of the folder of the partitions, or of the plan.
        url: String,
        /// Error of planning or of reading the plan.
        error: PlanError,
    },
    /// The folder holds another run.
    #[error(
        "`{url}` already holds run {run_id}, planned {created} by {created_by}; pass `--resume` to continue that run, \
         pass `--overwrite` to delete its results and start a new run, or set another `result_path` to keep both"
    )]
    Taken {
        /// URL of the folder.
        url: String,
        /// Id of the run in the folder.
        run_id: String,
        /// Time at which that run was planned, RFC 3339.
        created: String,
        /// Program and machine that planned it.
        created_by: String,
    },
    /// The plan is too large, because it has too many files or too long names.
    #[error(
        "`{url}`: the plan takes {bytes} bytes, more than the limit of {MAX_PLAN_BYTES}; set a lower `file_limit` or a \
         narrower `data_prefix`"
    )]
    TooLarge {
        /// URL of the folder of the partitions.
        url: String,
        /// Size of the plan in bytes.
        bytes: usize,
    },
    /// Another process claims the folder or deletes objects in it at the same time.
    #[error("`{url}` is being claimed or deleted by another process; try again when that process has ended")]
    Contended {
        /// URL of the folder.
        url: String,
    },
    /// The folder holds results without a plan.
    #[error(
        "`{url}` holds results (`{example}`) without a `plan.json`, so they cannot be resumed or safely deleted; move \
         them away, or set another `result_path`"
    )]
    Occupied {
        /// URL of the folder.
        url: String,
        /// URL of one of the results.
        example: String,
    },
    /// The run in the folder differs from the run to resume.
    #[error(
        "`{url}`: run {run_id} cannot be resumed with this payload: the run has {}; resume with the run's own payload, pass \
         `--overwrite`, or set another `result_path`", differences.join("; ")
    )]
    Differs {
        /// URL of the folder.
        url: String,
        /// Id of the run in the folder.
        run_id: String,
        /// Differences between the two plans.
        differences: Vec<String>,
    },
}

/// Plans the run of a payload and claims its folder.
///
/// `model` replaces the model that the payload names. `if_taken` decides what happens if the folder already holds a
/// run. If that run has the id of `origin`, an earlier attempt of this call claimed the folder, and the run is resumed.
///
/// Lists and reads everything before it writes or deletes. If the caller overwrites, it deletes the old run first. The
/// claim is the first object that it writes.
///
/// # Errors
/// Returns a [`PrepareError`] if the folder is taken, if there is nothing to predict, or if a store fails.
pub async fn prepare(
    stores: &Stores,
    payload: Payload,
    model: Option<&str>,
    if_taken: IfTaken,
    origin: Origin,
) -> Result<Prepared, PrepareError> {
    let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
    let data = stores.bucket(&payload.data_bucket)?;
    let before = read_plan(&results).await?;
    let is_own = before.as_ref().is_some_and(|before| before.run_id == origin.run_id);
    let if_taken = if is_own { IfTaken::Resume } else { if_taken };
    match &before {
        Some(before) if if_taken == IfTaken::Refuse => return Err(taken(&results, before)),
        Some(_) => {}
        None => reject_results_without_plan(&results).await?,
    }
    let (fresh, model) = plan_only(stores, payload, model, origin).await?;
    let (plan, finished) = match before {
        Some(before) if if_taken == IfTaken::Resume => resume(&results, &before, fresh).await?,
        Some(before) => {
            delete(&results, &before).await?;
            (claim(&results, fresh).await?, Vec::new())
        }
        None => (claim(&results, fresh).await?, Vec::new()),
    };
    Ok(Prepared { plan, results, data, model, finished })
}

/// Plans the run of a payload like [`prepare`], but claims and writes nothing.
///
/// # Errors
/// Returns a [`PrepareError`] if there is nothing to predict, if the plan is too large, or if a store fails.
pub async fn plan_only(
    stores: &Stores,
    payload: Payload,
    model: Option<&str>,
    origin: Origin,
) -> Result<(Plan, ModelFile), PrepareError> {
    let data = stores.bucket(&payload.data_bucket)?;
    let folder = payload.data_prefix.clone();
    let identified = async {
        let model = ModelFile::of_payload(stores, &payload, model).await?;
        let identity = model.identity().await?;
        Ok::<_, PrepareError>((model, identity))
    };
    let listing = async { Ok(data.list_inputs(&folder).await?) };
    let (listing, (model, identity)) = futures::future::try_join(listing, identified).await?;
    let fresh = plan(payload, listing, identity, origin)
        .map_err(|error| PrepareError::Plan { url: data.url(&folder), error })?;
    let bytes = compact_json(&fresh).len();
    if bytes as u64 > MAX_PLAN_BYTES {
        return Err(PrepareError::TooLarge { url: data.url(&folder), bytes });
    }
    Ok((fresh, model))
}

/// Reads the plan of the run in a folder. Returns None if the folder has no plan.
///
/// # Errors
/// Returns [`PrepareError::Plan`] if the plan is malformed, and [`PrepareError::Storage`] if it cannot be read.
pub async fn read_plan(results: &Results) -> Result<Option<Plan>, PrepareError> {
    let Some(json) = results.read_plan().await? else { return Ok(None) };
    let url = results.bucket().url(&results.plan());
    Plan::parse(&json).map(Some).map_err(|error| PrepareError::Plan { url, error: error.into() })
}

/// Claims a folder by creating its `plan.json`, then writes the CAI study's `payload.json`.
async fn claim(results: &Results, plan: Plan) -> Result<Plan, PrepareError> {
    for _ in 0..MAX_CLAIMS {
        let won = results.bucket().create(&results.plan(), compact_json(&plan).into()).await?;
        match if won { None } else { read_plan(results).await? } {
            // If the answer to a claim is lost, the client repeats the claim and then finds its own plan.
            Some(winner) if winner.run_id != plan.run_id => return Err(taken(results, &winner)),
            // Another process claimed or deleted at that moment, and now there is no plan.
            None if !won => continue,
            _ => {}
        }
        results.bucket().write(&results.payload(), json(&plan.study_payload()).into()).await?;
        return Ok(plan);
    }
    Err(PrepareError::Contended { url: results.url() })
}

/// Resumes the run in the folder. Its payload and the files of each rank must be unchanged.
///
/// The plan is written again with the current versions of files and model. Results from other versions then do not
/// count as finished.
async fn resume(results: &Results, before: &Plan, fresh: Plan) -> Result<(Plan, Vec<TaskReport>), PrepareError> {
    let differences = before.differences(&fresh);
    let url = results.url();
    let run_id = before.run_id.clone();
    if !differences.is_empty() {
        return Err(PrepareError::Differs { url, run_id, differences });
    }
    let (created, created_by) = (before.created.clone(), before.created_by.clone());
    let plan = Plan { run_id, created, created_by, ..fresh };
    if plan != *before {
        results.bucket().write(&results.plan(), compact_json(&plan).into()).await?;
    }
    results.bucket().write(&results.payload(), json(&plan.study_payload()).into()).await?;
    let finished = finished(results, &plan).await?;
    if finished.len() < plan.tasks.len() {
        // The summary of all tasks is out of date if a task must run again.
        results.bucket().delete(vec![results.combined(), results.summary()]).await?;
    }
    Ok((plan, finished))
}

/// Deletes the objects of a run. Deletes its plan last, so that an interrupted deletion can be repeated.
///
/// # Errors
/// Returns [`PrepareError::Contended`] if another run claimed the folder meanwhile, and [`PrepareError::Storage`] if a
/// store fails.
pub async fn delete(results: &Results, plan: &Plan) -> Result<(), PrepareError> {
    let present = results.list().await?;
    let (last, own): (Vec<String>, Vec<String>) =
        results.own_keys(plan, &present).into_iter().partition(|key| *key == results.plan());
    results.bucket().delete(own).await?;
    if read_plan(results).await?.is_some_and(|found| found.run_id != plan.run_id) {
        return Err(PrepareError::Contended { url: results.url() });
    }
    Ok(results.bucket().delete(last).await?)
}

async fn reject_results_without_plan(results: &Results) -> Result<(), PrepareError> {
    let keys = results.list().await?;
    match results.find_result(&keys) {
        Some(key) => Err(PrepareError::Occupied { url: results.url(), example: results.bucket().url(key) }),
        None => Ok(()),
    }
}

fn taken(results: &Results, plan: &Plan) -> PrepareError {
    PrepareError::Taken {
        url: results.url(),
        run_id: plan.run_id.clone(),
        created: plan.created.clone(),
        created_by: plan.created_by.clone(),
    }
}
