//! What somebody says of a run, held against its records: how long it took, how large its partitions are.

use serde_json::json;

use super::Finding;
use super::places::{few, place_with};
use super::timing::Diagnosis;
use crate::measured::MeasuredRun;
use crate::record::Record;
use crate::statistics::median;
use crate::{MB, SAMPLE_BYTES};

/// How far, relatively, the data of a partition may lie from its nominal size.
const NOMINAL: f64 = 0.05;

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    [outlasting(run), partition_size(run, diagnoses)].into_iter().flatten().collect()
}

/// A worker cannot take longer than the run that waits for it.
fn outlasting(run: &MeasuredRun) -> Option<Finding> {
    let told = [run.told.total_seconds, run.told.map_seconds];
    let shortest = told.into_iter().flatten().filter(|seconds| seconds.is_finite()).min_by(f64::total_cmp)?;
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
            "a worker took {longest:.2} s, longer than the whole run's {shortest:.2} s: the time or the records are another \
             run's"
        ),
        json!({ "run_s": shortest, "longest_s": longest, "count": longer.len(), "records": places }),
    ))
}

fn partition_size(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Option<Finding> {
    let told = run.told.partition_mb.filter(|mb| mb.is_finite() && *mb > 0.0);
    // Our reports count the data itself, whatever a folder is called.
    let named = || median(run.records.iter().filter_map(Record::partition_mb_named)).filter(|_| !run.is_ours());
    let told = told.or_else(named)?;
    let sizes = run.records.iter().zip(diagnoses).filter_map(|(record, diagnosis)| {
        Some(diagnosis.samples()? * SAMPLE_BYTES / MB / record.files().len().max(1) as f64)
    });
    let sizes: Vec<f64> = sizes.collect();
    let found = median(sizes.iter().copied())?;
    // The last file of a set is shorter than it is called, and may be all that a file of records has.
    let is_last_file = sizes.len() == 1 && found < told;
    if is_last_file || (found / told - 1.0).abs() <= NOMINAL {
        return None;
    }
    Some(Finding::warning(
        "partition_size_differs",
        format!(
            "partitions are called {told} MB, and hold {found:.1} MB of data: what is reckoned from the name is off"
        ),
        json!({ "told_mb": told, "found_mb": found }),
    ))
}
