//! What an environment keeps from one invocation to the next: the model, packed, with the memory to run it.

use astromae::{Isa, Precision};
use pipeline::event::Stopwatch;
use pipeline::model_file::ModelFile;
use pipeline::plan::Plan;
use pipeline::predict::Worker;
use pipeline::storage::Stores;

use crate::fault::Fault;

/// The last model that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Kept(Option<(Key, Worker)>);

/// Which model it is, and what it computes in.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    sha256: String,
    precision: Precision,
}

impl Kept {
    /// A worker with the model of a plan: the one that is here, or one that is read now. Another model makes room first.
    pub(crate) async fn worker(
        &mut self,
        stores: &Stores,
        plan: &Plan,
        isa: Isa,
        threads: usize,
    ) -> Result<&mut Worker, Fault> {
        let key = Key { sha256: plan.model.sha256.clone(), precision: plan.payload.precision };
        let entry = match self.0.take() {
            Some(entry) if entry.0 == key => entry,
            other => {
                drop(other);
                let watch = Stopwatch::start();
                let file = ModelFile::of_plan(stores, &plan.model).await?;
                let precision = key.precision;
                let loaded = tokio::task::spawn_blocking(move || file.load(precision, isa)).await;
                let model = loaded.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
                (key, Worker::new(model, threads, watch.seconds()))
            }
        };
        Ok(&mut self.0.insert(entry).1)
    }
}
