//! Finds workers that took much more time or memory than the others.
//!
//! Times are scaled to the median number of images, because a short file takes less time. An outlier is above 2.5 × the
//! median (2 × for memory), above the median + 6 σ, and above the median + a minimum amount, because tasks of
//! milliseconds vary a lot. σ is 1.4826 × MAD, which a few outliers do not change.

use serde_json::json;

use super::Finding;
use super::evidence::{count, few, place_with};
use super::timing::Diagnosis;
use crate::measured::MeasuredRun;
use crate::statistics::median;

/// Least number of records to determine the usual value.
const ENOUGH: usize = 4;
/// σ over MAD of a normal distribution.
const SIGMA_PER_MAD: f64 = 1.4826;
/// Distance of an outlier from the median in σ.
const SIGMAS: f64 = 6.0;
/// Ratio of a straggler's time to the median.
const TIMES_SECONDS: f64 = 2.5;
/// Least difference between a straggler's time and the median, in seconds.
const MIN_SECONDS: f64 = 1.0;
/// Ratio of an outlier's memory to the median.
const TIMES_MEMORY: f64 = 2.0;
/// Least difference between an outlier's memory and the median, in binary MB.
const MIN_MB: f64 = 256.0;

/// Ratio to the median and difference from it that an outlier exceeds.
struct Bounds {
    times: f64,
    amount: f64,
}

/// Values above the threshold with their index, and the median.
struct Outliers {
    above: Vec<(usize, f64)>,
    median: f64,
    threshold: f64,
}

/// Seconds above which one of these times is a straggler; `None` if there are too few times.
pub fn straggler_threshold(seconds: &[f64]) -> Option<f64> {
    let bounds = Bounds { times: TIMES_SECONDS, amount: MIN_SECONDS };
    let there: Vec<f64> = seconds.iter().copied().filter(|value| value.is_finite() && *value > 0.0).collect();
    (there.len() >= ENOUGH).then(|| threshold(&there, &bounds)).flatten().map(|(_, threshold)| threshold)
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    [stragglers(run, diagnoses), memory(run)].into_iter().flatten().collect()
}

fn stragglers(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Option<Finding> {
    let usual = median(diagnoses.iter().filter_map(Diagnosis::samples));
    let seconds: Vec<Option<f64>> = run
        .records
        .iter()
        .zip(diagnoses)
        .map(|(record, diagnosis)| {
            let seconds = record.seconds?;
            let shorter = diagnosis.samples().zip(usual).map_or(1.0, |(samples, usual)| usual / samples);
            Some(seconds * shorter)
        })
        .collect();
    let found = outliers(&seconds, &Bounds { times: TIMES_SECONDS, amount: MIN_SECONDS })?;
    let worst = found.above.first()?.1;
    let places = few(found.above.iter().map(|&(index, value)| {
        let record = &run.records[index];
        place_with(index, record, json!({ "seconds": record.seconds, "times_median": value / found.median }))
    }));
    Some(Finding::warning(
        "stragglers",
        format!(
            "{} of {} took more than {:.2} s, the slowest {:.1} times the median of {:.2} s: the run waits for them",
            count(found.above.len(), "worker"),
            run.records.len(),
            found.threshold,
            worst / found.median,
            found.median
        ),
        json!({
            "count": found.above.len(),
            "median_s": found.median,
            "threshold_s": found.threshold,
            "worst_s": worst,
            "worst_times_median": worst / found.median,
            "records": places,
        }),
    ))
}

fn memory(run: &MeasuredRun) -> Option<Finding> {
    let memory: Vec<Option<f64>> = run.records.iter().map(|record| record.process_memory_mb).collect();
    let found = outliers(&memory, &Bounds { times: TIMES_MEMORY, amount: MIN_MB })?;
    let worst = found.above.first()?.1;
    let places = few(found.above.iter().map(|&(index, value)| {
        place_with(index, &run.records[index], json!({ "mb": value, "times_median": value / found.median }))
    }));
    Some(Finding::warning(
        "memory_outliers",
        format!(
            "{} of {} had more than {:.0} MB, the largest {:.1} times the median of {:.0} MB",
            count(found.above.len(), "worker"),
            run.records.len(),
            found.threshold,
            worst / found.median,
            found.median
        ),
        json!({
            "count": found.above.len(),
            "median_mb": found.median,
            "threshold_mb": found.threshold,
            "worst_mb": worst,
            "worst_times_median": worst / found.median,
            "records": places,
        }),
    ))
}

/// Values above the bounds, the largest first; `None` if there are none, or too few values.
fn outliers(values: &[Option<f64>], bounds: &Bounds) -> Option<Outliers> {
    let values: Vec<(usize, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(index, value)| Some((index, value.filter(|value| value.is_finite() && *value > 0.0)?)))
        .collect();
    if values.len() < ENOUGH {
        return None;
    }
    let (middle, threshold) = threshold(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), bounds)?;
    let mut above: Vec<(usize, f64)> = values.into_iter().filter(|(_, value)| *value > threshold).collect();
    above.sort_by(|a, b| b.1.total_cmp(&a.1));
    (!above.is_empty()).then_some(Outliers { above, median: middle, threshold })
}

/// Median and threshold.
fn threshold(values: &[f64], bounds: &Bounds) -> Option<(f64, f64)> {
    let middle = median(values.iter().copied())?;
    let mad = median(values.iter().map(|value| (value - middle).abs()))?;
    Some((middle, (bounds.times * middle).max(middle + SIGMAS * SIGMA_PER_MAD * mad).max(middle + bounds.amount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_and_few_values_have_no_stragglers() {
        let bounds = Bounds { times: TIMES_SECONDS, amount: MIN_SECONDS };
        let found = |values: &[f64]| outliers(&values.iter().copied().map(Some).collect::<Vec<_>>(), &bounds);
        assert!(found(&[0.01, 0.01, 0.012, 0.011, 0.5]).is_none());
        assert!(found(&[1.0, 1.0, 30.0]).is_none());
        let outliers = found(&[3.1, 3.0, 3.2, 11.1, 3.1, 20.0]).unwrap();
        assert_eq!(outliers.above.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [5, 3]);
        assert!((outliers.median - 3.15).abs() < 1e-12);
    }
}
