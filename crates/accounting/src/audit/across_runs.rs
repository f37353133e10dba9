//! Errors that only several files together show: the same task in two files, values exchanged between two files, a
//! digit lost in one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::evidence::{few, place, place_with, shortened};
use super::timing::{Cause, Field, Timing, diagnose};
use super::{Finding, allocation, identities, stated};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Relative difference up to which two times of a task belong to one execution.
const SAME_TIME: f64 = 1e-3;
/// Ratio up to which the times of a task in two runs are similar.
const ALIKE: f64 = 1.5;
/// Part of the tasks above which different times cannot be stragglers: the runs are not of the same kind.
const MANY: f64 = 0.25;
/// Most inconsistent records that are compared in pairs to find exchanged values.
const MAX_EXCHANGED: usize = 200;

/// Identity of a task: batch size, device, result path, files, and the number of images if its files have no folder.
type Task = [String; 5];

/// Returns the errors that only several runs together show.
pub fn audit_across_runs(runs: &[MeasuredRun]) -> Vec<Finding> {
    if runs.len() < 2 {
        return Vec::new();
    }
    let mut findings = pairs(runs);
    findings.extend(exchanged(runs));
    findings.extend(exchanged_stated(runs));
    findings.extend(lost_digit(runs));
    super::merge(&mut findings);
    findings
}

/// Finds pairs of files with the same tasks: copies, or different times for one task.
fn pairs(runs: &[MeasuredRun]) -> Vec<Finding> {
    let mut of_task: BTreeMap<Task, Vec<(usize, usize)>> = BTreeMap::new();
    for (file, run) in runs.iter().enumerate() {
        for (index, record) in run.records.iter().enumerate() {
            if let Some(task) = task(record) {
                of_task.entry(task).or_default().push((file, index));
            }
        }
    }
    // For each pair of files: number of common tasks, number of those with the same time, and those with different
    // times.
    let mut of_pair: BTreeMap<(usize, usize), (usize, usize, Vec<Value>)> = BTreeMap::new();
    for places in of_task.values() {
        let (first_file, first) = places[0];
        for &(file, index) in places.iter().filter(|(file, _)| *file != first_file) {
            let (a, b) = (&runs[first_file].records[first], &runs[file].records[index]);
            let (Some(before), Some(after)) = (a.seconds, b.seconds) else { continue };
            let pair = of_pair.entry((first_file, file)).or_default();
            pair.0 += 1;
            if (after / before - 1.0).abs() <= SAME_TIME {
                pair.1 += 1;
            } else if after / before > ALIKE || before / after > ALIKE {
                pair.2.push(place_with(index, b, json!({ "seconds": [before, after], "times": after / before })));
            }
        }
    }
    let mut findings = Vec::new();
    for ((first, second), (common, same, different)) in of_pair {
        let names = [&runs[first].name, &runs[second].name];
        let shown = format!("`{}` and `{}`", shortened(names[0]), shortened(names[1]));
        if same > 0 {
            findings.push(Finding::warning(
                "same_records_twice",
                format!("{shown} have {same} records in common: sums over both files count them twice"),
                json!({ "files": names, "count": same }),
            ));
        }
        if different.len() as f64 > MANY * common as f64 {
            findings.push(Finding::error(
                "conflicting_runs",
                format!(
                    "{shown} have very different times for the same tasks (same batch size, result path and files): \
                     one of them belongs to another run"
                ),
                json!({ "files": names, "count": different.len(), "records": few(different) }),
            ));
        }
    }
    findings
}

/// Identity of a record's task; `None` if the record names no file.
fn task(record: &Record) -> Option<Task> {
    if record.files().is_empty() {
        return None;
    }
    let batch_size = record.batch_size.map_or_else(String::new, |size| size.to_string());
    let result_path = record.result_path.as_deref().unwrap_or_default().trim_matches('/').to_owned();
    // Every set has a `1.pt`.
    let has_folder = record.files().iter().any(|key| key.contains('/'));
    let images = record.samples().filter(|_| !has_folder).map_or_else(String::new, |images| format!("{images:.0}"));
    let device = record.device.clone().unwrap_or_default();
    Some([batch_size, device, result_path, record.data_path.to_string(), images])
}

