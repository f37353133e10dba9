//! Tables of a report: the columns of the CAI study with its units and digits, and further columns beside them.

use accounting::comparison::changes::Changes;
use accounting::comparison::row::{Row, short};
use std::collections::BTreeSet;

use accounting::assumptions::ListedAssumption;
use accounting::statistics::Estimate;
use accounting::study::COST_FORMULA;
use records::ExecutorKind;

use super::gather::ReportInput;
use crate::printer::{count, grouped, price, usd};

/// A table of formatted cells.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// Explanation of the columns.
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<SheetRow>,
}

/// A column. Numbers are aligned to the right.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) is_number: bool,
    /// True if the table of the CAI study has the column.
    pub(crate) is_study: bool,
}

/// A row of cells, or a heading above the rows that follow.
#[derive(Debug, Clone)]
pub(crate) enum SheetRow {
    Heading(String),
    Cells(Vec<String>),
}

/// Text of a cell without a value.
pub(crate) const NONE: &str = "–";
/// Title of the changes since a baseline.
pub(crate) const CHANGES: &str = "Changes since the baseline";

/// Table of runs with many tasks, with the columns of the CAI study's table of Lambda workers.
pub(crate) fn workers(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        study_column("Partition", "MB"),
        study_column("Lambda/File Limit", ""),
        study_column("Avg Runtime", "s"),
        study_column("Memory", "MB"),
        study_column("Data Size", "GB"),
        study_column("Cost", "$"),
        study_column("Throughput", "GB/s"),
        study_column("Batch Size", ""),
        study_column("Total Execution Time", "s"),
        study_column("Performance Efficiency", "(GB/s)/$"),
        number_column("Trimmed runtime", "s"),
        number_column("Bill", "$"),
        number_column("Bill ÷ cost", ""),
        number_column("End to end", "GB/s"),
        number_column("Map", "GB/s"),
        number_column("Sum of workers", "GB/s"),
        number_column("Images", "1/s"),
        number_column("Efficiency by bill", "(GB/s)/$"),
        number_column("Peak memory", "MB"),
        number_column("Stragglers", "tasks"),
        number_column("Repeats", ""),
        text_column("Ran on"),
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
            number(row.task_s_mean_trimmed, 2),
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
        "The first ten columns are those of the CAI study (Staylor et al., arXiv:2501.06249), computed with its \
         formulas: MB and GB are binary; data size is partition × files / 1024; cost is {COST_FORMULA}; throughput is \
         data size ÷ mean runtime, as if all workers ran at the same time and nothing else took time. The other \
         columns are the mean runtime without the tasks that are more than 1.5 interquartile ranges outside of the \
         quartiles, the bill (on Lambda the charges of AWS, otherwise machine time at the price in the table of \
         prices), throughput end to end, throughput of the Map phase alone, and the sum over all workers; these count \
         the bytes that the model read. Repeated runs are shown as the median with its 95 % confidence interval, or \
         with the range if there are fewer than six repeats. A straggler is a task that takes longer than 2.5 × the \
         median, the median + 6 σ, and the median + 1 s."
    );
    let chosen: Vec<&Row> = rows.iter().filter(|row| !is_one_process(row)).collect();
    sheet("Runs of many workers", caption, columns, &chosen, &cells)
}

/// Table of the requests to S3, for the rows whose workers counted them.
pub(crate) fn s3_requests(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        text_column("Setting"),
        number_column("Requests", ""),
        number_column("of them writes", ""),
        number_column("Mean", "ms"),
        number_column("Shortest", "ms"),
        number_column("Longest", "ms"),
        number_column("All together", "s"),
        number_column("First to last", "s"),
    ];
    let ms = |seconds: f64| number(Some(seconds * 1e3), 1);
    let counted: Vec<&Row> = rows.iter().filter(|row| row.s3_requests.is_some()).collect();
    let cells = |row: &Row| match row.s3_requests {
        None => Vec::new(),
        Some(requests) => vec![
            row.label(),
            thousands(requests.requests, 0),
            requests.writes.map_or_else(none, |writes| thousands(writes, 0)),
            ms(requests.mean_s),
            ms(requests.min_s),
            ms(requests.max_s),
            number(Some(requests.total_s), 2),
            number(Some(requests.span_s), 2),
        ],
    };
    let caption = "Requests that the tasks sent to S3, with repetitions. A time is that from a request to the headers of \
                   its answer. Requests overlap, so all of them together may take longer than the run. The last column \
                   is the time from the first request of the first task to the last answer of the last one.";
    sheet("Requests to S3", caption.to_owned(), columns, &counted, &cells)
}

