//! The one that writes to standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, presets};
use serde::Serialize;

use crate::args::Format;

pub(crate) struct Printer {
    format: Format,
}

impl Printer {
    pub(crate) fn new(format: Format) -> Printer {
        Printer { format }
    }

    /// Whether people read along.
    pub(crate) fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// Prints `value` as JSON, or what `human` makes of it.
    pub(crate) fn print<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.format {
            Format::Human => human(value),
            Format::Json => serde_json::to_string_pretty(value)? + "\n",
        };
        write_out(text.as_bytes())
    }

    /// Tells something on standard error.
    pub(crate) fn tell(&self, text: &str) {
        // A closed standard error is no reason to stop.
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// Writes bytes to standard output; a reader that has gone (`| head`) is no error.
pub(crate) fn write_out(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to standard output"),
    }
}

/// A table whose columns but the first are numbers, aligned to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    let style = presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        table.set_width(200);
    }
    table.set_header(header.iter().enumerate().map(|(column, text)| cell(column, text)));
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(column, text)| cell(column, text)));
    }
    format!("{table}\n")
}

fn cell(column: usize, text: &str) -> Cell {
    let alignment = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
    Cell::new(text).set_alignment(alignment)
}

/// A count with its thousands apart: `15,902,889`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the binary unit that suits them: `104.9 MB` is never printed for 100 MiB.
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

/// USD, with as many digits as a small amount needs.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_two_digits_at_least() {
        assert_eq!(
            [0.0, 1_234.5, 0.1063, 0.000123, 4.2e-6].map(usd),
            ["0.00", "1234.50", "0.1063", "0.000123", "4.2e-6"]
        );
    }

    #[test]
    fn counts_and_sizes_read_as_people_write_them() {
        assert_eq!([0, 7, 999, 1_000, 15_902_889].map(grouped), ["0", "7", "999", "1,000", "15,902,889"]);
        assert_eq!([0, 1023, 1024, 100 << 20].map(bytes), ["0 B", "1023 B", "1.0 KiB", "100.0 MiB"]);
    }
}
