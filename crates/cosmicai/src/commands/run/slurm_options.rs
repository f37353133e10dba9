//! Options of `cosmicai run` for a cluster.

use executors::CommandLine;
use executors::slurm::Request;

/// Resources to request from SLURM.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "SLURM")]
pub(crate) struct SlurmOptions {
    /// Queue (SLURM partition) [default: the cluster's].
    #[arg(long, value_name = "NAME")]
    pub(crate) slurm_partition: Option<String>,
    /// Account that pays for the jobs [default: your own].
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub(crate) slurm_account: Option<String>,
    /// Cluster to submit to [default: SLURM_CLUSTERS, or this machine's].
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub(crate) clusters: Option<String>,
    /// Time limit of a job: 30 (minutes), 01:30:00.
    ///
    /// Any time that SLURM accepts, such as 1-12:00:00 for 36 hours [default: the cluster's].
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// CPUs of a job, with one compute thread each.
    #[arg(long, value_name = "N")]
    pub(crate) cpus_per_task: Option<u16>,
    /// Memory of a job, such as 4G.
    ///
    /// A worker needs 120 to 170 MB with the published model [default: the cluster's].
    #[arg(long = "mem", value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Most jobs that run at a time.
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) array_limit: Option<u32>,
    /// Number of jobs, which share the tasks.
    ///
    /// The default is one per task, up to the limit of the cluster.
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) array_size: Option<u32>,
    /// Additional option of sbatch. Repeatable.
    ///
    /// For example --sbatch-extra=--qos=debug.
    #[arg(long, hide_short_help = true, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch_extra: Vec<String>,
    /// Retry tasks that ran out of memory with FACTOR × the memory.
    ///
    /// FACTOR is above 1, up to 16. A task is retried at most three times [default: no retry].
    #[arg(long, hide_short_help = true, value_name = "FACTOR", requires = "memory")]
    pub(crate) retry_memory_factor: Option<f64>,
}

impl SlurmOptions {
    /// Returns the request of these options.
    pub(crate) fn request(&self) -> Request {
        let options = self.clone();
        Request {
            slurm_partition: options.slurm_partition,
            slurm_account: options.slurm_account,
            clusters: options.clusters,
            time: options.time,
            cpus_per_task: options.cpus_per_task,
            memory: options.memory,
            array_limit: options.array_limit,
            array_size: options.array_size,
            sbatch_extra: options.sbatch_extra,
            retry_memory_factor: options.retry_memory_factor,
            ..Request::default()
        }
    }

    /// Adds these options to a command line.
    pub(crate) fn add_to(&self, line: CommandLine) -> CommandLine {
        self.request().add_to(line)
    }
}
