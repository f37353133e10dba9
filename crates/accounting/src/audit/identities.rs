//! Findings about records whose values contradict each other: which value is wrong, and whether it is in another unit,
//! lost a digit, or was exchanged with another record. [`timing`](super::timing) has the identities.

use serde_json::{Value, json};

use super::Finding;
use super::digits::restored;
use super::evidence::{count, few, place, place_with};
use super::timing::{Cause, Diagnosis, Field, Timing};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Most records that are compared in pairs to find exchanged values.
const MAX_EXCHANGED: usize = 200;
/// Fields that may have been exchanged.
const EXCHANGED: &[&[Field]] = &[
    &[Field::Throughput],
    &[Field::Rate],
    &[Field::Seconds],
    &[Field::PerBatch],
    &[Field::Throughput, Field::Rate],
    &[Field::Seconds, Field::PerBatch],
];

/// Record that contradicts itself.
struct Suspect<'a> {
    index: usize,
    record: &'a Record,
    timing: Timing,
    cause: Cause,
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    let suspects = run.records.iter().zip(diagnoses).enumerate().filter_map(|(index, (record, diagnosis))| {
        Some(Suspect { index, record, timing: diagnosis.timing, cause: diagnosis.cause? })
    });
    let mut suspects: Vec<Suspect<'_>> = suspects.collect();
    let mut findings = Vec::new();
    while let Some((fields, first, second)) = exchanged(&suspects) {
        let (b, a) = (suspects.remove(second), suspects.remove(first));
        let message = format!(
            "records {} and {} have each other's {}: both are inconsistent, and consistent after the exchange",
            a.index,
            b.index,
            keys(fields)
        );
        let places = [place(a.index, a.record), place(b.index, b.record)];
        findings.push(Finding::error(
            "swapped_values",
            message,
            json!({ "keys": names(fields), "records": places, "values": [values(&a, fields), values(&b, fields)] }),
        ));
    }
    // One finding for each cause, in the order of the records.
    while let Some(first) = suspects.first() {
        let cause = first.cause;
        let restored_first = lost_digit(first);
        let is_like =
            |suspect: &Suspect<'_>| suspect.cause == cause && lost_digit(suspect).is_some() == restored_first.is_some();
        let (alike, others) = suspects.into_iter().partition(is_like);
        suspects = others;
        findings.push(finding(cause, restored_first.is_some(), &alike, run.records.len()));
    }
    findings
}

fn finding(cause: Cause, has_lost_digit: bool, suspects: &[Suspect<'_>], records: usize) -> Finding {
    let of = format!("{} of {records}", count(suspects.len(), "record"));
    let (code, message) = match cause {
        Cause::Unit(fields, unit) => (
            code_of_unit(fields[0]),
            format!("{}: {} is in {}, according to the other values", of, keys(fields), unit.looks_like),
        ),
        Cause::Wrong(fields) if has_lost_digit => {
            ("lost_digit", format!("{of}: {} lost a digit; with the digit the record is consistent", keys(fields)))
        }
        Cause::Wrong(fields) => (
            code_of_identity(fields[0]),
            format!("{of}: {} contradicts the other values of the record, which are consistent", keys(fields)),
        ),
        Cause::Inconsistent => (
            "inconsistent_record",
            format!("{of}: more than one of time, rates, batches and memory of a batch is wrong"),
        ),
    };
    let places = few(suspects.iter().map(|suspect| {
        let fields = match cause {
            Cause::Unit(fields, _) | Cause::Wrong(fields) => fields,
            Cause::Inconsistent => &[],
        };
        let expected = match (cause, fields) {
            (Cause::Unit(fields, unit), _) => suspect.timing.get(fields[0]).map(|value| value / unit.factor),
            (Cause::Wrong(_), [field]) => suspect.timing.expected(*field),
            _ => None,
        };
        let details =
            json!({ "values": values(suspect, fields), "expected": expected, "restored": lost_digit(suspect) });
        place_with(suspect.index, suspect.record, details)
    }));
    let fields = match cause {
        Cause::Unit(fields, _) | Cause::Wrong(fields) => names(fields),
        Cause::Inconsistent => Vec::new(),
    };
    let factor = if let Cause::Unit(_, unit) = cause { Some(unit.factor) } else { None };
    let evidence = json!({ "count": suspects.len(), "keys": fields, "factor": factor, "records": places });
    Finding::error(code, message, evidence)
}

/// Two suspects that are consistent after an exchange of values: the fields and the indices of the suspects.
fn exchanged(suspects: &[Suspect<'_>]) -> Option<(&'static [Field], usize, usize)> {
    let suspects = &suspects[..suspects.len().min(MAX_EXCHANGED)];
    EXCHANGED.iter().find_map(|&fields| {
        (0..suspects.len()).find_map(|first| {
            let other = (first + 1..suspects.len())
                .find(|&second| fit_exchanged(&suspects[first].timing, &suspects[second].timing, fields))?;
            Some((fields, first, other))
        })
    })
}

/// Returns true if two inconsistent records are consistent with each other's values.
pub(super) fn fit_exchanged(a: &Timing, b: &Timing, fields: &[Field]) -> bool {
    let with =
        |to: &Timing, from: &Timing| fields.iter().fold(*to, |timing, &field| timing.with(field, from.get(field)));
    let are_there = fields.iter().all(|field| a.get(*field).is_some() && b.get(*field).is_some());
    are_there && with(a, b).holds() && with(b, a).holds()
}

/// Wrong value with its lost digit restored.
fn lost_digit(suspect: &Suspect<'_>) -> Option<f64> {
    match suspect.cause {
        Cause::Wrong([field]) => restored(suspect.timing.get(*field)?, suspect.timing.expected(*field)?),
        _ => None,
    }
}

fn code_of_unit(field: Field) -> &'static str {
    match field {
        Field::Throughput => "throughput_unit",
        Field::Seconds => "seconds_unit",
        Field::PerBatch => "seconds_per_batch_unit",
        Field::ImageMemory => "memory_unit",
        Field::Rate | Field::Batches | Field::BatchSize => "sample_rate_unit",
    }
}

fn code_of_identity(field: Field) -> &'static str {
    match field {
        Field::Throughput => "throughput_identity",
        Field::Rate => "sample_rate_identity",
        Field::PerBatch => "seconds_per_batch_identity",
        Field::Batches => "num_batches_identity",
        Field::ImageMemory => "image_memory_identity",
        Field::BatchSize => "batch_size_identity",
        Field::Seconds => "seconds_identity",
    }
}

fn names(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.key()).collect()
}

fn keys(fields: &[Field]) -> String {
    let keys: Vec<String> = fields.iter().map(|field| format!("`{}`", field.key())).collect();
    keys.join(" and ")
}

/// Values of the given fields by key, or of all fields if none is given.
fn values(suspect: &Suspect<'_>, fields: &[Field]) -> Value {
    const ALL: [Field; 7] = [
        Field::Throughput,
        Field::Rate,
        Field::PerBatch,
        Field::Batches,
        Field::ImageMemory,
        Field::BatchSize,
        Field::Seconds,
    ];
    let fields = if fields.is_empty() { &ALL } else { fields };
    fields.iter().map(|field| (field.key().to_owned(), json!(suspect.timing.get(*field)))).collect()
}
