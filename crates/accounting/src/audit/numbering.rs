//! What the numbers in the names of files tell: which ones a selection left out.
//!
//! `file_limit` takes the first files in S3's order, `1.pt, 10.pt, 100.pt, …, 2.pt`, or as people count. Both leave files
//! out, and that is no error; but a selection in either order has no holes in that order, and one with a few has lost
//! records. One in S3's order that took the short last file before others is neither the first N nor of the size that
//! it is called.

use std::collections::BTreeMap;

use pipeline::payload::Order;
use serde_json::json;

use super::places::{few, place};
use super::timing::Diagnosis;
use super::{AuditOptions, Finding};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Files from which on holes mean something.
const ENOUGH: usize = 4;
/// The largest number that is looked below.
const MAX_NUMBER: u64 = 1_000_000;
/// Where more of the files are missing, in percent of those that are there, it is not said which ones: perhaps they were
/// picked.
const MAX_HOLES_PERCENT: usize = 20;

/// The numbers of all files, with the digits that they are written in, and of which record they are.
struct Numbers<'a> {
    stem: &'a str,
    ending: &'a str,
    /// Number to index of the record.
    records: BTreeMap<u64, usize>,
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis], options: &AuditOptions) -> Vec<Finding> {
    let Some(numbers) = Numbers::of(&run.records) else { return Vec::new() };
    let (by_count, by_name) = (numbers.holes_in_count(), numbers.holes_in_names());
    let is_selection = by_name.is_empty() && !by_count.is_empty();
    let is_natural = run.plan.as_ref().is_some_and(|plan| plan.payload.order == Order::Natural);
    if is_selection && !is_natural {
        return short_file(run, diagnoses, &numbers, by_count[0]).into_iter().collect();
    }
    let holes = if by_name.len() < by_count.len() { by_name } else { by_count };
    // A plan says which files are missing, and no guess is needed; so does their number, where it is right.
    let is_planned =
        run.plan.is_some() || options.payload.as_ref().is_some_and(|payload| payload.contains_key("data_map"));
    if holes.is_empty() || is_planned || options.expect_files == Some(numbers.records.len()) {
        return Vec::new();
    }
    let limit = (numbers.records.len() * MAX_HOLES_PERCENT / 100).max(1);
    if holes.len() > limit {
        return vec![no_selection(&numbers, holes.len())];
    }
    let files = few(holes.iter().map(|number| format!("{}{number}{}", numbers.stem, numbers.ending)));
    vec![Finding::warning(
        "missing_in_sequence",
        format!(
            "the numbers of the files have {} hole{}: a file that would have been taken has no record",
            holes.len(),
            if holes.len() == 1 { "" } else { "s" }
        ),
        json!({ "files": numbers.records.len(), "count": holes.len(), "missing_files": files }),
    )]
}

/// Files that are the first of no order: most of a run is lost, or somebody picked them.
fn no_selection(numbers: &Numbers<'_>, holes: usize) -> Finding {
    let (files, largest) = (numbers.records.len(), numbers.largest());
    Finding::warning(
        "missing_in_sequence",
        format!(
            "{files} files with numbers up to {largest} are the first ones of no order, with {holes} holes between them at \
             least: records are lost, or the files were picked; --expect-files says how many there should be"
        ),
        json!({ "files": files, "largest": largest, "count": holes }),
    )
}

/// The short last file, where others that count before it were left out.
fn short_file(
    run: &MeasuredRun,
    diagnoses: &[Diagnosis],
    numbers: &Numbers<'_>,
    first_left_out: u64,
) -> Option<Finding> {
    let mut samples: Vec<(u64, usize, f64)> = Vec::new();
    for (&number, &record) in &numbers.records {
        if run.records[record].files().len() == 1 {
            samples.push((number, record, diagnoses[record].samples()?));
        }
    }
    let usual = samples.iter().map(|(_, _, samples)| *samples).fold(0.0, f64::max);
    let mut short = samples.iter().filter(|(_, _, samples)| *samples < usual);
    let (&(number, index, samples_of_short), None) = (short.next()?, short.next()) else { return None };
    if number < first_left_out {
        return None;
    }
    let left_out = numbers.left_out_below(number);
    Some(Finding::warning(
        "lexicographic_selection",
        format!(
            "the files were taken in the order of their names ({0}10 before {0}2): the short file {0}{number}{1} is among \
             them and {left_out} full ones that count before it are not, so that this is neither the first {2} files nor \
             their amount of data",
            numbers.stem,
            numbers.ending,
            numbers.records.len(),
        ),
        json!({
            "short": place(index, &run.records[index]),
            "samples": samples_of_short,
            "samples_of_others": usual,
            "left_out_before_it": left_out,
            "first_left_out": format!("{}{first_left_out}{}", numbers.stem, numbers.ending),
        }),
    ))
}

