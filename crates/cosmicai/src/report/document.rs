//! The content of a report, independent of the form in which it is written.

use accounting::comparison::changes::Changes;
use accounting::comparison::row::Row;
use plots::charts::Chart;
use serde::Serialize;

use super::gather::ReportInput;
use super::sheets::Sheet;
use crate::printer::count;

/// Content of a report.
pub(crate) struct Report {
    pub(crate) title: String,
    pub(crate) facts: Facts,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) charts: Vec<Chart>,
}

/// Numbers of a report for programs: the content of `comparison.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) format_version: u32,
    /// Time of creation, RFC 3339.
    pub(crate) created: String,
    /// Command that makes the report again.
    pub(crate) command: String,
    /// Name and version of the program that made the report.
    pub(crate) program: String,
    /// Inputs of the report.
    pub(crate) sources: Vec<ReportInput>,
    /// Name of the table of prices.
    pub(crate) prices: String,
    pub(crate) rows: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Changes>,
}

impl Report {
    /// Line below the title: number of runs, inputs and prices.
    pub(crate) fn subtitle(&self) -> String {
        let runs: usize = self.facts.sources.iter().map(|source| source.runs).sum();
        let names: Vec<&str> = self.facts.sources.iter().map(|source| source.name.as_str()).collect();
        format!("{} from {}. Prices: {}.", count(runs, "run"), names.join(", "), self.facts.prices)
    }

    /// Names and values of the most important numbers.
    pub(crate) fn key_numbers(&self) -> Vec<(String, String)> {
        let rows = &self.facts.rows;
        let runs: usize = rows.iter().map(|row| row.repeats).sum();
        let mut numbers = vec![("settings".to_owned(), rows.len().to_string()), ("runs".to_owned(), runs.to_string())];
        let fastest =
            rows.iter().filter_map(|row| Some((row.images_per_s?.median, row))).max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((rate, row)) = fastest {
            numbers.push((format!("highest images/s, end to end ({})", row.label()), format!("{rate:.0}")));
        }
        let memory = rows.iter().filter_map(|row| Some(row.memory_peak_mb?.high)).reduce(f64::max);
        if let Some(memory) = memory {
            numbers.push(("highest peak memory of a worker".to_owned(), format!("{memory:.0} MB")));
        }
        let ratios = rows.iter().filter_map(|row| {
            let cost = row.study.cost_usd.filter(|cost| *cost > 0.0)?;
            Some(row.bill_usd?.median / cost).filter(|ratio| *ratio > 0.0)
        });
        let ratios = accounting::statistics::sorted(ratios);
        let ratio_name = "bill ÷ cost by the CAI study's formula";
        if let [least, .., most] = ratios[..] {
            numbers.push((ratio_name.to_owned(), format!("{least:.1}–{most:.1}")));
        } else if let [ratio] = ratios[..] {
            numbers.push((ratio_name.to_owned(), format!("{ratio:.1}")));
        }
        let stragglers: usize = rows.iter().map(|row| row.stragglers).sum();
        let tasks: usize = rows.iter().map(|row| row.tasks_measured).sum();
        numbers.push(("stragglers".to_owned(), format!("{stragglers} of {tasks} tasks")));
        numbers
    }

    /// Number of sheets before the figures: the tables of the CAI study and the changes since a baseline.
    pub(crate) fn first_sheets(&self) -> usize {
        let is_first = |sheet: &&Sheet| {
            sheet.columns.iter().any(|column| column.is_study) || sheet.title == super::sheets::CHANGES
        };
        self.sheets.iter().take_while(is_first).count()
    }
}
