//! States of jobs, read from the output of `scontrol` and `sacct`.

use std::collections::{BTreeMap, HashMap};

use records::ranks;
use records::report::Job;
use records::submission::Submission;

use super::cluster::{Cluster, ClusterError};

/// States of jobs that have ended. A job in any other state may still run.
const ENDED: [&str; 12] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "LAUNCH_FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "RECONFIG_FAIL",
    "REVOKED",
    "TIMEOUT",
];
/// Index that SLURM prints for an array that ended before any of its jobs started. The line is about all its jobs.
const NO_INDEX: &str = "4294967294";
/// Columns of the output of `sacct`.
const COLUMNS: &str = "JobID,State,ExitCode,ElapsedRaw,TimelimitRaw,ReqMem,MaxRSS,NodeList,NCPUS";

/// Jobs by id. The id of a job in an array has the form `12_3`.
pub type Jobs = BTreeMap<String, Job>;

/// Returns true if a job is pending, running or about to run.
pub fn is_live(job: &Job) -> bool {
    !job.state.is_empty() && !ENDED.contains(&job.state.as_str())
}

/// Updates the states of the jobs of a submission from the controller.
pub(super) async fn update(cluster: &Cluster, submission: &Submission, jobs: &mut Jobs) -> Result<(), ClusterError> {
    for id in submission.ids() {
        let lines = cluster.show(id).await?;
        let found = from_scontrol(&lines, &submission.job_name());
        if found.is_empty() {
            // The controller no longer knows the job, so it has ended. Accounting may know its final state.
            let prefix = format!("{id}_");
            jobs.retain(|known, job| !is_live(job) || !(known == id || known.starts_with(&prefix)));
        }
        for (id, job) in found {
            let memory_max_mb = job.memory_max_mb.or_else(|| jobs.get(&id).and_then(|known| known.memory_max_mb));
            jobs.insert(id, Job { memory_max_mb, ..job });
        }
    }
    for array in &submission.arrays {
        let Some(whole) = jobs.remove(&array.id) else { continue };
        for (index, _) in array.jobs() {
            let id = format!("{}_{index}", array.id);
            if jobs.get(&id).is_none_or(is_live) {
                jobs.insert(id.clone(), Job { id, ..whole.clone() });
            }
        }
    }
    add_ranks(submission, jobs);
    Ok(())
}

/// Adds data from accounting, if the cluster has it: peak memory, and jobs that the controller no longer knows.
pub(super) async fn add_accounts(
    cluster: &Cluster,
    submission: &Submission,
    jobs: &mut Jobs,
) -> Result<(), ClusterError> {
    if !cluster.has_accounting {
        return Ok(());
    }
    let lines = cluster.accounts(&submission.ids().join(","), COLUMNS).await?;
    for (id, accounted) in from_sacct(&lines) {
        match jobs.get_mut(&id) {
            Some(known) => known.memory_max_mb = accounted.memory_max_mb.or(known.memory_max_mb),
            // Accounting may lag behind the controller, so its live states are ignored.
            None if is_live(&accounted) => {}
            None => _ = jobs.insert(id, accounted),
        }
    }
    add_ranks(submission, jobs);
    Ok(())
}

/// Jobs of the arrays of a submission, in order.
pub(super) fn of_arrays<'a>(submission: &Submission, jobs: &'a Jobs) -> Vec<&'a Job> {
    let ids = submission.arrays.iter().flat_map(|array| {
        array.jobs().into_iter().map(|(index, _)| format!("{}_{index}", array.id)).collect::<Vec<_>>()
    });
    ids.filter_map(|id| jobs.get(&id)).collect()
}

fn add_ranks(submission: &Submission, jobs: &mut Jobs) {
    for array in &submission.arrays {
        for (index, ranks) in array.jobs() {
            if let Some(job) = jobs.get_mut(&format!("{}_{index}", array.id)) {
                job.ranks = ranks;
            }
        }
    }
}

/// Reads the output of `scontrol --oneliner show job`. Skips jobs with another name: SLURM reuses the ids of jobs.
fn from_scontrol(lines: &str, job_name: &str) -> Vec<(String, Job)> {
    lines.lines().flat_map(|line| jobs_of_line(line, job_name).unwrap_or_default()).collect()
}

