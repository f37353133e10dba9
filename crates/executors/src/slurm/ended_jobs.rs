//! Jobs that ended early: the task that each job was running, the reason, and advice for the next run.

use std::collections::HashSet;

use records::plan::Plan;
use records::report::{FailedTask, Job, RunReport};

use super::jobs::is_live;

/// State of a job that used more memory than it had.
pub(super) const OUT_OF_MEMORY: &str = "OUT_OF_MEMORY";
/// State of a job that a user or an administrator cancelled.
const CANCELLED: &str = "CANCELLED";

/// Adds the jobs that ended early to a report. The task that a job was running fails with the job's reason. The other
/// unfinished tasks of the job stay left.
pub(super) fn add_ends(report: &mut RunReport, plan: &Plan, jobs: &[&Job]) {
    for job in jobs {
        let Some((rank, task_error)) = interrupted_task(report, job) else { continue };
        let reason = reason(job);
        let error = match task_error {
            Some(task_error) => format!("{reason}; error of the task: {task_error}"),
            None => reason,
        };
        let files = plan.tasks[rank].files.iter().map(|file| file.key.clone()).collect();
        report.failed.retain(|failed| failed.rank != rank);
        report.left.retain(|left| *left != rank);
        report.failed.push(FailedTask { rank, files, attempts: job.restarts + 1, error });
    }
    report.failed.sort_by_key(|failed| failed.rank);
}

