//! Records: every versioned structure that one process writes and another reads.
//!
//! | module | record |
//! |---|---|
//! | [`payload`] | request for a run, as a user writes it |
//! | [`plan`] | tasks of a run |
//! | [`request`] | messages between the states of a state machine |
//! | [`submission`] | jobs of a run on a cluster |
//! | [`report`] | timings, counts and usage of a task and of a run |
//! | [`summary`] | accuracy of the predictions of a run |
//! | [`study_record`] | record of a task in the format of the CAI study |
//! | [`sweep`] | measured point of a sweep |
//! | [`benchmark`] | benchmark of the engine on one machine |
//!
//! The CAI study is Staylor et al., *Scalable Cosmic AI Inference using Cloud Serverless Computing*,
//! [arXiv:2501.06249](https://arxiv.org/abs/2501.06249), IJHPCA,
//! [doi:10.1177/10943420251399942](https://doi.org/10.1177/10943420251399942).
//!
//! Each file format of cosmicai has a version, a size limit and a parser. Exceptions: the study record, whose format is
//! fixed, and `failures/<rank>.json`.
//!
//! Never here: files, sockets, the clock, the environment, arrow, tokio, object stores.
//!
//! # Example
//!
//! ```
//! use records::payload::Payload;
//!
//! let json = br#"{
//!     "bucket": "cosmicai-data", "S3_object_name": "Anomaly Detection",
//!     "data_bucket": "cosmicai-data", "data_prefix": "100MB", "file_limit": "11",
//!     "batch_size": 256, "result_path": "results/first/"
//! }"#;
//! let payload = Payload::parse(json)?;
//! assert_eq!(payload.file_limit, 11);
//!
//! let error = Payload::parse(br#"{"batchsize": 256}"#).unwrap_err();
//! assert_eq!(error.to_string(), "payload: unknown key `batchsize`; did you mean `batch_size`?");
//! # Ok::<(), records::payload::PayloadError>(())
//! ```

pub mod payload;
pub mod plan;
pub mod request;
pub mod submission;

pub mod benchmark;
pub mod report;
pub mod study_record;
pub mod summary;
pub mod sweep;

pub mod flags;
pub mod format;
pub mod metrics;
pub mod ranks;
pub mod redshift;
pub mod time;

mod executor_kind;
mod json;
mod machine;
mod natural_order;

pub use executor_kind::{ExecutorKind, UnknownExecutor};
pub use json::{compact_json, json};
pub use machine::Machine;
pub use natural_order::natural_order;

#[cfg(test)]
#[path = "../../../tests/reference_data.rs"]
mod reference_data;
