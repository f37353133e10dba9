//! Resources and options that a run requests from SLURM.

use super::jobs::megabytes;
use crate::CommandLine;

/// Resources and options of the jobs. `None` leaves the choice to the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Queue of the jobs, which SLURM calls a partition.
    pub slurm_partition: Option<String>,
    /// Account that the jobs are charged to.
    pub slurm_account: Option<String>,
    /// Cluster to submit to; `None` for the cluster of this machine.
    pub clusters: Option<String>,
    /// Time limit of a job: `30` (minutes), `01:30:00` or `1-12:00:00`.
    pub time: Option<String>,
    /// Number of processors of a job. The worker runs one thread on each.
    pub cpus_per_task: Option<u16>,
    /// Memory of a job, such as `4G`.
    pub memory: Option<String>,
    /// Largest number of jobs of the array that run at the same time.
    pub array_limit: Option<u32>,
    /// Number of jobs in the array, which share the tasks; `None` for one per task, up to the limit of the cluster.
    pub array_size: Option<u32>,
    /// Additional options for sbatch.
    pub sbatch_extra: Vec<String>,
    /// Factor by which the memory is multiplied to run tasks again that ran out of memory, up to three times.
    pub retry_memory_factor: Option<f64>,
    /// Path of the program on the nodes.
    pub program: String,
    /// Location of the buckets, valid on the nodes.
    pub store: String,
    /// Endpoint of S3, if S3 is not on AWS.
    pub endpoint_url: Option<String>,
    /// Largest number of attempts that a job makes at a task.
    pub attempts: Option<u32>,
}

/// Error of a request that SLURM would misread, or that sets an option that this program sets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Value that is not one plain word.
    #[error("{option} `{value}`: expected one word of letters and digits")]
    NotAWord {
        /// Name of the option.
        option: &'static str,
        /// Value of the option.
        value: String,
    },
    /// More than one cluster. The jobs of a run depend on each other, so they are on one cluster.
    #[error("--clusters `{0}`: expected the name of one cluster (also in SLURM_CLUSTERS); the jobs of a run share it")]
    ManyClusters(String),
    /// Value that is not a size of memory.
    #[error("--mem `{0}`: expected a size such as 4G or 500M")]
    Memory(String),
    /// Factor out of range.
    #[error("--retry-memory-factor {0}: expected a number above 1 and up to 16")]
    MemoryFactor(String),
    /// Text that is not one option of sbatch.
    #[error("--sbatch-extra `{0}`: expected one option of sbatch, such as --qos=debug")]
    NotAnOption(String),
    /// Option of sbatch that this program sets.
    #[error("--sbatch-extra `{extra}`: cosmicai sets {name} itself")]
    Reserved {
        /// Option with its value.
        extra: String,
        /// Name of the option.
        name: String,
    },
}

impl Request {
    /// Adds the options of this request to a `cosmicai run` command.
    pub fn add_to(&self, line: CommandLine) -> CommandLine {
        line.option_if("slurm-partition", self.slurm_partition.as_ref())
            .option_if("slurm-account", self.slurm_account.as_ref())
            .option_if("clusters", self.clusters.as_ref())
            .option_if("time", self.time.as_ref())
            .option_if("cpus-per-task", self.cpus_per_task)
            .option_if("mem", self.memory.as_ref())
            .option_if("array-limit", self.array_limit)
            .option_if("array-size", self.array_size)
            .option_if("retry-memory-factor", self.retry_memory_factor)
            .options("sbatch-extra", &self.sbatch_extra)
    }

    /// Checks for values that SLURM would misread, and for options that this program sets.
    ///
    /// # Errors
    /// A [`BadRequest`] that names the option and the expected value.
    pub fn check(&self) -> Result<(), BadRequest> {
        let plain = [
            ("--slurm-partition", &self.slurm_partition),
            ("--slurm-account", &self.slurm_account),
            ("--clusters", &self.clusters),
            ("--time", &self.time),
            ("--mem", &self.memory),
        ];
        for (option, value) in plain {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,+@".contains(&byte);
            if let Some(value) = value.as_deref().filter(|value| value.is_empty() || !value.bytes().all(is_plain)) {
                return Err(BadRequest::NotAWord { option, value: value.to_owned() });
            }
        }
        if let Some(clusters) = &self.clusters
            && (clusters.contains(',') || clusters == "all")
        {
            return Err(BadRequest::ManyClusters(clusters.clone()));
        }
        if let Some(memory) = &self.memory
            && megabytes(memory).is_none_or(|megabytes| megabytes < 1.0)
        {
            return Err(BadRequest::Memory(memory.clone()));
        }
        self.sbatch_extra.iter().try_for_each(|extra| check_extra(extra))?;
        match self.retry_memory_factor {
            Some(factor) if !(factor > 1.0 && factor <= 16.0) => Err(BadRequest::MemoryFactor(factor.to_string())),
            _ => Ok(()),
        }
    }
}

/// Checks that an extra option of sbatch is one option, and not one that this program sets.
fn check_extra(extra: &str) -> Result<(), BadRequest> {
    const LONG: [&str; 11] = [
        "--array",
        "--dependency",
        "--output",
        "--error",
        "--job-name",
        "--wrap",
        "--wait",
        "--clusters",
        "--parsable",
        "--test-only",
        "--open-mode",
    ];
    const SHORT: [&str; 7] = ["-a", "-d", "-o", "-e", "-J", "-W", "-M"];
    let name = extra.split(['=', ' ']).next().unwrap_or_default();
    if !extra.starts_with('-') || extra.contains(char::is_control) || extra.contains(" -") {
        return Err(BadRequest::NotAnOption(extra.to_owned()));
    }
    // sbatch also accepts abbreviated options.
    let is_long = name.len() > 3 && LONG.iter().any(|ours| ours.starts_with(name));
    if is_long || (!extra.starts_with("--") && SHORT.iter().any(|ours| extra.starts_with(ours))) {
        return Err(BadRequest::Reserved { extra: extra.to_owned(), name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_cluster_only() {
        let check = |clusters: &str| Request { clusters: Some(clusters.to_owned()), ..Request::default() }.check();
        assert_eq!(check("west"), Ok(()));
        for many in ["west,east", "all"] {
            assert_eq!(check(many), Err(BadRequest::ManyClusters(many.to_owned())));
        }
        assert!(check("a b").is_err() && check("").is_err());
    }

    #[test]
    fn rejects_sbatch_options_that_cosmicai_sets() {
        for extra in ["--qos=debug", "--constraint=\"a b\"", "--mail-type=END", "-p short", "--exclusive", "--nice=5"] {
            assert_eq!(check_extra(extra), Ok(()), "{extra}");
        }
        for extra in [
            "--array=0-1",
            "--arr=0-1",
            "-a0-1",
            "-a 0-1",
            "--qos=normal --array=0-1",
            "-Jx",
            "-W",
            "-M other",
            "--outp=x",
            "--dep=afterok:1",
            "qos=debug",
            "",
            "--qos=a\n#SBATCH --array=1",
            "--wait",
            "--wrap=id",
        ] {
            assert!(check_extra(extra).is_err(), "{extra}");
        }
    }
}