/// Table of runs of one process on one machine, with the columns of the CAI study's table of a local computer.
pub(crate) fn one_process(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        study_column("Data Size", "GB"),
        study_column("Total CPU Time", "s"),
        study_column("Memory", "MB allocated"),
        study_column("Throughput", "GB/s"),
        study_column("Batch Size", ""),
        number_column("Throughput", "Gbit/s"),
        number_column("Images", "1/s"),
        number_column("Whole run", "s"),
        number_column("Peak memory", "MB"),
        number_column("Repeats", ""),
        text_column("Ran on"),
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
        "One process reads all data, as on the local computer of the CAI study. The CAI study printed Gbit/s in its \
         column of GB/s; this table has both units."
            .to_owned();
    let chosen: Vec<&Row> = rows.iter().filter(|row| is_one_process(row)).collect();
    sheet("One process on one machine", caption, columns, &chosen, &cells)
}

/// Returns true if one process on one machine read all data.
pub(crate) fn is_one_process(row: &Row) -> bool {
    row.setting.executor == ExecutorKind::Local && row.setting.tasks == 1
}

/// Bills of the rows, line by line.
pub(crate) fn bills(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        text_column("Charged for"),
        number_column("Quantity", ""),
        text_column("Unit"),
        number_column("Unit price", "$"),
        number_column("Amount", "$"),
        text_column("Basis of the quantity"),
        text_column("Source of the price"),
    ];
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| row.bill.total_usd > 0.0) {
        lines.push(SheetRow::Heading(format!("{}: {}, {} USD", row.experiment, row.label(), usd(row.bill.total_usd))));
        lines.extend(row.bill.lines.iter().map(|line| {
            SheetRow::Cells(vec![
                line.what.clone(),
                short(line.quantity),
                line.unit.clone(),
                price(line.usd_per_unit),
                usd(line.amount_usd),
                format!("{}: {}", line.basis, line.calculation),
                format!("{}, read on {}", line.source, line.read),
            ])
        }));
    }
    let caption = "Quantity × unit price for the first repeat of each row with a bill above 0.".to_owned();
    (!lines.is_empty()).then(|| Sheet { title: "Bills".to_owned(), caption, columns, rows: lines })
}

/// Forecasts of runs beside their actual time and cost.
pub(crate) fn forecast(rows: &[Row]) -> Option<Sheet> {
    let columns = vec![
        text_column("Run"),
        number_column("Time forecast", "s, 90 %"),
        number_column("Time", "s"),
        number_column("Cost forecast", "$, 90 %"),
        number_column("Cost", "$"),
        text_column("Source of the worker speed"),
    ];
    let cells = rows.iter().filter_map(|row| {
        let forecast = row.forecast.as_ref()?;
        let [low, high] = forecast.seconds_90;
        Some(SheetRow::Cells(vec![
            row.label(),
            format!("{:.1} ({low:.1}–{high:.1})", forecast.seconds),
            format!("{:.1}", forecast.seconds_actual),
            format!("{} ({}–{})", usd(forecast.usd), usd(forecast.usd_90[0]), usd(forecast.usd_90[1])),
            forecast.usd_actual.map_or_else(|| "not known".to_owned(), usd),
            forecast.source.clone(),
        ]))
    });
    let rows: Vec<SheetRow> = cells.collect();
    let caption = "Forecasts of `cosmicai run --budget` and `cosmicai run --forecast` beside the actual time and cost."
        .to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "Forecast and actual".to_owned(), caption, columns, rows })
}

/// Findings of the audit.
pub(crate) fn findings(found: &[(String, accounting::audit::Finding)]) -> Option<Sheet> {
    let columns = vec![text_column("File"), text_column("Severity"), text_column("Code"), text_column("Finding")];
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
    let caption = "Findings of `cosmicai audit` about the records in this report.".to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "Audit findings".to_owned(), caption, columns, rows })
}

