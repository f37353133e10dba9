//! Cache of the model between invocations: the packed model with the memory to run it.

use astromae::{Isa, Precision};
use pipeline::event::Stopwatch;
use pipeline::model_file::ModelFile;
use pipeline::predict::Worker;
use pipeline::storage::{Stores, count_requests};
use records::plan::Plan;

use crate::fault::Fault;

/// Worker with the model of the last task.
#[derive(Debug, Default)]
pub(crate) struct ModelCache(Option<(Key, Worker)>);

/// Identity and precision of the cached model.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    sha256: String,
    precision: Precision,
}

impl ModelCache {
    /// Returns a worker with the model of a plan. Reads the model if the cache holds another one, which is dropped
    /// first to free its memory.
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
                let loading = ModelFile::load_planned(stores, &plan.model, key.precision, isa);
                let (model, requests) = count_requests(loading).await;
                (key, Worker::new(model?, threads, watch.seconds()).with_requests(requests))
            }
        };
        Ok(&mut self.0.insert(entry).1)
    }
}
