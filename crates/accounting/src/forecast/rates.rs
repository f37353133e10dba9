//! What a worker does in a second, from runs that were measured.

use serde::Serialize;

use crate::measured::MeasuredRun;
use crate::statistics::{median, sorted};

/// A task that takes more than this many times the usual is a straggler here.
pub const STRAGGLER_FACTOR: f64 = 1.5;
/// Tasks from which a spread is told.
const SPREAD_TASKS_MIN: usize = 10;
/// From a median of absolute deviations to a standard deviation, of normal values.
const SIGMA_PER_MAD: f64 = 1.4826;

/// A worker's speed at one batch size, and how far its tasks stray from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Images in a batch.
    pub batch_size: Option<f64>,
    /// Images per second of a worker, in the middle of its tasks.
    pub images_per_s: f64,
    /// Compute threads that it had; None where nobody says.
    pub threads: Option<f64>,
    /// Most resident memory of a worker in binary MB; None where nobody says.
    pub memory_mb: Option<f64>,
    /// σ of the logarithm of tasks' times, without stragglers; None of too few tasks.
    pub jitter: Option<f64>,
    /// Part of the tasks that took more than [`STRAGGLER_FACTOR`] times the usual; None where none did.
    pub straggler_fraction: Option<f64>,
    /// How much longer these took, on average.
    pub straggler_factor: Option<f64>,
    /// Tasks that it was taken from.
    pub tasks: usize,
    /// Where it was measured.
    pub source: String,
}

impl Rate {
    /// That of a run.
    ///
    /// # Errors
    /// Where no record has a rate, or something else than processors computed.
    pub fn of(run: &MeasuredRun) -> Result<Self, String> {
        if let Some(device) = run.other_device() {
            return Err(format!(
                "`{}`: measured on `{device}`; the workers of a forecast compute on processors",
                run.name
            ));
        }
        let rates = sorted(run.records.iter().filter_map(|record| record.sample_persec).filter(|rate| *rate > 0.0));
        let Some(usual) = median(rates.iter().copied()) else {
            return Err(format!("`{}`: none of its records has a rate (`sample_persec`)", run.name));
        };
        let (usuals, stragglers): (Vec<f64>, Vec<f64>) =
            rates.iter().map(|rate| usual / rate).partition(|times| *times <= STRAGGLER_FACTOR);
        let has_spread = rates.len() >= SPREAD_TASKS_MIN;
        // That a few tasks had none says little.
        let has_stragglers = has_spread && !stragglers.is_empty();
        let deviations = usuals.iter().map(|times| times.ln().abs());
        let jitter = median(deviations).map(|mad| SIGMA_PER_MAD * mad).filter(|_| has_spread);
        let mean_factor = stragglers.iter().sum::<f64>() / stragglers.len().max(1) as f64;
        let memory = run.records.iter().filter_map(|record| record.process_memory_mb).reduce(f64::max);
        Ok(Self {
            batch_size: run.batch_size(),
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
