//! Compares the stated time and partition size of a run with its records.

use serde_json::json;

use super::Finding;
use super::evidence::{few, place_with};
use super::timing::Diagnosis;
use crate::measured::MeasuredRun;
use crate::record::Record;
use crate::statistics::median;
use crate::{MB, SAMPLE_BYTES};

/// Largest relative difference between the data of a partition and its nominal size.
const NOMINAL: f64 = 0.05;

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    [outlasting(run), partition_size(run, diagnoses)].into_iter().flatten().collect()
}

/// Finds workers that took longer than the run.
fn outlasting(run: &MeasuredRun) -> Option<Finding> {
    let stated = [run.stated.total_seconds, run.stated.map_seconds];
    let shortest = stated.into_iter().flatten().filter(|seconds| seconds.is_finite()).min_by(f64::total_cmp)?;
    let longer: Vec<_> = run
        .records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.seconds.is_some_and(|seconds| seconds > shortest))
        .collect();
    if longer.is_empty() {
        return None;
    }
    let longest = longer.iter().filter_map(|(_, record)| record.seconds).fold(0.0, f64::max);
    let places =
        few(longer.iter().map(|(index, record)| place_with(*index, record, json!({ "seconds": record.seconds }))));
    Some(Finding::error(
        "worker_outlasts_run",
        format!(
            "a worker took {longest:.2} s, longer than the whole run, {shortest:.2} s: the time or the records belong \
             to another run"
        ),
        json!({ "run_s": shortest, "longest_s": longest, "count": longer.len(), "records": places }),
    ))
}

fn partition_size(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Option<Finding> {
    let stated = run.stated.partition_mb.filter(|mb| mb.is_finite() && *mb > 0.0);
    // Reports of cosmicai count the data itself, so the name of a folder does not matter.
    let named = || median(run.records.iter().filter_map(Record::partition_mb_named)).filter(|_| !run.is_ours());
    let stated = stated.or_else(named)?;
    let sizes = run.records.iter().zip(diagnoses).filter_map(|(record, diagnosis)| {
        Some(diagnosis.samples()? * SAMPLE_BYTES / MB / record.files().len().max(1) as f64)
    });
    let sizes: Vec<f64> = sizes.collect();
    let found = median(sizes.iter().copied())?;
    // The last file of a set is shorter than its nominal size, and may be the only one in a file of records.
    let is_last_file = sizes.len() == 1 && found < stated;
    if is_last_file || (found / stated - 1.0).abs() <= NOMINAL {
        return None;
    }
    Some(Finding::warning(
        "partition_size_differs",
        format!(
            "partitions have a nominal size of {stated} MB but hold {found:.1} MB of data: figures from the nominal \
             size are wrong"
        ),
        json!({ "stated_mb": stated, "found_mb": found }),
    ))
}