/// Ranks of the unfinished tasks whose jobs ran out of memory.
pub(super) fn out_of_memory(report: &RunReport, jobs: &[&Job]) -> Vec<usize> {
    let finished: HashSet<usize> = report.tasks.iter().map(|task| task.rank).collect();
    let killed = jobs.iter().filter(|job| job.state == OUT_OF_MEMORY);
    let mut ranks: Vec<usize> =
        killed.flat_map(|job| &job.ranks).copied().filter(|rank| !finished.contains(rank)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// Rank of the task that a job was running when it ended early, and the error that the worker wrote for it, if any.
///
/// The worker writes an error if a signal ends it. Otherwise the task is the first unfinished one without an error.
fn interrupted_task(report: &RunReport, job: &Job) -> Option<(usize, Option<String>)> {
    if is_live(job) || job.state == "COMPLETED" {
        return None;
    }
    // SLURM counts whole seconds. A job that ended within its first one is known by the error of its worker only.
    let may_not_have_started = job.state == CANCELLED && job.elapsed_seconds == 0.0;
    let is_finished = |rank: usize| report.tasks.iter().any(|task| task.rank == rank);
    let unfinished: Vec<usize> =
        job.ranks.iter().copied().filter(|&rank| rank < report.tasks_planned && !is_finished(rank)).collect();
    let error =
        |rank: usize| report.failed.iter().find(|failed| failed.rank == rank).map(|failed| failed.error.clone());
    let ended = unfinished
        .iter()
        .find_map(|&rank| Some((rank, Some(error(rank).filter(|error| error.starts_with(ENDED_BY_SIGNAL))?))));
    ended.or_else(|| {
        let first = unfinished.iter().find(|&&rank| error(rank).is_none() && !may_not_have_started);
        first.map(|&rank| (rank, None))
    })
}

/// Start of the error that a worker writes for a task that a signal ended.
pub const ENDED_BY_SIGNAL: &str = "ended by a signal";

/// Reason why a job ended early: SLURM's state of the job, its details, and advice.
fn reason(job: &Job) -> String {
    let advice = match job.state.as_str() {
        OUT_OF_MEMORY => {
            let used = job.memory_max_mb.map_or_else(String::new, |used| format!(" and used at least {used:.0} MB"));
            match job.memory_mb {
                Some(memory_mb) => format!(
                    "it had {memory_mb:.0} MB{used}; request more memory with --mem {:.0}M or --retry-memory-factor 2",
                    memory_mb * 2.0
                ),
                None => "request more memory with --mem".to_owned(),
            }
        }
        "DEADLINE" => "it could not end before its deadline".to_owned(),
        "TIMEOUT" => format!(
            "it ran for {} and reached its time limit; request more time with --time {}, or fewer tasks per job with a \
             larger --array-size",
            clock(job.elapsed_seconds),
            clock(job.time_limit_seconds.unwrap_or(job.elapsed_seconds) * 2.0)
        ),
        CANCELLED => "it was cancelled (scancel); pass `--resume` to continue".to_owned(),
        "NODE_FAIL" | "BOOT_FAIL" => "its node failed; pass `--resume` to run its tasks on another node".to_owned(),
        "PREEMPTED" => "a job with a higher priority took its place; pass `--resume` to continue".to_owned(),
        _ => "see `cosmicai logs` for its messages".to_owned(),
    };
    let details = if job.reason.is_empty() { String::new() } else { format!(" ({})", job.reason) };
    let exit =
        if job.exit_code.is_empty() { String::new() } else { format!(", exit status and signal {}", job.exit_code) };
    let nodes = if job.nodes.is_empty() { String::new() } else { format!(" on {}", job.nodes) };
    format!("{}: job {}{nodes}{details}{exit}: {advice}", job.state, job.id)
}

/// Duration in SLURM's format, `HH:MM:SS`.
fn clock(seconds: f64) -> String {
    let whole = seconds.ceil() as u64;
    format!("{:02}:{:02}:{:02}", whole / 3_600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str) -> Job {
        Job {
            id: "12_3".into(),
            state: state.into(),
            exit_code: "0:15".into(),
            nodes: "n7".into(),
            elapsed_seconds: 61.0,
            time_limit_seconds: Some(60.0),
            memory_mb: Some(2000.0),
            memory_max_mb: Some(1990.0),
            ..Job::default()
        }
    }

    fn report(failed: &[(usize, &str)], left: &[usize]) -> RunReport {
        let failed: Vec<serde_json::Value> = failed
            .iter()
            .map(|(rank, error)| serde_json::json!({"rank": rank, "files": [], "attempts": 1, "error": error}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "format_version": 1, "run_id": "1", "results_url": "/r/", "executor": "slurm", "isa": "", "precision": "f32",
            "model": {"url": "m", "sha256": "", "bytes": 0}, "machine": pipeline::event::this_machine(),
            "workers": 1, "threads": 1, "started": "", "finished": "", "seconds": 1.0, "tasks_planned": 6, "samples": 0,
            "bytes": 0, "tasks": [], "failed": failed, "left": left
        }))
        .unwrap()
    }

    fn plan() -> Plan {
        let payload = serde_json::json!({
            "bucket": "sky", "file_limit": 6, "batch_size": 256, "model": "m", "result_path": "r", "data_bucket": "sky",
            "data_prefix": "p"
        });
        let tasks: Vec<serde_json::Value> = (0..6)
            .map(|rank| serde_json::json!({"rank": rank, "files": [{"key": format!("{rank}.pt"), "bytes": 1}]}))
            .collect();
        let plan = serde_json::json!({
            "format_version": 1, "run_id": "1", "created": "", "created_by": "", "payload": payload,
            "model": {"url": "m", "sha256": "", "bytes": 0}, "tasks": tasks
        });
        Plan::parse(plan.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_running_task_of_an_ended_job_fails_and_its_other_tasks_are_left() {
        let plan = plan();
        let ended = |state: &str, ranks: &[usize]| Job { ranks: ranks.to_vec(), ..job(state) };

        // A killed job writes no error. It was running the first of its unfinished tasks.
        let mut killed = report(&[], &[0, 1, 2, 3, 4, 5]);
        add_ends(&mut killed, &plan, &[&ended(OUT_OF_MEMORY, &[1, 4])]);
        assert_eq!(killed.failed.iter().map(|task| task.rank).collect::<Vec<_>>(), [1]);
        assert_eq!((killed.left, killed.failed[0].files.clone()), (vec![0, 2, 3, 4, 5], vec!["1.pt".to_owned()]));

        // A job that received a signal: the task with that error was running, not the failed task before it.
        let by_signal = format!("{ENDED_BY_SIGNAL} after 7 images");
        let mut signalled = report(&[(0, "bad partition"), (2, &by_signal)], &[1, 3, 4, 5]);
        add_ends(&mut signalled, &plan, &[&ended("TIMEOUT", &[0, 2, 4])]);
        assert_eq!(signalled.failed[0].error, "bad partition");
        let error = &signalled.failed[1].error;
        assert!(error.starts_with("TIMEOUT: job 12_3") && error.ends_with(&by_signal), "{error}");

        // Nothing changes for jobs that failed because of their task, still run, completed, or never started.
        let before = report(&[(0, "bad partition")], &[1, 2, 3, 4, 5]);
        let never = Job { elapsed_seconds: 0.0, ..ended(CANCELLED, &[3]) };
        let mut unchanged = before.clone();
        add_ends(
            &mut unchanged,
            &plan,
            &[&ended("FAILED", &[0]), &ended("RUNNING", &[1]), &ended("COMPLETED", &[2]), &never],
        );
        assert_eq!(unchanged, before);

        // A job that was cancelled within its first second had started, as the error of its worker shows.
        let mut early = report(&[(3, &by_signal)], &[0, 1, 2, 4, 5]);
        add_ends(&mut early, &plan, &[&never]);
        assert!(early.failed[0].error.starts_with("CANCELLED: job 12_3"), "{:?}", early.failed);
    }

    #[test]
    fn the_reason_names_the_state_and_gives_advice() {
        let expected = [
            (
                OUT_OF_MEMORY,
                "OUT_OF_MEMORY: job 12_3 on n7, exit status and signal 0:15: it had 2000 MB and used at least \
                 1990 MB; request more memory with --mem 4000M",
            ),
            ("TIMEOUT", "it ran for 00:01:01 and reached its time limit; request more time with --time 00:02:00"),
            (CANCELLED, "it was cancelled (scancel)"),
            ("NODE_FAIL", "its node failed"),
            ("FAILED", "see `cosmicai logs` for its messages"),
        ];
        for (state, text) in expected {
            assert!(reason(&job(state)).contains(text), "{}", reason(&job(state)));
        }
    }
}
