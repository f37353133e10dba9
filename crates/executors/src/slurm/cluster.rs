//! Runs SLURM's commands and reads their output.

use std::collections::HashMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Largest output that is accepted, in bytes: more than ten thousand jobs of two kilobytes each.
const MAX_OUTPUT_BYTES: usize = 64 << 20;
/// Longest part of sbatch's output that a message repeats, in characters.
const MAX_SHOWN_CHARS: usize = 300;
/// Limit of array indices if the cluster does not state one. It is SLURM's default.
const DEFAULT_MAX_ARRAY: usize = 1001;
/// Environment variables that are removed, because sbatch prefers them to the options in a script.
const OVERRIDING_VARIABLES: [&str; 17] = [
    "SBATCH_CLUSTERS",
    "SLURM_CLUSTERS",
    "SBATCH_MEM_PER_CPU",
    "SBATCH_MEM_PER_GPU",
    "SBATCH_SIGNAL",
    "SBATCH_ARRAY_INX",
    "SBATCH_WAIT",
    "SBATCH_OUTPUT",
    "SBATCH_ERROR",
    "SBATCH_JOB_NAME",
    "SBATCH_OPEN_MODE",
    "SBATCH_REQUEUE",
    "SBATCH_NO_REQUEUE",
    "SBATCH_PARTITION",
    "SBATCH_ACCOUNT",
    "SBATCH_TIMELIMIT",
    "SBATCH_MEM_PER_NODE",
];

/// Error of a SLURM command that cannot be run, or that failed.
#[derive(Debug, thiserror::Error)]
#[error("slurm: {action}: {problem}")]
pub struct ClusterError {
    action: String,
    problem: String,
    /// True if SLURM may have accepted a job whose id is unknown.
    may_have_submitted: bool,
}

/// Cluster that this machine belongs to, or another one that SLURM reaches from here.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Name of the cluster.
    pub name: String,
    /// Version of SLURM.
    pub version: String,
    /// Upper limit of array indices. Every index is less than it.
    pub max_array: usize,
    /// True if the cluster keeps accounting data, which `sacct` reads.
    pub has_accounting: bool,
    /// Value of `--clusters` for every command; `None` for the cluster of this machine.
    pub clusters: Option<String>,
}

impl Cluster {
    /// Asks SLURM for the cluster of this machine, or for the one with the name in `clusters`.
    ///
    /// # Errors
    /// This machine has no SLURM, or the controller does not answer.
    pub async fn find(clusters: Option<&str>) -> Result<Self, ClusterError> {
        let config = run(clusters, "scontrol", &["show", "config"], None).await?;
        let values: HashMap<&str, &str> = config
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let value = |key: &str| values.get(key).copied().unwrap_or_default();
        Ok(Self {
            name: clusters.unwrap_or(value("ClusterName")).to_owned(),
            version: value("SLURM_VERSION").to_owned(),
            max_array: value("MaxArraySize").parse().unwrap_or(DEFAULT_MAX_ARRAY).max(1),
            has_accounting: !["", "(null)", "accounting_storage/none"].contains(&value("AccountingStorageType")),
            clusters: clusters.map(str::to_owned),
        })
    }

    /// Submits a script, and returns the id of its job. If sbatch's answer has no id, or sbatch fails, looks for the job
    /// by its name. `known` are the other jobs of that name.
    pub(super) async fn submit(&self, script: &str, job_name: &str, known: &[&str]) -> Result<String, ClusterError> {
        let (error, is_unclear) = match self.run("sbatch", &["--parsable"], Some(script)).await {
            Ok(output) => match job_id(&output) {
                Some(id) => return Ok(id),
                None => {
                    let shown: String = output.trim().chars().take(MAX_SHOWN_CHARS).collect();
                    let problem = format!("cannot read a job id from sbatch's output: `{shown}`");
                    (ClusterError::new("sbatch", &problem), true)
                }
            },
            // The controller may have accepted the job although its answer came too late.
            Err(error) => {
                let is_late = error.problem.contains("timed out");
                (error, is_late)
            }
        };
        let mut found = self.named(job_name).await.unwrap_or_default();
        found.retain(|id| !known.contains(&id.as_str()));
        match found.as_slice() {
            [id] => Ok(id.clone()),
            [] if !is_unclear => Err(error),
            [] => {
                let problem = format!("{}; `squeue --name {job_name}` lists no job", error.problem);
                Err(ClusterError { problem, may_have_submitted: true, ..error })
            }
            many => {
                let problem = format!("{}; `squeue --name {job_name}` lists {}", error.problem, many.join(", "));
                Err(ClusterError { problem, may_have_submitted: true, ..error })
            }
        }
    }

    /// Asks SLURM to check a script. Submits nothing.
    pub(super) async fn test(&self, script: &str) -> Result<(), ClusterError> {
        self.run("sbatch", &["--test-only"], Some(script)).await.map(drop)
    }

