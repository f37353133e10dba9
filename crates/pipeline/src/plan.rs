//! The plan of a run: which worker predicts which files with which model.
//!
//! In: a payload, the listing of its folder, the identity of its model. Out: a [`Plan`], written as `plan.json`, and
//! the study's `payload.json`. Never here: storage, the clock; what a plan says about time is handed in.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::natural_order;
use crate::objects::{ObjectsIdentity, objects_key};
use crate::payload::{MAX_TASKS, Order, Payload};
use crate::storage::Object;

/// The version of `plan.json` that this code writes and reads.
pub const PLAN_FORMAT: u32 = 1;
/// The largest `plan.json` that is read, in bytes: a million files at 200 bytes each.
pub const MAX_PLAN_BYTES: u64 = 200 << 20;
/// The longest name of a run, in bytes.
const MAX_RUN_ID_BYTES: usize = 256;
/// How the name of a partition ends; other objects of its folder are passed over, as in the study.
pub const PARTITION_ENDING: &str = ".pt";

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No partition lies in the folder.
    #[error(
        "no partition: none of the {others} objects in the folder ends in `{PARTITION_ENDING}`; check `data_bucket` and `data_prefix`"
    )]
    NoPartitions {
        /// Objects of other kinds.
        others: usize,
    },
    /// A plan that this code cannot read.
    #[error("not a plan: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
}

/// One run, decided. Two plans with the same run id are of the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format: [`PLAN_FORMAT`].
    pub format_version: u32,
    /// Name of the run.
    pub run_id: String,
    /// When the run was planned first, RFC 3339.
    pub created: String,
    /// Program and machine that planned it.
    pub created_by: String,
    /// What was asked for.
    pub payload: Payload,
    /// The model, exactly.
    pub model: ModelIdentity,
    /// The tasks; the one at index r has rank r.
    pub tasks: Vec<Task>,
}

/// A model file that cannot be mistaken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Where it lies.
    pub url: String,
    /// SHA-256 of its bytes, and of the `config.json` beside it where there is one, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What one worker invocation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its index in the plan.
    pub rank: usize,
    /// Its files in `data_bucket`; none where there are more workers than files.
    pub files: Vec<FileIdentity>,
}

/// A partition file, as it was when the run was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Its key in `data_bucket`.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this version of it; absent where a store does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// When it was written, RFC 3339; only where there is no `e_tag` to tell versions apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The file beside it that says who its galaxies are; absent where there is none, so that no worker asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectsIdentity>,
}

/// Who plans, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name for a new run ([`event::new_run_id`](crate::event::new_run_id)).
    pub run_id: String,
    /// The time now, RFC 3339.
    pub created: String,
    /// Program and machine.
    pub created_by: String,
}

/// Plans a run over the partitions of a folder's `listing`: `file_limit` of them, the first ones in the payload's
/// order, spread over `world_size` tasks; where it is not given over one for each file, of [`MAX_TASKS`] at most, so that
/// any executor can hold them.
pub fn plan(payload: Payload, listing: Vec<Object>, model: ModelIdentity, origin: Origin) -> Result<Plan, PlanError> {
    let (mut files, others): (Vec<Object>, Vec<Object>) =
        listing.into_iter().partition(|object| is_partition(&object.key, &payload));
    if files.is_empty() {
        return Err(PlanError::NoPartitions { others: others.len() });
    }
    let beside: HashMap<&str, &Object> = others.iter().map(|object| (object.key.as_str(), object)).collect();
    match payload.order {
        Order::Lexicographic => files.sort_by(|a, b| a.key.cmp(&b.key)),
        Order::Natural => files.sort_by(|a, b| natural_order(&a.key, &b.key)),
    }
    files.truncate(payload.file_limit);
    let workers = payload.world_size.unwrap_or(files.len().min(MAX_TASKS));
    let identity = |file: Object| {
        let objects = beside.get(objects_key(&file.key).as_str()).map(|&object| ObjectsIdentity::from(object));
        FileIdentity { objects, ..FileIdentity::from(file) }
    };
    let tasks = spread(files.into_iter().map(identity).collect(), workers);
    let Origin { run_id, created, created_by } = origin;
    Ok(Plan { format_version: PLAN_FORMAT, run_id, created, created_by, payload, model, tasks })
}

impl Plan {
    /// Reads a `plan.json`.
    pub fn parse(json: &[u8]) -> Result<Self, PlanError> {
        let malformed = |problem: String| PlanError::Malformed { problem };
        crate::report::check_format(json, PLAN_FORMAT).map_err(malformed)?;
        let plan: Self = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if plan.run_id.is_empty() || plan.run_id.len() > MAX_RUN_ID_BYTES || plan.run_id.contains(char::is_control) {
            return Err(malformed(format!("run_id {:?}: one line of some characters is expected", plan.run_id)));
        }
        match plan.tasks.iter().enumerate().find(|(index, task)| task.rank != *index) {
            Some((index, task)) => Err(malformed(format!("task {index} has rank {}", task.rank))),
            None => Ok(plan),
        }
    }

    /// The plan without its tasks: what all of them share, small enough to be handed to each.
    pub fn without_tasks(&self) -> Self {
        let Self { format_version, run_id, created, created_by, payload, model, tasks: _ } = self.clone();
        Self { format_version, run_id, created, created_by, payload, model, tasks: Vec::new() }
    }

    /// The study's `payload.json`: the payload as it was handed in, and `data_map`, which says for each rank its key,
    /// its list of keys, or null.
    pub fn study_payload(&self) -> Value {
        let data_map: Map<String, Value> =
            self.tasks.iter().map(|task| (task.rank.to_string(), task.data_path())).collect();
        let mut payload = self.payload.written().clone();
        payload.insert("data_map".to_owned(), Value::Object(data_map));
        Value::Object(payload)
    }

    /// Why this plan and another are not of one run: what differs in their payloads, and the first rank whose files
    /// do. Empty where they are; versions of files and of the model may differ.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = self.payload.differences(&other.payload);
        let changed = self.tasks.iter().zip(&other.tasks).find(|(ours, theirs)| !ours.keys().eq(theirs.keys()));
        if let Some((ours, theirs)) = changed {
            differences.push(format!("rank {}: {}, not {}", ours.rank, ours.data_path(), theirs.data_path()));
        } else if self.tasks.len() != other.tasks.len() {
            differences.push(format!("{} tasks, not {}", self.tasks.len(), other.tasks.len()));
        }
        differences
    }
}

impl Task {
    /// As the study writes it: a key, a list of keys, or null.
    pub fn data_path(&self) -> Value {
        match self.files.as_slice() {
            [] => Value::Null,
            [file] => Value::String(file.key.clone()),
            files => files.iter().map(|file| file.key.clone()).collect(),
        }
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.key.as_str())
    }
}

impl From<Object> for FileIdentity {
    fn from(object: Object) -> Self {
        let modified = object.e_tag.is_none().then_some(object.modified);
        Self { key: object.key, bytes: object.bytes, e_tag: object.e_tag, modified, objects: None }
    }
}

/// Whether an object of the payload's folder is one of its partitions: its name ends in `.pt`, and neither it nor a
/// folder on the way is hidden (`.ipynb_checkpoints/1.pt`, `._1.pt`).
fn is_partition(key: &str, payload: &Payload) -> bool {
    let name = key.strip_prefix(&payload.data_prefix).unwrap_or(key);
    name.ends_with(PARTITION_ENDING) && !name.split('/').any(|part| part.starts_with('.'))
}

/// Gives each of `workers` ranks the next ⌈files left / ranks left⌉ files.
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
