//! The tables of a report: the study's columns with its digits, and the honest ones beside, each with its unit.

use std::collections::BTreeSet;

use accounting::bill::Basis;
use accounting::circumstances::Assumption;
use accounting::measured::LOCAL;
use accounting::statistics::Estimate;
use accounting::study::COST_FORMULA;

use super::baseline::Changes;
use super::gather::Source;
use super::row::{Row, short};
use crate::printer::{grouped, usd};

/// A table of words.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// What one must know to read it.
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<SheetRow>,
}

/// A column; numbers are aligned to the right.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) is_number: bool,
    /// Whether it is one of the study's.
    pub(crate) is_study: bool,
}

/// A row of cells, or a heading over the rows below it.
#[derive(Debug, Clone)]
pub(crate) enum SheetRow {
    Heading(String),
    Cells(Vec<String>),
}

/// What stands where there is no number.
pub(crate) const NONE: &str = "–";

/// The study's table of workers: a run of many tasks, wherever they ran.
pub(crate) fn workers(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        study("Partition", "MB"),
        study("Lambda/File Limit", ""),
        study("Avg Runtime", "s"),
        study("Memory", "MB"),
        study("Data Size", "GB"),
        study("Cost", "$"),
        study("Throughput", "GB/s"),
        study("Batch Size", ""),
        study("Total Execution Time", "s"),
        study("Performance Efficiency", "(GB/s)/$"),
        ours("Bill", "$"),
        ours("Bill ÷ cost", ""),
        ours("End to end", "GB/s"),
        ours("Map", "GB/s"),
        ours("Sum of workers", "GB/s"),
        ours("Images", "1/s"),
        ours("Efficiency by bill", "(GB/s)/$"),
        ours("Peak memory", "MB"),
        ours("Stragglers", "tasks"),
        ours("Repeats", ""),
        words("Ran on"),
    ];
    let cells = |row: &Row| {
        let total = row.total_s.as_ref();
        vec![
            row.setting.partition_mb.map_or_else(none, short),
            row.study.files.to_string(),
            number(row.study.runtime_s_mean, 2),
            row.study.memory_mb_mean.map_or_else(none, |mb| thousands(mb, 2)),
            data_size(row),
            row.study.cost_usd.map_or_else(none, small_usd),
            number(row.study.throughput_gb_per_s, 4),
            batch_size(row),
            with_range(total, 1),
            number(row.study.performance_efficiency, 2),
            row.bill_usd.map_or_else(none, |bill| usd(bill.median)),
            row.bill_usd
                .filter(|bill| bill.median > 0.0)
                .zip(row.study.cost_usd.filter(|cost| *cost > 0.0))
                .map_or_else(none, |(bill, cost)| format!("{:.1}", bill.median / cost)),
            with_range(row.end_to_end_gb_per_s.as_ref(), 4),
            with_range(row.map_gb_per_s.as_ref(), 4),
            with_range(row.sum_of_workers_gb_per_s.as_ref(), 4),
            with_range(row.images_per_s.as_ref(), 0),
            number(row.efficiency_bill, 2),
            with_range(row.memory_peak_mb.as_ref(), 0),
            format!("{} of {}", row.stragglers, row.tasks_measured),
            row.repeats.to_string(),
            ran_on(row),
        ]
    };
    let caption = format!(
        "The first ten columns are the study's, by its formulas: MB and GB are binary, data is nominal (partition × files / \
         1024), cost is {COST_FORMULA}, throughput is data ÷ mean runtime, as if all workers ran at once and nothing else took \
         time. What follows is the bill (on Lambda what AWS would charge, elsewhere what an hour is said to cost), what a person \
         waits for (end to end), and the rates of the Map alone and of all workers added up, from the bytes that went through \
         the model. Of repeats, medians with a 95 % interval of the median, or the range of fewer than six. A straggler takes \
         more than each of 2.5 × the median task, the median + 6 σ, and the median + 1 s, as the audit has it."
    );
    let chosen: Vec<&Row> = rows.iter().filter(|row| !is_one_process(row)).collect();
    sheet("Runs of many workers", caption, columns, &chosen, &cells)
}

