//! Plans a run, predicts its tasks and summarizes its results, all in storage.
//!
//! In: a [payload](records::payload::Payload) that describes a run, and partitions and a model in [`storage`]. Out:
//! predictions, records in the format of the CAI study (Staylor et al., *Scalable Cosmic AI Inference using Cloud
//! Serverless Computing*, [arXiv:2501.06249](https://arxiv.org/abs/2501.06249)), and reports, in storage.
//!
//! A run has three steps:
//!
//! 1. [`prepare`](prepare::prepare) plans the run and claims its folder.
//! 2. [`run_task`] predicts one task of the [plan](records::plan::Plan). Any worker can run it.
//! 3. [`summarize`](summary::summarize) combines the results of all tasks.
//!
//! Workers do not communicate with each other. They only read and write storage. A task may run twice and then writes
//! the same objects again.
//!
//! This crate does not start workers, so it has no AWS SDK, no SLURM and no terminal. It does not read the environment.
//! Only [`event`] reads the clock.
//!
//! # Example
//!
//! Write two partitions to a store in memory, and plan a run over them:
//!
//! ```
//! use pipeline::planning::{Origin, plan};
//! use pipeline::storage::{StorageOptions, Stores};
//! use records::payload::Payload;
//! use records::plan::ModelIdentity;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stores = Stores::open("memory:", StorageOptions::default())?;
//! let bucket = stores.bucket("sky")?;
//! bucket.write("10MB/1.pt", "first partition".into()).await?;
//! bucket.write("10MB/2.pt", "second partition".into()).await?;
//! assert_eq!(bucket.read("10MB/1.pt", 1_000, "a partition").await?, "first partition");
//!
//! let payload = Payload::parse(
//!     br#"{"bucket": "sky", "data_bucket": "sky", "data_prefix": "10MB", "model": "model.pt",
//!          "result_path": "results", "file_limit": 10, "batch_size": 256}"#,
//! )?;
//! let model = ModelIdentity { url: "memory:/sky/model.pt".into(), sha256: "00".into(), bytes: 0 };
//! let origin = Origin { run_id: "run-1".into(), created: "2026-01-01T00:00:00Z".into(), created_by: "docs".into() };
//! let plan = plan(payload, bucket.list("10MB").await?, model, origin)?;
//!
//! // One task for each partition.
//! assert_eq!(plan.tasks.len(), 2);
//! assert_eq!(plan.tasks[0].files[0].key, "10MB/1.pt");
//! # Ok(())
//! # }
//! ```

pub mod planning;
pub mod prepare;

pub mod decoder;
pub mod model_file;
pub mod objects;
pub mod output;
pub mod parquet_files;
pub mod partition;
pub mod predict;
pub mod storage;

pub mod event;
pub mod finished;
pub mod results;
mod task;
pub mod unattended;
mod written_predictions;

pub mod summary;

#[cfg(test)]
#[path = "../../../tests/reference_data.rs"]
mod reference_data;

pub use task::{Attempt, Run, TaskError, run_task};
