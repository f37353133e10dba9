//! Tables of a sweep: the runs to do, and the measurements.

use accounting::statistics::{median, sorted, trimmed_mean};
use anyhow::Result;
use records::sweep::SweepPoint;
use serde_json::{Value, json};

use super::data;
use super::points::{Repeat, Sweep};
use crate::printer::{Printer, bytes, count, table};

/// Header of the measurements. A task's runtime is the time of its loop; the trimmed mean leaves out outliers.
pub(crate) const MEASURED_HEADER: [&str; 7] =
    ["experiment and point", "runs", "seconds", "mean task s", "trimmed mean", "images/s, end to end", "peak MB"];

/// Prints runs in the order of execution.
pub(crate) fn print_plan(sweep: &Sweep, runs: &[Repeat], printer: &Printer) -> Result<()> {
    let listed = runs.iter().map(|run| {
        let point = &sweep.points[run.point];
        json!({
            "experiment": point.experiment,
            "point": run.point,
            "repeat": run.repeat,
            "settings": point.settings,
            "bytes": point.bytes(),
            "result_path": sweep.folder(point, &run.repeat.to_string()),
        })
    });
    let listed: Vec<Value> = listed.collect();
    printer.print(&listed, |_| {
        let rows = runs.iter().enumerate().map(|(index, run)| {
            let point = &sweep.points[run.point];
            let name = format!("{}: {}", index + 1, point.name());
            [name, run.repeat.to_string(), bytes(point.bytes())]
        });
        let all = sweep.points.len() * sweep.repeats;
        let to_do = format!("{} of {} to do; {}\n", runs.len(), count(all, "run"), data::volume(sweep));
        table(["run", "repeat", "data"], rows) + &to_do
    })
}

/// Prints the measurements of each point.
pub(crate) fn print_measured(sweep: &Sweep, measured: &[SweepPoint], printer: &Printer) -> Result<()> {
    let mut measured: Vec<&SweepPoint> = measured.iter().collect();
    measured.sort_by_key(|one| (one.point, one.repeat));
    printer.print(&measured, |measured| {
        let of_points = measured.chunk_by(|a, b| a.point == b.point).map(|repeats| {
            let of = |value: fn(&SweepPoint) -> f64| median_and_range(repeats.iter().map(|one| value(one)));
            [
                sweep.points[repeats[0].point].name(),
                repeats.len().to_string(),
                of(|one| one.seconds),
                of(|one| one.runtime_seconds_mean),
                of(|one| trimmed_mean(one.task_seconds.iter().copied()).unwrap_or(f64::NAN)),
                of(|one| one.samples as f64 / one.seconds),
                of(|one| one.memory_mb_peak),
            ]
        });
        table(MEASURED_HEADER, of_points)
    })
}

/// Formats the median and the range: `3.12 (3.08–3.40)`.
fn median_and_range(values: impl Iterator<Item = f64>) -> String {
    let values = sorted(values);
    let digits = |value: f64| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    match (median(values.iter().copied()), values.as_slice()) {
        (Some(middle), [first, .., last]) => format!("{} ({}–{})", digits(middle), digits(*first), digits(*last)),
        (Some(middle), _) => digits(middle),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_the_median_with_the_range() {
        assert_eq!(median_and_range([3.0, 1.0, 250.4].into_iter()), "3.00 (1.00–250)");
        assert_eq!(median_and_range([3.0].into_iter()), "3.00");
    }
}
