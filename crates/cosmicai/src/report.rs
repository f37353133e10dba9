//! A report on measured runs: the study's tables with honest columns beside, pictures, what changed, and where every number
//! comes from; as a page, as Markdown, as CSV and as JSON.
//!
//! In: runs, files of records, lines of sweeps ([`gather`]), folded over repeats into [`row`]s. Out: [`sheets`] of words
//! and numbers and [`pictures`], which [`page`] and [`markdown`] write. Never here: a number that is not in the files, or
//! reckoned from them by `accounting`.

pub(crate) mod baseline;
pub(crate) mod gather;
pub(crate) mod markdown;
pub(crate) mod page;
pub(crate) mod pictures;
pub(crate) mod row;
pub(crate) mod sheets;

use serde::Serialize;

use crate::plots::charts::Chart;
use baseline::Changes;
use gather::Source;
use row::Row;
use sheets::Sheet;

/// The version of `report.json` of a report.
pub(crate) const REPORT_FORMAT: u32 = 1;

/// What is reported, before it is written in any form.
pub(crate) struct Report {
    pub(crate) title: String,
    pub(crate) facts: Facts,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) charts: Vec<Chart>,
}

/// The numbers, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) format_version: u32,
    /// When it was made, RFC 3339.
    pub(crate) created: String,
    /// The command that makes it again.
    pub(crate) command: String,
    /// Version of the program that made it.
    pub(crate) program: String,
    /// What it was made from.
    pub(crate) sources: Vec<Source>,
    /// Name of the table of prices.
    pub(crate) prices: String,
    pub(crate) rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Changes>,
}

impl Report {
    /// What it is about, in a line.
    pub(crate) fn subtitle(&self) -> String {
        let runs: usize = self.facts.sources.iter().map(|source| source.runs).sum();
        let names: Vec<&str> = self.facts.sources.iter().map(|source| source.name.as_str()).collect();
        format!("{runs} runs, from {}. Prices: {}.", names.join(", "), self.facts.prices)
    }

    /// The numbers that are looked for first, with their names.
    pub(crate) fn key_numbers(&self) -> Vec<(String, String)> {
        let rows = &self.facts.rows;
        let runs: usize = rows.iter().map(|row| row.repeats).sum();
        let mut numbers = vec![("settings".to_owned(), rows.len().to_string()), ("runs".to_owned(), runs.to_string())];
        let fastest =
            rows.iter().filter_map(|row| Some((row.images_per_s?.median, row))).max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((rate, row)) = fastest {
            numbers.push((format!("most images/s, end to end ({})", row.label()), format!("{rate:.0}")));
        }
        let memory = rows.iter().filter_map(|row| Some(row.memory_peak_mb?.high)).reduce(f64::max);
        if let Some(memory) = memory {
            numbers.push(("most memory of a worker".to_owned(), format!("{memory:.0} MB")));
        }
        let ratios = rows.iter().filter_map(|row| {
            let cost = row.study.cost_usd.filter(|cost| *cost > 0.0)?;
            Some(row.bill_usd?.median / cost).filter(|ratio| *ratio > 0.0)
        });
        let ratios = accounting::statistics::sorted(ratios);
        if let [least, .., most] = ratios[..] {
            numbers.push(("bill over the study's cost".to_owned(), format!("{least:.1}–{most:.1} ×")));
        } else if let [ratio] = ratios[..] {
            numbers.push(("bill over the study's cost".to_owned(), format!("{ratio:.1} ×")));
        }
        let stragglers: usize = rows.iter().map(|row| row.stragglers).sum();
        let tasks: usize = rows.iter().map(|row| row.tasks_measured).sum();
        numbers.push(("stragglers".to_owned(), format!("{stragglers} of {tasks} tasks")));
        numbers
    }

    /// The sheets that stand before the pictures: the study's tables, and what changed.
    pub(crate) fn first_sheets(&self) -> usize {
        let is_first = |sheet: &&Sheet| {
            sheet.columns.iter().any(|column| column.is_study) || sheet.title.starts_with("What changed")
        };
        self.sheets.iter().take_while(is_first).count()
    }
}