    /// Ids of the pending and running jobs with a name.
    pub(super) async fn named(&self, job_name: &str) -> Result<Vec<String>, ClusterError> {
        let lines = self.ask("squeue", &["--noheader", "--format=%A %F", "--name", job_name]).await?;
        // With `--clusters`, the first line names the cluster.
        let is_id = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        let mut ids: Vec<String> =
            lines.lines().filter_map(|line| line.split_whitespace().last()).filter(is_id).map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Output of `scontrol` for a job or an array, one line per job. Empty if the controller no longer knows the id.
    pub(super) async fn show(&self, id: &str) -> Result<String, ClusterError> {
        match self.ask("scontrol", &["--oneliner", "show", "job", id]).await {
            Err(error) if error.problem.contains("Invalid job id") => Ok(String::new()),
            output => output,
        }
    }

    /// Output of `sacct` for jobs, with the columns of `format`.
    pub(super) async fn accounts(&self, ids: &str, format: &str) -> Result<String, ClusterError> {
        self.ask("sacct", &["--noheader", "--parsable2", "--format", format, "--jobs", ids]).await
    }

    /// Cancels the jobs in `ids` whose name is `job_name`; all jobs of that name if there are no `ids`.
    pub(super) async fn cancel(&self, ids: &[&str], job_name: &str) -> Result<(), ClusterError> {
        let mut arguments = vec!["--name", job_name];
        arguments.extend(ids);
        match self.ask("scancel", &arguments).await {
            // A job that SLURM no longer knows has ended.
            Err(error) if error.problem.split("; ").all(|line| line.contains("Invalid job id")) => Ok(()),
            output => output.map(drop),
        }
    }

    async fn ask(&self, program: &str, arguments: &[&str]) -> Result<String, ClusterError> {
        self.run(program, arguments, None).await
    }

    async fn run(&self, program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, ClusterError> {
        run(self.clusters.as_deref(), program, arguments, input).await
    }
}

impl ClusterError {
    pub(super) fn new(action: &str, problem: &dyn std::fmt::Display) -> Self {
        Self { action: action.to_owned(), problem: problem.to_string(), may_have_submitted: false }
    }

    /// Returns true if SLURM may have accepted a job whose id is unknown.
    pub fn may_have_submitted(&self) -> bool {
        self.may_have_submitted
    }
}

/// Job id in the output of `sbatch --parsable`: the last line that is an id, or an id and a cluster (`101;c`). The
/// wrapper of a site may print other lines first, or drop `--parsable`.
fn job_id(output: &str) -> Option<String> {
    let id = |line: &str| {
        let line = line.trim();
        let id = match line.strip_prefix("Submitted batch job ") {
            Some(rest) => rest.split(' ').next()?,
            None => line.split(';').next()?,
        };
        let is_id = id.bytes().all(|byte| byte.is_ascii_digit()) && id.parse::<u32>().is_ok_and(|id| id > 0);
        is_id.then(|| id.to_owned())
    };
    output.lines().rev().find_map(id)
}

/// Runs a command with `input` on its standard input, and returns its standard output. `clusters` is the cluster to
/// ask, if it is not that of this machine.
async fn run(
    clusters: Option<&str>,
    program: &str,
    arguments: &[&str],
    input: Option<&str>,
) -> Result<String, ClusterError> {
    let action = arguments.iter().fold(program.to_owned(), |all, argument| format!("{all} {argument}"));
    let failed = |problem: &dyn std::fmt::Display| ClusterError::new(&action, problem);
    let mut command = Command::new(program);
    // Print all indices of an array, and times in SLURM's default format.
    command.args(arguments).env("SLURM_BITSTR_LEN", "0").env_remove("SLURM_TIME_FORMAT");
    OVERRIDING_VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
    if let Some(clusters) = clusters {
        command.env("SLURM_CLUSTERS", clusters);
        // scontrol reads options before its words only; the variable is enough for it.
        if program != "scontrol" {
            command.arg(format!("--clusters={clusters}"));
        }
    }
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C interrupts this process, but must not interrupt a submission halfway.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(&format!(
            "no `{program}` on the path; run this on a login node, after `module load slurm` if the cluster needs it"
        )),
        _ => failed(&error),
    })?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // If the command does not read its input, its exit status and messages below state why.
        _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| failed(&error))?;
    if output.stdout.len() > MAX_OUTPUT_BYTES {
        return Err(failed(&format!(
            "its output has {} bytes, more than the limit of {MAX_OUTPUT_BYTES}",
            output.stdout.len()
        )));
    }
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = messages.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let problem = if lines.is_empty() { output.status.to_string() } else { lines.join("; ") };
        return Err(failed(&problem));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_job_id_from_the_last_line_that_is_one() {
        for (output, expected) in [
            ("101\n", "101"),
            ("101;tests\n", "101"),
            ("   Welcome to the cluster\n--> Verifying access to the queue...OK\n101\n", "101"),
            ("7\n101\nGoodbye\n", "101"),
            ("101\r\n\r\n", "101"),
            ("Hello\nSubmitted batch job 101\n", "101"),
            ("Submitted batch job 101 on cluster tests\n", "101"),
        ] {
            assert_eq!(job_id(output).as_deref(), Some(expected), "{output}");
        }
        for none in
            ["", "\n", "3 jobs are waiting\n", "job 101 submitted", "-1", "0", "1.5", "99999999999999999999", "1_2"]
        {
            assert_eq!(job_id(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_greeting_keeps_the_id(greeting in "\\PC{0,40}", id in 1_u32..) {
            prop_assert_eq!(job_id(&format!("{greeting}\n{id}\n")), Some(id.to_string()));
            _ = job_id(&greeting);
        }
    }
}
