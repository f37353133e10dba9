//! Where the tasks of a plan run.
//!
//! In: a plan whose folder is claimed. Out: what became of its tasks, as a report; their results lie in storage. Never
//! here: how a task is done ([`pipeline::run_task`]), and what is shown of it (sinks of events).

mod attempts;
mod backoff;
mod local;
pub mod slurm;
pub mod step_functions;

use async_trait::async_trait;
use pipeline::event::EventSink;
use pipeline::plan::Plan;
use pipeline::report::RunReport;
use pipeline::storage::StorageError;

pub(crate) use attempts::{ATTEMPTS, Attempts, BACKOFF, Outcome};
pub use local::Local;
pub use slurm::Slurm;
pub use step_functions::StepFunctions;

/// Why an executor could not begin, or could not go on. A task that fails is no such error; the report names it.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// What is finished already could not be found out.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A service that runs tasks did not do what was asked, or ended the run.
    #[error(transparent)]
    Cloud(#[from] step_functions::CloudError),
    /// A cluster did not do what was asked.
    #[error(transparent)]
    Cluster(#[from] slurm::ClusterError),
}

/// Something that runs tasks: this machine, a cloud, a cluster.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs every task of a plan that is not finished. One that fails does not stop the others.
    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError>;
}
