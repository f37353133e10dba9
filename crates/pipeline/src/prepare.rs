//! From a payload to a run that may begin: plan it, and claim its folder so that no two runs ever meet in one.
//!
//! The folder belongs to the run whose `plan.json` lies in it, and that object is only ever created where there is
//! none. A second run is refused; resuming goes on with the same run; overwriting deletes what that run wrote, and
//! nothing else. Workers that still run at that moment are not found: who overwrites knows that they have ended.

use serde::{Deserialize, Serialize};

use crate::finished::finished;
use crate::model_file::{ModelFile, ModelFileError};
use crate::payload::Payload;
use crate::plan::{MAX_PLAN_BYTES, Origin, Plan, PlanError, plan};
use crate::report::TaskReport;
use crate::results::Results;
use crate::storage::{Bucket, StorageError, Stores};
use crate::task::{compact_json, json};

/// How often a claim is made that is refused without there being another.
const MAX_CLAIMS: usize = 3;

/// What to do where the folder already holds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfTaken {
    /// Leave it alone, and fail.
    #[default]
    Refuse,
    /// Go on with it: predict what is missing, failed, or made from other files or another model.
    Resume,
    /// Delete what it wrote, and begin anew.
    Overwrite,
}

/// A run that may begin.
#[derive(Debug)]
pub struct Prepared {
    /// Its plan, written and claimed.
    pub plan: Plan,
    /// Its folder.
    pub results: Results,
    /// The bucket of its partitions.
    pub data: Bucket,
    /// The model's file.
    pub model: ModelFile,
    /// The tasks that an earlier execution finished.
    pub finished: Vec<TaskReport>,
}

/// Why a run may not begin. But for [`PrepareError::Storage`], nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no model, or more than one.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// There is nothing to predict, or the plan that is there cannot be read.
    #[error("`{url}`: {fault}")]
    Plan {
        /// The folder of the partitions, or the plan.
        url: String,
        /// What is wrong.
        fault: PlanError,
    },
    /// The folder holds another run.
    #[error(
        "`{url}` already holds run {run_id}, planned {created} by {created_by}; to go on with it `--resume`, to delete \
         what it wrote and begin anew `--overwrite`, to keep both give another `result_path`"
    )]
    Taken {
        /// The folder.
        url: String,
        /// The run in it.
        run_id: String,
        /// When it was planned.
        created: String,
        /// Who planned it.
        created_by: String,
    },
    /// There are too many files, or their names are too long.
    #[error(
        "`{url}`: a plan of {bytes} bytes, of which {MAX_PLAN_BYTES} are read at most; give a lower `file_limit`, or a \
         narrower `data_prefix`"
    )]
    TooLarge {
        /// The folder of the partitions.
        url: String,
        /// What the plan would have.
        bytes: usize,
    },
    /// Others are claiming or deleting in the folder at this moment.
    #[error("`{url}` is being claimed or deleted by another process; try again when it is done")]
    Contended {
        /// The folder.
        url: String,
    },
    /// The folder holds results that no plan of ours accounts for.
    #[error(
        "`{url}` holds results (`{example}`) without a `plan.json`, so that they are not known to be ours to resume or \
         delete; move them away, or give another `result_path`"
    )]
    Occupied {
        /// The folder.
        url: String,
        /// One of them.
        example: String,
    },
    /// The run in the folder is not the one that is to be resumed.
    #[error(
        "`{url}`: run {run_id} cannot be resumed with this payload: it has {}; resume with its own payload, or \
         `--overwrite`, or give another `result_path`", differences.join("; ")
    )]
    Differs {
        /// The folder.
        url: String,
        /// The run in it.
        run_id: String,
        /// What is not the same.
        differences: Vec<String>,
    },
}

/// Plans the run that a payload asks for, with the model that it names or that `model` names instead, and claims its
/// folder. Lists and reads before it writes; the first thing it writes is the claim. A folder that this very run
/// claimed before, in an attempt whose end nobody heard of, is its own to go on with.
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
        None => refuse_strangers(&results).await?,
    }
    let (fresh, model) = plan_alone(stores, payload, model, origin).await?;
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

/// Plans the run that a payload asks for as [`prepare`] does, and writes nothing.
pub async fn plan_alone(
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
    let listing = async { Ok(data.list(&folder).await?) };
    let (listing, (model, identity)) = futures::future::try_join(listing, identified).await?;
    let fresh = plan(payload, listing, identity, origin)
        .map_err(|fault| PrepareError::Plan { url: data.url(&folder), fault })?;
    let bytes = compact_json(&fresh).len();
    if bytes as u64 > MAX_PLAN_BYTES {
        return Err(PrepareError::TooLarge { url: data.url(&folder), bytes });
    }
    Ok((fresh, model))
}

/// The plan of the run in a folder; None where there is none.
pub async fn read_plan(results: &Results) -> Result<Option<Plan>, PrepareError> {
    let Some(json) = results.read_plan().await? else { return Ok(None) };
    let url = results.bucket().url(&results.plan());
    Plan::parse(&json).map(Some).map_err(|fault| PrepareError::Plan { url, fault })
}

/// Writes a plan where there is none, then the study's form of it.
async fn claim(results: &Results, plan: Plan) -> Result<Plan, PrepareError> {
    for _ in 0..MAX_CLAIMS {
        let won = results.bucket().create(&results.plan(), compact_json(&plan)).await?;
        match if won { None } else { read_plan(results).await? } {
            // A claim whose answer was lost is repeated by the store's client, and then meets itself.
            Some(winner) if winner.run_id != plan.run_id => return Err(taken(results, &winner)),
            // Refused because somebody else was claiming or deleting at that moment, and there is nothing now.
            None if !won => continue,
            _ => {}
        }
        results.bucket().write(&results.payload(), json(&plan.study_payload())).await?;
        return Ok(plan);
    }
    Err(PrepareError::Contended { url: results.url() })
}

/// Goes on with the run that is there: same payload, same files of each rank. Its plan then tells the files and the
/// model as they are now, so that what was made from others is not trusted.
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
        results.bucket().write(&results.plan(), compact_json(&plan)).await?;
    }
    results.bucket().write(&results.payload(), json(&plan.study_payload())).await?;
    let finished = finished(results, &plan).await?;
    if finished.len() < plan.tasks.len() {
        // What sums up all tasks must not outlive what some of them said.
        results.bucket().delete(vec![results.combined(), results.summary()]).await?;
    }
    Ok((plan, finished))
}

/// Deletes what a run wrote, its plan last, so that a deletion cut short can be taken up again.
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

async fn refuse_strangers(results: &Results) -> Result<(), PrepareError> {
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
