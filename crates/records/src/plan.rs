//! Plan of a run, `plan.json`: the tasks, the files of each task, and the model.
//!
//! [`Plan::study_payload`] converts a plan to the `payload.json` of the CAI study. `pipeline::planning` makes plans.
//! Never here: storage, the clock.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::format::check_format;
use crate::payload::Payload;

/// Version of `plan.json` that this program writes and reads.
pub const PLAN_FORMAT: u32 = 1;
/// Largest `plan.json` that is read, in bytes: a million files of 200 bytes each.
pub const MAX_PLAN_BYTES: u64 = 200 << 20;
/// Longest run id, in bytes.
const MAX_RUN_ID_BYTES: usize = 256;
/// Ending of the name of a partition. Other files of its folder are ignored, as in the CAI study.
pub const PARTITION_ENDING: &str = ".pt";

/// Error for a `plan.json` that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a plan: {problem}")]
pub struct MalformedPlan {
    /// Description of the problem.
    pub problem: String,
}

/// Plan of a run. Two plans with the same run id belong to the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format: [`PLAN_FORMAT`].
    pub format_version: u32,
    /// Id of the run: one line of 1 to 256 bytes.
    pub run_id: String,
    /// Time of the first planning of the run, RFC 3339.
    pub created: String,
    /// Program and machine that planned the run.
    pub created_by: String,
    /// Payload that requested the run.
    pub payload: Payload,
    /// Model that predicts.
    pub model: ModelIdentity,
    /// Tasks; the task at index r has rank r.
    pub tasks: Vec<Task>,
}

/// Identity of a model file: its URL, checksum and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// URL of the file.
    pub url: String,
    /// SHA-256, in hexadecimal, of the file followed by the `config.json` beside it, if there is one.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Task: the work of one worker invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Index of the task in the plan.
    pub rank: usize,
    /// Files in `data_bucket`; empty if there are more tasks than files.
    pub files: Vec<FileIdentity>,
}

/// Identity of a partition file at the time of planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Key in `data_bucket`.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Version of the file, as the store names it (its ETag); absent if the store does not name versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// Time of the last write, RFC 3339; present only if there is no `e_tag` to distinguish versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Objects file beside the partition; absent if there is none. Workers do not look for one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectsIdentity>,
}

/// Identity of the objects file (`F.objects.parquet` beside `F.pt`) at the time of planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectsIdentity {
    /// Key in the bucket of the partition.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Version of the file, as the store names it (its ETag); absent if the store does not name versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// Time of the last write, RFC 3339; present only if there is no `e_tag` to distinguish versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

impl Plan {
    /// Reads a `plan.json`.
    ///
    /// # Errors
    /// The bytes are not a plan of this version, or its run id or ranks are invalid.
    pub fn parse(json: &[u8]) -> Result<Self, MalformedPlan> {
        let malformed = |problem: String| MalformedPlan { problem };
        check_format(json, PLAN_FORMAT).map_err(|error| malformed(error.to_string()))?;
        let plan: Self = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if plan.run_id.is_empty() || plan.run_id.len() > MAX_RUN_ID_BYTES || plan.run_id.contains(char::is_control) {
            return Err(malformed(format!("run_id {:?}: one line of some characters is expected", plan.run_id)));
        }
        match plan.tasks.iter().enumerate().find(|(index, task)| task.rank != *index) {
            Some((index, task)) => Err(malformed(format!("task {index} has rank {}", task.rank))),
            None => Ok(plan),
        }
    }

    /// Copy of the plan without its tasks: the part that all tasks share, small enough to send to each worker.
    pub fn without_tasks(&self) -> Self {
        let Self { format_version, run_id, created, created_by, payload, model, tasks: _ } = self.clone();
        Self { format_version, run_id, created, created_by, payload, model, tasks: Vec::new() }
    }

    /// Builds the `payload.json` of the CAI study: the payload as submitted, and a `data_map` from each rank to a key,
    /// a list of keys, or null.
    pub fn study_payload(&self) -> Value {
        let data_map: Map<String, Value> =
            self.tasks.iter().map(|task| (task.rank.to_string(), task.data_path())).collect();
        let mut payload = self.payload.submitted().clone();
        payload.insert("data_map".to_owned(), Value::Object(data_map));
        Value::Object(payload)
    }

    /// Lists the differences that prevent `other` from continuing the run of this plan: keys of the payload with
    /// different values, and the first rank with different files. The list is empty if there are none. Versions of
    /// files and of the model may differ.
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
    /// Files of the task as the CAI study writes them: a key, a list of keys, or null.
    pub fn data_path(&self) -> Value {
        match self.files.as_slice() {
            [] => Value::Null,
            [file] => Value::String(file.key.clone()),
            files => files.iter().map(|file| file.key.clone()).collect(),
        }
    }

    /// Total size of the files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.key.as_str())
    }
}