/// The study's table of a local computer: one process over all data.
pub(crate) fn one_process(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        study("Data Size", "GB"),
        study("Total CPU Time", "s"),
        study("Memory", "MB allocated"),
        study("Throughput", "GB/s"),
        study("Batch Size", ""),
        ours("Throughput", "Gbit/s"),
        ours("Images", "1/s"),
        ours("Whole run", "s"),
        ours("Peak memory", "MB"),
        ours("Repeats", ""),
        words("Ran on"),
    ];
    let cells = |row: &Row| {
        let rate = row.sum_of_workers_gb_per_s.as_ref().map(|rate| rate.median);
        vec![
            data_size(row),
            number(row.study.runtime_s_mean, 2),
            row.allocated_mb.map_or_else(none, |mb| thousands(mb, 1)),
            number(rate, 4),
            batch_size(row),
            // A binary GB of bytes in units of 10⁹ bits.
            number(rate.map(|gb| gb * 8.0 * 1.073_741_824), 4),
            with_range(row.images_per_s.as_ref(), 0),
            with_range(row.total_s.as_ref(), 2),
            with_range(row.memory_peak_mb.as_ref(), 0),
            row.repeats.to_string(),
            ran_on(row),
        ]
    };
    let caption =
        "One process over all of the data, as the study ran its local computer. Its column of GB/s had Gbit/s in it; \
                   here both stand, each under its unit."
            .to_owned();
    let chosen: Vec<&Row> = rows.iter().filter(|row| is_one_process(row)).collect();
    sheet("One process on one machine", caption, columns, &chosen, &cells)
}

/// Whether a row is one process over all of the data.
pub(crate) fn is_one_process(row: &Row) -> bool {
    row.setting.executor == LOCAL && row.setting.tasks == 1
}

/// The bill of each row, line by line.
pub(crate) fn bills(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        words("Charged for"),
        ours("Quantity", ""),
        words("of"),
        ours("USD each", "$"),
        ours("USD", "$"),
        words("Quantity is"),
        words("Price from"),
    ];
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| row.bill.total_usd > 0.0) {
        lines.push(SheetRow::Heading(format!("{}: {}, {} USD", row.experiment, row.label(), usd(row.bill.total_usd))));
        lines.extend(row.bill.lines.iter().map(|line| {
            let basis = match line.basis {
                Basis::Billed => "billed",
                Basis::Measured => "measured",
                Basis::Assumed => "reckoned",
            };
            SheetRow::Cells(vec![
                line.what.clone(),
                short(line.quantity),
                line.unit.clone(),
                format!("{:.10}", line.usd_per_unit).trim_end_matches('0').to_owned(),
                usd(line.amount_usd),
                format!("{basis}: {}", line.reckoned),
                format!("{}, read {}", line.source, line.read),
            ])
        }));
    }
    let caption = "Quantity × unit price, line by line, of one repeat of each row that costs anything.".to_owned();
    (!lines.is_empty()).then(|| Sheet { title: "Bills".to_owned(), caption, columns, rows: lines })
}

/// What was foretold of runs, beside what they became.
pub(crate) fn foretold(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        words("Run"),
        ours("Time foretold", "s, 90 %"),
        ours("Time", "s"),
        ours("Cost foretold", "$, 90 %"),
        ours("Cost", "$"),
        words("Speed of a worker from"),
    ];
    let cells = rows.iter().filter_map(|row| {
        let foretold = row.foretold.as_ref()?;
        let [low, high] = foretold.seconds_90;
        Some(SheetRow::Cells(vec![
            row.label(),
            format!("{:.1} ({low:.1}–{high:.1})", foretold.seconds),
            format!("{:.1}", foretold.seconds_actual),
            format!("{} ({}–{})", usd(foretold.usd), usd(foretold.usd_90[0]), usd(foretold.usd_90[1])),
            foretold.usd_actual.map_or_else(|| "not known".to_owned(), usd),
            foretold.source.clone(),
        ]))
    });
    let rows: Vec<SheetRow> = cells.collect();
    let caption = "What run --budget or run --forecast foretold, and what it became.".to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "Forecast against actual".to_owned(), caption, columns, rows })
}

