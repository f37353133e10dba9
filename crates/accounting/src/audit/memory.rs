//! Checks the memory of a record: the process is its overhead plus one batch plus the model. Finds the value that is
//! wrong.

use serde_json::json;

use super::Finding;
use super::digits::{restored, rounding};
use super::evidence::{count, few, place, place_with};
use super::timing::{Cause, Diagnosis, Field, UNITS_OF_MEMORY, Unit};
use crate::measured::MeasuredRun;
use crate::record::Record;
use crate::statistics::median;

/// Most records that are compared in pairs to find exchanged values.
const MAX_EXCHANGED: usize = 200;
/// Most memory of a process in binary MB. In bytes or KB every process exceeds it.
const MAX_PROCESS_MB: f64 = 1e6;
/// Relative difference up to which process memory equals allocated memory.
const SAME: f64 = 1e-3;

const PROCESS: &str = "total_process_memory (MB)";
const OVERHEAD: &str = "library_overhead_memory (MB)";
const MODEL: &str = "total_model_memory (MB)";

/// Four memory values of a record, all finite.
#[derive(Clone, Copy)]
struct Parts {
    process: f64,
    overhead: f64,
    image: f64,
    model: f64,
}

/// Error in the memory values.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Unit(&'static str, Unit),
    LostDigit(&'static str, f64),
    Value(&'static str, f64),
    Negative,
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis]) -> Vec<Finding> {
    let mut findings = allocated_as_process(run);
    if !findings.is_empty() {
        return findings;
    }
    let model = usual(run, |record| record.model_memory_mb);
    let process = usual(run, |record| record.process_memory_mb);
    let parts: Vec<Option<Parts>> =
        run.records.iter().zip(diagnoses).map(|(record, diagnosis)| Parts::of(record, diagnosis)).collect();
    let suspects = run.records.iter().zip(&parts).enumerate().filter_map(|(index, (record, parts))| {
        Some(Suspect { index, record, parts: (*parts)?, wrong: (*parts)?.wrong(model, process)? })
    });
    let mut suspects: Vec<Suspect<'_>> = suspects.collect();
    while let Some(exchanged) = exchanged(&mut suspects) {
        findings.push(exchanged);
    }
    while let Some(first) = suspects.first().map(|suspect| suspect.wrong) {
        let (alike, others): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|suspect| kind(&suspect.wrong) == kind(&first));
        suspects = others;
        findings.push(finding(first, &alike, run.records.len()));
    }
    findings.extend(implausible(run, &parts));
    findings
}

/// Record whose memory does not add up.
struct Suspect<'a> {
    index: usize,
    record: &'a Record,
    parts: Parts,
    wrong: Wrong,
}

impl Parts {
    fn of(record: &Record, diagnosis: &Diagnosis) -> Option<Self> {
        let written = Self {
            process: record.process_memory_mb?,
            overhead: record.overhead_memory_mb?,
            image: record.image_memory_mb?,
            model: record.model_memory_mb?,
        };
        let parts = match diagnosis.cause {
            // Another finding covers the batch memory. Unless the other values agree with it, use its expected value.
            Some(Cause::Wrong([Field::ImageMemory]) | Cause::Unit([Field::ImageMemory], _)) if !written.holds() => {
                Self { image: diagnosis.timing.expected(Field::ImageMemory)?, ..written }
            }
            _ => written,
        };
        let all = [parts.process, parts.overhead, parts.image, parts.model];
        all.iter().all(|value| value.is_finite()).then_some(parts)
    }

    fn holds(&self) -> bool {
        let Self { process, overhead, image, model } = *self;
        let slack: f64 = [process, overhead, image, model].iter().map(|value| value.abs() * rounding(*value)).sum();
        (process - overhead - image - model).abs() <= slack
    }

    /// Error in the values, judged by the usual memory of model and process in this run.
    fn wrong(&self, usual_model: Option<f64>, usual_process: Option<f64>) -> Option<Wrong> {
        if self.holds() {
            return (self.overhead < 0.0).then_some(Wrong::Negative);
        }
        for unit in UNITS_OF_MEMORY {
            let divided = [
                (PROCESS, Self { process: self.process / unit.factor, ..*self }),
                (MODEL, Self { model: self.model / unit.factor, ..*self }),
                (OVERHEAD, Self { overhead: self.overhead / unit.factor, ..*self }),
            ];
            if let Some((key, _)) = divided.iter().find(|(_, parts)| parts.holds() && parts.overhead > 0.0) {
                return Some(Wrong::Unit(key, *unit));
            }
        }
        if let Some(model) = usual_model.filter(|model| *model != self.model)
            && (Self { model, ..*self }).holds()
        {
            return Some(Wrong::Value(MODEL, model));
        }
        let process = self.overhead + self.image + self.model;
        let overhead = self.process - self.image - self.model;
        if let Some(value) = restored(self.process, process) {
            return Some(Wrong::LostDigit(PROCESS, value));
        }
        if let Some(value) = restored(self.overhead, overhead) {
            return Some(Wrong::LostDigit(OVERHEAD, value));
        }
        // Either process or overhead is wrong: the one that makes the process unusual.
        let off = |process: f64| usual_process.map_or(0.0, |usual| (process / usual).ln().abs());
        if off(self.process) > off(process) {
            Some(Wrong::Value(PROCESS, process))
        } else {
            Some(Wrong::Value(OVERHEAD, overhead))
        }
    }
}

