//! Finds missing and unexpected records, compared with the number of files, the plan and the report.

use std::collections::{BTreeMap, BTreeSet};

use records::payload::PredictionsFormat;
use records::report::RunReport;
use serde_json::{Value, json};

use super::evidence::{count, few, shortened};
use super::{AuditOptions, Finding};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Number of objects in one page of an S3 listing. A program that reads only the first page gets this number of
/// records.
const PAGE: usize = 1_000;

pub(super) fn check(run: &MeasuredRun, options: &AuditOptions) -> Vec<Finding> {
    let planned = planned(run, options);
    let found: BTreeSet<&str> = run.records.iter().flat_map(Record::files).collect();
    let expected = options.expect_files.or_else(|| planned.as_ref().map(BTreeSet::len));
    // Other checks find records without a file and duplicate files.
    let present = if found.is_empty() { run.records.len() } else { found.len() };
    let mut findings = Vec::new();
    if run.records.is_empty() {
        let message = "the file has no records".to_owned();
        findings.push(Finding::error("no_records", message, json!({ "records": 0, "expected": expected })));
    } else if run.records.len() == PAGE && expected.is_none_or(|expected| expected > present) {
        findings.push(truncated(expected, present));
    } else {
        findings.extend(missing(run, &found, present, expected, planned.as_ref()));
    }
    findings.extend(unexpected(&found, present, expected, planned.as_ref()));
    if expected.is_none() {
        findings.extend(below_limit(present, options));
    }
    findings.extend(predictions(run, options));
    findings
}

/// Number of times that the plan, or the `data_map` of the CAI study's payload, has each file. Without these, the
/// `repeat` of a payload holds for each file of the records; `None` if nothing is known.
pub(super) fn planned_times(run: &MeasuredRun, options: &AuditOptions) -> Option<BTreeMap<String, usize>> {
    if let Some(plan) = &run.plan {
        return Some(counted(plan.tasks.iter().flat_map(|task| &task.files).map(|file| file.key.clone())));
    }
    let payload = options.payload.as_ref()?;
    if let Some(data_map) = payload.get("data_map").and_then(Value::as_object) {
        return Some(counted(data_map.values().flat_map(files_of)));
    }
    let repeat = match payload.get("repeat")? {
        Value::Number(repeat) => repeat.as_u64()?,
        Value::String(repeat) => repeat.trim().parse().ok()?,
        _ => return None,
    };
    let files = run.records.iter().flat_map(Record::files);
    Some(files.map(|file| (file.to_owned(), usize::try_from(repeat).unwrap_or(usize::MAX))).collect())
}

/// Keys of a value of `data_map`: a key, a list of keys, or null.
fn files_of(value: &Value) -> Vec<String> {
    let record = Record { data_path: value.clone(), ..Record::default() };
    record.files().into_iter().map(str::to_owned).collect()
}

/// Files of the plan, or of the `data_map` of the study's payload; `None` if there is neither.
fn planned(run: &MeasuredRun, options: &AuditOptions) -> Option<BTreeSet<String>> {
    if let Some(plan) = &run.plan {
        return Some(plan.tasks.iter().flat_map(|task| &task.files).map(|file| file.key.clone()).collect());
    }
    let data_map = options.payload.as_ref()?.get("data_map")?.as_object()?;
    Some(data_map.values().flat_map(files_of).collect())
}

/// Notes fewer files than the payload's limit, if the number of files is unknown.
fn below_limit(present: usize, options: &AuditOptions) -> Option<Finding> {
    let limit = match options.payload.as_ref()?.get("file_limit")? {
        Value::Number(limit) => limit.as_u64()?,
        Value::String(limit) => limit.trim().parse().ok()?,
        _ => return None,
    };
    (limit > present as u64).then(|| {
        Finding::note(
            "below_file_limit",
            format!(
                "the payload allows {limit} files, and the records have {present}; if the input had more, pass their \
                 number with --expect-files"
            ),
            json!({ "file_limit": limit, "files": present }),
        )
    })
}

