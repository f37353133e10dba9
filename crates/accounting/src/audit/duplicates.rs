//! Finds ranks and files that are in the records more than once.

use std::collections::BTreeMap;

use serde_json::json;

use super::Finding;
use super::evidence::{count, few, shortened};
use crate::measured::MeasuredRun;

/// Relative difference up to which two times of a file belong to one execution.
const SAME_TIME: f64 = 1e-3;

pub(super) fn check(run: &MeasuredRun) -> Vec<Finding> {
    [ranks(run), files(run)].into_iter().flatten().collect()
}

fn ranks(run: &MeasuredRun) -> Option<Finding> {
    let mut of_rank: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, record) in run.records.iter().enumerate() {
        if let Some(rank) = record.rank {
            of_rank.entry(rank).or_default().push(index);
        }
    }
    of_rank.retain(|_, records| records.len() > 1);
    if of_rank.is_empty() {
        return None;
    }
    let places = of_rank.iter().map(|(rank, records)| json!({ "rank": rank, "records": few(records.iter().copied()) }));
    Some(Finding::error(
        "duplicate_rank",
        format!("{} more than one record: a task is counted twice", have(of_rank.len(), "rank")),
        json!({ "count": of_rank.len(), "ranks": few(places) }),
    ))
}

fn files(run: &MeasuredRun) -> Option<Finding> {
    let mut of_file: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, record) in run.records.iter().enumerate() {
        for file in record.files() {
            of_file.entry(file).or_default().push(index);
        }
    }
    of_file.retain(|_, records| records.len() > 1);
    if of_file.is_empty() {
        return None;
    }
    let seconds =
        |records: &[usize]| -> Vec<f64> { few(records.iter().filter_map(|&index| run.records[index].seconds)) };
    let differ = of_file.values().filter(|records| {
        let seconds = seconds(records);
        seconds.iter().any(|other| (other / seconds[0] - 1.0).abs() > SAME_TIME)
    });
    let differ = differ.count();
    let places = few(of_file.iter().map(|(file, records)| {
        json!({ "data_path": shortened(file), "records": few(records.iter().copied()), "seconds": seconds(records) })
    }));
    let why = if differ > 0 {
        format!("{differ} of them with different times, from two executions")
    } else {
        "with the same times, from copied records".to_owned()
    };
    Some(Finding::error(
        "duplicate_file",
        format!("{} more than once in the records, {why}: data is counted twice", are(of_file.len(), "file")),
        json!({ "count": of_file.len(), "with_different_times": differ, "files": places }),
    ))
}

fn have(number: usize, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "has" } else { "have" })
}

fn are(number: usize, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "is" } else { "are" })
}
