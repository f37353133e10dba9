//! Finds records of several runs in one file: values that all tasks of a run share differ, or contradict the payload.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::completeness::counted;
use super::evidence::{few, place_with, shortened};
use super::{AuditOptions, Finding};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Value that all tasks of a run share: code of the finding if it differs, key, and function that reads it.
type Shared = (&'static str, &'static str, fn(&Record) -> Option<String>);

const SHARED: &[Shared] = &[
    ("mixed_batch_size", "batch_size", |record| record.batch_size.map(|size| size.to_string())),
    ("mixed_result_path", "result_path", |record| Some(trimmed(record.result_path.as_deref()?).to_owned())),
    ("mixed_device", "device", |record| record.device.clone()),
    ("mixed_model_memory", "total_model_memory (MB)", |record| {
        // Records print different numbers of digits.
        record.model_memory_mb.map(|mb| format!("{mb:.3}"))
    }),
];

pub(super) fn check(run: &MeasuredRun, options: &AuditOptions) -> Vec<Finding> {
    let mut findings: Vec<Finding> = SHARED
        .iter()
        .filter_map(|(code, key, value)| mixed(code, key, counted(run.records.iter().filter_map(value))))
        .collect();
    // A plan lists its files, in any number of folders.
    if run.plan.is_none() {
        let folders = run.records.iter().flat_map(Record::files).map(|key| folder(key).to_owned());
        findings.extend(mixed("mixed_data_prefix", "folder of data_path", counted(folders)));
    }
    if let Some(report) = &run.report {
        let tasks = &report.tasks;
        let of = |value: fn(&records::report::TaskReport) -> &String| counted(tasks.iter().map(value).cloned());
        findings.extend(mixed("mixed_precision", "precision", of(|task| &task.precision)));
        findings.extend(mixed("mixed_model", "model_sha256", of(|task| &task.model_sha256)));
    }
    let plan = run.plan.as_ref().map(|plan| plan.payload.submitted());
    findings.extend(plan.or(options.payload.as_ref()).and_then(|payload| payload_mismatch(run, payload)));
    findings
}

fn mixed(code: &'static str, key: &str, values: BTreeMap<String, usize>) -> Option<Finding> {
    if values.len() < 2 {
        return None;
    }
    let names: Vec<&String> = few(values.keys());
    let shown = names.iter().map(|name| format!("`{}`", shortened(name))).collect::<Vec<_>>().join(", ");
    let why = if share_a_beginning(&values) {
        "; one is a prefix of another: a listing without a trailing slash includes siblings, and one with a slash \
         includes nested folders"
    } else {
        ""
    };
    let counts: Map<String, Value> = names.iter().map(|name| (shortened(name), json!(values[*name]))).collect();
    Some(Finding::error(
        code,
        format!("the file mixes records of several runs: {} values of `{key}`: {shown}{why}", values.len()),
        json!({ "key": key, "count": values.len(), "values": counts }),
    ))
}

/// Returns true if one value is a path and a prefix of another: `results/a` and `results/a2`, or `results/a/b`.
fn share_a_beginning(values: &BTreeMap<String, usize>) -> bool {
    let names: Vec<&String> = values.keys().collect();
    let is_path = |name: &str| name.contains('/') || name.parse::<f64>().is_err();
    // In sorted order, a prefix comes directly before a longer name.
    names.windows(2).any(|pair| is_path(pair[0]) && !pair[0].is_empty() && pair[1].starts_with(pair[0].as_str()))
}

/// Finds records that contradict the payload beside them. This happens if the next run overwrites the payload of a
/// bucket.
fn payload_mismatch(run: &MeasuredRun, payload: &Map<String, Value>) -> Option<Finding> {
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    let batch_size = match payload.get("batch_size") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let prefix = text("data_prefix").map(trimmed).filter(|prefix| !prefix.is_empty());
    let mut keys = BTreeSet::new();
    let mut places = Vec::new();
    for (index, record) in run.records.iter().enumerate() {
        let mut differs = Map::new();
        if let (Some(found), Some(asked)) = (record.batch_size, batch_size)
            && found != asked
        {
            differs.insert("batch_size".to_owned(), json!({ "record": found, "payload": asked }));
        }
        if let (Some(found), Some(asked)) = (record.result_path.as_deref(), text("result_path"))
            && trimmed(found) != trimmed(asked)
        {
            differs
                .insert("result_path".to_owned(), json!({ "record": shortened(found), "payload": shortened(asked) }));
        }
        if let Some(prefix) = prefix
            && let Some(outside) = record.files().into_iter().find(|key| !is_below(key, prefix))
        {
            differs.insert(
                "data_prefix".to_owned(),
                json!({ "record": shortened(outside), "payload": shortened(prefix) }),
            );
        }
        if !differs.is_empty() {
            keys.extend(differs.keys().cloned());
            places.push(place_with(index, record, json!({ "differs": differs })));
        }
    }
    if places.is_empty() {
        return None;
    }
    let keys: Vec<String> = keys.into_iter().collect();
    Some(Finding::error(
        "payload_mismatch",
        format!(
            "{} of {} records contradict the payload beside them ({}): another run overwrote the payload or the \
             records",
            places.len(),
            run.records.len(),
            keys.join(", ")
        ),
        json!({ "keys": keys, "count": places.len(), "records": few(places) }),
    ))
}

fn is_below(key: &str, prefix: &str) -> bool {
    key.trim_start_matches('/').strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

fn folder(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| trimmed(folder))
}

fn trimmed(folder: &str) -> &str {
    folder.trim_matches('/')
}
