//! Executor that runs tasks on a SLURM cluster, as an array of jobs that run `cosmicai worker`.
//!
//! In: a plan whose results folder is claimed, in a store that the nodes can reach, and a [`Request`]. Out: an array of
//! jobs, followed to its end, and a report that includes their states in SLURM. The jobs do not need the process that
//! submitted them. The results folder holds everything that another process needs to follow them. SLURM schedules the
//! jobs; this module has no scheduler and no lock.

mod begin;
mod cluster;
mod ended_jobs;
mod existing_run;
mod follow;
mod jobs;
mod request;
mod script;
mod submission_file;
mod submit;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pipeline::event::{Event, EventSink};
use pipeline::finished::finished;
use pipeline::results::Results;
use pipeline::unattended::{run_report, set_end_from_tasks};
use records::ExecutorKind;
use records::plan::Plan;
use records::report::{MAX_RUN_REPORT_BYTES, RunReport, Scheduled};
use records::submission::{Array, Submission, job_name};

pub use begin::{BeginError, Begun, begin, dry_run};
pub use cluster::{Cluster, ClusterError};
pub use ended_jobs::ENDED_BY_SIGNAL;
pub use existing_run::{FolderError, end_jobs, open_run, read_submission};
pub use jobs::{Jobs, is_live};
pub use request::{BadRequest, Request};
pub use submission_file::SubmissionError;

use crate::run_events::record_end;
use crate::{Executor, ExecutorError};

/// Largest number of checks, one per second, until the summarize job has ended.
const SUMMARIZE_CHECKS_MAX: usize = 60;
/// Largest number of times that tasks are submitted again with more memory.
const MORE_MEMORY_MAX: usize = 3;

/// Run on a SLURM cluster.
#[derive(Debug)]
pub struct Slurm {
    /// Cluster of the run.
    pub cluster: Cluster,
    /// Results folder of the run.
    pub results: Results,
    /// Resources and options of the jobs; `None` if this process only follows them.
    pub request: Option<Request>,
    /// Jobs of the run; `None` before they are submitted.
    pub submission: tokio::sync::Mutex<Option<Submission>>,
    /// True if [`stop`](Executor::stop) was called.
    is_stopped: AtomicBool,
}

impl Slurm {
    /// Run whose results are in this folder. With a request, [`begin`] can submit its jobs.
    pub fn new(cluster: Cluster, results: Results, request: Option<Request>, submission: Option<Submission>) -> Self {
        Self { cluster, results, request, submission: submission.into(), is_stopped: AtomicBool::new(false) }
    }

    /// Makes the report of a run from the objects in storage and the states of its jobs in SLURM.
    ///
    /// # Errors
    /// The results folder cannot be read. If SLURM does not answer, the report has only the job states that are already
    /// known.
    pub async fn report(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
    ) -> Result<RunReport, ExecutorError> {
        // An earlier report may list jobs that SLURM no longer knows.
        let before =
            self.results.bucket().read_if_there(&self.results.report(), MAX_RUN_REPORT_BYTES, "a report").await?;
        let before = before.and_then(|json| RunReport::parse(&json).ok()).filter(|report| report.run_id == plan.run_id);
        for job in before.and_then(|report| report.scheduled).unwrap_or_default().jobs {
            jobs.entry(job.id.clone()).or_insert(job);
        }
        _ = jobs::update(&self.cluster, submission, jobs).await;
        _ = jobs::add_accounts(&self.cluster, submission, jobs).await;
        let tasks = finished(&self.results, plan).await?;
        let mut report =
            run_report(&self.results, plan, tasks, ExecutorKind::Slurm, submission.submitted.clone(), 1).await?;
        if !jobs::of_arrays(submission, jobs).into_iter().any(is_live) {
            set_end_from_tasks(&mut report);
        }
        let of_arrays = jobs::of_arrays(submission, jobs);
        ended_jobs::add_ends(&mut report, plan, &of_arrays);
        report.scheduled = Some(Scheduled {
            scheduler: format!("slurm {}", self.cluster.version),
            cluster: self.cluster.name.clone(),
            jobs: of_arrays.into_iter().cloned().collect(),
        });
        Ok(report)
    }

    /// Reads the states of the jobs of a submission from SLURM.
    ///
    /// # Errors
    /// A SLURM command fails.
    pub async fn jobs(&self, submission: &Submission) -> Result<Jobs, ClusterError> {
        let mut jobs = Jobs::new();
        jobs::update(&self.cluster, submission, &mut jobs).await?;
        // Accounting may be down. Its numbers are not needed to know which jobs run.
        _ = jobs::add_accounts(&self.cluster, submission, &mut jobs).await;
        Ok(jobs)
    }

    /// Returns true if a job of the arrays is pending or running.
    ///
    /// # Errors
    /// A SLURM command fails.
    pub async fn is_running(&self, submission: &Submission) -> Result<bool, ClusterError> {
        Ok(jobs::of_arrays(submission, &self.jobs(submission).await?).into_iter().any(is_live))
    }

