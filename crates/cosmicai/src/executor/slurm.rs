//! Tasks on a cluster, as an array of jobs of SLURM.
//!
//! In: a plan whose folder is claimed, in a store that the nodes see, and what to ask SLURM for ([`Request`]). Out: an
//! array of jobs that run `cosmicai worker`, followed to its end, and a report with what SLURM says of them. Never here: a
//! scheduler, or a lock. The jobs go on whoever follows; all that one must know to follow lies in the run's folder.

mod cluster;
mod jobs;
pub(crate) mod ranks;
mod request;
mod script;
mod submission;
mod told;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::elsewhere::{end_with_tasks, run_report};
use pipeline::event::{Event, EventSink};
use pipeline::finished::finished;
use pipeline::plan::Plan;
use pipeline::report::{Job, MAX_RUN_REPORT_BYTES, RunReport, Scheduled};
use pipeline::results::Results;

pub use cluster::{Cluster, ClusterError};
pub use jobs::{Jobs, is_live};
pub use request::Request;
pub(crate) use script::quoted;
pub use submission::{Submission, SubmissionError, share};
pub(crate) use told::ENDED;

use self::script::Script;
use self::submission::Array;
use super::{Executor, ExecutorError};

/// Name of this executor in reports.
const EXECUTOR: &str = "slurm";
/// The longest wait between two looks: a controller serves many.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);
/// So many looks in a row may fail: a controller that is started again comes back.
const FAILED_LOOKS_MAX: usize = 30;
/// How often it is looked whether the job that sums up has ended, a second apart.
const SUMMARY_LOOKS_MAX: usize = 60;
/// How often tasks that were out of memory are given more.
const MORE_MEMORY_MAX: usize = 3;

/// Hands a run to SLURM, and follows it.
#[derive(Debug)]
pub struct Slurm {
    /// The cluster.
    pub cluster: Cluster,
    /// The folder of the run.
    pub results: Results,
    /// What to ask for; None for who only follows.
    pub request: Option<Request>,
    /// The wait between the first looks; it grows to some seconds.
    pub look_every: Duration,
    /// What was handed in; None before that.
    pub submission: tokio::sync::Mutex<Option<Submission>>,
}

impl Slurm {
    /// What nothing was handed in of yet.
    pub fn nothing(&self, plan: &Plan, logs: &str, turn: usize) -> Submission {
        Submission::new(plan, self.cluster.name.clone(), logs.to_owned(), turn)
    }

    /// Whether SLURM would take what this asks for.
    ///
    /// # Errors
    /// Where it would not.
    pub async fn test(&self, request: &Request) -> Result<(), ClusterError> {
        let script = Script { run_id: "test", request, logs: "/tmp", results: "/" };
        self.cluster.test(&script.array("0", None, None, request.memory.as_deref())).await
    }

    /// Hands in these tasks of a plan as an array, and the job that sums up; writes the scripts, and which jobs they are,
    /// into the run's folder, and adds them to `submission`.
    ///
    /// # Errors
    /// Where SLURM refuses, or another process does the same at this moment. What was handed in is then cancelled; where
    /// there is no array in `submission`, nothing ever was.
    pub async fn submit(
        &self,
        plan: &Plan,
        ranks: &[usize],
        request: &Request,
        submission: &mut Submission,
    ) -> Result<(), ExecutorError> {
        self.add(plan, ranks, request.memory.clone(), request, submission).await
    }

    /// The scripts that [`submit`](Self::submit) would hand in.
    pub fn scripts(
        cluster: &Cluster,
        plan: &Plan,
        results: &Results,
        logs: &str,
        request: &Request,
    ) -> (String, String) {
        let url = results.url();
        let script = Script { run_id: &plan.run_id, request, logs, results: &url };
        let ranks: Vec<usize> = (0..plan.tasks.len()).collect();
        let array = array_of(cluster, &ranks, request);
        let among = among(&array, plan);
        let text = script.array(&indices(&array), array.of, among.as_deref(), request.memory.as_deref());
        (text, script.summarize("ID_OF_THE_ARRAY"))
    }