/// Changes since a baseline.
pub(crate) fn changes(changes: &Changes) -> Sheet {
    let columns = vec![
        text_column("Row"),
        number_column("Time, baseline", "s"),
        number_column("Time", "s"),
        number_column("Time", "×"),
        number_column("Memory, baseline", "MB"),
        number_column("Memory", "MB"),
        number_column("Memory", "×"),
        text_column("Verdict on time"),
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
    for (what, labels) in [("only in the baseline", &changes.gone), ("only in this report", &changes.new)] {
        if !labels.is_empty() {
            rows.push(SheetRow::Heading(format!("{what}: {}", labels.join("; "))));
        }
    }
    Sheet {
        title: CHANGES.to_owned(),
        caption: format!(
            "Medians of this report and of the baseline {}; × is this report ÷ baseline. Times count as different if \
             their intervals do not overlap. With fewer than four repeats the verdict is \"perhaps\"; single runs have \
             none.",
            changes.baseline
        ),
        columns,
        rows,
    }
}

/// Origin of the numbers: inputs, machines and programs.
pub(crate) fn provenance(sources: &[ReportInput]) -> Sheet {
    let columns = vec![
        text_column("Input"),
        text_column("Kind"),
        number_column("Runs", ""),
        text_column("Machine"),
        text_column("Program"),
        text_column("When"),
    ];
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
    let caption = "Inputs of this report, with the machines and programs that measured them.".to_owned();
    Sheet { title: "Provenance".to_owned(), caption, columns, rows }
}

/// Assumptions that the bills use instead of measurements.
pub(crate) fn assumptions(assumed: &[(&str, Vec<ListedAssumption>)]) -> Option<Sheet> {
    let columns =
        vec![text_column("Assumption"), number_column("Value", ""), text_column("Unit"), text_column("Source")];
    let mut rows = Vec::new();
    for (group, assumptions) in assumed {
        rows.push(SheetRow::Heading((*group).to_owned()));
        rows.extend(assumptions.iter().map(|one| {
            SheetRow::Cells(vec![one.name.to_owned(), short(one.value), one.unit.to_owned(), one.source.to_owned()])
        }));
    }
    let caption =
        "Values that the bills use where nothing was measured. Pass `--assume NAME=VALUE` to change one.".to_owned();
    (!rows.is_empty()).then(|| Sheet { title: "Assumptions".to_owned(), caption, columns, rows })
}

/// Makes a sheet with a heading for each experiment.
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
    let threads =
        row.setting.threads.map_or_else(String::new, |threads| format!(" × {}", count(threads as usize, "thread")));
    let precision = row.setting.precision.as_ref().map_or_else(String::new, |precision| format!(", {precision}"));
    let device = row.setting.device.as_ref().map_or_else(String::new, |device| format!(", {device}"));
    format!("{executor}{device}{workers}{threads}{precision}")
}

fn study_column(name: &str, unit: &str) -> Column {
    Column { name: name.to_owned(), unit: unit.to_owned(), is_number: true, is_study: true }
}

fn number_column(name: &str, unit: &str) -> Column {
    Column { name: name.to_owned(), unit: unit.to_owned(), is_number: true, is_study: false }
}

fn text_column(name: &str) -> Column {
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

/// Data size in GB: two decimals as in the CAI study, four if the size is small.
fn data_size(row: &Row) -> String {
    const SMALL: f64 = 0.05;
    row.study.data_gb.map_or_else(none, |gb| if gb < SMALL { format!("{gb:.4}") } else { format!("{gb:.2}") })
}

/// Cost in USD: four decimals as in the CAI study, seven if the cost is small.
fn small_usd(cost: f64) -> String {
    const SMALL: f64 = 0.0005;
    if cost < SMALL { format!("{cost:.7}") } else { format!("{cost:.4}") }
}

/// Formats a number with separators between thousands: `1,720.11`.
fn thousands(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    whole.parse::<u64>().map_or_else(|_| text.clone(), |whole| format!("{}{point}{fraction}", grouped(whole)))
}

/// Formats the median, with the interval if there is one.
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
    fn formats_numbers_with_separators_and_intervals() {
        assert_eq!([thousands(1720.108, 2), thousands(13.0, 1), thousands(1e6, 0)], ["1,720.11", "13.0", "1,000,000"]);
        let several = Estimate { median: 1.0, low: 0.96, high: 2.0, count: 3 };
        assert_eq!(with_range(Some(&several), 1), "1.0 (1.0–2.0)");
        assert_eq!(with_range(Some(&Estimate { count: 1, ..several }), 1), "1.0");
        assert_eq!(with_range(None, 1), NONE);
    }
}
