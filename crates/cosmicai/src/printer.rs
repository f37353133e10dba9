//! Standard output: tables for people, JSON for programs. No other module writes there.

use std::io::{self, Write};

use accounting::forecast::prediction::Interval;
use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, presets};
pub(crate) use plots::grouped;
use serde::Serialize;

use crate::visible::{visible, visible_line};

/// Format of results on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    Human,
    /// JSON for programs.
    Json,
    /// CSV for programs: `executions` only.
    Csv,
}

pub(crate) struct Printer {
    format: Format,
}

impl Printer {
    pub(crate) fn new(format: Format) -> Printer {
        Printer { format }
    }

    /// Returns true if results are printed for people.
    pub(crate) fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// Returns true if results are printed as CSV.
    #[cfg(feature = "aws")]
    pub(crate) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Prints rows as CSV, with the names of their fields as header.
    #[cfg(feature = "aws")]
    pub(crate) fn print_csv<T: Serialize>(rows: &[T]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row)?;
        }
        write_out(&writer.into_inner()?)
    }

    /// Prints `value` as JSON, or as the text that `human` makes of it.
    pub(crate) fn print<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.format {
            Format::Human => visible(&human(value)).into_owned(),
            Format::Json => serde_json::to_string_pretty(value)? + "\n",
            // `main` rejects the option for commands without a CSV form.
            Format::Csv => anyhow::bail!("this command prints no CSV; use --format json"),
        };
        write_out(text.as_bytes())
    }

    /// Prints a message on standard error.
    pub(crate) fn tell(&self, text: &str) {
        write_message(text);
    }
}

/// Writes a message to standard error, with control characters as escapes. Goes on if standard error is closed, where
/// `eprintln!` would panic.
pub(crate) fn write_message(text: &str) {
    drop(writeln!(io::stderr(), "{}", visible(text)));
}

/// Writes bytes to standard output. A reader that has ended (`| head`) is not an error.
pub(crate) fn write_out(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to standard output"),
    }
}

/// Width of tables in columns if standard output is not a terminal: wide, so that a row is one line for `grep`.
const WIDTH_WITHOUT_TERMINAL: u16 = 200;
/// Width below which the first column of a table is not narrowed.
const FIRST_COLUMN_MIN: usize = 20;
/// The same for other columns of text. Longer words, such as URLs, are cut if there is no room for them.
const TEXT_COLUMN_MIN: usize = 31;

/// Formats a table for people, as wide as the terminal at most. Columns of numbers are aligned to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let width = Table::new().width().unwrap_or(WIDTH_WITHOUT_TERMINAL);
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| visible_line(&cell).into_owned())).collect();
    table_of_width(header, &rows, usize::from(width))
}

/// Formats a table that is `width` columns wide at most. Cells wrap between words, and after the dash of an interval;
/// a number is never broken.
fn table_of_width<const N: usize>(header: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let cells = |column: usize| std::iter::once(header[column]).chain(rows.iter().map(move |row| row[column].as_str()));
    let natural: [usize; N] = std::array::from_fn(|column| cells(column).map(columns).max().unwrap_or(0));
    let numeric: [bool; N] =
        std::array::from_fn(|column| column > 0 && rows.iter().all(|row| is_number_like(&row[column])));
    let least: [usize; N] = std::array::from_fn(|column| {
        let longest = cells(column).flat_map(pieces).map(|piece| columns(piece.trim_end())).max().unwrap_or(0);
        match column {
            0 => longest.min(FIRST_COLUMN_MIN),
            _ if numeric[column] => longest,
            _ => longest.min(TEXT_COLUMN_MIN),
        }
    });
    // A space between columns, and one on both sides of each cell if there is room.
    let gaps = N.saturating_sub(1);
    let padding = u16::from(least.iter().sum::<usize>() + gaps + 2 * N <= width);
    let widths = fit(natural, least, width.saturating_sub(gaps + 2 * N * usize::from(padding)));

    let mut table = Table::new();
    let style = presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    let cell = |column: usize, text: &str| {
        let alignment = if numeric[column] { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(wrapped(text, widths[column])).set_alignment(alignment)
    };
    table.set_header(header.iter().enumerate().map(|(column, text)| cell(column, text)));
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(column, text)| cell(column, text)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((padding, padding));
    }
    format!("{table}\n")
}