impl<'a> Numbers<'a> {
    /// None where the files are not numbered in one folder, or too few.
    fn of(records: &'a [Record]) -> Option<Self> {
        let mut all: Option<Self> = None;
        for (index, record) in records.iter().enumerate() {
            // One that names none may have any.
            if record.files().is_empty() {
                return None;
            }
            for key in record.files() {
                let (stem, number, ending) = split(key)?;
                let all = all.get_or_insert_with(|| Self { stem, ending, records: BTreeMap::new() });
                if all.stem != stem || all.ending != ending {
                    return None;
                }
                all.records.insert(number, index);
            }
        }
        all.filter(|all| all.records.len() >= ENOUGH)
    }

    fn largest(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// From the smallest one on: a selection may begin anywhere.
    fn up_to(&self, largest: u64) -> impl Iterator<Item = u64> {
        let smallest = self.records.first_key_value().map_or(0, |(number, _)| *number);
        smallest..=largest
    }

    /// What a selection of the first files as people count has left out.
    fn holes_in_count(&self) -> Vec<u64> {
        self.up_to(self.largest()).filter(|number| !self.records.contains_key(number)).collect()
    }

    /// What a selection of the first files in the order of their names has left out.
    fn holes_in_names(&self) -> Vec<u64> {
        // What follows a number counts: `10.pt` comes after `1.pt`, and `10_u.pt` before `1_u.pt`.
        let name = |number: u64| format!("{number}{}", self.ending);
        let names: Vec<String> = self.records.keys().map(|number| name(*number)).collect();
        let (Some(first), Some(last)) = (names.iter().min(), names.iter().max()) else { return Vec::new() };
        let is_between = |number: &u64| (first..last).contains(&&name(*number));
        self.holes_in_count().into_iter().filter(is_between).collect()
    }

    fn left_out_below(&self, number: u64) -> usize {
        self.up_to(number).filter(|number| !self.records.contains_key(number)).count()
    }
}

/// What stands before the number of a file, the number, and what stands after: `25MB/`, 107, `.pt`. Numbers with leading
/// zeros are of names in which both orders are one.
fn split(key: &str) -> Option<(&str, u64, &str)> {
    let name = key.rfind('/').map_or(0, |slash| slash + 1);
    let last = name + key[name..].rfind(|letter: char| letter.is_ascii_digit())?;
    let first = key[name..=last].rfind(|letter: char| !letter.is_ascii_digit());
    let first =
        first.map_or(name, |before| name + before + key[name + before..].chars().next().map_or(0, char::len_utf8));
    let digits = &key[first..=last];
    let is_plain = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|number| is_plain && *number <= MAX_NUMBER)?;
    Some((&key[..first], number, &key[last + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<Record> {
        numbers
            .into_iter()
            .map(|number| Record { data_path: format!("25MB/{number}.pt").into(), ..Record::default() })
            .collect()
    }

    #[test]
    fn names_are_split_around_their_number() {
        assert_eq!(split("25MB/107.pt"), Some(("25MB/", 107, ".pt")));
        assert_eq!(split("a/é7"), Some(("a/é", 7, "")));
        assert_eq!(split("a/part-0.pt.2"), Some(("a/part-0.pt.", 2, "")));
        for other in ["25MB/part.pt", "a/007.pt", "", "25MB/", "a/99999999999999999999.pt"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn holes_are_those_of_either_order() {
        let holes = |numbers: &[u64]| {
            let records = records(numbers.iter().copied());
            let numbers = Numbers::of(&records).unwrap();
            (numbers.holes_in_count(), numbers.holes_in_names())
        };
        assert_eq!(holes(&[1, 10, 11, 12, 2, 3]), ((4..=9).collect(), vec![]));
        assert_eq!(holes(&[1, 10, 12, 2, 3]), (vec![4, 5, 6, 7, 8, 9, 11], vec![11]));
        assert_eq!(holes(&[0, 1, 2, 3]), (vec![], vec![]));
        for stem in ["25MB/", "sky/part"] {
            for ending in [".pt", "_u.pt", "a.pt", ""] {
                let mut names: Vec<String> = (1..=130).map(|number| format!("{stem}{number}{ending}")).collect();
                names.sort_unstable();
                for count in 4..130 {
                    let records: Vec<Record> = names[..count]
                        .iter()
                        .map(|name| Record { data_path: name.as_str().into(), ..Record::default() })
                        .collect();
                    let holes = Numbers::of(&records).unwrap().holes_in_names();
                    assert!(holes.is_empty(), "{count} of {ending}: {holes:?}");
                }
            }
        }
        assert_eq!(holes(&[7, 8, 9, 10]), (vec![], vec![]));
    }
}
