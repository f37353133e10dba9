//! Short measurement of this machine's speed for forecasts: some precisions, one batch size, one number of threads.
//!
//! It does not check predictions and does not report the peak; `cosmicai bench` does both. Speed is measured in
//! processor time, so that other programs on this machine do not make a forecast longer and dearer.

use anyhow::Result;
use astromae::{Isa, Model, Precision};
use pipeline::model_file::ModelFile;

use super::interleaved::{MeasurementSetting, Peak, measure};
use super::workload::{ModelInputs, Workload, open};
use crate::printer::Printer;
use crate::settings::Settings;

/// Seconds of the measurement of one precision.
const SECONDS: f64 = 2.0;
/// Largest batch that is measured; larger ones are not faster.
const BATCH_MAX: usize = 512;
/// Share of the time that threads must run for a machine that is not busy.
const IDLE_SHARE: f64 = 0.9;

/// What to measure.
pub(crate) struct Calibration<'a> {
    /// Precisions, the one that must run here first. Others that do not run here are left out.
    pub(crate) precisions: &'a [Precision],
    pub(crate) isa: Isa,
    pub(crate) threads: usize,
    pub(crate) batch: usize,
}

/// Measures images per second of processor time on all threads together, each with its own batch, with a model file or
/// seeded weights of the published size. Warns if other programs used the processors meanwhile.
pub(crate) async fn images_per_s(
    file: Option<ModelFile>,
    wanted: &Calibration<'_>,
    settings: &Settings,
    printer: &Printer,
) -> Result<Vec<(Precision, f64)>> {
    // Do not generate a model if there is a file.
    let workload = Workload::make(file.as_ref().map(|_| "given"), settings)?;
    let file = match file {
        Some(file) => file,
        None => ModelFile::of_url(&settings.stores(".").await?, &workload.model).await?,
    };
    let checkpoint = file.checkpoint()?;
    let Calibration { isa, threads, .. } = *wanted;
    let batch = wanted.batch.clamp(1, BATCH_MAX);
    let (mut inputs, mut measured, mut share): (Option<ModelInputs>, _, f64) = (None, Vec::new(), 1.0);
    for &precision in wanted.precisions {
        let model = match Model::from_checkpoint(&checkpoint, precision, isa) {
            Ok(model) => model,
            Err(error) if measured.is_empty() => return Err(error.into()),
            // The first precision has read the same file, so this machine does not support this one.
            Err(_) => continue,
        };
        let inputs = match &mut inputs {
            Some(inputs) => inputs,
            none => {
                workload.simulate(batch, model.image_size())?;
                none.insert(ModelInputs::read(&open(settings, &workload.galaxies).await?, batch).await?)
            }
        };
        let setting = MeasurementSetting { threads, batch, seconds: SECONDS };
        let rates = measure(&model, inputs, Peak::new(isa, precision), setting);
        share = share.min(rates.share_of_time());
        measured.push((precision, rates.images_per_processor_s()));
    }
    if let Some(warning) = busy(share) {
        printer.tell(&warning);
    }
    Ok(measured)
}

/// Warning about a machine whose threads ran for this share of the time; `None` if it was not busy.
pub(crate) fn busy(share: f64) -> Option<String> {
    (share < IDLE_SHARE).then(|| {
        format!(
            "the machine was busy: the benchmark ran {:.0} % of the time; the forecast uses processor time, as if no \
             other program ran",
            100.0 * share
        )
    })
}

#[cfg(test)]
mod tests {
    use super::busy;

    #[test]
    fn warns_about_a_busy_machine() {
        assert_eq!([1.0, 0.95, 0.9].map(|share| busy(share).is_some()), [false; 3]);
        assert!(busy(0.33).unwrap().contains("ran 33 % of the time"));
    }
}
