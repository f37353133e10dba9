//! Runs the tasks of a plan: on this machine, on a SLURM cluster, or on AWS Lambda.
//!
//! In: a plan whose results folder is claimed ([`pipeline::prepare`]). Out: a report of its tasks, and a summary of
//! their results. The results themselves are in storage.
//!
//! - [`Executor`] is the interface. [`Local`] (this process), [`Slurm`] (a cluster) and `StepFunctions` (AWS Lambda;
//!   feature `aws`) implement it.
//! - [`drive`] takes an executor through a run: execute, stop at the [`Budget`] or at a signal, report, summarize.
//! - [`CommandLine`] builds the commands that jobs run and that messages suggest.
//!
//! This crate does not predict ([`pipeline::run_task`] does), does not print, and does not parse arguments.
//!
//! # Example
//!
//! Run one simulated partition in this process:
//!
//! ```
//! use astromae::init::{Sizes, seeded};
//! use astromae::{Isa, Precision};
//! use executors::{ATTEMPTS, BACKOFF, Driven, Interrupts, Local, drive};
//! use pipeline::event::NullSink;
//! use pipeline::planning::Origin;
//! use pipeline::prepare::{Prepared, prepare};
//! use pipeline::storage::{StorageOptions, Stores};
//! use records::payload::Payload;
//! use records::request::IfTaken;
//! use sources::simulate::{Galaxies, Sample, Sky, write_partition};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stores = Stores::open("memory:", StorageOptions::default())?;
//! let bucket = stores.bucket("sky")?;
//! let sky = Sky { galaxies: Galaxies::Drawn(8, Sample::Main), seed: 1, image_size: 32 };
//! let partition = write_partition(sky, std::num::NonZeroUsize::MIN, Vec::new(), |_| {})?;
//! bucket.write("10MB/1.pt", partition.into()).await?;
//! // A small model with random weights; its redshifts mean nothing.
//! bucket.write("model.safetensors", seeded(&Sizes::small(), 1).into()).await?;
//!
//! let payload = Payload::parse(
//!     br#"{"bucket": "sky", "data_bucket": "sky", "data_prefix": "10MB", "model": "model.safetensors",
//!          "result_path": "results", "file_limit": 10, "batch_size": 256}"#,
//! )?;
//! let origin = Origin { run_id: "run-1".into(), created: "2026-01-01T00:00:00Z".into(), created_by: "docs".into() };
//! let Prepared { plan, results, data, model, .. } =
//!     prepare(&stores, payload, None, IfTaken::Refuse, origin).await?;
//!
//! let local = Local {
//!     data,
//!     results,
//!     model: model.load(Precision::F32, Isa::detect())?,
//!     init_seconds: 0.0,
//!     workers: 1,
//!     threads: 1,
//!     attempts: ATTEMPTS,
//!     backoff: BACKOFF,
//!     cancel: Default::default(),
//! };
//! let Driven::Ended(run) = drive(&local, &plan, None, &NullSink, &mut Interrupts::listen()?).await? else {
//!     panic!("a local run that nobody interrupts ends");
//! };
//! assert_eq!((run.summary.finished, run.summary.samples), (1, 8));
//! # Ok(())
//! # }
//! ```

mod attempts;
mod backoff;
mod budget;
mod command_line;
mod drive;
mod interrupts;
mod local;
mod run_events;
pub mod slurm;
#[cfg(feature = "aws")]
pub mod step_functions;

use async_trait::async_trait;
use pipeline::event::EventSink;
use pipeline::results::Results;
use pipeline::storage::StorageError;
use records::plan::Plan;
use records::report::RunReport;

pub use attempts::{ATTEMPTS, Attempts, BACKOFF, TaskOutcome};
pub use budget::Budget;
pub use command_line::{CommandLine, quoted};
pub use drive::{DriveError, Driven, EndedRun, drive};
pub use interrupts::Interrupts;
pub use local::Local;
pub use slurm::Slurm;
#[cfg(feature = "aws")]
pub use step_functions::StepFunctions;

/// Error of an executor that cannot start or cannot continue. The report lists failed tasks; they are not such an
/// error.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The results folder cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A request to AWS failed, or the execution ended without a report.
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Cloud(#[from] step_functions::CloudError),
    /// A SLURM command failed.
    #[error(transparent)]
    Cluster(#[from] slurm::ClusterError),
}

/// Runs the tasks of a plan on some kind of worker.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Results folder of the run.
    fn results(&self) -> &Results;

    /// Runs every unfinished task of a plan, or follows tasks that run on other machines, until all have ended. A
    /// failed task does not stop the others.
    ///
    /// # Errors
    /// The executor cannot start or cannot continue.
    async fn execute(&self, plan: &Plan, events: &dyn EventSink) -> Result<RunReport, ExecutorError>;

    /// Stops the run: no further task starts, and [`execute`](Self::execute) returns soon. Finished tasks keep their
    /// results.
    ///
    /// # Errors
    /// The request to the cluster or to AWS fails.
    async fn stop(&self, reason: &str) -> Result<(), ExecutorError>;

    /// Returns true if the tasks end with this process, so that an interrupt must stop the run. If false, an interrupt
    /// only detaches this process, and the tasks continue.
    fn ends_with_this_process(&self) -> bool {
        false
    }

    /// Returns true if a worker has already written `report.json`. [`drive`] then continues if it cannot write it
    /// again.
    fn has_written_report(&self) -> bool {
        false
    }

    /// Adds the bill of the cloud provider to a report. The bill is known only after the run.
    ///
    /// # Errors
    /// The bill cannot be read, or is incomplete. The report does not change then.
    async fn add_bill(&self, _report: &mut RunReport) -> Result<(), ExecutorError> {
        Ok(())
    }
}
