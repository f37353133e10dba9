//! Short measurement of this machine's speed for forecasts: one precision, one batch size, one number of threads.
//!
//! It does not check predictions and does not report the peak; `cosmicai bench` does both.

use anyhow::Result;
use astromae::{Isa, Precision};
use pipeline::model_file::ModelFile;

use super::interleaved::{MeasurementSetting, Peak, measure};
use super::workload::{ModelInputs, Workload, open};
use crate::settings::Settings;

/// Seconds of the measurement.
const SECONDS: f64 = 1.5;
/// Largest batch that is measured; larger ones are not faster.
const BATCH_MAX: usize = 512;

/// Measures images per second on `threads` threads, each with its own batch, with a model file or seeded weights of the
/// published size.
pub(crate) async fn images_per_s(
    file: Option<ModelFile>,
    precision: Precision,
    isa: Isa,
    threads: usize,
    batch: usize,
    settings: &Settings,
) -> Result<f64> {
    // Do not generate a model if there is a file.
    let workload = Workload::make(file.as_ref().map(|_| "given"), settings)?;
    let file = match file {
        Some(file) => file,
        None => ModelFile::of_url(&settings.stores(".").await?, &workload.model).await?,
    };
    let model = file.load(precision, isa)?;
    let batch = batch.clamp(1, BATCH_MAX);
    workload.simulate(batch, model.image_size())?;
    let inputs = ModelInputs::read(&open(settings, &workload.galaxies).await?, batch).await?;
    let rates =
        measure(&model, &inputs, Peak::new(isa, precision), MeasurementSetting { threads, batch, seconds: SECONDS });
    Ok(rates.images_per_s())
}