/// Finds two records in different files that have each other's throughput or time.
fn exchanged(runs: &[MeasuredRun]) -> Option<Finding> {
    const FIELDS: [&[Field]; 2] = [&[Field::Throughput], &[Field::Seconds]];
    let suspects: Vec<(usize, usize, &Record, Timing)> = runs
        .iter()
        .enumerate()
        .flat_map(|(file, run)| {
            let diagnosed = diagnose(&run.records).into_iter().zip(&run.records).enumerate();
            diagnosed.filter_map(move |(index, (diagnosis, record))| {
                matches!(diagnosis.cause?, Cause::Wrong(_)).then_some((file, index, record, diagnosis.timing))
            })
        })
        .take(MAX_EXCHANGED)
        .collect();
    let (fields, a, b) = FIELDS.iter().find_map(|fields| {
        suspects.iter().enumerate().find_map(|(number, a)| {
            let others = &suspects[number + 1..];
            let b = others.iter().find(|b| a.0 != b.0 && identities::fit_exchanged(&a.3, &b.3, fields))?;
            Some((fields, a, b))
        })
    })?;
    let names = [&runs[a.0].name, &runs[b.0].name];
    Some(Finding::error(
        "swapped_values",
        format!(
            "`{}` and `{}` have each other's `{}`: both records are inconsistent, and consistent after the exchange",
            shortened(names[0]),
            shortened(names[1]),
            fields[0].key()
        ),
        json!({ "files": names, "keys": [fields[0].key()], "records": [place(a.1, a.2), place(b.1, b.2)] }),
    ))
}

/// Finds two runs that state each other's throughput.
fn exchanged_stated(runs: &[MeasuredRun]) -> Option<Finding> {
    let stated: Vec<(&MeasuredRun, String, f64)> =
        runs.iter().filter_map(|run| stated::contradicted(run).map(|(key, value)| (run, key, value))).collect();
    stated.iter().enumerate().take(MAX_EXCHANGED).find_map(|(number, (a, key, stated_by_a))| {
        let is_other = |(b, _, stated_by_b): &&(&MeasuredRun, String, f64)| {
            stated::is_throughput_of(b, *stated_by_a) && stated::is_throughput_of(a, *stated_by_b)
        };
        let (b, _, stated_by_b) = stated[number + 1..].iter().find(is_other)?;
        Some(Finding::error(
            "swapped_values",
            format!(
                "`{}` and `{}` state each other's `{key}`: neither is the throughput of its own records",
                shortened(&a.name),
                shortened(&b.name)
            ),
            json!({ "files": [a.name, b.name], "keys": [key], "stated": [stated_by_a, stated_by_b] }),
        ))
    })
}

/// Finds a lost digit in a file that has too few records to find it in.
fn lost_digit(runs: &[MeasuredRun]) -> Option<Finding> {
    let records: Vec<&Record> = runs.iter().flat_map(|run| &run.records).collect();
    let alone: usize = runs
        .iter()
        .map(|run| {
            let records: Vec<&Record> = run.records.iter().collect();
            allocation::lost_digits(&records, &diagnose(&run.records)).len()
        })
        .sum();
    let lost = allocation::lost_digits(&records, &diagnose(records.iter().copied()));
    if alone > 0 || lost.is_empty() {
        return None;
    }
    let places = few(lost.iter().map(|lost| place_with(lost.index, lost.record, allocation::details(lost))));
    Some(Finding::error(
        "lost_digit",
        allocation::message(&format!("{} of {} records in {} files", lost.len(), records.len(), runs.len())),
        json!({ "count": lost.len(), "records": places }),
    ))
}
