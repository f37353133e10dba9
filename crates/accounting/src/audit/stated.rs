//! Checks costs and throughputs that the records state beside the study's keys for errors of the study: memory used
//! instead of memory billed, mean time of the workers instead of the time of the run, bits instead of bytes.

use serde_json::{Value, json};

use super::Finding;
use super::evidence::{place_with, shortened};
use crate::assumptions::Assumptions;
use crate::bill::{Bill, BillTerms};
use crate::measured::MeasuredRun;
use crate::prices::Prices;
use crate::record::Record;
use crate::statistics::mean;
use crate::study::{self, StudyFigures};

/// Relative difference up to which a stated number comes from a formula.
const SAME: f64 = 0.01;
/// Ratio of bill to stated cost above which the stated cost misleads.
const MISLEADING_RATIO: f64 = 2.0;
/// Most records that are checked.
const MAX_RECORDS: usize = 1_000;
/// Most keys of a record that are checked.
const MAX_KEYS: usize = 100;

/// Bytes in a binary GB.
const GB_2: f64 = 1_073_741_824.0;
/// Bytes in a decimal GB.
const GB_10: f64 = 1e9;

pub(super) fn check(run: &MeasuredRun) -> Vec<Finding> {
    let cost = stated(run, |key| key.to_lowercase().contains("cost")).find_map(|stated| cost(run, stated));
    let throughput = stated(run, is_throughput).find_map(|stated| throughput(run, stated));
    [cost, throughput].into_iter().flatten().collect()
}

/// Returns true if the key is of a throughput in bytes: `GB/s` or `GBps`, but not `Gb/s`, which is in bits.
fn is_throughput(key: &str) -> bool {
    const BYTES: [&str; 5] = ["GB/s", "GBps", "GB_per_s", "gb_per_s", "gb_s"];
    key.to_lowercase().contains("throughput") && BYTES.iter().any(|unit| key.contains(unit))
}

/// Numbers in the records whose keys `is_selected` selects.
fn stated(run: &MeasuredRun, is_selected: fn(&str) -> bool) -> impl Iterator<Item = StatedNumber<'_>> {
    run.records.iter().enumerate().take(MAX_RECORDS).flat_map(move |(index, record)| {
        let keys = record.others.iter().take(MAX_KEYS).filter(move |(key, _)| is_selected(key));
        keys.filter_map(move |(key, value)| Some((index, record, key, number(value)?)))
    })
}

/// Index of a record, the record, a key and its number.
type StatedNumber<'a> = (usize, &'a Record, &'a String, f64);

fn cost(run: &MeasuredRun, (index, record, key, stated): StatedNumber<'_>) -> Option<Finding> {
    let of_run = StudyFigures::of(run).cost_usd;
    let one = MeasuredRun { records: vec![record.clone()], report: None, plan: None, ..run.clone() };
    let of_record = StudyFigures::of(&one).cost_usd;
    let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
    let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false };
    let bill = if is_near(stated, of_run) {
        Bill::of(run, terms)
    } else if is_near(stated, of_record) {
        Bill::of(&one, terms)
    } else {
        return None;
    };
    if bill.total_usd < MISLEADING_RATIO * stated {
        return None;
    }
    Some(Finding::error(
        "cost_is_not_the_bill",
        format!(
            "the stated cost of {stated:.4} USD is {}; the bill is {:.4} USD, {:.1} times as much, because Lambda \
             charges for configured memory × billed time, requests and transitions",
            study::COST_FORMULA,
            bill.total_usd,
            bill.total_usd / stated
        ),
        place_with(
            index,
            record,
            json!({
                "key": shortened(key),
                "stated_usd": stated,
                "bill_usd": bill.total_usd,
                "formula": study::COST_FORMULA,
            }),
        ),
    ))
}

fn throughput(run: &MeasuredRun, (index, record, key, stated): StatedNumber<'_>) -> Option<Finding> {
    let evidence = |details: Value| place_with(index, record, details);
    let key = shortened(key);
    if is_near(stated, record.throughput_bps.map(|bps| bps / GB_10)) {
        return Some(Finding::error(
            "throughput_in_gigabits",
            format!("`{key}` of {stated} is `throughput_bps` / 10⁹: it is in gigabits, 8 times the throughput in GB/s"),
            evidence(json!({ "key": key, "stated": stated, "gb_per_s": stated / 8.0 })),
        ));
    }
    let mean_seconds = mean(run.runtimes())?;
    let bytes = run.bytes().filter(|_| run.records.len() > 1);
    let ways = [bytes.map(|bytes| bytes / GB_2), bytes.map(|bytes| bytes / GB_10), run.data_gb()];
    let is_of_mean = run.records.len() > 1 && ways.iter().any(|gb| is_near(stated, gb.map(|gb| gb / mean_seconds)));
    if !is_of_mean {
        return None;
    }
    let end_to_end = run.data_gb().zip(run.total_seconds()).map(|(gb, seconds)| gb / seconds);
    Some(Finding::warning(
        "throughput_not_end_to_end",
        format!(
            "`{key}` of {stated} is all data ÷ the workers' mean time of {mean_seconds:.2} s, as if all ran at once \
             and nothing else took time{}",
            end_to_end.map_or_else(String::new, |rate| format!("; over the whole run it is {rate:.4} GB/s"))
        ),
        evidence(json!({
            "key": key,
            "stated": stated,
            "mean_s": mean_seconds,
            "total_s": run.total_seconds(),
            "end_to_end_gb_per_s": end_to_end,
        })),
    ))
}

/// Key and value of the first stated throughput, if it is not the throughput of its run.
pub(super) fn contradicted(run: &MeasuredRun) -> Option<(String, f64)> {
    let (_, _, key, stated) = stated(run, is_throughput).next()?;
    (!is_throughput_of(run, stated)).then(|| (shortened(key), stated))
}

/// Returns true if `stated` is the throughput of a run with one record: in binary or decimal GB/s, or in Gbit/s, which
/// the study also calls GB/s.
pub(super) fn is_throughput_of(run: &MeasuredRun, stated: f64) -> bool {
    let [record] = &run.records[..] else { return false };
    let bits = record.throughput_bps;
    [GB_10, 8.0 * GB_10, 8.0 * GB_2].iter().any(|unit| is_near(stated, bits.map(|bits| bits / unit)))
}

fn is_near(stated: f64, computed: Option<f64>) -> bool {
    computed.is_some_and(|computed| computed > 0.0 && (stated / computed - 1.0).abs() <= SAME)
}

/// Positive number in a JSON number or text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_start_matches('$').parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number > 0.0)
}
