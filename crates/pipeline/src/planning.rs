//! Plans a run: assigns the partitions of a folder to tasks.
//!
//! In: a payload, the listing of its folder, and the identity of its model. Out: a [`Plan`]. `plan.json` and the CAI
//! study's `payload.json` are written from it. This module reads neither storage nor the clock: the caller passes the
//! listing and the time.

use std::collections::HashMap;

use records::natural_order;
use records::payload::{MAX_FILES, MAX_TASKS, Order, Payload};
use records::plan::{
    FileIdentity, MalformedPlan, ModelIdentity, ObjectsIdentity, PARTITION_ENDING, PLAN_FORMAT, Plan, Task,
};

use crate::objects::objects_key;
use crate::storage::StoredObject;

/// Error of planning a run or of reading its plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The folder contains no partition.
    #[error(
        "no partition: none of the {others} objects in the folder ends in `{PARTITION_ENDING}`; check `data_bucket` \
         and `data_prefix`"
    )]
    NoPartitions {
        /// Number of objects of other kinds in the folder.
        others: usize,
    },
    /// The payload repeats its files too often.
    #[error("payload: key `repeat`: {files} files, {repeat} times, are more than the {MAX_FILES} files of a plan")]
    TooManyRepeats {
        /// Number of files.
        files: usize,
        /// Number of times.
        repeat: usize,
    },
    /// The plan is malformed, or this version cannot read it.
    #[error(transparent)]
    Malformed(#[from] MalformedPlan),
}

/// Origin of a plan: its run id, time and author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Unique name of the run, see [`event::new_run_id`](crate::event::new_run_id).
    pub run_id: String,
    /// Time of planning, RFC 3339.
    pub created: String,
    /// Program and machine that plan the run.
    pub created_by: String,
}

/// Plans a run over the partitions in a folder's `listing`, which has no hidden objects.
///
/// Sorts the partitions in the payload's `order` and takes the first `file_limit` of them. Spreads them over
/// `world_size` tasks. If the payload has no `world_size`, each partition gets its own task, up to [`MAX_TASKS`] tasks,
/// which every executor can hold. A `repeat` in the payload adds the same files again, round after round.
///
/// # Errors
/// Returns [`PlanError::NoPartitions`] if the listing contains no partition, and [`PlanError::TooManyRepeats`] if the
/// rounds have too many files.
pub fn plan(
    payload: Payload,
    listing: Vec<StoredObject>,
    model: ModelIdentity,
    origin: Origin,
) -> Result<Plan, PlanError> {
    let (mut files, others): (Vec<StoredObject>, Vec<StoredObject>) =
        listing.into_iter().partition(|object| object.key.ends_with(PARTITION_ENDING));
    if files.is_empty() {
        return Err(PlanError::NoPartitions { others: others.len() });
    }
    let beside: HashMap<&str, &StoredObject> = others.iter().map(|object| (object.key.as_str(), object)).collect();
    match payload.order {
        Order::Lexicographic => files.sort_by(|a, b| a.key.cmp(&b.key)),
        Order::Natural => files.sort_by(|a, b| natural_order(&a.key, &b.key)),
    }
    files.truncate(payload.file_limit);
    let repeat = payload.repeat;
    if files.len().saturating_mul(repeat) > MAX_FILES {
        return Err(PlanError::TooManyRepeats { files: files.len(), repeat });
    }
    let workers = payload.world_size.unwrap_or((files.len() * repeat).min(MAX_TASKS));
    let identity = |file: StoredObject| {
        let objects = beside.get(objects_key(&file.key).as_str()).map(|&object| ObjectsIdentity::from(object));
        FileIdentity { objects, ..FileIdentity::from(file) }
    };
    let files: Vec<FileIdentity> = files.into_iter().map(identity).collect();
    let tasks = spread(files.iter().cycle().take(files.len() * repeat).cloned().collect(), workers);
    let Origin { run_id, created, created_by } = origin;
    Ok(Plan { format_version: PLAN_FORMAT, run_id, created, created_by, payload, model, tasks })
}

impl From<StoredObject> for FileIdentity {
    fn from(object: StoredObject) -> Self {
        let modified = object.e_tag.is_none().then_some(object.modified);
        Self { key: object.key, bytes: object.bytes, e_tag: object.e_tag, modified, objects: None }
    }
}

/// Assigns ⌈remaining files / remaining ranks⌉ files to each of `workers` ranks in turn.
fn spread(files: Vec<FileIdentity>, workers: usize) -> Vec<Task> {
    let mut left = files.len();
    let mut files = files.into_iter();
    (0..workers)
        .map(|rank| {
            let share = left.div_ceil(workers - rank);
            left -= share;
            Task { rank, files: files.by_ref().take(share).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests;