fn jobs_of_line(line: &str, job_name: &str) -> Option<Vec<(String, Job)>> {
    // Use the first value of each key. Paths come last and may contain any text.
    let mut fields: HashMap<&str, &str> = HashMap::new();
    for (key, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
        fields.entry(key).or_insert(value);
    }
    let field = |key: &str| fields.get(key).copied().filter(|value| !["(null)", "None", "N/A"].contains(value));
    let text = |key: &str| field(key).unwrap_or_default().to_owned();
    if field("JobName") != Some(job_name) {
        return None;
    }
    let cpus = field("NumCPUs").and_then(|cpus| cpus.split('-').next()?.parse().ok()).unwrap_or(0);
    let of_cpu = || Some(megabytes(field("MinMemoryCPU")?)? * cpus as f64);
    let job = Job {
        state: text("JobState"),
        reason: text("Reason"),
        exit_code: text("ExitCode"),
        nodes: text("NodeList"),
        cpus,
        elapsed_seconds: field("RunTime").and_then(seconds).unwrap_or(0.0),
        time_limit_seconds: field("TimeLimit").and_then(seconds),
        memory_mb: field("MinMemoryNode").and_then(megabytes).or_else(of_cpu).filter(|memory| *memory > 0.0),
        restarts: field("Restarts").and_then(|restarts| restarts.parse().ok()).unwrap_or(0),
        ..Job::default()
    };
    let ids = match (field("ArrayJobId"), field("ArrayTaskId")) {
        (Some(array), Some(NO_INDEX)) => vec![array.to_owned()],
        (Some(array), Some(indices)) => {
            ranks::parse(indices).ok()?.into_iter().map(|index| format!("{array}_{index}")).collect()
        }
        _ => vec![field("JobId")?.to_owned()],
    };
    Some(ids.into_iter().map(|id| (id.clone(), Job { id, ..job.clone() })).collect())
}

/// Reads the output of `sacct --noheader --parsable2` with [`COLUMNS`]. Steps (`12_3.batch`) report the memory used.
fn from_sacct(lines: &str) -> Vec<(String, Job)> {
    let mut jobs: Vec<(String, Job)> = Vec::new();
    for line in lines.lines() {
        let columns: Vec<&str> = line.split('|').collect();
        let [id, state, exit_code, elapsed, limit_minutes, memory, memory_max, nodes, cpus] = columns[..] else {
            continue;
        };
        if let Some((of, _)) = id.split_once('.') {
            let used = megabytes(memory_max);
            if let Some((_, job)) = jobs.iter_mut().find(|(id, _)| id == of) {
                job.memory_max_mb = match (job.memory_max_mb, used) {
                    (Some(before), Some(used)) => Some(before.max(used)),
                    (before, used) => before.or(used),
                };
            }
            continue;
        }
        let job = Job {
            // The state may be `CANCELLED by 1000`.
            state: state.split(' ').next().unwrap_or_default().to_owned(),
            exit_code: exit_code.to_owned(),
            nodes: if nodes == "None assigned" { String::new() } else { nodes.to_owned() },
            cpus: cpus.parse().unwrap_or(0),
            elapsed_seconds: elapsed.parse().unwrap_or(0.0),
            time_limit_seconds: limit_minutes.parse::<f64>().ok().map(|minutes| minutes * 60.0),
            memory_mb: megabytes(memory.trim_end_matches(['n', 'c'])).filter(|memory| *memory > 0.0),
            ..Job::default()
        };
        let ids = match id.split_once('_') {
            Some((array, indices)) => {
                ranks::parse(indices).unwrap_or_default().into_iter().map(|index| format!("{array}_{index}")).collect()
            }
            None => vec![id.to_owned()],
        };
        jobs.extend(ids.into_iter().map(|id| (id.clone(), Job { id, ..job.clone() })));
    }
    jobs
}

/// Parses a size such as `4G`, `2000M`, `3.5G`, `900K` or `4000` (megabytes) into binary megabytes.
pub(super) fn megabytes(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match text[digits.len()..].chars().next().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => 1.0 / 1024.0,
        None | Some('M') => 1.0,
        Some('G') => 1024.0,
        Some('T') => 1024.0 * 1024.0,
        Some(_) => return None,
    };
    let number: f64 = digits.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

