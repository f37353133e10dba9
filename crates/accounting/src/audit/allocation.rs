//! Finds lost digits in allocated memory: the bytes allocated for each image are the same in all records of a run.

use serde_json::{Value, json};

use super::Finding;
use super::digits::restored;
use super::evidence::{count, few, place_with};
use super::timing::Diagnosis;
use crate::measured::MeasuredRun;
use crate::record::Record;
use crate::statistics::median;

/// Least number of records to determine the usual value.
const ENOUGH: usize = 4;

/// Record with a lost digit.
pub(super) struct Lost<'a> {
    pub(super) index: usize,
    pub(super) record: &'a Record,
    /// Images of the record × usual memory for an image.
    pub(super) expected: f64,
    pub(super) restored: f64,
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    let lost = lost_digits(&run.records.iter().collect::<Vec<_>>(), diagnoses);
    if lost.is_empty() {
        return Vec::new();
    }
    let records = few(lost.iter().map(|lost| place_with(lost.index, lost.record, details(lost))));
    vec![Finding::error(
        "lost_digit",
        message(&format!("{} of {}", count(lost.len(), "record"), run.records.len())),
        json!({ "count": lost.len(), "key": KEY, "records": records }),
    )]
}

const KEY: &str = "total_cpu_memory (MB)";

pub(super) fn message(of: &str) -> String {
    format!("{of}: `{KEY}` lost a digit; with the digit it is as much for each image as in the other records")
}

pub(super) fn details(lost: &Lost<'_>) -> Value {
    json!({ "value": lost.record.allocated_mb, "expected": lost.expected, "restored": lost.restored })
}

/// Finds records whose allocated memory is as usual with one more digit.
pub(super) fn lost_digits<'a>(records: &[&'a Record], diagnoses: &[Diagnosis]) -> Vec<Lost<'a>> {
    let of_record = |(record, diagnosis): (&&Record, &Diagnosis)| {
        let allocated = record.allocated_mb.filter(|mb| mb.is_finite() && *mb > 0.0)?;
        Some((allocated, diagnosis.samples()?))
    };
    let of_sample: Vec<Option<(f64, f64)>> = records.iter().zip(diagnoses).map(of_record).collect();
    if of_sample.iter().flatten().count() < ENOUGH {
        return Vec::new();
    }
    let Some(usual) = median(of_sample.iter().flatten().map(|(allocated, samples)| allocated / samples)) else {
        return Vec::new();
    };
    let lost = of_sample.iter().zip(records).enumerate().filter_map(|(index, (values, &record))| {
        let (allocated, samples) = (*values)?;
        let expected = usual * samples;
        Some(Lost { index, record, expected, restored: restored(allocated, expected)? })
    });
    lost.collect()
}
