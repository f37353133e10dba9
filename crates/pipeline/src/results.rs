//! Folder of a run's results: the keys of its objects, and the keys that belong to the run.

use std::collections::HashSet;

use records::plan::{MAX_PLAN_BYTES, Plan};

use crate::storage::{Bucket, StorageError, Stores};

/// Folder in a bucket for the results of one run.
#[derive(Debug, Clone)]
pub struct Results {
    bucket: Bucket,
    folder: String,
}

impl Results {
    /// Names a folder in a bucket.
    pub fn new(bucket: Bucket, folder: &str) -> Self {
        Self { bucket, folder: folder.trim_matches('/').to_owned() }
    }

    /// Opens the folder that a URL names.
    ///
    /// # Errors
    /// Returns a [`StorageError`] if the URL is malformed or its store cannot be opened.
    pub fn open(stores: &Stores, url: &str) -> Result<Self, StorageError> {
        let (bucket, folder) = stores.open_url(url)?;
        Ok(Self::new(bucket, &folder))
    }

    /// Bucket of the folder.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Key of the folder, without slashes at the ends; empty for the whole bucket.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// URL of the folder, with a slash at the end.
    pub fn url(&self) -> String {
        self.bucket.url(&self.key(""))
    }

    /// Key of the run's plan, which claims the folder.
    pub fn plan(&self) -> String {
        self.key("plan.json")
    }

    /// Key of the plan in the CAI study's format: the payload and `data_map`.
    pub fn payload(&self) -> String {
        self.key("payload.json")
    }

    /// Key of a task's record in the CAI study's format.
    pub fn record(&self, rank: usize) -> String {
        self.key(&format!("{rank}.json"))
    }

    /// Key of a task's predictions.
    pub fn predictions(&self, rank: usize) -> String {
        self.key(&format!("predictions/{rank}.parquet"))
    }

    /// Key of a task's report. The report is written last, so if it exists, the task's results are complete.
    pub fn task_report(&self, rank: usize) -> String {
        self.key(&format!("tasks/{rank}.json"))
    }

    /// Key of the failure of a task whose worker runs unattended. It has no meaning once the task is finished.
    pub fn failure(&self, rank: usize) -> String {
        self.key(&format!("failures/{rank}.json"))
    }

    /// Key of the list of remaining tasks, which a state machine dispatches.
    pub fn items(&self) -> String {
        self.key("items.json")
    }

    /// Key of a file of a cluster's jobs: a script, a log, or the list of jobs. All objects in this subfolder belong to
    /// the run.
    pub fn job(&self, name: &str) -> String {
        self.key(&format!("job/{name}"))
    }

    /// Key of the records of all tasks in the CAI study's format.
    pub fn combined(&self) -> String {
        self.key("combined_data.json")
    }

    /// Key of the run's summary.
    pub fn summary(&self) -> String {
        self.key("summary.json")
    }

    /// Key of the run's report.
    pub fn report(&self) -> String {
        self.key("report.json")
    }

    /// Reads the JSON of the plan in this folder. Returns None if the folder has no plan.
    ///
    /// # Errors
    /// Returns a [`StorageError`] if the plan cannot be read.
    pub async fn read_plan(&self) -> Result<Option<bytes::Bytes>, StorageError> {
        self.bucket.read_if_there(&self.plan(), MAX_PLAN_BYTES, "a plan").await
    }

    /// Lists every key in this folder.
    ///
    /// # Errors
    /// Returns a [`StorageError`] if the folder cannot be listed.
    pub async fn list(&self) -> Result<HashSet<String>, StorageError> {
        Ok(self.bucket.list(&self.folder).await?.into_iter().map(|object| object.key).collect())
    }

    /// Lists the keys of the task reports in this folder.
    ///
    /// # Errors
    /// Returns a [`StorageError`] if the folder cannot be listed.
    pub async fn list_task_reports(&self) -> Result<HashSet<String>, StorageError> {
        Ok(self.bucket.list(&self.key("tasks")).await?.into_iter().map(|object| object.key).collect())
    }

    /// Returns the keys among `present` that belong to the run of this plan. The key of the plan comes last.
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

    /// Returns one of these keys in the folder that looks like a result of a run, or None.
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
