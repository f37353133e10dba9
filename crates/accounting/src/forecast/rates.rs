//! Speed of a worker, from measured runs.

use serde::Serialize;

use crate::measured::MeasuredRun;
use crate::statistics::{median, sorted};

/// Time of a task over the usual time above which the task is a straggler.
pub const STRAGGLER_FACTOR: f64 = 1.5;
/// Least number of tasks to compute a variation.
const SPREAD_TASKS_MIN: usize = 10;
/// Standard deviation over median absolute deviation of a normal distribution.
const SIGMA_PER_MAD: f64 = 1.4826;

/// Speed of a worker at one batch size, and the variation between its tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Number of images in a batch; `None` if the records differ.
    pub batch_size: Option<f64>,
    /// Precision of the model's arithmetic; `None` if unknown, as in the CAI study's records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Images per second of a worker: the median of its tasks.
    pub images_per_s: f64,
    /// Compute threads of the worker; `None` if unknown.
    pub threads: Option<f64>,
    /// Peak resident memory of a worker in binary MB; `None` if unknown.
    pub memory_mb: Option<f64>,
    /// σ of the logarithm of task times, without stragglers; `None` if there are too few tasks.
    pub jitter: Option<f64>,
    /// Part of the tasks that took more than [`STRAGGLER_FACTOR`] times the usual time; `None` if none did.
    pub straggler_fraction: Option<f64>,
    /// Mean time of these stragglers over the usual time.
    pub straggler_factor: Option<f64>,
    /// Number of tasks that were measured.
    pub tasks: usize,
    /// Run that was measured.
    pub source: String,
}

/// Error of [`Rate::of`]: the run does not determine the speed of a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The run used an accelerator.
    #[error("`{run}`: measured on `{device}`, but a forecast is for workers on processors")]
    OtherDevice {
        /// Name of the run.
        run: String,
        /// Device that computed.
        device: String,
    },
    /// The records have no speed.
    #[error("`{run}`: no record has a `sample_persec` above 0")]
    NoRate {
        /// Name of the run.
        run: String,
    },
}

impl Rate {
    /// Computes the speed of the workers of a run.
    ///
    /// # Errors
    /// If no record has a speed, or if the run did not use processors alone.
    pub fn of(run: &MeasuredRun) -> Result<Self, RateError> {
        if let Some(device) = run.other_device() {
            return Err(RateError::OtherDevice { run: run.name.clone(), device });
        }
        let rates = sorted(run.records.iter().filter_map(|record| record.sample_persec).filter(|rate| *rate > 0.0));
        let Some(usual) = median(rates.iter().copied()) else {
            return Err(RateError::NoRate { run: run.name.clone() });
        };
        let (usuals, stragglers): (Vec<f64>, Vec<f64>) =
            rates.iter().map(|rate| usual / rate).partition(|times| *times <= STRAGGLER_FACTOR);
        let has_spread = rates.len() >= SPREAD_TASKS_MIN;
        // A few tasks without stragglers are no evidence of none.
        let has_stragglers = has_spread && !stragglers.is_empty();
        let deviations = usuals.iter().map(|times| times.ln().abs());
        let jitter = median(deviations).map(|mad| SIGMA_PER_MAD * mad).filter(|_| has_spread);
        let mean_factor = stragglers.iter().sum::<f64>() / stragglers.len().max(1) as f64;
        let memory = run.records.iter().filter_map(|record| record.process_memory_mb).reduce(f64::max);
        Ok(Self {
            batch_size: run.batch_size(),
            precision: run.report.as_ref().map(|report| report.precision.clone()),
            images_per_s: usual,
            threads: run.report.as_ref().map(|report| report.threads as f64),
            memory_mb: memory,
            jitter,
            straggler_fraction: has_stragglers.then(|| stragglers.len() as f64 / rates.len() as f64),
            straggler_factor: has_stragglers.then_some(mean_factor),
            tasks: rates.len(),
            source: run.name.clone(),
        })
    }
}

/// Rate for a setting of a payload: of its precision, if there is one, and with the batch size nearest to that of the
/// payload. `None` if there are no rates.
pub fn nearest<'a>(rates: &'a [Rate], precision: &str, batch_size: f64) -> Option<&'a Rate> {
    let distance = |rate: &Rate| rate.batch_size.map_or(f64::MAX, |size| (size / batch_size).ln().abs());
    let is_other = |rate: &Rate| rate.precision.as_deref() != Some(precision);
    rates.iter().min_by(|a, b| is_other(a).cmp(&is_other(b)).then(distance(a).total_cmp(&distance(b))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Stated;
    use crate::record::Record;

    fn run(rates: impl IntoIterator<Item = f64>) -> MeasuredRun {
        let record = |rate| Record { sample_persec: Some(rate), process_memory_mb: Some(rate), ..Record::default() };
        let records = rates.into_iter().map(record).collect();
        MeasuredRun {
            name: "run".into(),
            records,
            written: Vec::new(),
            report: None,
            plan: None,
            stated: Stated::default(),
        }
    }

    #[test]
    fn speed_is_the_median_and_memory_the_largest() {
        let rate = Rate::of(&run([100.0, 200.0, 0.0, 400.0])).unwrap();
        assert_eq!((rate.images_per_s, rate.tasks, rate.memory_mb), (200.0, 3, Some(400.0)));
        assert_eq!((rate.threads, rate.jitter, rate.straggler_fraction), (None, None, None), "too few tasks to tell");
    }

    #[test]
    fn nearest_rate_has_the_precision_then_the_batch_size() {
        let base = Rate::of(&run([100.0])).unwrap();
        let rate = |precision: Option<&str>, batch: f64| Rate {
            precision: precision.map(str::to_owned),
            batch_size: Some(batch),
            ..base.clone()
        };
        let rates = [rate(Some("f32"), 256.0), rate(Some("int8"), 32.0), rate(Some("int8"), 128.0), rate(None, 64.0)];
        assert_eq!(nearest(&rates, "int8", 256.0), Some(&rates[2]));
        assert_eq!(nearest(&rates, "f32", 32.0), Some(&rates[0]));
        assert_eq!(nearest(&rates[..1], "bf16", 1.0), Some(&rates[0]), "the only one");
        assert_eq!(nearest(&[], "f32", 1.0), None);
    }

    #[test]
    fn stragglers_are_separate_from_variation() {
        let rate = Rate::of(&run((0..9).map(|_| 100.0).chain([50.0]))).unwrap();
        assert_eq!((rate.jitter, rate.straggler_fraction, rate.straggler_factor), (Some(0.0), Some(0.1), Some(2.0)));
        assert_eq!(Rate::of(&run([100.0; 10])).unwrap().straggler_fraction, None);
    }

    #[test]
    fn rejects_accelerators_and_records_without_a_speed() {
        let mut graphics = run([100.0]);
        graphics.records[0].device = Some("cuda".into());
        assert_eq!(Rate::of(&graphics), Err(RateError::OtherDevice { run: "run".into(), device: "cuda".into() }));
        assert_eq!(Rate::of(&run([0.0])), Err(RateError::NoRate { run: "run".into() }));
    }
}
