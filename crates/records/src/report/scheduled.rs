//! Jobs of a run as the scheduler of a cluster reports them.

use serde::{Deserialize, Serialize};

/// Accounting data of the jobs of a run, as the scheduler of a cluster reports them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Name and version of the scheduler.
    pub scheduler: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Jobs that ran tasks. Jobs that the scheduler no longer remembers are missing.
    pub jobs: Vec<Job>,
}

/// One job, in the scheduler's own terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id of the job.
    pub id: String,
    /// Ranks of the tasks that the job was given.
    pub ranks: Vec<usize>,
    /// State of the job, such as `COMPLETED`, `TIMEOUT` or `OUT_OF_MEMORY`.
    pub state: String,
    /// Reason why the job waits or ended; empty if the scheduler gives none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Exit status and signal, as `0:0`.
    pub exit_code: String,
    /// Nodes that ran the job.
    pub nodes: String,
    /// Number of processors of the job.
    pub cpus: u64,
    /// Wall seconds that the job ran.
    pub elapsed_seconds: f64,
    /// Wall seconds that the job may run; `None` without a limit.
    pub time_limit_seconds: Option<f64>,
    /// Memory requested per node, in binary MB; `None` if the job requested none.
    pub memory_mb: Option<f64>,
    /// Peak resident memory, in binary MB; `None` if the cluster does not measure it.
    pub memory_max_mb: Option<f64>,
    /// Number of times that the scheduler restarted the job.
    pub restarts: u32,
}
