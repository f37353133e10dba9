//! Which jobs do the tasks of a run: `job/submission.json` in its folder.

use pipeline::plan::Plan;
use pipeline::results::Results;
use pipeline::storage::StorageError;
use serde::{Deserialize, Serialize};

use super::ranks;

/// The version of `job/submission.json`.
const SUBMISSION_FORMAT: u32 = 1;
/// Its name in the run's folder `job/`.
const NAME: &str = "submission.json";
/// The largest one that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// The most arrays of one submission.
const ARRAYS_MAX: usize = 16;

/// What was handed to SLURM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Version of this format.
    pub format_version: u32,
    /// The run.
    pub run_id: String,
    /// The cluster's name.
    pub cluster: String,
    /// When it was handed in, RFC 3339.
    pub submitted: String,
    /// Folder of the jobs' logs, as the nodes see it.
    pub logs: String,
    /// How often anything of the run was handed in before.
    #[serde(default)]
    pub turn: usize,
    /// The arrays: one, and one more for each time that tasks were given more memory.
    pub arrays: Vec<Array>,
    /// The job that sums up.
    pub summarize: Option<String>,
}

/// One array of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// Its id.
    pub id: String,
    /// The ranks that it does, as `3,17-20`.
    pub ranks: String,
    /// So many jobs share them; absent where a job's index is the rank that it does.
    pub of: Option<usize>,
    /// Memory of a job, as it was asked for.
    pub memory: Option<String>,
}

impl Array {
    /// The indices of its jobs, each with the ranks that it does.
    pub fn jobs(&self) -> Vec<(usize, Vec<usize>)> {
        let ranks = ranks::parse(&self.ranks).unwrap_or_default();
        match self.of {
            None => ranks.iter().map(|&rank| (rank, vec![rank])).collect(),
            Some(of) => (0..of).map(|index| (index, share(&ranks, index, of).collect())).collect(),
        }
    }
}

/// What the one at `index` of so many gets of some ranks.
pub fn share(ranks: &[usize], index: usize, of: usize) -> impl Iterator<Item = usize> + '_ {
    ranks.iter().copied().skip(index).step_by(of.max(1))
}

/// What the jobs of a run are called: letters and digits, as names of runs may hold others.
pub(super) fn job_name(run_id: &str) -> String {
    let plain: String = run_id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    format!("cosmicai-{plain}")
}

/// Why it is not known what was handed in.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What lies there cannot be believed.
    #[error("`{url}`: not a list of jobs: {problem}; if no job of this run is at work, delete it")]
    Malformed {
        /// Where it lies.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Submission {
    pub(super) fn new(plan: &Plan, cluster: String, logs: String, turn: usize) -> Self {
        let submitted = pipeline::event::now();
        let run_id = plan.run_id.clone();
        let (arrays, summarize) = Default::default();
        Self { format_version: SUBMISSION_FORMAT, run_id, cluster, submitted, logs, turn, arrays, summarize }
    }

    /// The one in a run's folder; None where there is none.
    ///
    /// # Errors
    /// Where the store cannot be asked, and where it cannot be understood: jobs may then be at work that are not known.
    pub async fn read(results: &Results) -> Result<Option<Self>, SubmissionError> {
        let key = results.job(NAME);
        let Some(json) = results.bucket().read_if_there(&key, MAX_BYTES, "a list of jobs").await? else {
            return Ok(None);
        };
        let malformed = |problem: String| SubmissionError::Malformed { url: results.bucket().url(&key), problem };
        let found: Self = serde_json::from_slice(&json).map_err(|error| malformed(error.to_string()))?;
        found.check().map_err(malformed)?;
        Ok(Some(found))
    }

    /// Whether it can be believed: ids go to SLURM's commands, and counts decide how much memory is taken.
    fn check(&self) -> Result<(), String> {
        if self.format_version != SUBMISSION_FORMAT {
            return Err(format!("format_version {} found, {SUBMISSION_FORMAT} expected", self.format_version));
        }
        if self.arrays.len() > ARRAYS_MAX {
            return Err(format!("{} arrays, of which there are {ARRAYS_MAX} at most", self.arrays.len()));
        }
        if let Some(id) =
            self.ids().into_iter().find(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(format!("`{id}` is not the id of a job"));
        }
        for array in &self.arrays {
            let count = ranks::parse(&array.ranks)?.len();
            if array.of.is_some_and(|of| of == 0 || of > count) {
                return Err(format!("array {}: {count} ranks, and another number of jobs", array.id));
            }
        }
        Ok(())
    }

    /// What its jobs are called.
    pub(super) fn job_name(&self) -> String {
        job_name(&self.run_id)
    }

    pub(super) async fn write(&self, results: &Results) -> Result<(), StorageError> {
        let mut json = serde_json::to_vec_pretty(self).expect("it has text keys and no failing serialisers");
        json.push(b'\n');
        results.bucket().write(&results.job(NAME), json.into()).await
    }

    /// Every job that there is to ask about.
    pub fn ids(&self) -> Vec<&str> {
        self.arrays.iter().map(|array| array.id.as_str()).chain(self.summarize.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use pipeline::storage::{StorageOptions, Stores};
    use serde_json::{Value, json};

    use super::*;

    async fn read(changes: Value) -> Result<Option<Submission>, String> {
        let mut value = json!({
            "format_version": 1, "run_id": "1", "cluster": "c", "submitted": "", "logs": "/l", "summarize": "13",
            "arrays": [{"id": "12", "ranks": "0-39", "of": 13, "memory": null}]
        });
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
        let results = Results::new(stores.bucket("sky").unwrap(), "r");
        assert!(Submission::read(&results).await.unwrap().is_none());
        results.bucket().write(&results.job(NAME), value.to_string().into()).await.unwrap();
        Submission::read(&results).await.map_err(|error| error.to_string())
    }

    /// Ids go to SLURM's commands, where `--state=PENDING` once cancelled other jobs.
    #[tokio::test]
    async fn what_cannot_be_believed_is_an_error_and_not_nothing() {
        let found = read(json!({})).await.unwrap().unwrap();
        assert_eq!((found.ids(), found.arrays[0].jobs().len()), (vec!["12", "13"], 13));
        let array = |id: &str, ranks: &str, of: Value| json!({"arrays": [{"id": id, "ranks": ranks, "of": of, "memory": null}]});
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
            let error = read(changes.clone()).await.unwrap_err();
            assert!(error.contains("not a list of jobs") && error.contains("submission.json"), "{changes}: {error}");
        }
    }
}
