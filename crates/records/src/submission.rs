//! SLURM jobs of a run: `job/submission.json` in the results folder.

use serde::{Deserialize, Serialize};

use crate::format::{FormatError, check_format};
use crate::ranks;

/// Version of `job/submission.json`.
pub const SUBMISSION_FORMAT: u32 = 1;
/// Name of the file in the folder `job/` of a run.
pub const SUBMISSION_NAME: &str = "submission.json";
/// Largest `submission.json` that is read, in bytes.
pub const MAX_SUBMISSION_BYTES: u64 = 16 << 20;
/// Largest number of arrays in one submission.
const ARRAYS_MAX: usize = 16;

/// The SLURM jobs of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Version of this format: [`SUBMISSION_FORMAT`].
    pub format_version: u32,
    /// Run id of the plan.
    pub run_id: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Time of the submission, RFC 3339.
    pub submitted: String,
    /// Folder of the job logs, as a path on the nodes.
    pub logs: String,
    /// Number of earlier submissions of this run.
    #[serde(default)]
    pub turn: usize,
    /// Job arrays: the first one, and one more for each time that tasks were resubmitted with more memory.
    pub arrays: Vec<Array>,
    /// Id of the job that writes the summary; `None` if there is no such job.
    pub summarize: Option<String>,
}

/// Job array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// Id of the array.
    pub id: String,
    /// Ranks of the tasks that the array runs, as `3,17-20`.
    pub ranks: String,
    /// Number of jobs that share the ranks; `None` if each job runs one task and its index is the rank.
    pub of: Option<usize>,
    /// Memory requested per job, in SLURM's notation; `None` if none was requested.
    pub memory: Option<String>,
}

impl Array {
    /// Index of each job, with the ranks of the tasks that it runs.
    pub fn jobs(&self) -> Vec<(usize, Vec<usize>)> {
        let ranks = ranks::parse(&self.ranks).unwrap_or_default();
        match self.of {
            None => ranks.iter().map(|&rank| (rank, vec![rank])).collect(),
            Some(of) => (0..of).map(|index| (index, share(&ranks, index, of).collect())).collect(),
        }
    }
}

/// Ranks of the tasks that worker `index` of `of` workers runs: every `of`-th rank, starting at position `index`.
pub fn share(ranks: &[usize], index: usize, of: usize) -> impl Iterator<Item = usize> + '_ {
    ranks.iter().copied().skip(index).step_by(of.max(1))
}

/// Ranks of the tasks that worker `index` of `of` workers runs if each runs consecutive tasks: the first workers run one
/// task more if the number of tasks is not a multiple of `of`.
pub fn block(ranks: &[usize], index: usize, of: usize) -> &[usize] {
    let of = of.max(1);
    if index >= of {
        return &[];
    }
    let (each, more) = (ranks.len() / of, ranks.len() % of);
    let start = index * each + index.min(more);
    &ranks[start..start + each + usize::from(index < more)]
}

/// Name of the jobs of a run: `cosmicai-` and the ASCII letters, digits and `-` of its run id.
pub fn job_name(run_id: &str) -> String {
    let plain: String = run_id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    format!("cosmicai-{plain}")
}

impl Submission {
    /// Reads a `submission.json`.
    ///
    /// # Errors
    /// The bytes are not a submission of this version, or hold ids or counts that SLURM cannot have assigned. Ids
    /// become arguments of SLURM commands, and counts decide how much memory is allocated here.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, SUBMISSION_FORMAT)?;
        let found: Self = serde_json::from_slice(json)?;
        found.check().map_err(FormatError::Value)?;
        Ok(found)
    }

    fn check(&self) -> Result<(), String> {
        if self.arrays.len() > ARRAYS_MAX {
            return Err(format!("{} arrays found; at most {ARRAYS_MAX} expected", self.arrays.len()));
        }
        if let Some(id) =
            self.ids().into_iter().find(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(format!("`{id}` is not a job id"));
        }
        for array in &self.arrays {
            let count = ranks::parse(&array.ranks).map_err(|error| error.to_string())?.len();
            if array.of.is_some_and(|of| of == 0 || of > count) {
                return Err(format!(
                    "array {}: the number of jobs must be 1 to {count}, its number of ranks",
                    array.id
                ));
            }
        }
        Ok(())
    }

    /// Name of the jobs.
    pub fn job_name(&self) -> String {
        job_name(&self.run_id)
    }

    /// Ids of all arrays and of the summarize job.
    pub fn ids(&self) -> Vec<&str> {
        self.arrays.iter().map(|array| array.id.as_str()).chain(self.summarize.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(changes: Value) -> Result<Submission, String> {
        let mut value = json!({
            "format_version": 1, "run_id": "1", "cluster": "c", "submitted": "", "logs": "/l", "summarize": "13",
            "arrays": [{"id": "12", "ranks": "0-39", "of": 13, "memory": null}]
        });
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Submission::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    /// Ids are passed to SLURM commands, where an id such as `--state=PENDING` would cancel other jobs.
    #[test]
    fn rejects_ids_and_counts_that_slurm_cannot_have_assigned() {
        let found = read(json!({})).unwrap();
        assert_eq!((found.ids(), found.arrays[0].jobs().len()), (vec!["12", "13"], 13));
        let array = |id: &str, ranks: &str, of: Value| {
            let array = json!({"id": id, "ranks": ranks, "of": of, "memory": null});
            json!({"arrays": [array]})
        };
        for changes in [
            json!({"format_version": 2}),
            json!({"summarize": "--state=PENDING"}),
            array("", "0-3", json!(2)),
            array("--user=ada", "0-3", json!(2)),
            array("12", "0-3", json!(100_000_000_000_u64)),
            array("12", "0-3", json!(0)),
            array("12", "0-99999999999", json!(2)),
            json!({"arrays": 1}),
        ] {
            assert!(read(changes.clone()).is_err(), "{changes}");
        }
    }
}