fn kind(wrong: &Wrong) -> (u8, &'static str, &'static str) {
    match wrong {
        Wrong::Unit(key, unit) => (0, key, unit.looks_like),
        Wrong::LostDigit(key, _) => (1, key, ""),
        Wrong::Value(key, _) => (2, key, ""),
        Wrong::Negative => (3, "", ""),
    }
}

fn finding(wrong: Wrong, suspects: &[Suspect<'_>], records: usize) -> Finding {
    let of = format!("{} of {records}", count(suspects.len(), "record"));
    let (code, message, key) = match wrong {
        Wrong::Unit(key, unit) => (
            "memory_unit",
            format!("{of}: `{key}` is in {}, according to the other memory values", unit.looks_like),
            Some(key),
        ),
        Wrong::LostDigit(key, _) => {
            ("lost_digit", format!("{of}: `{key}` lost a digit; with the digit the memory values add up"), Some(key))
        }
        Wrong::Value(key, _) => (
            "memory_identity",
            format!("{of}: `{key}` is wrong: the memory of the process must be overhead + one batch + model"),
            Some(key),
        ),
        Wrong::Negative => (
            "memory_unit",
            format!("{of}: the process has less memory than one batch + the model; the units may differ"),
            None,
        ),
    };
    let places = few(suspects.iter().map(|suspect| {
        let expected = match suspect.wrong {
            Wrong::Unit(..) | Wrong::Negative => None,
            Wrong::LostDigit(_, value) | Wrong::Value(_, value) => Some(value),
        };
        place_with(suspect.index, suspect.record, json!({ "expected": expected, "values": values(suspect.record) }))
    }));
    let factor = if let Wrong::Unit(_, unit) = wrong { Some(unit.factor) } else { None };
    let evidence = json!({ "count": suspects.len(), "key": key, "factor": factor, "records": places });
    Finding::error(code, message, evidence)
}

fn values(record: &Record) -> serde_json::Value {
    json!({
        PROCESS: record.process_memory_mb,
        OVERHEAD: record.overhead_memory_mb,
        "total_image_memory (MB)": record.image_memory_mb,
        MODEL: record.model_memory_mb,
    })
}

/// Finds two records with each other's process memory, and removes them from the suspects.
fn exchanged(suspects: &mut Vec<Suspect<'_>>) -> Option<Finding> {
    let holds = |of: &Suspect<'_>, from: &Suspect<'_>| Parts { process: from.parts.process, ..of.parts }.holds();
    let looked_at = suspects.len().min(MAX_EXCHANGED);
    let (first, second) = (0..looked_at).find_map(|first| {
        let fits = |second: &usize| {
            let (a, b) = (&suspects[first], &suspects[*second]);
            holds(a, b) && holds(b, a)
        };
        Some((first, (first + 1..looked_at).find(fits)?))
    })?;
    let (b, a) = (suspects.remove(second), suspects.remove(first));
    Some(Finding::error(
        "swapped_values",
        format!(
            "records {} and {} have each other's `{PROCESS}`: after the exchange, the memory values of both add up",
            a.index, b.index
        ),
        json!({
            "keys": [PROCESS],
            "records": [place(a.index, a.record), place(b.index, b.record)],
            "values": [a.parts.process, b.parts.process],
        }),
    ))
}

/// Finds the sum of all allocations in place of the peak memory.
fn allocated_as_process(run: &MeasuredRun) -> Vec<Finding> {
    let suspects: Vec<(usize, &Record)> = run
        .records
        .iter()
        .enumerate()
        .filter(|(_, record)| match (record.process_memory_mb, record.allocated_mb) {
            (Some(process), Some(allocated)) => (process / allocated - 1.0).abs() <= SAME,
            _ => false,
        })
        .collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    let places = few(suspects.iter().map(|(index, record)| {
        let values = json!({ PROCESS: record.process_memory_mb, "total_cpu_memory (MB)": record.allocated_mb });
        place_with(*index, record, json!({ "values": values }))
    }));
    vec![Finding::error(
        "allocated_as_process_memory",
        format!(
            "{} of {}: `{PROCESS}` equals `total_cpu_memory (MB)`, the sum of all allocations, not the peak memory",
            count(suspects.len(), "record"),
            run.records.len()
        ),
        json!({ "count": suspects.len(), "records": places }),
    )]
}

/// Finds memory that no process can have, in records without another memory error.
fn implausible(run: &MeasuredRun, parts: &[Option<Parts>]) -> Option<Finding> {
    let suspects: Vec<(usize, &Record)> = run
        .records
        .iter()
        .enumerate()
        .filter(|(index, record)| {
            let has_other_finding = parts[*index].is_some_and(|parts| !parts.holds() || parts.overhead < 0.0);
            let process = record.process_memory_mb.unwrap_or(f64::NAN);
            let is_below_model = record.model_memory_mb.is_some_and(|model| process > 0.0 && process < model);
            !has_other_finding && (process > MAX_PROCESS_MB || is_below_model)
        })
        .collect();
    if suspects.is_empty() {
        return None;
    }
    let places = few(suspects.iter().map(|(index, record)| place_with(*index, record, values(record))));
    Some(Finding::error(
        "memory_unit",
        format!(
            "{} of {}: impossible memory in MB for a process that holds the model; the unit may be bytes, KB or GB",
            count(suspects.len(), "record"),
            run.records.len()
        ),
        json!({ "count": suspects.len(), "records": places }),
    ))
}

fn usual(run: &MeasuredRun, value: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
    median(run.records.iter().filter_map(value).filter(|value| value.is_finite() && *value > 0.0))
}
