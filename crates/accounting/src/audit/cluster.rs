//! Audit of records of the CAI study's scripts for a cluster: steps of a `total.json`, and files of `job_<N>.json`.
//!
//! These records name no partitions and have no plan, so only their values are checked: each for itself, the steps in
//! their order, and the files of all jobs together.

use std::collections::BTreeMap;

use serde_json::json;

use super::digits::rounding;
use super::evidence::{count, few, place, place_with};
use super::{Finding, Severity, identities, merge, outliers, timing, values};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Finds errors in the records of the files, which have several for each worker.
pub(super) fn check(run: &MeasuredRun) -> Vec<Finding> {
    let written = MeasuredRun { records: run.written.clone(), written: Vec::new(), ..run.clone() };
    let diagnoses = timing::diagnose(&written.records);
    let mut findings = [values::check(&written), identities::check(&written, &diagnoses)].concat();
    // The scripts for a cluster do not write all keys of the worker on Lambda.
    findings.retain(|finding| finding.severity > Severity::Note);
    findings.extend(per_batch(&written.records));
    if run.steps().is_empty() {
        findings.extend(duplicate_files(&written.records));
        findings.extend(outliers::check(&written, &diagnoses));
    } else {
        findings.extend(not_rising(&written.records));
    }
    merge(&mut findings);
    findings
}

/// Finds records whose time per batch is not time ÷ number of batches.
fn per_batch(records: &[Record]) -> Option<Finding> {
    let wrong = records.iter().enumerate().filter_map(|(index, record)| {
        let (per_batch, seconds) = (record.seconds_per_whole_batch?, record.seconds?);
        let expected = seconds / record.num_batches.filter(|batches| *batches > 0.0)?;
        let by = rounding(per_batch) + rounding(seconds);
        let is_wrong = expected > 0.0 && (per_batch / expected - 1.0).abs() > by;
        is_wrong.then(|| place_with(index, record, json!({ "value": per_batch, "expected": expected })))
    });
    let wrong: Vec<_> = wrong.collect();
    (!wrong.is_empty()).then(|| {
        Finding::error(
            "seconds_per_batch_identity",
            format!(
                "{} of {}: `execution_time_per_batch` is not time ÷ `num_batches`",
                count(wrong.len(), "record"),
                records.len()
            ),
            json!({ "keys": ["execution_time_per_batch"], "count": wrong.len(), "records": few(wrong) }),
        )
    })
}

/// Finds steps after which the process has read no more data, or has taken no more time, than before.
fn not_rising(steps: &[Record]) -> Option<Finding> {
    let rises = |of: fn(&Record) -> Option<f64>, pair: &[Record]| {
        of(&pair[0]).zip(of(&pair[1])).is_none_or(|(before, after)| before < after)
    };
    let does_not = steps
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| !rises(|step| step.gb_processed, pair) || !rises(|step| step.seconds, pair));
    let places: Vec<_> = does_not.map(|(index, pair)| place(index + 1, &pair[1])).collect();
    (!places.is_empty()).then(|| {
        Finding::error(
            "steps_not_rising",
            format!(
                "{} of {}: `GB_processed` or the time is not above that of the record before it: the file has records \
                 of several runs",
                count(places.len(), "record"),
                steps.len()
            ),
            json!({ "count": places.len(), "records": few(places) }),
        )
    })
}

/// Finds numbers of files that are in the jobs more than once. The script reads a file again under another number.
fn duplicate_files(records: &[Record]) -> Option<Finding> {
    let mut of_index: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        if let Some(file) = record.file_index {
            of_index.entry(file).or_default().push(index);
        }
    }
    of_index.retain(|_, records| records.len() > 1);
    (!of_index.is_empty()).then(|| {
        let places = of_index.iter().map(|(file, records)| json!({ "file_index": file, "records": few(records) }));
        Finding::error(
            "duplicate_file",
            format!(
                "{} more than once in the records: data is counted twice",
                count(of_index.len(), "value") + " of `file_index`" + if of_index.len() == 1 { " is" } else { " are" }
            ),
            json!({ "count": of_index.len(), "files": few(places) }),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditOptions, audit};
    use crate::measured::Stated;
    use crate::record::WorkerRecords;

    /// Step of a process that predicts 500 images a second, in batches of 500.
    fn step(gb: f64) -> Record {
        Record {
            seconds: Some(105.0 * gb),
            process_memory_mb: Some(1_600.0),
            num_batches: Some(105.0 * gb),
            batch_size: Some(500.0),
            device: Some("cpu".into()),
            throughput_bps: Some(500.0 * 20_520.0 * 8.0),
            sample_persec: Some(500.0),
            seconds_per_whole_batch: Some(1.0),
            gb_processed: Some(gb),
            ..Record::default()
        }
    }

    fn file(index: u64) -> Record {
        let seconds = 10.226 + index as f64 / 1e3;
        Record {
            file_index: Some(index),
            gb_processed: None,
            seconds: Some(seconds),
            num_batches: Some(11.0),
            throughput_bps: Some(5_113.0 * 20_520.0 * 8.0 / seconds),
            sample_persec: Some(5_113.0 / seconds),
            seconds_per_whole_batch: Some(seconds / 11.0),
            ..step(1.0)
        }
    }

    fn codes(records: Vec<Record>) -> Vec<&'static str> {
        let WorkerRecords { records, written } = WorkerRecords::of_file(records);
        let run =
            MeasuredRun { name: "run".into(), records, written, report: None, plan: None, stated: Stated::default() };
        audit(&run, &AuditOptions::default()).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn sound_records_have_no_errors() {
        assert_eq!(codes((1..=40).map(|gb| step(f64::from(gb))).collect()), [""; 0]);
        assert_eq!(codes((0..40).map(file).collect()), [""; 0]);
    }

    #[test]
    fn finds_steps_of_two_runs_in_one_file() {
        assert_eq!(codes(vec![step(1.0), step(2.0), step(1.0)]), ["steps_not_rising"]);
        assert_eq!(codes(vec![step(1.0), step(1.0)]), ["steps_not_rising"]);
    }

    #[test]
    fn finds_a_file_that_is_counted_twice() {
        assert_eq!(codes(vec![file(1), file(2), file(1)]), ["duplicate_file"]);
    }

    #[test]
    fn finds_values_that_contradict_each_other() {
        assert_eq!(
            codes(vec![step(1.0), Record { seconds_per_whole_batch: Some(1.25), ..step(2.0) }]),
            ["seconds_per_batch_identity"]
        );
        assert_eq!(codes(vec![file(1), Record { throughput_bps: Some(0.082), ..file(2) }]), ["throughput_unit"]);
    }
}