/// What is wrong with the records.
pub(crate) fn findings(found: &[(String, accounting::audit::Finding)]) -> Option<Sheet> {
    let columns = vec![words("File"), words("Severity"), words("Finding"), words("What")];
    let rows: Vec<SheetRow> = found
        .iter()
        .map(|(file, finding)| {
            SheetRow::Cells(vec![
                file.clone(),
                finding.severity.to_string(),
                finding.code.to_owned(),
                finding.message.clone(),
            ])
        })
        .collect();
    let caption = "What the audit says of the records that these numbers rest on.".to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "What is wrong with the records".to_owned(), caption, columns, rows })
}

/// What changed against a baseline.
pub(crate) fn changes(changes: &Changes) -> Sheet {
    let columns = vec![
        words("Row"),
        ours("Time, baseline", "s"),
        ours("Time", "s"),
        ours("Time", "×"),
        ours("Memory, baseline", "MB"),
        ours("Memory", "MB"),
        ours("Memory", "×"),
        words("Times"),
    ];
    let ratio = |before: Option<&Estimate>, after: Option<&Estimate>| {
        let ratio = before.zip(after).map(|(before, after)| after.median / before.median);
        ratio.filter(|ratio| ratio.is_finite()).map_or_else(none, |ratio| format!("{ratio:.2}"))
    };
    let mut rows: Vec<SheetRow> = changes
        .changed
        .iter()
        .map(|change| {
            let (before, after) = (change.total_s_baseline.as_ref(), change.total_s.as_ref());
            let (memory_before, memory) = (change.memory_mb_baseline.as_ref(), change.memory_mb.as_ref());
            SheetRow::Cells(vec![
                change.row.clone(),
                with_range(before, 2),
                with_range(after, 2),
                ratio(before, after),
                with_range(memory_before, 0),
                with_range(memory, 0),
                ratio(memory_before, memory),
                change.verdict.to_owned(),
            ])
        })
        .collect();
    for (what, labels) in [("only in the baseline", &changes.gone), ("only here", &changes.new)] {
        if !labels.is_empty() {
            rows.push(SheetRow::Heading(format!("{what}: {}", labels.join("; "))));
        }
    }
    Sheet {
        title: "What changed against the baseline".to_owned(),
        caption: format!(
            "Medians of both, from {}; × is this report over the baseline. Times differ where their intervals do not overlap, \
             perhaps where there are fewer than four repeats; of single runs nobody can say.",
            changes.baseline
        ),
        columns,
        rows,
    }
}

/// Where the numbers come from.
pub(crate) fn provenance(sources: &[Source]) -> Sheet {
    let columns =
        vec![words("Input"), words("Kind"), ours("Runs", ""), words("Machine"), words("Program"), words("When")];
    let rows = sources
        .iter()
        .map(|source| {
            let or_none = |list: &[String]| if list.is_empty() { none() } else { list.join("; ") };
            SheetRow::Cells(vec![
                source.name.clone(),
                source.kind.to_owned(),
                source.runs.to_string(),
                or_none(&source.machines),
                or_none(&source.programs),
                source.when.as_ref().map_or_else(none, |[first, last]| format!("{first} to {last}")),
            ])
        })
        .collect();
    let caption = "What was read, who measured it, and where.".to_owned();
    Sheet { title: "Where the numbers come from".to_owned(), caption, columns, rows }
}

/// What bills rest on where nothing was measured.
pub(crate) fn assumptions(assumed: &[(&str, &[Assumption])]) -> Option<Sheet> {
    let columns = vec![words("Assumption"), ours("Value", ""), words("Unit"), words("Source")];
    let mut rows = Vec::new();
    for (whose, assumptions) in assumed {
        rows.push(SheetRow::Heading((*whose).to_owned()));
        rows.extend(assumptions.iter().map(|one| {
            SheetRow::Cells(vec![one.name.to_owned(), short(one.value), one.unit.to_owned(), one.source.to_owned()])
        }));
    }
    let caption = "What bills rest on where nothing was measured; --assume NAME=VALUE puts another value.".to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "Assumptions".to_owned(), caption, columns, rows })
}

