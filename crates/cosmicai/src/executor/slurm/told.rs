//! From the states of jobs to what became of tasks, and what to ask for next time.

use std::collections::HashSet;

use pipeline::plan::Plan;
use pipeline::report::{FailedTask, Job, RunReport};

use super::jobs::is_live;

/// What SLURM calls a job that used more memory than it had.
pub(super) const OUT_OF_MEMORY: &str = "OUT_OF_MEMORY";
/// What it calls a job that was ended by someone.
const CANCELLED: &str = "CANCELLED";

/// Adds to a report why jobs ended early: the task that each was at failed for that reason, the others are left.
pub(super) fn add_ends(report: &mut RunReport, plan: &Plan, jobs: &[&Job]) {
    for job in jobs {
        let Some((rank, word)) = task_at_its_end(report, job) else { continue };
        let why = why(job);
        let error = word.map_or_else(|| why.clone(), |word| format!("{why}; the task said: {word}"));
        let files = plan.tasks[rank].files.iter().map(|file| file.key.clone()).collect();
        report.failed.retain(|failed| failed.rank != rank);
        report.left.retain(|left| *left != rank);
        report.failed.push(FailedTask { rank, files, attempts: job.restarts + 1, error });
    }
    report.failed.sort_by_key(|failed| failed.rank);
}

/// The ranks that are missing since their jobs were out of memory.
pub(super) fn out_of_memory(report: &RunReport, jobs: &[&Job]) -> Vec<usize> {
    let finished: HashSet<usize> = report.tasks.iter().map(|task| task.rank).collect();
    let killed = jobs.iter().filter(|job| job.state == OUT_OF_MEMORY);
    let mut ranks: Vec<usize> =
        killed.flat_map(|job| &job.ranks).copied().filter(|rank| !finished.contains(rank)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

/// The task that a job was at when it ended early, and what that task said itself.
fn task_at_its_end(report: &RunReport, job: &Job) -> Option<(usize, Option<String>)> {
    let never_began = job.state == CANCELLED && job.elapsed_seconds == 0.0;
    if is_live(job) || job.state == "COMPLETED" || never_began {
        return None;
    }
    let is_finished = |rank: usize| report.tasks.iter().any(|task| task.rank == rank);
    let unfinished: Vec<usize> =
        job.ranks.iter().copied().filter(|&rank| rank < report.tasks_planned && !is_finished(rank)).collect();
    let word = |rank: usize| report.failed.iter().find(|failed| failed.rank == rank).map(|failed| failed.error.clone());
    let ended =
        unfinished.iter().find_map(|&rank| Some((rank, Some(word(rank).filter(|word| word.starts_with(ENDED))?))));
    ended.or_else(|| unfinished.iter().find(|&&rank| word(rank).is_none()).map(|&rank| (rank, None)))
}

/// How the word of a task begins that was told to end.
pub(crate) const ENDED: &str = "told to end by a signal";

/// Why a job ended early, by SLURM's name for it, and what to try.
fn why(job: &Job) -> String {
    let advice = match job.state.as_str() {
        OUT_OF_MEMORY => {
            let used =
                job.memory_max_mb.map_or_else(String::new, |used| format!(", of which {used:.0} MB were seen used"));
            match job.memory_mb {
                Some(had) => format!(
                    "it had {had:.0} MB{used}; ask for more: --mem {:.0}M, or --retry-memory-factor 2",
                    had * 2.0
                ),
                None => "ask for more: --mem".to_owned(),
            }
        }
        "DEADLINE" => "it could not have ended by the deadline that it was given".to_owned(),
        "TIMEOUT" => format!(
            "it ran {}, all that it was allowed; ask for more: --time {}, or give each job fewer tasks (--array-size)",
            clock(job.elapsed_seconds),
            clock(job.time_limit_seconds.unwrap_or(job.elapsed_seconds) * 2.0)
        ),
        CANCELLED => "somebody ended it with scancel; --resume goes on".to_owned(),
        "NODE_FAIL" | "BOOT_FAIL" => "its node failed; --resume runs it on another".to_owned(),
        "PREEMPTED" => "another job was preferred; --resume goes on".to_owned(),
        _ => "`cosmicai logs` may say more".to_owned(),
    };
    let reason = if job.reason.is_empty() { String::new() } else { format!(" ({})", job.reason) };
    let exit =
        if job.exit_code.is_empty() { String::new() } else { format!(", exit status and signal {}", job.exit_code) };
    let nodes = if job.nodes.is_empty() { String::new() } else { format!(" on {}", job.nodes) };
    format!("{}: job {}{nodes}{reason}{exit}: {advice}", job.state, job.id)
}

/// A time as SLURM takes it.
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
            "model": {"url": "m", "sha256": "", "bytes": 0}, "machine": pipeline::event::Machine::detect(),
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
    fn the_task_that_a_job_was_at_failed_and_the_others_are_left() {
        let plan = plan();
        let ended = |state: &str, ranks: &[usize]| Job { ranks: ranks.to_vec(), ..job(state) };

        // Killed without a word: it was at the first of its tasks that is not finished.
        let mut killed = report(&[], &[0, 1, 2, 3, 4, 5]);
        add_ends(&mut killed, &plan, &[&ended(OUT_OF_MEMORY, &[1, 4])]);
        assert_eq!(killed.failed.iter().map(|task| task.rank).collect::<Vec<_>>(), [1]);
        assert_eq!((killed.left, killed.failed[0].files.clone()), (vec![0, 2, 3, 4, 5], vec!["1.pt".to_owned()]));

        // Told to end: the task that said so, and not the bad one before it.
        let word = format!("{ENDED} after 7 images");
        let mut told = report(&[(0, "bad partition"), (2, &word)], &[1, 3, 4, 5]);
        add_ends(&mut told, &plan, &[&ended("TIMEOUT", &[0, 2, 4])]);
        assert_eq!(told.failed[0].error, "bad partition");
        assert!(told.failed[1].error.starts_with("TIMEOUT: job 12_3") && told.failed[1].error.ends_with(&word));

        // One that failed since its task did, one that goes on, and one that never began say nothing new.
        let before = report(&[(0, "bad partition")], &[1, 2, 3, 4, 5]);
        let never = Job { elapsed_seconds: 0.0, ..ended(CANCELLED, &[3]) };
        let mut same = before.clone();
        add_ends(
            &mut same,
            &plan,
            &[&ended("FAILED", &[0]), &ended("RUNNING", &[1]), &ended("COMPLETED", &[2]), &never],
        );
        assert_eq!(same, before);
    }

    #[test]
    fn each_end_is_named_with_what_to_try() {
        let expected = [
            (
                OUT_OF_MEMORY,
                "OUT_OF_MEMORY: job 12_3 on n7, exit status and signal 0:15: it had 2000 MB, of which 1990 MB were seen used; ask for more: --mem 4000M",
            ),
            ("TIMEOUT", "ran 00:01:01, all that it was allowed; ask for more: --time 00:02:00"),
            (CANCELLED, "somebody ended it with scancel"),
            ("NODE_FAIL", "its node failed"),
            ("FAILED", "`cosmicai logs` may say more"),
        ];
        for (state, said) in expected {
            assert!(why(&job(state)).contains(said), "{}", why(&job(state)));
        }
    }
}