    async fn add(
        &self,
        plan: &Plan,
        ranks: &[usize],
        memory: Option<String>,
        request: &Request,
        submission: &mut Submission,
    ) -> Result<(), ExecutorError> {
        let (url, logs, results) = (self.results.url(), submission.logs.clone(), &self.results);
        let script = Script { run_id: &plan.run_id, request, logs: &logs, results: &url };
        let mut array = array_of(&self.cluster, ranks, request);
        let text = script.array(&indices(&array), array.of, among(&array, plan).as_deref(), memory.as_deref());
        self.claim(submission.turn).await?;
        if let Some(before) = &submission.summarize {
            self.cluster.cancel(&[before], &submission.job_name()).await?;
        }
        results.bucket().write(&results.job("array.sbatch"), text.clone().into()).await?;
        // What those tasks left before counts no more.
        let stale = ranks.iter().flat_map(|&rank| [results.failure(rank), results.task_report(rank)]);
        results.bucket().delete(stale.collect()).await?;
        array.id = self.cluster.submit(&text).await?;
        array.memory = memory;
        submission.arrays.push(array);
        submission.summarize = None;
        let handed_in = async {
            submission.write(results).await?;
            let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
            let text = script.summarize(&ids.join(":"));
            results.bucket().write(&results.job("summarize.sbatch"), text.clone().into()).await?;
            submission.summarize = Some(self.cluster.submit(&text).await?);
            Ok::<_, ExecutorError>(submission.write(results).await?)
        };
        let Err(error) = handed_in.await else { return Ok(()) };
        // An array of which nobody knows would be worse than none.
        let ids = submission.ids();
        match self.cluster.cancel(&ids, &submission.job_name()).await {
            Ok(()) => Err(error),
            Err(live) => {
                let said =
                    format!("{error}; jobs {} may be at work, as they could not be cancelled: {live}", ids.join(", "));
                Err(ClusterError::new("hand in", &said).into())
            }
        }
    }

    /// How often anything of the run was handed in. To be asked before it is looked whether jobs are at work, so that what
    /// another process hands in after that look is noticed.
    ///
    /// # Errors
    /// Where the store cannot be asked.
    pub async fn turn(&self) -> Result<usize, ExecutorError> {
        let keys = self.results.list().await?;
        let is_taken = |turn: &usize| keys.contains(&self.results.job(&format!("{turn}.json")));
        Ok((0..keys.len()).take_while(is_taken).count())
    }

    /// Takes a turn, which the first process that writes `job/<turn>.json` has. One that was never followed by jobs does not
    /// block the next.
    async fn claim(&self, turn: usize) -> Result<(), ExecutorError> {
        let said = serde_json::json!({"claimed": pipeline::event::now(), "process": std::process::id()}).to_string();
        if self.results.bucket().create(&self.results.job(&format!("{turn}.json")), said.into()).await? {
            return Ok(());
        }
        let said = "another process has just handed in jobs of this run; `--resume` follows them";
        Err(ClusterError::new("hand in", &said).into())
    }

    /// The report of a run by what lies in storage, and by what SLURM says of its jobs.
    ///
    /// # Errors
    /// Where the store cannot be asked. What SLURM cannot be asked is left out.
    pub async fn report(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
    ) -> Result<RunReport, ExecutorError> {
        // What SLURM has forgotten may have been told before.
        let before =
            self.results.bucket().read_if_there(&self.results.report(), MAX_RUN_REPORT_BYTES, "a report").await?;
        let before = before.and_then(|json| RunReport::parse(&json).ok()).filter(|report| report.run_id == plan.run_id);
        for job in before.and_then(|report| report.scheduled).unwrap_or_default().jobs {
            jobs.entry(job.id.clone()).or_insert(job);
        }
        _ = jobs::look(&self.cluster, submission, jobs).await;
        _ = jobs::add_accounts(&self.cluster, submission, jobs).await;
        let tasks = finished(&self.results, plan).await?;
        let mut report = run_report(&self.results, plan, tasks, EXECUTOR, submission.submitted.clone(), 1).await?;
        if !jobs::of_arrays(submission, jobs).into_iter().any(is_live) {
            end_with_tasks(&mut report);
        }
        let of_arrays = jobs::of_arrays(submission, jobs);
        told::add_ends(&mut report, plan, &of_arrays);
        report.scheduled = Some(Scheduled {
            scheduler: format!("slurm {}", self.cluster.version),
            cluster: self.cluster.name.clone(),
            jobs: of_arrays.into_iter().cloned().collect(),
        });
        Ok(report)
    }