fn truncated(expected: Option<usize>, present: usize) -> Finding {
    let more = expected.map_or_else(String::new, |expected| format!("; {expected} files were expected"));
    Finding::error(
        "truncated_at_1000",
        format!("exactly 1,000 records, one page of an S3 listing: further pages were not read{more}"),
        json!({ "records": PAGE, "expected_files": expected, "missing": expected.map(|expected| expected - present) }),
    )
}

fn missing(
    run: &MeasuredRun,
    found: &BTreeSet<&str>,
    present: usize,
    expected: Option<usize>,
    planned: Option<&BTreeSet<String>>,
) -> Option<Finding> {
    let gaps = missing_ranks(&run.records);
    let absent: Vec<String> =
        planned.into_iter().flatten().filter(|key| !found.contains(key.as_str())).map(|key| shortened(key)).collect();
    let too_few = expected.filter(|expected| *expected > present);
    let unfinished = run.report.as_ref().map(unfinished).filter(|_| too_few.is_some());
    let why = match (too_few, gaps.len()) {
        (Some(expected), _) => format!("{} of {expected} files are not in the records", expected - present),
        (None, gaps @ 1..) => format!("{gaps} of the ranks up to the largest one have no record"),
        (None, 0) => return None,
    };
    Some(Finding::error(
        "missing_records",
        format!("{why}: averages and sums cover only a part of the run"),
        json!({
            "records": run.records.len(),
            "files": present,
            "expected_files": expected,
            "missing_files": few(absent),
            "missing_ranks": few(gaps),
            "report": unfinished,
        }),
    ))
}

/// Tasks without results, from the report.
fn unfinished(report: &RunReport) -> Value {
    json!({
        "tasks_planned": report.tasks_planned,
        "tasks_finished": report.tasks.len(),
        "failed": few(report.failed.iter().map(|task| task.rank)),
        "left": few(report.left.iter().copied()),
    })
}

/// Ranks below the largest one that no record has. Empty if the records have no ranks.
fn missing_ranks(records: &[Record]) -> Vec<u64> {
    let ranks: BTreeSet<u64> = records.iter().filter_map(|record| record.rank).collect();
    let gaps = ranks.iter().zip(ranks.iter().skip(1)).flat_map(|(before, after)| before + 1..*after);
    let from_0 = 0..ranks.first().copied().filter(|_| records.len() > 1).unwrap_or_default();
    // A rank in a file may be arbitrarily large.
    from_0.chain(gaps).take(records.len().max(PAGE)).collect()
}

fn unexpected(
    found: &BTreeSet<&str>,
    present: usize,
    expected: Option<usize>,
    planned: Option<&BTreeSet<String>>,
) -> Option<Finding> {
    let unplanned: Vec<String> = match planned {
        Some(planned) => found.iter().filter(|key| !planned.contains(**key)).map(|key| shortened(key)).collect(),
        None => Vec::new(),
    };
    let too_many = expected.filter(|expected| *expected < present);
    let why = match (too_many, unplanned.len()) {
        (_, unplanned @ 1..) => format!("{} of the records are not in the run's plan", count(unplanned, "file")),
        (Some(expected), 0) => format!("{present} files are in the records, and {expected} were expected"),
        (None, 0) => return None,
    };
    Some(Finding::error(
        "unexpected_records",
        format!("{why}: some records belong to another run"),
        json!({ "files": present, "expected_files": expected, "unexpected_files": few(unplanned) }),
    ))
}

/// Finds predictions that are missing although the run should have kept them.
fn predictions(run: &MeasuredRun, options: &AuditOptions) -> Option<Finding> {
    let payload = &run.plan.as_ref()?.payload;
    if payload.predictions == PredictionsFormat::None {
        return Some(Finding::note(
            "predictions_not_kept",
            "the payload has `predictions` set to `none`: the run did not keep its redshifts".to_owned(),
            json!({ "predictions": "none", "records": run.records.len() }),
        ));
    }
    let kept = options.predictions.filter(|kept| *kept < run.records.len())?;
    Some(Finding::error(
        "predictions_missing",
        format!(
            "{} with a record have no predictions: their redshifts are lost",
            count(run.records.len() - kept, "task")
        ),
        json!({ "predictions": kept, "records": run.records.len() }),
    ))
}

/// Number of times that each value occurs.
pub(super) fn counted(values: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}