/// Narrows the widest columns until all fit into `room`. No column gets narrower than its `least` width.
fn fit<const N: usize>(natural: [usize; N], least: [usize; N], room: usize) -> [usize; N] {
    let mut widths = natural.map(|width| width.min(room));
    for (width, least) in widths.iter_mut().zip(least) {
        *width = (*width).max(least);
    }
    while widths.iter().sum::<usize>() > room {
        let wide = (0..N).filter(|column| widths[*column] > least[*column]);
        let Some(widest) = wide.max_by_key(|column| widths[*column]) else { break };
        widths[widest] -= 1;
    }
    widths
}

/// Returns true for text that starts like a number, and for an empty or unknown value.
fn is_number_like(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-', '−', '(', '<', '~']);
    text.is_empty() || text == "–" || digits.starts_with(|first: char| first.is_ascii_digit())
}

/// Number of terminal columns of a text.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Pieces of a text between which a line may break: after a space, and after the dash of an interval.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive([' ', '–'])
}

/// Breaks a text into lines of `width` columns at most. A piece that is longer, such as a path, is cut.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for piece in text.lines().flat_map(pieces) {
        let is_full = |line: &String| columns(line) + columns(piece.trim_end()) > width;
        if lines.last().is_some_and(|line| !line.is_empty() && is_full(line)) {
            lines.push(String::new());
        }
        for character in piece.chars() {
            if character != ' ' && lines.last().is_some_and(|line| columns(line) >= width.max(1)) {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(character);
            }
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// Formats a number with its noun: `1 task`, `1,200 tasks`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number as u64))
}

/// Formats a number of bytes in binary units: 100 MiB is `100.0 MiB`, not `104.9 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Formats an amount of USD, with more decimals for small amounts.
pub(crate) fn usd(amount: f64) -> String {
    const CENTS: f64 = 0.01;
    const SMALLEST: f64 = 1e-5;
    if amount == 0.0 || amount.abs() >= 100.0 {
        format!("{amount:.2}")
    } else if amount.abs() >= CENTS {
        format!("{amount:.4}")
    } else if amount.abs() >= SMALLEST {
        format!("{amount:.6}")
    } else {
        format!("{amount:.1e}")
    }
}

