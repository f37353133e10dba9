//! Finds gaps in the numbers in file names.
//!
//! `file_limit` selects the first files in S3's order, `1.pt, 10.pt, 100.pt, …, 2.pt`, or in numerical order. Either
//! selection is correct and has no gaps in its own order, so a few gaps are lost records. A selection in S3's order
//! that includes the short last file has less data than the first N files.

use std::collections::BTreeMap;

use records::payload::Order;
use serde_json::json;

use super::evidence::{few, place};
use super::timing::Diagnosis;
use super::{AuditOptions, Finding};
use crate::measured::MeasuredRun;
use crate::record::Record;

/// Least number of files to look for gaps.
const ENOUGH: usize = 4;
/// Largest number in a file name that is considered.
const MAX_NUMBER: u64 = 1_000_000;
/// Most missing files, in percent of the files with records, that are listed. If more are missing, the user may have
/// picked the files.
const MAX_GAPS_PERCENT: usize = 20;

/// Numbers of all files, and the text around them in the file names.
struct Numbers<'a> {
    stem: &'a str,
    ending: &'a str,
    /// Index of the record, by number.
    records: BTreeMap<u64, usize>,
}

pub(super) fn check(run: &MeasuredRun, diagnoses: &[Diagnosis], options: &AuditOptions) -> Vec<Finding> {
    let Some(numbers) = Numbers::of(&run.records) else { return Vec::new() };
    let (by_count, by_name) = (numbers.gaps_in_count(), numbers.gaps_in_names());
    let is_selection = by_name.is_empty() && !by_count.is_empty();
    let is_natural = run.plan.as_ref().is_some_and(|plan| plan.payload.order == Order::Natural);
    if is_selection && !is_natural {
        return short_file(run, diagnoses, &numbers, by_count[0]).into_iter().collect();
    }
    let gaps = if by_name.len() < by_count.len() { by_name } else { by_count };
    // With a plan, or with the right number of files, nothing has to be guessed.
    let is_planned =
        run.plan.is_some() || options.payload.as_ref().is_some_and(|payload| payload.contains_key("data_map"));
    if gaps.is_empty() || is_planned || options.expect_files == Some(numbers.records.len()) {
        return Vec::new();
    }
    let limit = (numbers.records.len() * MAX_GAPS_PERCENT / 100).max(1);
    if gaps.len() > limit {
        return vec![no_selection(&numbers, gaps.len())];
    }
    let files = few(gaps.iter().map(|number| format!("{}{number}{}", numbers.stem, numbers.ending)));
    vec![Finding::warning(
        "missing_in_sequence",
        format!(
            "the numbers of the files have {} gap{}: a file that a selection would include has no record",
            gaps.len(),
            if gaps.len() == 1 { "" } else { "s" }
        ),
        json!({ "files": numbers.records.len(), "count": gaps.len(), "missing_files": files }),
    )]
}

/// Reports files that are not the first ones in any order: most of a run is lost, or the user picked them.
fn no_selection(numbers: &Numbers<'_>, gaps: usize) -> Finding {
    let (files, largest) = (numbers.records.len(), numbers.largest());
    Finding::warning(
        "missing_in_sequence",
        format!(
            "{files} files with numbers up to {largest} have at least {gaps} gaps in numerical and in name order: \
             records are lost, or the files were picked; pass the number of files with --expect-files"
        ),
        json!({ "files": files, "largest": largest, "count": gaps }),
    )
}

/// Finds the short last file among the records although files with smaller numbers are not.
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
            "the files were selected in the order of their names ({0}10 before {0}2): the short file {0}{number}{1} is \
             included, {left_out} full files with smaller numbers are not, and the run has less data than the first \
             {2} files",
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
    /// Reads the numbers; `None` if the files are not numbered in one folder, or if there are too few.
    fn of(records: &'a [Record]) -> Option<Self> {
        let mut all: Option<Self> = None;
        for (index, record) in records.iter().enumerate() {
            // A record without a file may have any number.
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

    /// Numbers from the smallest one to `largest`. A selection may start at any number.
    fn up_to(&self, largest: u64) -> impl Iterator<Item = u64> {
        let smallest = self.records.first_key_value().map_or(0, |(number, _)| *number);
        smallest..=largest
    }

    /// Numbers that are missing in numerical order.
    fn gaps_in_count(&self) -> Vec<u64> {
        self.up_to(self.largest()).filter(|number| !self.records.contains_key(number)).collect()
    }

    /// Numbers that are missing in the order of file names.
    fn gaps_in_names(&self) -> Vec<u64> {
        // The text after a number matters: `10.pt` comes after `1.pt`, but `10_u.pt` before `1_u.pt`.
        let name = |number: u64| format!("{number}{}", self.ending);
        let names: Vec<String> = self.records.keys().map(|number| name(*number)).collect();
        let (Some(first), Some(last)) = (names.iter().min(), names.iter().max()) else { return Vec::new() };
        let is_between = |number: &u64| (first..last).contains(&&name(*number));
        self.gaps_in_count().into_iter().filter(is_between).collect()
    }

    fn left_out_below(&self, number: u64) -> usize {
        self.up_to(number).filter(|number| !self.records.contains_key(number)).count()
    }
}

/// Splits a key around the number of its file: `25MB/`, 107, `.pt`. `None` for numbers with leading zeros, whose
/// numerical order is that of their names.
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
    fn split_finds_the_number_in_a_name() {
        assert_eq!(split("25MB/107.pt"), Some(("25MB/", 107, ".pt")));
        assert_eq!(split("a/é7"), Some(("a/é", 7, "")));
        assert_eq!(split("a/part-0.pt.2"), Some(("a/part-0.pt.", 2, "")));
        for other in ["25MB/part.pt", "a/007.pt", "", "25MB/", "a/99999999999999999999.pt"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn finds_gaps_in_either_order() {
        let gaps = |numbers: &[u64]| {
            let records = records(numbers.iter().copied());
            let numbers = Numbers::of(&records).unwrap();
            (numbers.gaps_in_count(), numbers.gaps_in_names())
        };
        assert_eq!(gaps(&[1, 10, 11, 12, 2, 3]), ((4..=9).collect(), vec![]));
        assert_eq!(gaps(&[1, 10, 12, 2, 3]), (vec![4, 5, 6, 7, 8, 9, 11], vec![11]));
        assert_eq!(gaps(&[0, 1, 2, 3]), (vec![], vec![]));
        for stem in ["25MB/", "sky/part"] {
            for ending in [".pt", "_u.pt", "a.pt", ""] {
                let mut names: Vec<String> = (1..=130).map(|number| format!("{stem}{number}{ending}")).collect();
                names.sort_unstable();
                for count in 4..130 {
                    let records: Vec<Record> = names[..count]
                        .iter()
                        .map(|name| Record { data_path: name.as_str().into(), ..Record::default() })
                        .collect();
                    let gaps = Numbers::of(&records).unwrap().gaps_in_names();
                    assert!(gaps.is_empty(), "{count} of {ending}: {gaps:?}");
                }
            }
        }
        assert_eq!(gaps(&[7, 8, 9, 10]), (vec![], vec![]));
    }
}
