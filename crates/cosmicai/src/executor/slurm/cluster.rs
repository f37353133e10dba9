//! SLURM's own commands: what they are asked, and what they answer.

use std::collections::HashMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The most bytes of an answer that are read: ten thousand jobs at two kilobytes each.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Indices of an array where a cluster does not say how many it allows; SLURM's own default.
const DEFAULT_MAX_ARRAY: usize = 1001;
/// Variables that would say otherwise than the script: sbatch believes them more.
const OVERRULING: [&str; 17] = [
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

/// A command of SLURM that could not be run, or said no.
#[derive(Debug, thiserror::Error)]
#[error("slurm: {action}: {said}")]
pub struct ClusterError {
    action: String,
    said: String,
}

/// The cluster that this machine belongs to.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// SLURM's version.
    pub version: String,
    /// Indices of arrays lie below it.
    pub max_array: usize,
    /// Whether what jobs used is kept, for `sacct`.
    pub has_accounting: bool,
}

impl Cluster {
    /// Asks which one it is.
    ///
    /// # Errors
    /// Where this machine has no SLURM, or its controller does not answer.
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

    /// Hands in a script; the id of its job.
    pub(super) async fn submit(&self, script: &str) -> Result<String, ClusterError> {
        let answer = run("sbatch", &["--parsable"], Some(script)).await?;
        let id = answer.trim().split(';').next().unwrap_or_default().to_owned();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ClusterError::new("sbatch", &format!("no job id in its answer `{}`", answer.trim())));
        }
        Ok(id)
    }

    /// Whether SLURM would take a script; nothing is handed in.
    pub(super) async fn test(&self, script: &str) -> Result<(), ClusterError> {
        run("sbatch", &["--test-only"], Some(script)).await.map(drop)
    }

    /// The ids of the jobs of this name that wait or run.
    pub(super) async fn named(&self, job_name: &str) -> Result<Vec<String>, ClusterError> {
        let lines = ask("squeue", &["--noheader", "--format=%A %F", "--name", job_name]).await?;
        Ok(lines.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect())
    }

    /// What the controller knows of a job or of an array: a line for each; empty where it has forgotten it.
    pub(super) async fn show(&self, id: &str) -> Result<String, ClusterError> {
        match ask("scontrol", &["--oneliner", "show", "job", id]).await {
            Err(error) if error.said.contains("Invalid job id") => Ok(String::new()),
            answer => answer,
        }
    }

    /// What accounting knows of jobs, in the columns of `format`.
    pub(super) async fn accounts(&self, ids: &str, format: &str) -> Result<String, ClusterError> {
        ask("sacct", &["--noheader", "--parsable2", "--format", format, "--jobs", ids]).await
    }

    /// Ends those of these jobs that have this name.
    pub(super) async fn cancel(&self, ids: &[&str], job_name: &str) -> Result<(), ClusterError> {
        let mut arguments = vec!["--name", job_name];
        arguments.extend(ids);
        match ask("scancel", &arguments).await {
            // One that is forgotten has ended.
            Err(error) if error.said.split("; ").all(|line| line.contains("Invalid job id")) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

impl ClusterError {
    pub(super) fn new(action: &str, said: &dyn std::fmt::Display) -> Self {
        Self { action: action.to_owned(), said: said.to_string() }
    }
}

async fn ask(program: &str, arguments: &[&str]) -> Result<String, ClusterError> {
    run(program, arguments, None).await
}

/// Runs a command with `input` on its standard input; what it printed.
async fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, ClusterError> {
    let action = arguments.iter().fold(program.to_owned(), |all, argument| format!("{all} {argument}"));
    let complain = |said: &dyn std::fmt::Display| ClusterError::new(&action, said);
    let mut command = Command::new(program);
    // Indices of arrays in full, and times in seconds since 1970 nowhere.
    command.args(arguments).env("SLURM_BITSTR_LEN", "0").env_remove("SLURM_TIME_FORMAT");
    OVERRULING.iter().for_each(|name| _ = command.env_remove(name));
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is for whoever follows, and not for a submission half-way.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => complain(&format!(
            "no `{program}` on the path; is this a login node, and does it want `module load slurm`?"
        )),
        _ => complain(&error),
    })?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that does not want to hear it says why below.
        _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| complain(&error))?;
    if output.stdout.len() > MAX_ANSWER_BYTES {
        return Err(complain(&format!("an answer of {} bytes", output.stdout.len())));
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = if lines.is_empty() { output.status.to_string() } else { lines.join("; ") };
        return Err(complain(&said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
