//! How fast this machine is, in a few seconds, for who wants to know what a run will take: one precision, one batch, all
//! threads that are asked for. Answers are not checked and no peak is told; `cosmicai bench` does both.

use anyhow::Result;
use astromae::{Isa, Precision};
use pipeline::model_file::ModelFile;

use super::turns::{Peak, Setting, measure};
use super::workload::{Inputs, Workload, open};
use crate::settings::Settings;

/// Seconds that are measured.
const SECONDS: f64 = 1.5;
/// The largest batch that is measured; more does not make it faster.
const BATCH_MAX: usize = 512;

/// Images per second on `threads` threads, each with a batch of its own, of a model or of one of the published size.
pub(crate) async fn images_per_s(
    file: Option<ModelFile>,
    precision: Precision,
    isa: Isa,
    threads: usize,
    batch: usize,
    settings: &Settings,
) -> Result<f64> {
    // A model that is known already needs no other to be made.
    let workload = Workload::make(file.as_ref().map(|_| "given"), settings)?;
    let file = match file {
        Some(file) => file,
        None => ModelFile::of_url(&settings.stores(".").await?, &workload.model).await?,
    };
    let model = file.load(precision, isa)?;
    let batch = batch.clamp(1, BATCH_MAX);
    workload.simulate(batch, model.image_size())?;
    let inputs = Inputs::read(&open(settings, &workload.galaxies).await?, batch).await?;
    let turns = measure(&model, &inputs, Peak::new(isa, precision), Setting { threads, batch, seconds: SECONDS });
    Ok(turns.images_per_s())
}
