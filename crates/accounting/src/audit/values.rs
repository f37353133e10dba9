//! Finds values that are missing, not numbers, or not above 0.

use serde_json::{Value, json};

use super::evidence::{count, few, place, place_with};
use super::{Finding, Severity};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Key of the study's records.
struct Key {
    name: &'static str,
    is_there: fn(&Record) -> bool,
    number: fn(&Record) -> Option<f64>,
    need: Need,
    is_text: bool,
    range: Range,
}

/// Effect of a missing key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// No figure of the run can be computed.
    Always,
    /// Sums cover only a part of the records. If no record has the key, they are not computed.
    InAllOrNone,
    /// No figure depends on the key.
    Never,
}

/// Valid values of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Above 0.
    Positive,
    /// 0 or above.
    NotNegative,
    /// Any value; other checks may apply.
    Any,
}

macro_rules! number {
    ($name:literal, $field:ident, needed: $need:ident) => {
        number!($name, $field, needed: $need, range: Positive)
    };
    ($name:literal, $field:ident, needed: $need:ident, range: $range:ident) => {
        Key {
            name: $name,
            is_there: |record| record.$field.is_some(),
            number: |record| record.$field,
            need: Need::$need,
            is_text: false,
            range: Range::$range,
        }
    };
}

const KEYS: &[Key] = &[
    number!("total_cpu_time (seconds)", seconds, needed: Always),
    number!("throughput_bps", throughput_bps, needed: Always),
    number!("sample_persec", sample_persec, needed: Never),
    number!("execution_time (seconds/batch)", seconds_per_batch, needed: Never),
    number!("num_batches", num_batches, needed: Never),
    number!("batch_size", batch_size, needed: InAllOrNone),
    number!("total_cpu_memory (MB)", allocated_mb, needed: Never, range: NotNegative),
    number!("total_process_memory (MB)", process_memory_mb, needed: InAllOrNone),
    number!("library_overhead_memory (MB)", overhead_memory_mb, needed: Never, range: Any),
    number!("total_image_memory (MB)", image_memory_mb, needed: Never),
    number!("total_model_memory (MB)", model_memory_mb, needed: Never),
    text("device", |record| record.device.is_some(), Need::Never),
    text("result_path", |record| record.result_path.is_some(), Need::Never),
    text("data_path", |record| !record.files().is_empty(), Need::InAllOrNone),
];

const fn text(name: &'static str, is_there: fn(&Record) -> bool, need: Need) -> Key {
    Key { name, is_there, number: |_| None, need, is_text: true, range: Range::Any }
}

pub(super) fn check(run: &MeasuredRun) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in KEYS {
        findings.extend(missing(run, key));
        findings.extend(not_finite(run, key));
        findings.extend(not_positive(run, key));
    }
    findings
}

fn missing(run: &MeasuredRun, key: &Key) -> Option<Finding> {
    let is_missing = |record: &Record| !(key.is_there)(record) && !is_null(record, key);
    let missing = places(run, is_missing);
    if missing.is_empty() {
        return None;
    }
    let severity = match (key.need, missing.len() == run.records.len()) {
        (Need::Always, _) | (Need::InAllOrNone, false) => Severity::Error,
        (Need::Never, false) => Severity::Warning,
        (Need::InAllOrNone | Need::Never, true) => Severity::Note,
    };
    let message = format!("`{}` is missing from {} of {}", key.name, count(missing.len(), "record"), run.records.len());
    let evidence = json!({ "key": key.name, "count": missing.len(), "records": few(missing) });
    Some(Finding { code: "missing_value", severity, message, evidence })
}

fn not_finite(run: &MeasuredRun, key: &Key) -> Option<Finding> {
    let is_none =
        |record: &Record| is_null(record, key) || (key.number)(record).is_some_and(|value| !value.is_finite());
    let found = places(run, is_none);
    if found.is_empty() {
        return None;
    }
    Some(Finding::error(
        "not_finite",
        format!("`{}` is not a number (NaN, Infinity or null) in {}", key.name, count(found.len(), "record")),
        json!({ "key": key.name, "count": found.len(), "records": few(found) }),
    ))
}

fn not_positive(run: &MeasuredRun, key: &Key) -> Option<Finding> {
    let is_wrong = |value: &f64| match key.range {
        Range::Positive => *value <= 0.0,
        Range::NotNegative => *value < 0.0,
        Range::Any => false,
    };
    let wrong = |record: &Record| (key.number)(record).filter(is_wrong);
    let found = run.records.iter().enumerate().filter_map(|(index, record)| Some((index, record, wrong(record)?)));
    let found: Vec<(usize, &Record, f64)> = found.collect();
    if found.is_empty() {
        return None;
    }
    let places = few(found.iter().map(|(index, record, value)| place_with(*index, record, json!({ "value": value }))));
    Some(Finding::error(
        "not_positive",
        format!(
            "`{}` is {} in {}",
            key.name,
            if key.range == Range::Positive { "0 or below" } else { "below 0" },
            count(found.len(), "record")
        ),
        json!({ "key": key.name, "count": found.len(), "records": places }),
    ))
}

/// Returns true if a number is null. A text that is null counts as missing.
fn is_null(record: &Record, key: &Key) -> bool {
    !key.is_text && record.nulls.iter().any(|null| null == key.name)
}

fn places(run: &MeasuredRun, is_selected: impl Fn(&Record) -> bool) -> Vec<Value> {
    let selected = run.records.iter().enumerate().filter(|(_, record)| is_selected(record));
    selected.map(|(index, record)| place(index, record)).collect()
}