/// Parses a duration such as `1-02:03:04`, `02:03:04` or `03:04` into seconds. `None` for words such as `UNLIMITED`.
fn seconds(text: &str) -> Option<f64> {
    let (days, time) = text.split_once('-').unwrap_or(("0", text));
    let mut total = 0.0;
    for part in time.split(':') {
        total = total * 60.0 + f64::from(part.parse::<u32>().ok()?);
    }
    Some(f64::from(days.parse::<u32>().ok()?) * 86_400.0 + total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Output of SLURM 22.05, with an invented user and node.
    const LINES: &str = "\
JobId=13 ArrayJobId=12 ArrayTaskId=3 JobName=cosmicai-1 UserId=ada(1000) GroupId=ada(1000) MCS_label=N/A Priority=1 Nice=0 \
Account=(null) QOS=(null) JobState=TIMEOUT Reason=TimeLimit Dependency=(null) Requeue=1 Restarts=2 BatchFlag=1 Reboot=0 \
ExitCode=0:15 RunTime=1-00:01:03 TimeLimit=1-00:01:00 TimeMin=N/A NodeList=n7 BatchHost=n7 NumNodes=1 NumCPUs=4 NumTasks=1 \
CPUs/Task=4 MinCPUsNode=4 MinMemoryCPU=500M MinTmpDiskNode=0 Command=(null) WorkDir=/x JobState=COMPLETED StdIn=/dev/null
JobId=12 ArrayJobId=12 ArrayTaskId=5,7-9%2 JobName=cosmicai-1 JobState=PENDING Reason=Resources RunTime=00:00:00 \
TimeLimit=UNLIMITED NodeList=(null) NumNodes=1-1 NumCPUs=1 MinMemoryNode=2G
JobId=20 JobName=cosmicai-1 JobState=COMPLETED Reason=None ExitCode=0:0 RunTime=00:02 NumCPUs=1 MinMemoryNode=0
JobId=21 JobName=another JobState=RUNNING
JobId=30 ArrayJobId=30 ArrayTaskId=4294967294 JobName=cosmicai-1 JobState=CANCELLED
not a job";

    #[test]
    fn parses_output_of_scontrol() {
        let jobs: Jobs = from_scontrol(LINES, "cosmicai-1").into_iter().collect();
        let ids: Vec<&str> = jobs.keys().map(String::as_str).collect();
        assert_eq!(ids, ["12_3", "12_5", "12_7", "12_8", "12_9", "20", "30"]);
        let job = &jobs["12_3"];
        assert_eq!((job.state.as_str(), job.reason.as_str(), job.exit_code.as_str()), ("TIMEOUT", "TimeLimit", "0:15"));
        assert_eq!((job.elapsed_seconds, job.time_limit_seconds), (86_463.0, Some(86_460.0)));
        assert_eq!((job.memory_mb, job.cpus, job.restarts, job.nodes.as_str()), (Some(2000.0), 4, 2, "n7"));
        assert!(!is_live(job) && is_live(&jobs["12_8"]));
        assert_eq!((jobs["12_8"].memory_mb, jobs["12_8"].time_limit_seconds), (Some(2048.0), None));
        assert_eq!((jobs["20"].memory_mb, jobs["20"].elapsed_seconds), (None, 2.0));
    }

    #[test]
    fn parses_output_of_sacct() {
        let lines = "\
12_3|OUT_OF_MEMORY|0:125|61|60|2000Mn||n7|4
12_3.batch|OUT_OF_MEMORY|0:125|61|||2039812K|n7|4
12_3.extern|COMPLETED|0:0|61|||1K|n7|4
12_[5,7-8]|CANCELLED by 1000|0:0|0|Partition_Limit|4000M||None assigned|4
20|COMPLETED|0:0|2|60|||n7|1
short|line";
        let jobs: Jobs = from_sacct(lines).into_iter().collect();
        assert_eq!(jobs.keys().map(String::as_str).collect::<Vec<_>>(), ["12_3", "12_5", "12_7", "12_8", "20"]);
        let job = &jobs["12_3"];
        assert_eq!((job.state.as_str(), job.memory_max_mb), ("OUT_OF_MEMORY", Some(2_039_812.0 / 1024.0)));
        assert_eq!((job.memory_mb, job.time_limit_seconds), (Some(2000.0), Some(3600.0)));
        assert_eq!((jobs["12_7"].state.as_str(), jobs["12_7"].nodes.as_str()), ("CANCELLED", ""));
    }

    #[test]
    fn parses_sizes_and_durations() {
        assert_eq!(
            ["4G", "2000M", "1.5g", "2048K", "7", "4Gn"].map(megabytes),
            [Some(4096.0), Some(2000.0), Some(1536.0), Some(2.0), Some(7.0), Some(4096.0)]
        );
        assert_eq!(["", "x", "-1", "4Z", "G"].map(megabytes), [None; 5]);
        assert_eq!(["00:00:10", "01:02", "2-00:00:01"].map(seconds), [Some(10.0), Some(62.0), Some(172_801.0)]);
        assert_eq!(["UNLIMITED", "", "1:x"].map(seconds), [None; 3]);
    }

    proptest! {
        #[test]
        fn parsers_never_panic(line in "(JobId|ArrayTaskId|JobState|[0-9=|_\\[\\]:. -]|\\PC){0,60}") {
            let _ = (from_scontrol(&line, "x"), from_sacct(&line), megabytes(&line), seconds(&line));
        }
    }
}