/// Formats the price of a unit with all of its digits: `3600`, `0.0000166667`.
pub(crate) fn price(usd: f64) -> String {
    /// Decimals of the smallest price: a request of S3, or of a tier of Lambda.
    const DECIMALS: usize = 10;
    let text = format!("{usd:.DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats a forecast time with its interval: `28.4 s (25.1–33.0)`, or in hours if it is long.
pub(crate) fn seconds_interval(interval: &Interval) -> String {
    const HOUR: f64 = 3_600.0;
    let Interval { low, median, high } = interval;
    if *median < 2.0 * HOUR {
        format!("{median:.1} s ({low:.1}–{high:.1})")
    } else {
        format!("{:.1} h ({:.1}–{:.1})", median / HOUR, low / HOUR, high / HOUR)
    }
}

/// Formats a duration for people: `1 h 02 min`, `3 min 05 s`, `7.2 s`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usd_keeps_significant_digits_of_small_amounts() {
        assert_eq!(
            [0.0, 1_234.5, 0.1063, 0.000123, 4.2e-6].map(usd),
            ["0.00", "1234.50", "0.1063", "0.000123", "4.2e-6"]
        );
    }

    #[test]
    fn price_has_all_digits_and_no_point_at_its_end() {
        assert_eq!([0.0, 3_600.0, 10.0, 0.5, 1.25].map(price), ["0", "3600", "10", "0.5", "1.25"]);
        assert_eq!(
            [0.0000166667, 0.000_000_030_9, 0.0000004].map(price),
            ["0.0000166667", "0.0000000309", "0.0000004"]
        );
    }

    #[test]
    fn bytes_have_binary_units() {
        assert_eq!([0, 1023, 1024, 100 << 20].map(bytes), ["0 B", "1023 B", "1.0 KiB", "100.0 MiB"]);
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!([7.24, 59.4, 185.0, 3_725.0].map(duration), ["7.2 s", "59.4 s", "3 min 05 s", "1 h 02 min"]);
    }

    /// Checks that a table fits 80 columns and that no number in it is broken.
    fn assert_fits_80<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
        let text = table_of_width(header, rows, 80);
        for line in text.lines() {
            assert!(columns(line) <= 80, "{} columns: {line}\n{text}", columns(line));
        }
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == '–').collect();
        for cell in rows.iter().flat_map(|row| &row[1..]) {
            for number in cell.split([' ', '–']).filter(|part| part.contains(|c: char| c.is_ascii_digit())) {
                assert!(words.contains(&number), "{number} is broken:\n{text}");
            }
        }
    }

    #[test]
    fn table_keeps_lines_that_fit() {
        let text = table_of_width(["name", "s"], &[["a b".to_owned(), "1.5".to_owned()]], 80);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1..4], [" name     s", "════════════", " a b    1.5"], "{text}");
    }

    #[test]
    fn forecast_fits_80_columns() {
        let row = [
            "optimal",
            "128.4 s (125.1–133.0)",
            "0.001234 (0.001198–0.001302)",
            "25 MB",
            "12,345 in 2 runs",
            "256 int8",
            "10240 MB",
            "16 threads",
            "10,000",
            "128.4 s",
        ];
        assert_fits_80(crate::commands::forecast::FRONT_HEADER, &[row.map(str::to_owned)]);
    }

    #[test]
    fn cost_fits_80_columns() {
        let bill = ["Lambda, configured memory × billed time", "12345.678", "GB·s", "0.0000166667", "123.4567"];
        assert_fits_80(crate::commands::cost::BILL_HEADER, &[bill.map(str::to_owned)]);
        let throughput = ["sum_of_workers", "123.45", "10.1234", "86.123", "123456", "1234.56", "1234.56"];
        assert_fits_80(crate::commands::cost::THROUGHPUT_HEADER, &[throughput.map(str::to_owned)]);
    }

    #[test]
    fn sweep_fits_80_columns() {
        let row = [
            "partition-size: partition 25MB, data_size 1GB, precision int8, threads 4, executor step-functions",
            "3",
            "128.42 (125.11–133.07)",
            "28.42 (25.11–33.07)",
            "28.42 (25.11–33.07)",
            "1234 (1198–1302)",
            "1024 (1011–1031)",
        ];
        let header = crate::sweep::table::MEASURED_HEADER;
        assert_fits_80(header, &[row.map(str::to_owned)]);
    }

    #[test]
    fn audit_fits_80_columns() {
        let file = "/scratch/ada/a_folder_with_a_long_name/and_another_one/results/2026-01-02/combined_data.json";
        assert_fits_80([file, "code"], &[["warning".to_owned(), "throughput-of-the-mean-worker".to_owned()]]);
    }

    #[test]
    fn bench_fits_80_columns() {
        let header = [
            "precision",
            "threads",
            "batch",
            "images/s",
            "GFLOP/s",
            "% of time",
            "peak GFLOP/s",
            "% of peak",
            "memory MiB",
        ];
        let row = ["bf16", "16", "512", "12345", "1234.5", "100", "12345.6", "98", "1234"];
        assert_fits_80(header, &[row.map(str::to_owned)]);
    }
}
