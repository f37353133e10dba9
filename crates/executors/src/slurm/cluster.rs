//! Runs SLURM's commands and reads their output.

use std::collections::HashMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Largest output that is accepted, in bytes: more than ten thousand jobs of two kilobytes each.
const MAX_OUTPUT_BYTES: usize = 64 << 20;
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
}

/// Cluster that this machine belongs to.
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
}

impl Cluster {
    /// Asks SLURM for the cluster of this machine.
    ///
    /// # Errors
    /// This machine has no SLURM, or the controller does not answer.
    pub async fn find() -> Result<Self, ClusterError> {
        let config = ask("scontrol", &["show", "config"]).await?;
        let values: HashMap<&str, &str> = config
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let value = |key: &str| values.get(key).copied().unwrap_or_default();
        Ok(Self {
            name: value("ClusterName").to_owned(),
            version: value("SLURM_VERSION").to_owned(),
            max_array: value("MaxArraySize").parse().unwrap_or(DEFAULT_MAX_ARRAY).max(1),
            has_accounting: !["", "(null)", "accounting_storage/none"].contains(&value("AccountingStorageType")),
        })
    }

    /// Submits a script, and returns the id of its job.
    pub(super) async fn submit(&self, script: &str) -> Result<String, ClusterError> {
        let output = run("sbatch", &["--parsable"], Some(script)).await?;
        let id = output.trim().split(';').next().unwrap_or_default().to_owned();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            let problem = format!(
                "cannot read a job id from sbatch's output: `{}`. A job may have been submitted; check `squeue --me`",
                output.trim()
            );
            return Err(ClusterError::new("sbatch", &problem));
        }
        Ok(id)
    }

    /// Asks SLURM to check a script. Submits nothing.
    pub(super) async fn test(&self, script: &str) -> Result<(), ClusterError> {
        run("sbatch", &["--test-only"], Some(script)).await.map(drop)
    }

    /// Ids of the pending and running jobs with a name.
    pub(super) async fn named(&self, job_name: &str) -> Result<Vec<String>, ClusterError> {
        let lines = ask("squeue", &["--noheader", "--format=%A %F", "--name", job_name]).await?;
        Ok(lines.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect())
    }

    /// Output of `scontrol` for a job or an array, one line per job. Empty if the controller no longer knows the id.
    pub(super) async fn show(&self, id: &str) -> Result<String, ClusterError> {
        match ask("scontrol", &["--oneliner", "show", "job", id]).await {
            Err(error) if error.problem.contains("Invalid job id") => Ok(String::new()),
            output => output,
        }
    }

    /// Output of `sacct` for jobs, with the columns of `format`.
    pub(super) async fn accounts(&self, ids: &str, format: &str) -> Result<String, ClusterError> {
        ask("sacct", &["--noheader", "--parsable2", "--format", format, "--jobs", ids]).await
    }

    /// Cancels the jobs in `ids` whose name is `job_name`.
    pub(super) async fn cancel(&self, ids: &[&str], job_name: &str) -> Result<(), ClusterError> {
        let mut arguments = vec!["--name", job_name];
        arguments.extend(ids);
        match ask("scancel", &arguments).await {
            // A job that SLURM no longer knows has ended.
            Err(error) if error.problem.split("; ").all(|line| line.contains("Invalid job id")) => Ok(()),
            output => output.map(drop),
        }
    }
}

impl ClusterError {
    pub(super) fn new(action: &str, problem: &dyn std::fmt::Display) -> Self {
        Self { action: action.to_owned(), problem: problem.to_string() }
    }
}

async fn ask(program: &str, arguments: &[&str]) -> Result<String, ClusterError> {
    run(program, arguments, None).await
}

/// Runs a command with `input` on its standard input, and returns its standard output.
async fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, ClusterError> {
    let action = arguments.iter().fold(program.to_owned(), |all, argument| format!("{all} {argument}"));
    let failed = |problem: &dyn std::fmt::Display| ClusterError::new(&action, problem);
    let mut command = Command::new(program);
    // Print all indices of an array, and times in SLURM's default format.
    command.args(arguments).env("SLURM_BITSTR_LEN", "0").env_remove("SLURM_TIME_FORMAT");
    OVERRIDING_VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
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
