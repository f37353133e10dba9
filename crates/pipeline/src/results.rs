//! The folder of a run's results: the names of the objects in it, and which of them are the run's own.

use std::collections::HashSet;

use crate::plan::{MAX_PLAN_BYTES, Plan};
use crate::storage::{Bucket, StorageError, Stores};

/// A folder in a bucket that holds, or will hold, the results of one run.
#[derive(Debug, Clone)]
pub struct Results {
    bucket: Bucket,
    folder: String,
}

impl Results {
    /// The folder of this name in a bucket.
    pub fn new(bucket: Bucket, folder: &str) -> Self {
        Self { bucket, folder: folder.trim_matches('/').to_owned() }
    }

    /// The folder that a URL names.
    pub fn open(stores: &Stores, url: &str) -> Result<Self, StorageError> {
        let (bucket, folder) = stores.open_url(url)?;
        Ok(Self::new(bucket, &folder))
    }

    /// The bucket it lies in.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Its URL, with a slash at the end.
    pub fn url(&self) -> String {
        self.bucket.url(&self.key(""))
    }

    /// Key of our plan, which claims the folder for its run.
    pub fn plan(&self) -> String {
        self.key("plan.json")
    }

    /// Key of the study's plan: the payload and `data_map`.
    pub fn payload(&self) -> String {
        self.key("payload.json")
    }

    /// Key of the study's record of a task.
    pub fn record(&self, rank: usize) -> String {
        self.key(&format!("{rank}.json"))
    }

    /// Key of the predictions of a task.
    pub fn predictions(&self, rank: usize) -> String {
        self.key(&format!("predictions/{rank}.parquet"))
    }

    /// Key of our report of a task. Written last: where it is, the task's results are complete.
    pub fn task_report(&self, rank: usize) -> String {
        self.key(&format!("tasks/{rank}.json"))
    }

    /// Key of what became of a task that failed where nobody waits for it. Worth nothing once the task is finished.
    pub fn failure(&self, rank: usize) -> String {
        self.key(&format!("failures/{rank}.json"))
    }

    /// Key of the list of tasks that are left, for a state machine to hand out.
    pub fn items(&self) -> String {
        self.key("items.json")
    }

    /// Key of what a cluster's scheduler was asked, or said: scripts, logs, and the list of jobs. All that lies in this
    /// folder belongs to the run.
    pub fn job(&self, name: &str) -> String {
        self.key(&format!("job/{name}"))
    }

    /// Key of the study's records of all tasks together.
    pub fn combined(&self) -> String {
        self.key("combined_data.json")
    }

    /// Key of our summary.
    pub fn summary(&self) -> String {
        self.key("summary.json")
    }

    /// Key of our report of the run.
    pub fn report(&self) -> String {
        self.key("report.json")
    }

    /// The plan in this folder, as it is written; None where there is none.
    pub async fn read_plan(&self) -> Result<Option<bytes::Bytes>, StorageError> {
        self.bucket.read_if_there(&self.plan(), MAX_PLAN_BYTES, "a plan").await
    }

    /// Every key in this folder.
    pub async fn list(&self) -> Result<HashSet<String>, StorageError> {
        Ok(self.bucket.list(&self.folder).await?.into_iter().map(|object| object.key).collect())
    }

    /// The keys of the reports of tasks in this folder.
    pub async fn list_task_reports(&self) -> Result<HashSet<String>, StorageError> {
        Ok(self.bucket.list(&self.key("tasks")).await?.into_iter().map(|object| object.key).collect())
    }

    /// Of the keys that are `present` in the folder, those that the run of this plan wrote, the plan itself last.
    pub fn own_keys(&self, plan: &Plan, present: &HashSet<String>) -> Vec<String> {
        let of_run = [self.combined(), self.summary(), self.report(), self.payload(), self.items()];
        let of_tasks = plan.tasks.iter().flat_map(|task| {
            let rank = task.rank;
            [self.task_report(rank), self.record(rank), self.predictions(rank), self.failure(rank)]
        });
        let of_jobs = present.iter().filter(|key| key.starts_with(&self.job(""))).cloned();
        let own = of_run.into_iter().chain(of_tasks).chain([self.plan()]).filter(|key| present.contains(key));
        of_jobs.chain(own).collect()
    }

    /// Of these keys in the folder, one that looks like a run's result.
    pub fn find_result<'a>(&self, keys: &'a HashSet<String>) -> Option<&'a String> {
        let is_result = |key: &str| {
            let name = key.strip_prefix(&self.key("")).unwrap_or(key);
            let names = [self.combined(), self.summary(), self.report(), self.payload()];
            names.iter().any(|own| own == key)
                || name.starts_with("tasks/")
                || name.starts_with("predictions/")
                || name.starts_with("failures/")
                || name.starts_with("job/")
                || name.strip_suffix(".json").is_some_and(|rank| rank.parse::<usize>().is_ok())
        };
        keys.iter().filter(|key| is_result(key)).min()
    }

    fn key(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }
}
