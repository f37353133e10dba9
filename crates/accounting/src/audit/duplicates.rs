//! Finds ranks and files that are in the records more often than planned: usually once, or as often as the plan, the
//! `data_map` or the `repeat` of a payload states.

use std::collections::BTreeMap;

use serde_json::json;

use super::completeness::planned_times;
use super::evidence::{count, few, shortened};
use super::{AuditOptions, Finding};
use crate::measured::MeasuredRun;

/// Relative difference up to which two times of a file belong to one execution.
const SAME_TIME: f64 = 1e-3;

pub(super) fn check(run: &MeasuredRun, options: &AuditOptions) -> Vec<Finding> {
    let mut of_file: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, record) in run.records.iter().enumerate() {
        for file in record.files() {
            of_file.entry(file).or_default().push(index);
        }
    }
    let planned = planned_times(run, options);
    let [reused, too_few] = reused(&of_file, planned.as_ref());
    let times = |file: &str| planned.as_ref().and_then(|planned| planned.get(file)).copied().unwrap_or(1);
    of_file.retain(|file, records| records.len() > times(file).max(1));
    [ranks(run), files(run, of_file), reused, too_few].into_iter().flatten().collect()
}

/// Finds files that the plan has several times: a note if the records have them as often, and an error if they have them
/// less often.
fn reused(of_file: &BTreeMap<&str, Vec<usize>>, planned: Option<&BTreeMap<String, usize>>) -> [Option<Finding>; 2] {
    let Some(planned) = planned else { return [None, None] };
    let several = || {
        let found = |file: &str| of_file.get(file).map_or(0, Vec::len);
        planned.iter().filter(|(_, times)| **times > 1).map(move |(file, times)| (file, *times, found(file)))
    };
    let as_planned = several().filter(|(_, times, found)| found == times).count();
    let note = (as_planned > 0).then(|| {
        let most = several().map(|(_, times, _)| times).max().unwrap_or_default();
        Finding::note(
            "reused_data",
            format!(
                "the run reads {} more than once, up to {most} times, as its plan states: the data are reused on \
                 purpose",
                count(as_planned, "file")
            ),
            json!({ "count": as_planned, "times": most }),
        )
    });
    // A file without any record is missing from the plan's files.
    let few_records: Vec<_> = several().filter(|(_, times, found)| *found > 0 && found < times).collect();
    let error = (!few_records.is_empty()).then(|| {
        let places = few_records
            .iter()
            .map(|(file, times, found)| json!({ "data_path": shortened(file), "records": found, "planned": times }));
        Finding::error(
            "missing_repeats",
            format!(
                "{} in fewer records than the plan states: averages and sums cover only a part of the run",
                are(few_records.len(), "file")
            ),
            json!({ "count": few_records.len(), "files": few(places) }),
        )
    });
    [note, error]
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

/// Finds files that are in more records than planned.
fn files(run: &MeasuredRun, of_file: BTreeMap<&str, Vec<usize>>) -> Option<Finding> {
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

/// Number and noun with a verb: `1 rank has`, `2 ranks have`.
fn have(number: usize, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "has" } else { "have" })
}

fn are(number: usize, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::measured::Stated;
    use crate::record::Record;

    fn codes(files: &[&str], payload: Option<Value>) -> Vec<&'static str> {
        let record = |(index, file): (usize, &&str)| Record {
            seconds: Some(6.0 + index as f64),
            data_path: Value::String((*file).to_owned()),
            ..Record::default()
        };
        let records = files.iter().enumerate().map(record).collect();
        let run = MeasuredRun {
            name: "run".into(),
            records,
            written: Vec::new(),
            report: None,
            plan: None,
            stated: Stated::default(),
        };
        let payload: Option<Map<String, Value>> = payload.map(|value| value.as_object().unwrap().clone());
        let options = AuditOptions { payload, ..AuditOptions::default() };
        check(&run, &options).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn planned_reuse_is_not_doubling() {
        let twice = ["a/1.pt", "a/2.pt", "a/1.pt", "a/2.pt"];
        assert_eq!(codes(&twice, None), ["duplicate_file"]);
        assert_eq!(codes(&twice, Some(json!({ "repeat": 2 }))), ["reused_data"]);
        assert_eq!(codes(&twice, Some(json!({ "repeat": "2" }))), ["reused_data"]);
        assert_eq!(codes(&twice, Some(json!({ "repeat": 1 }))), ["duplicate_file"]);
        assert_eq!(codes(&twice, Some(json!({ "repeat": 3 }))), ["missing_repeats"]);
        let thrice = ["a/1.pt", "a/2.pt", "a/1.pt", "a/2.pt", "a/1.pt"];
        assert_eq!(codes(&thrice, Some(json!({ "repeat": 2 }))), ["duplicate_file", "reused_data"]);
        // Files reused modulo their number: the first ones once more than the others.
        let map = json!({ "data_map": { "0": ["a/1.pt", "a/2.pt"], "1": ["a/1.pt"], "2": null } });
        assert_eq!(codes(&["a/1.pt", "a/2.pt", "a/1.pt"], Some(map.clone())), ["reused_data"]);
        assert_eq!(codes(&["a/1.pt", "a/2.pt"], Some(map)), ["missing_repeats"]);
        assert_eq!(codes(&["a/1.pt", "a/2.pt"], None), [""; 0]);
    }
}
