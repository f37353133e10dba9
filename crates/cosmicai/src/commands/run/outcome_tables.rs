//! Outcome of a run, as tables for people.

use executors::CommandLine;
use records::ExecutorKind;
use records::report::{RunForecast, RunReport};
use records::summary::Summary;
use serde::Serialize;

use crate::metrics_table;
use crate::printer::{Printer, bytes, count, grouped, table, usd};
use crate::ranks_in_words::list_ranks;

/// Output of a run.
#[derive(Serialize)]
pub(super) struct Printed<'a> {
    pub(super) summary: &'a Summary,
    pub(super) report: &'a RunReport,
}

pub(super) fn human(printed: &Printed<'_>) -> String {
    let Printed { summary, report } = printed;
    let mut text = summary.accuracy.as_ref().map_or_else(String::new, metrics_table::human);
    let rate = |amount: f64| if report.seconds > 0.0 { amount / report.seconds } else { 0.0 };
    let here: u64 = report.tasks.iter().filter(|task| task.started >= report.started).map(|task| task.samples).sum();
    let mut rows = vec![
        ["tasks".to_owned(), format!("{} of {}", grouped(summary.finished as u64), grouped(summary.tasks as u64))],
        ["images".to_owned(), grouped(summary.samples)],
        ["data".to_owned(), bytes(summary.bytes)],
    ];
    if report.seconds_before > 0.0 {
        rows.push(["images of this execution".to_owned(), grouped(here)]);
        rows.push(["time of all executions".to_owned(), format!("{:.2} s", report.total_seconds())]);
    }
    rows.push(["time of this execution".to_owned(), format!("{:.2} s", report.seconds)]);
    if here > 0 {
        rows.push(["rate of this execution".to_owned(), format!("{} images/s", grouped(rate(here as f64) as u64))]);
    }
    rows.extend([
        ["flagged rows".to_owned(), grouped(summary.flagged.rows)],
        [
            "ran on".to_owned(),
            format!(
                "{} × {}, {}, {}",
                count(report.workers, "worker"),
                count(report.threads, "thread"),
                report.isa,
                report.precision
            ),
        ],
    ]);
    text += &table(["run", &report.run_id], rows);
    if let Some(billed) = &report.billed {
        let rows = [
            [
                "invocations".to_owned(),
                format!("{}, {} of them cold", grouped(billed.invocations), grouped(billed.cold)),
            ],
            ["billed time".to_owned(), format!("{:.1} s", billed.billed_ms / 1e3)],
            ["billed memory × time".to_owned(), format!("{:.2} GB·s", billed.gb_s)],
            ["peak memory".to_owned(), format!("{:.0} of {:.0} MB", billed.memory_used_mb_max, billed.memory_mb)],
        ];
        text += &table(["billed by Lambda", ""], rows);
    }
    // A forecast is of the whole run, so compare it only with a complete one.
    if let Some(forecast) = report.forecast.as_ref().filter(|_| report.is_complete()) {
        text += &against_forecast(forecast);
    }
    text + &format!("results in {}\n", report.results_url)
}

/// Formats the forecast beside the actual time and cost.
fn against_forecast(forecast: &RunForecast) -> String {
    let RunForecast { seconds_90, seconds_actual: seconds, usd: cost, usd_90, usd_actual, .. } = forecast;
    let error = |actual: f64, forecast: f64| match forecast > 0.0 {
        true => format!("{:+.0} %", 100.0 * (actual / forecast - 1.0)),
        false => "–".to_owned(),
    };
    let rows = [
        [
            "time (s)".to_owned(),
            format!("{:.2} ({:.2}–{:.2})", forecast.seconds, seconds_90[0], seconds_90[1]),
            format!("{seconds:.2}"),
            error(*seconds, forecast.seconds),
        ],
        [
            "cost (USD)".to_owned(),
            format!("{} ({}–{})", usd(*cost), usd(usd_90[0]), usd(usd_90[1])),
            usd_actual.map_or_else(|| "unknown".to_owned(), usd),
            usd_actual.map_or_else(|| "–".to_owned(), |actual| error(actual, *cost)),
        ],
    ];
    table(["forecast against actual", "forecast (90 %)", "actual", "error"], rows)
}

/// Prints which tasks are missing and why, and the command that continues the run.
pub(super) fn print_missing(summary: &Summary, report: &RunReport, to_resume: &CommandLine, printer: &Printer) {
    if !report.failed.is_empty() {
        let ranks: Vec<usize> = report.failed.iter().map(|task| task.rank).collect();
        printer.tell(&format!("{} failed: {}", count(ranks.len(), "task"), list_ranks(&ranks)));
    }
    if !report.left.is_empty() {
        let or_ended = match report.executor {
            ExecutorKind::StepFunctions => ", or were ended by Lambda (see `cosmicai logs`)",
            _ => "",
        };
        printer.tell(&format!(
            "{} did not run{or_ended}: {}",
            count(report.left.len(), "task"),
            list_ranks(&report.left)
        ));
    }
    printer.tell(&format!(
        "{} of {} tasks are missing; to continue the run: {to_resume}",
        grouped(summary.missing.len() as u64),
        grouped(summary.tasks as u64)
    ));
}