    /// What SLURM knows of the jobs of a submission.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn jobs(&self, submission: &Submission) -> Result<Jobs, ClusterError> {
        let mut jobs = Jobs::new();
        jobs::look(&self.cluster, submission, &mut jobs).await?;
        // Accounts may be down, and add what is not needed to know what goes on.
        _ = jobs::add_accounts(&self.cluster, submission, &mut jobs).await;
        Ok(jobs)
    }

    /// Whether a job that does tasks waits or runs.
    ///
    /// # Errors
    /// Where SLURM cannot be asked.
    pub async fn is_at_work(&self, submission: &Submission) -> Result<bool, ClusterError> {
        Ok(jobs::of_arrays(submission, &self.jobs(submission).await?).into_iter().any(is_live))
    }

    /// The jobs of a run that wait or run and are in no submission: somebody was killed while handing them in.
    ///
    /// # Errors
    /// Where SLURM cannot be asked.
    pub async fn strays(&self, run_id: &str, submission: Option<&Submission>) -> Result<Vec<String>, ClusterError> {
        let mut found = self.cluster.named(&submission::job_name(run_id)).await?;
        let known = submission.map(Submission::ids).unwrap_or_default();
        found.retain(|id| !known.contains(&id.as_str()));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Ends the job that sums up, and waits until it has ended, so that it writes nothing any more.
    ///
    /// # Errors
    /// Where SLURM refuses, or it does not end.
    pub async fn end_summary(&self, submission: &Submission) -> Result<(), ClusterError> {
        let Some(id) = &submission.summarize else { return Ok(()) };
        self.cluster.cancel(&[id], &submission.job_name()).await?;
        let mut jobs = Jobs::new();
        for _ in 0..SUMMARY_LOOKS_MAX {
            jobs::look(&self.cluster, submission, &mut jobs).await?;
            if !jobs.get(id).is_some_and(is_live) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(ClusterError::new("scancel", &format!("job {id}, which sums up, does not end")))
    }

    /// Ends the jobs that do tasks; the one that sums up then says what is missing.
    ///
    /// # Errors
    /// Where SLURM refuses.
    pub async fn stop(&self, submission: &Submission) -> Result<(), ClusterError> {
        let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
        self.cluster.cancel(&ids, &submission.job_name()).await
    }

    /// Tells of the tasks that are new among the finished ones, and how the jobs stand; whether any is left.
    async fn look(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<bool, ExecutorError> {
        // Jobs first: what they wrote before they ended is then seen.
        jobs::look(&self.cluster, submission, jobs).await?;
        let keys = self.results.list_task_reports().await?;
        for task in &plan.tasks {
            if keys.contains(&self.results.task_report(task.rank)) && seen.insert(task.rank) {
                events.record(&Event::BatchPredicted { rank: task.rank, samples: 0, bytes: task.bytes() });
                events.record(&Event::TaskFinished { rank: task.rank, samples: 0, seconds: 0.0 });
            }
        }
        let of_arrays = jobs::of_arrays(submission, jobs);
        let running = of_arrays.iter().filter(|job| is_live(job) && job.state != "PENDING").count();
        let failed = of_arrays.iter().filter(|job| !is_live(job) && job.state != "COMPLETED").count();
        let pending: Vec<&&Job> = of_arrays.iter().filter(|job| job.state == "PENDING").collect();
        // A reason is known once the scheduler has looked.
        let first = pending.first().filter(|first| running == 0 && !first.reason.is_empty());
        let waiting = first.map(|first| format!("{} jobs wait: {}", pending.len(), first.reason));
        events.record(&Event::Counted { running, failed, waiting });
        Ok(of_arrays.into_iter().any(is_live))
    }

    /// Waits until no job that does tasks is left.
    async fn follow(
        &self,
        plan: &Plan,
        submission: &Submission,
        jobs: &mut Jobs,
        seen: &mut HashSet<usize>,
        events: &dyn EventSink,
    ) -> Result<(), ExecutorError> {
        let (mut wait, mut failed_looks) = (self.look_every, 0);
        loop {
            match self.look(plan, submission, jobs, seen, events).await {
                Ok(false) => return Ok(()),
                Ok(true) => failed_looks = 0,
                Err(error) if failed_looks == FAILED_LOOKS_MAX => return Err(error),
                Err(_) => failed_looks += 1,
            }
            tokio::time::sleep(wait).await;
            wait = (wait.mul_f64(1.5)).min(LOOK_EVERY_MAX);
        }
    }
}

#[async_trait]
impl Executor for Slurm {
    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        let submission = self.submission.lock().await.clone();
        let Some(mut submission) = submission else {
            return Err(ClusterError::new("follow", &"nothing was handed in").into());
        };
        let handed_out: HashSet<usize> =
            submission.arrays.iter().flat_map(Array::jobs).flat_map(|(_, ranks)| ranks).collect();
        let mut seen: HashSet<usize> = (0..plan.tasks.len()).filter(|rank| !handed_out.contains(rank)).collect();
        events.record(&Event::RunStarted {
            run_id: plan.run_id.clone(),
            tasks: plan.tasks.len(),
            finished_before: seen.len(),
            bytes: plan.tasks.iter().filter(|task| handed_out.contains(&task.rank)).map(|task| task.bytes()).sum(),
        });
        let mut jobs = Jobs::new();
        let report = loop {
            self.follow(plan, &submission, &mut jobs, &mut seen, events).await?;
            let mut report = self.report(plan, &submission, &mut jobs).await?;
            let Some((ranks, memory, request)) = self.with_more_memory(&report, &submission) else { break report };
            submission.turn += 1;
            if let Err(error) = self.add(plan, &ranks, Some(memory.clone()), request, &mut submission).await {
                let refused = report.failed.iter_mut().filter(|failed| ranks.contains(&failed.rank));
                refused
                    .for_each(|failed| failed.error += &format!("; with {memory} it was not handed in again: {error}"));
                break report;
            }
            *self.submission.lock().await = Some(submission.clone());
        };
        // Who follows sums up as well, and does not wait for a job that may wait for long.
        // One that cannot be ended comes to the same.
        _ = self.end_summary(&submission).await;
        for failed in &report.failed {
            let (rank, attempts, error) = (failed.rank, failed.attempts, failed.error.clone());
            events.record(&Event::TaskFailed { rank, attempts, error });
        }
        events.record(&Event::RunFinished {
            finished: report.tasks.len(),
            failed: report.failed.len(),
            left: report.left.len(),
        });
        Ok(report)
    }
}

impl Slurm {
    /// The tasks whose last jobs were out of memory, and how much they get now, where that is wanted.
    fn with_more_memory(&self, report: &RunReport, submission: &Submission) -> Option<(Vec<usize>, String, &Request)> {
        let request = self.request.as_ref()?;
        let factor = request.retry_memory_factor?;
        let last = submission.arrays.last()?;
        let prefix = format!("{}_", last.id);
        let jobs = report.scheduled.as_ref()?.jobs.iter().filter(|job| job.id.starts_with(&prefix));
        let ranks = told::out_of_memory(report, &jobs.collect::<Vec<_>>());
        let had = jobs::megabytes(last.memory.as_deref()?)?;
        let may = !ranks.is_empty() && submission.arrays.len() <= MORE_MEMORY_MAX;
        may.then(|| (ranks, format!("{:.0}M", (had * factor).ceil()), request))
    }
}

/// How some ranks are shared among the jobs of an array that the cluster allows.
fn array_of(cluster: &Cluster, ranks: &[usize], request: &Request) -> Array {
    let wanted = request.array_size.map_or(ranks.len(), |size| size as usize);
    let size = wanted.min(ranks.len()).min(cluster.max_array);
    let is_one_each = size == ranks.len() && ranks.iter().all(|&rank| rank < cluster.max_array);
    let of = (!is_one_each).then_some(size);
    Array { id: String::new(), ranks: ranks::format(ranks), of, memory: None }
}

fn indices(array: &Array) -> String {
    array.of.map_or_else(|| array.ranks.clone(), |of| ranks::format(&(0..of).collect::<Vec<_>>()))
}

/// The ranks that a worker is told to share; None where it is all of them.
fn among(array: &Array, plan: &Plan) -> Option<String> {
    let all = ranks::format(&(0..plan.tasks.len()).collect::<Vec<_>>());
    Some(array.ranks.clone()).filter(|ranks| array.of.is_some() && *ranks != all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(max_array: usize) -> Cluster {
        Cluster { name: "tests".into(), version: "22.05".into(), max_array, has_accounting: false }
    }

    fn array(max_array: usize, ranks: &[usize], size: Option<u32>) -> (String, Option<usize>, Vec<Vec<usize>>) {
        let array = array_of(&cluster(max_array), ranks, &Request { array_size: size, ..Request::default() });
        (indices(&array), array.of, array.jobs().into_iter().map(|(_, ranks)| ranks).collect())
    }

    #[test]
    fn ranks_are_shared_among_the_jobs_that_a_cluster_allows() {
        assert_eq!(array(1001, &[3, 17, 18], None), ("3,17-18".into(), None, vec![vec![3], vec![17], vec![18]]));
        assert_eq!(array(10, &[3, 17, 18], None), ("0-2".into(), Some(3), vec![vec![3], vec![17], vec![18]]));
        assert_eq!(array(2, &[3, 17, 18], None), ("0-1".into(), Some(2), vec![vec![3, 18], vec![17]]));
        assert_eq!(array(1001, &[0, 1, 2, 3], Some(2)), ("0-1".into(), Some(2), vec![vec![0, 2], vec![1, 3]]));
        assert_eq!(array(1001, &[5], Some(9)), ("5".into(), None, vec![vec![5]]));
        let ranks: Vec<usize> = (0..10_000).collect();
        let (text, of, jobs) = array(1001, &ranks, None);
        assert_eq!((text.as_str(), of), ("0-1000", Some(1001)));
        let mut all: Vec<usize> = jobs.concat();
        all.sort_unstable();
        assert_eq!(all, ranks);
    }
}
