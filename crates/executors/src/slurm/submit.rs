//! Submission: from unfinished tasks to jobs in SLURM's queue.

use pipeline::results::Results;
use records::plan::Plan;
use records::ranks;
use records::submission::{Array, Submission};

use super::begin::may_have_submitted;
use super::cluster::{Cluster, ClusterError};
use super::request::Request;
use super::script::Script;
use super::{Slurm, submission_file};
use crate::ExecutorError;

impl Slurm {
    /// Makes a submission without jobs.
    pub fn empty_submission(&self, plan: &Plan, logs: &str, turn: usize) -> Submission {
        Submission {
            format_version: records::submission::SUBMISSION_FORMAT,
            run_id: plan.run_id.clone(),
            cluster: self.cluster.name.clone(),
            submitted: pipeline::event::now(),
            logs: logs.to_owned(),
            turn,
            arrays: Vec::new(),
            summarize: None,
        }
    }

    /// Asks SLURM to check a request. Submits nothing.
    ///
    /// # Errors
    /// SLURM rejects the request.
    pub async fn test(&self, request: &Request) -> Result<(), ClusterError> {
        let script = Script { run_id: "test", request, logs: "/tmp", results: "/" };
        self.cluster.test(&script.array("0", None, None, request.memory.as_deref())).await
    }

    /// Submits tasks of a plan as an array, and a job that summarizes the run. Writes the scripts and the job ids into
    /// the results folder, and adds the jobs to `submission`.
    ///
    /// # Errors
    /// SLURM rejects the jobs, or another process submits the same run at the same time. The jobs that were submitted
    /// are cancelled. If `submission` has no array after an error, nothing was submitted.
    pub async fn submit(
        &self,
        plan: &Plan,
        ranks: &[usize],
        request: &Request,
        submission: &mut Submission,
    ) -> Result<(), ExecutorError> {
        self.add(plan, ranks, request.memory.clone(), request, submission).await
    }

    /// Makes the scripts that [`submit`](Self::submit) would submit: the array and the summarize job.
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
        (text, script.summarize("ARRAY_ID"))
    }

    pub(super) async fn add(
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
        // Results of earlier attempts at these tasks no longer count.
        let stale = ranks.iter().flat_map(|&rank| [results.failure(rank), results.task_report(rank)]);
        results.bucket().delete(stale.collect()).await?;
        let (name, known) = (submission.job_name(), submission.ids());
        array.id = match self.cluster.submit(&text, &name, &known).await {
            Err(error) if error.may_have_submitted() => {
                // Jobs that no file lists could not be followed or stopped.
                _ = self.cluster.cancel(&[], &name).await;
                return Err(error.into());
            }
            submitted => submitted?,
        };
        array.memory = memory;
        submission.arrays.push(array);
        submission.summarize = None;
        let submitted = async {
            submission_file::write(results, submission).await?;
            let ids: Vec<&str> = submission.arrays.iter().map(|array| array.id.as_str()).collect();
            let text = script.summarize(&ids.join(":"));
            results.bucket().write(&results.job("summarize.sbatch"), text.clone().into()).await?;
            let name = submission.job_name();
            submission.summarize = Some(self.cluster.submit(&text, &name, &submission.ids()).await?);
            Ok::<_, ExecutorError>(submission_file::write(results, submission).await?)
        };
        let Err(error) = submitted.await else { return Ok(()) };
        // Cancel the array: jobs that no file lists could not be followed or stopped.
        let ids = submission.ids();
        let cancelled = if may_have_submitted(&error) { &[][..] } else { &ids };
        match self.cluster.cancel(cancelled, &submission.job_name()).await {
            Ok(()) => Err(ClusterError::new("submit", &format!("{error}; its jobs were cancelled")).into()),
            Err(cancel_error) => {
                let problem = format!("{error}; cannot cancel jobs {}, which may run: {cancel_error}", ids.join(", "));
                Err(ClusterError::new("submit", &problem).into())
            }
        }
    }

    /// Number of submissions of this run so far. Read it before you check for running jobs. [`submit`](Self::submit)
    /// then fails if another process submits jobs after the check.
    ///
    /// # Errors
    /// The results folder cannot be read.
    pub async fn submissions_so_far(&self) -> Result<usize, ExecutorError> {
        let keys = self.results.list().await?;
        let is_taken = |turn: &usize| keys.contains(&self.results.job(&format!("{turn}.json")));
        Ok((0..keys.len()).take_while(is_taken).count())
    }

    /// Claims a turn by creating `job/<turn>.json`. Only the process that creates the file may submit. A claim without
    /// jobs does not block the next turn.
    async fn claim(&self, turn: usize) -> Result<(), ExecutorError> {
        let claim = serde_json::json!({"claimed": pipeline::event::now(), "process": std::process::id()}).to_string();
        if self.results.bucket().create(&self.results.job(&format!("{turn}.json")), claim.into()).await? {
            return Ok(());
        }
        let problem = "another process has just submitted jobs of this run; pass `--resume` to follow them";
        Err(ClusterError::new("submit", &problem).into())
    }
}

/// Array that shares ranks among its jobs: one job per rank, if the cluster allows an array of that size.
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

/// Value of `worker --among`; `None` if the jobs share all ranks.
fn among(array: &Array, plan: &Plan) -> Option<String> {
    let all = ranks::format(&(0..plan.tasks.len()).collect::<Vec<_>>());
    Some(array.ranks.clone()).filter(|ranks| array.of.is_some() && *ranks != all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(max_array: usize) -> Cluster {
        let (name, version) = ("tests".into(), "22.05".into());
        Cluster { name, version, max_array, has_accounting: false, clusters: None }
    }

    fn array(max_array: usize, ranks: &[usize], size: Option<u32>) -> (String, Option<usize>, Vec<Vec<usize>>) {
        let array = array_of(&cluster(max_array), ranks, &Request { array_size: size, ..Request::default() });
        (indices(&array), array.of, array.jobs().into_iter().map(|(_, ranks)| ranks).collect())
    }

    #[test]
    fn array_size_stays_within_the_limits_of_the_cluster_and_the_request() {
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
