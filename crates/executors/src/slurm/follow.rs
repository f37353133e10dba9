//! Following the jobs of a run until they end.

use std::collections::HashSet;
use std::time::Duration;

use pipeline::event::{Event, EventSink};
use records::plan::Plan;
use records::report::Job;
use records::submission::Submission;

use super::Slurm;
use super::jobs::{self, Jobs, is_live};
use crate::ExecutorError;
use crate::run_events::record_newly_finished;

/// Wait between the first checks of the jobs.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// Longest wait between two checks. Checks are rare because the controller serves many users.
const CHECK_EVERY_MAX: Duration = Duration::from_secs(10);
/// Largest number of failed checks in a row. They bridge a restart of the controller.
const FAILED_CHECKS_MAX: usize = 30;

impl Slurm {
    /// Records newly finished tasks and the counts of jobs as events. Returns true if a job is pending or running.
    async fn check(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<bool, ExecutorError> {
        // Ask for the jobs before listing the results, so that the results of a job that has ended are always seen.
        jobs::update(&self.cluster, submission, jobs).await?;
        record_newly_finished(&self.results, plan, seen, events).await?;
        let of_arrays = jobs::of_arrays(submission, jobs);
        let running = of_arrays.iter().filter(|job| is_live(job) && job.state != "PENDING").count();
        let failed = of_arrays.iter().filter(|job| !is_live(job) && job.state != "COMPLETED").count();
        let pending: Vec<&&Job> = of_arrays.iter().filter(|job| job.state == "PENDING").collect();
        // The reason is empty until the scheduler has considered the job.
        let first = pending.first().filter(|first| running == 0 && !first.reason.is_empty());
        let waiting = first.map(|first| format!("{} jobs are pending: {}", pending.len(), first.reason));
        events.record(&Event::Counted { running, failed, waiting });
        Ok(of_arrays.into_iter().any(is_live))
    }

    /// Waits until every job of the arrays has ended.
    pub(super) async fn follow(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<(), ExecutorError> {
        let (mut wait, mut failed_checks) = (CHECK_EVERY, 0);
        loop {
            match self.check(plan, submission, jobs, seen, events).await {
                Ok(false) => return Ok(()),
                Ok(true) => failed_checks = 0,
                Err(error) if failed_checks == FAILED_CHECKS_MAX => return Err(error),
                Err(_) => failed_checks += 1,
            }
            tokio::time::sleep(wait).await;
            wait = (wait.mul_f64(1.5)).min(CHECK_EVERY_MAX);
        }
    }
}
