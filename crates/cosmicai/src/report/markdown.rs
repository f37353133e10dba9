//! The report as Markdown, and its tables and rows as CSV.

use accounting::comparison::row::Row;
use accounting::statistics::Estimate;
use serde::Serialize;

use super::document::Report;
use super::sheets::{Sheet, SheetRow};

/// Writes a report as Markdown; `figures` is the path of the folder of figures, relative to the Markdown file.
pub(crate) fn write(report: &Report, figures: &str) -> String {
    let mut text = format!("# {}\n\n{}\n\n", line(&report.title), line(&report.subtitle()));
    for (name, value) in report.key_numbers() {
        text += &format!("- {}: **{}**\n", line(&name), line(&value));
    }
    let (first, rest) = report.sheets.split_at(report.first_sheets().min(report.sheets.len()));
    first.iter().for_each(|sheet| text += &table(sheet));
    if !report.charts.is_empty() {
        text += "\n## Figures\n";
        for chart in &report.charts {
            let (title, description) = (line(chart.title()), line(chart.description()));
            text += &format!("\n![{title}]({figures}/{}.svg)\n\n{description}\n", chart.name());
        }
    }
    rest.iter().for_each(|sheet| text += &table(sheet));
    let facts = &report.facts;
    text + &format!(
        "\nMade on {} with {}. To make it again: `{}`\n",
        facts.created,
        facts.program,
        code(&facts.command)
    )
}

fn table(sheet: &Sheet) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n|", line(&sheet.title), line(&sheet.caption));
    for column in &sheet.columns {
        let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", line(&column.unit)) };
        text += &format!(" {}{unit} |", line(&column.name));
    }
    text += "\n|";
    for column in &sheet.columns {
        text += if column.is_number { "---:|" } else { "---|" };
    }
    for row in &sheet.rows {
        text += "\n|";
        match row {
            SheetRow::Heading(heading) => {
                text += &format!(" **{}** |", line(heading));
                text += &" |".repeat(sheet.columns.len().saturating_sub(1));
            }
            SheetRow::Cells(cells) => cells.iter().for_each(|cell| text += &format!(" {} |", line(cell))),
        }
    }
    text + "\n"
}

/// Escapes text so that it stays within its line and table cell.
fn line(raw: &str) -> String {
    let plain: String = raw.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let mut text = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '<' => text.push_str("&lt;"),
            '`' => text.push('\''),
            '\\' | '|' | '[' | ']' | '!' | '*' | '_' => text.extend(['\\', letter]),
            letter => text.push(letter),
        }
    }
    text
}

/// Text for a code span; control characters and backticks, which cannot be escaped there, become spaces.
fn code(raw: &str) -> String {
    raw.chars().map(|letter| if letter.is_control() || letter == '`' { ' ' } else { letter }).collect()
}

/// A sheet as CSV: one line for each row; the first column is the heading above the row.
///
/// # Errors
/// The CSV cannot be written.
pub(crate) fn sheet_csv(sheet: &Sheet) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = sheet.columns.iter().map(|column| match column.unit.as_str() {
        "" => column.name.clone(),
        unit => format!("{} ({unit})", column.name),
    });
    writer.write_record(std::iter::once("Group".to_owned()).chain(names))?;
    let mut heading = String::new();
    for row in &sheet.rows {
        match row {
            SheetRow::Heading(text) => heading.clone_from(text),
            // A spreadsheet would evaluate text that starts like a formula; a leading apostrophe prevents that.
            SheetRow::Cells(cells) => {
                let is_formula =
                    |cell: &str| cell.starts_with(['=', '@', '+', '-', '\t', '\r']) && cell.parse::<f64>().is_err();
                let safe = |cell: &String| match is_formula(cell) {
                    true => format!("'{cell}"),
                    false => cell.clone(),
                };
                writer.write_record(std::iter::once(&heading).chain(cells).map(safe))?;
            }
        }
    }
    Ok(writer.into_inner()?)
}

/// Rows with unrounded numbers as CSV, for programs.
///
/// # Errors
/// The CSV cannot be written.
pub(crate) fn rows_csv(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(RowNumbers::of(row))?;
    }
    Ok(writer.into_inner()?)
}

/// Line of `rows.csv`. Column names contain the units; MB and GB are binary.
#[derive(Serialize)]
struct RowNumbers<'a> {
    experiment: &'a str,
    executor: &'a str,
    partition_mb: Option<f64>,
    files: usize,
    tasks: usize,
    batch_size: Option<f64>,
    precision: Option<&'a str>,
    workers: Option<f64>,
    threads: Option<f64>,
    repeats: usize,
    runtime_s_mean: Option<f64>,
    memory_mb_mean: Option<f64>,
    data_gb: Option<f64>,
    cost_usd: Option<f64>,
    throughput_gb_per_s: Option<f64>,
    performance_efficiency: Option<f64>,
    bill_usd: Option<f64>,
    efficiency_bill: Option<f64>,
    total_s: Option<f64>,
    total_s_low: Option<f64>,
    total_s_high: Option<f64>,
    map_s: Option<f64>,
    images_per_s: Option<f64>,
    end_to_end_gb_per_s: Option<f64>,
    map_gb_per_s: Option<f64>,
    sum_of_workers_gb_per_s: Option<f64>,
    memory_peak_mb: Option<f64>,
    task_s_median: Option<f64>,
    task_s_mean_trimmed: Option<f64>,
    stragglers: usize,
    tasks_measured: usize,
}

impl<'a> RowNumbers<'a> {
    fn of(row: &'a Row) -> Self {
        let middle = |estimate: &Option<Estimate>| estimate.as_ref().map(|estimate| estimate.median);
        let Row { setting, study, .. } = row;
        Self {
            experiment: &row.experiment,
            executor: setting.executor.name(),
            partition_mb: setting.partition_mb,
            files: setting.files,
            tasks: setting.tasks,
            batch_size: setting.batch_size,
            precision: setting.precision.as_deref(),
            workers: setting.workers,
            threads: setting.threads,
            repeats: row.repeats,
            runtime_s_mean: study.runtime_s_mean,
            memory_mb_mean: study.memory_mb_mean,
            data_gb: study.data_gb,
            cost_usd: study.cost_usd,
            throughput_gb_per_s: study.throughput_gb_per_s,
            performance_efficiency: study.performance_efficiency,
            bill_usd: middle(&row.bill_usd),
            efficiency_bill: row.efficiency_bill,
            total_s: middle(&row.total_s),
            total_s_low: row.total_s.map(|total| total.low),
            total_s_high: row.total_s.map(|total| total.high),
            map_s: middle(&row.map_s),
            images_per_s: middle(&row.images_per_s),
            end_to_end_gb_per_s: middle(&row.end_to_end_gb_per_s),
            map_gb_per_s: middle(&row.map_gb_per_s),
            sum_of_workers_gb_per_s: middle(&row.sum_of_workers_gb_per_s),
            memory_peak_mb: middle(&row.memory_peak_mb),
            task_s_median: row.task_s_median,
            task_s_mean_trimmed: row.task_s_mean_trimmed,
            stragglers: row.stragglers,
            tasks_measured: row.tasks_measured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markdown_in_text() {
        assert_eq!(line("![a](b)|<c>`d`\n"), "\\!\\[a\\](b)\\|&lt;c>'d' ");
        assert_eq!(code("a `b` <c>"), "a  b  <c>");
    }
}
