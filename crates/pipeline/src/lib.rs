//! The data plane: all that a worker does, and the words that workers and planners share.
//!
//! In: a [`payload`] that asks for a run, partitions and a model in [`storage`]. Out: redshifts, the study's records,
//! and reports, in storage. On the way: [`prepare`](prepare::prepare) plans a run and claims its folder, [`run_task`]
//! does one task of the [`plan`] wherever a worker runs, [`summarize`](summary::summarize) sums up. Workers never talk
//! to each other; a task may run twice and leaves the same objects.
//!
//! Never here: who runs a task and where (no AWS SDK, no SLURM, no terminal), the environment, and the clock outside
//! [`event`].

pub mod payload;
pub mod plan;
pub mod prepare;
pub mod request;

pub mod flags;
pub mod model_file;
pub mod objects;
pub mod output;
pub mod partition;
pub mod predict;
pub mod storage;

pub mod benchmark;
pub mod elsewhere;
pub mod event;
pub mod finished;
pub mod record;
pub mod report;
pub mod results;
pub mod sweep;
mod task;

pub mod metrics;
pub mod summary;

pub mod ingest;
pub mod simulate;

mod natural_order;

pub use natural_order::natural_order;
pub use task::{Attempt, Run, TaskError, run_task};