    /// Finds jobs of a run that are pending or running but not in the submission, because a process was killed while it
    /// submitted them. Returns their ids.
    ///
    /// # Errors
    /// A SLURM command fails.
    pub async fn stray_jobs(&self, run_id: &str, submission: Option<&Submission>) -> Result<Vec<String>, ClusterError> {
        let mut found = self.cluster.named(&job_name(run_id)).await?;
        let known = submission.map(Submission::ids).unwrap_or_default();
        found.retain(|id| !known.contains(&id.as_str()));
        Ok(found)
    }

    /// Cancels the summarize job, and waits until it has ended, so that it cannot write any more.
    ///
    /// # Errors
    /// A SLURM command fails, or the job does not end within a minute.
    pub async fn end_summarize_job(&self, submission: &Submission) -> Result<(), ClusterError> {
        let Some(id) = &submission.summarize else { return Ok(()) };
        self.cluster.cancel(&[id], &submission.job_name()).await?;
        let mut jobs = Jobs::new();
        for _ in 0..SUMMARIZE_CHECKS_MAX {
            jobs::update(&self.cluster, submission, &mut jobs).await?;
            if !jobs.get(id).is_some_and(is_live) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(ClusterError::new("scancel", &format!("summarize job {id} is still not ended; check `squeue --job {id}`")))
    }

    /// Cancels the jobs of the arrays. The summarize job then runs and reports the missing tasks.
    ///
    /// # Errors
    /// A SLURM command fails.
    pub async fn cancel(&self, submission: &Submission) -> Result<(), ClusterError> {
        let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
        self.cluster.cancel(&ids, &submission.job_name()).await
    }
}

#[async_trait]
impl Executor for Slurm {
    fn results(&self) -> &Results {
        &self.results
    }

    async fn stop(&self, _reason: &str) -> Result<(), ExecutorError> {
        self.is_stopped.store(true, Ordering::Relaxed);
        match &*self.submission.lock().await {
            Some(submission) => Ok(self.cancel(submission).await?),
            None => Ok(()),
        }
    }

    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let submission = self.submission.lock().await.clone();
        let Some(mut submission) = submission else {
            return Err(ClusterError::new(
                "follow the jobs",
                &"this run has none; pass `--resume` to `cosmicai run` to submit them",
            )
            .into());
        };
        let submitted: HashSet<usize> =
            submission.arrays.iter().flat_map(Array::jobs).flat_map(|(_, ranks)| ranks).collect();
        let mut seen: HashSet<usize> = (0..plan.tasks.len()).filter(|rank| !submitted.contains(rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: seen.len(),
            bytes: plan.tasks.iter().filter(|task| submitted.contains(&task.rank)).map(|task| task.bytes()).sum(),
        });
        let mut jobs = Jobs::new();
        let report = loop {
            self.follow(plan, &submission, &mut jobs, &mut seen, events).await?;
            let mut report = self.report(plan, &submission, &mut jobs).await?;
            if self.is_stopped.load(Ordering::Relaxed) {
                break report;
            }
            let Some((ranks, memory, request)) = self.with_more_memory(&report, &submission) else { break report };
            submission.turn += 1;
            if let Err(error) = self.add(plan, &ranks, Some(memory.clone()), request, &mut submission).await {
                let not_retried = report.failed.iter_mut().filter(|failed| ranks.contains(&failed.rank));
                not_retried.for_each(|failed| {
                    failed.error += &format!("; cannot submit it again with {memory} of memory: {error}")
                });
                break report;
            }
            *self.submission.lock().await = Some(submission.clone());
            if self.is_stopped.load(Ordering::Relaxed) {
                // The stop came during the submission, and cancelled only the earlier arrays.
                self.cancel(&submission).await?;
            }
        };
        // This process summarizes the run itself, because the summarize job may be pending for a long time. If that job
        // cannot be cancelled, it writes the same summary again.
        _ = self.end_summarize_job(&submission).await;
        record_end(&report, events);
        Ok(report)
    }
}

impl Slurm {
    /// Ranks to submit again because their jobs ran out of memory, with the memory for the next attempt. `None` if
    /// there are none, or if the request has no retry.
    fn with_more_memory(&self, report: &RunReport, submission: &Submission) -> Option<(Vec<usize>, String, &Request)> {
        let request = self.request.as_ref()?;
        let factor = request.retry_memory_factor?;
        let last = submission.arrays.last()?;
        let prefix = format!("{}_", last.id);
        let jobs = report.scheduled.as_ref()?.jobs.iter().filter(|job| job.id.starts_with(&prefix));
        let ranks = ended_jobs::out_of_memory(report, &jobs.collect::<Vec<_>>());
        let memory_mb = jobs::megabytes(last.memory.as_deref()?)?;
        let can_retry = !ranks.is_empty() && submission.arrays.len() <= MORE_MEMORY_MAX;
        can_retry.then(|| (ranks, format!("{:.0}M", (memory_mb * factor).ceil()), request))
    }
}