/// Rows under headings of their experiments.
fn sheet(
    title: &str,
    caption: String,
    columns: Vec<Column>,
    rows: &[&Row],
    cells: &dyn Fn(&Row) -> Vec<String>,
) -> Option<Sheet> {
    let experiments: BTreeSet<&str> = rows.iter().map(|row| row.experiment.as_str()).collect();
    let mut lines = Vec::new();
    let mut last = "";
    for row in rows {
        if experiments.len() > 1 && row.experiment != last {
            lines.push(SheetRow::Heading(row.experiment.clone()));
            last = &row.experiment;
        }
        lines.push(SheetRow::Cells(cells(row)));
    }
    (!lines.is_empty()).then(|| Sheet { title: title.to_owned(), caption, columns, rows: lines })
}

fn ran_on(row: &Row) -> String {
    let executor = &row.setting.executor;
    let workers = row.setting.workers.map_or_else(String::new, |count| format!(", {count:.0} at a time"));
    let threads = row.setting.threads.map_or_else(String::new, |count| format!(" × {count:.0} threads"));
    let precision = row.setting.precision.as_ref().map_or_else(String::new, |precision| format!(", {precision}"));
    let device = row.setting.device.as_ref().map_or_else(String::new, |device| format!(", {device}"));
    format!("{executor}{device}{workers}{threads}{precision}")
}

fn study(name: &str, unit: &str) -> Column {
    Column { name: name.to_owned(), unit: unit.to_owned(), is_number: true, is_study: true }
}

fn ours(name: &str, unit: &str) -> Column {
    Column { name: name.to_owned(), unit: unit.to_owned(), is_number: true, is_study: false }
}

fn words(name: &str) -> Column {
    Column { name: name.to_owned(), unit: String::new(), is_number: false, is_study: false }
}

fn none() -> String {
    NONE.to_owned()
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(none, |value| format!("{value:.decimals$}"))
}

fn batch_size(row: &Row) -> String {
    let unknown = || if row.setting.is_batch_mixed { "mixed".to_owned() } else { none() };
    row.setting.batch_size.map_or_else(unknown, |size| format!("{size:.0}"))
}

/// Two decimals as the study has them, more where these would all be 0.
fn data_size(row: &Row) -> String {
    const SMALL: f64 = 0.05;
    row.study.data_gb.map_or_else(none, |gb| if gb < SMALL { format!("{gb:.4}") } else { format!("{gb:.2}") })
}

/// Four decimals as the study has them, more where these would all be 0.
fn small_usd(cost: f64) -> String {
    const SMALL: f64 = 0.0005;
    if cost < SMALL { format!("{cost:.7}") } else { format!("{cost:.4}") }
}

/// `1,720.11`.
fn thousands(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    whole.parse::<u64>().map_or_else(|_| text.clone(), |whole| format!("{}{point}{fraction}", grouped(whole)))
}

/// The middle, and the interval where there is one.
fn with_range(estimate: Option<&Estimate>, decimals: usize) -> String {
    estimate.map_or_else(none, |Estimate { median, low, high, count }| {
        if *count < 2 {
            format!("{median:.decimals$}")
        } else {
            format!("{median:.decimals$} ({low:.decimals$}–{high:.decimals$})")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_the_study_prints_them() {
        assert_eq!([thousands(1720.108, 2), thousands(13.0, 1), thousands(1e6, 0)], ["1,720.11", "13.0", "1,000,000"]);
        let several = Estimate { median: 1.0, low: 0.96, high: 2.0, count: 3 };
        assert_eq!(with_range(Some(&several), 1), "1.0 (1.0–2.0)");
        assert_eq!(with_range(Some(&Estimate { count: 1, ..several }), 1), "1.0");
        assert_eq!(with_range(None, 1), NONE);
    }
}
