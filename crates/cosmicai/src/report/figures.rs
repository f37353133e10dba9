//! Figures of reports and forecasts.

use accounting::comparison::row::{Row, short};
use std::collections::BTreeMap;
use std::path::Path;

use accounting::audit::straggler_threshold;
use accounting::forecast::replay::Replay;
use accounting::forecast::search::{SearchResult, dominated};
use accounting::statistics::Estimate;
use anyhow::{Result, ensure};
use plots::charts::{
    Bar, Chart, Comparison, Gantt, Histogram, LinePoint, Lines, PlottedValue, Quantity, Reference, Scatter,
    ScatterPoint, Series, Spacing, Stacked, TimelineTask, XAxis,
};
use records::report::TaskReport;
use records::time::seconds_between;

use super::machines::machines;
use super::sheets::is_one_process;
use crate::new_file;
use crate::printer::count;

/// Largest number of timelines in a report.
const TIMELINES_MAX: usize = 4;
/// Legend of settings that no other setting beats in both time and cost.
const PARETO_OPTIMAL: &str = "Pareto-optimal";
/// Legend of all other settings.
const OTHERS: &str = "others";

/// Setting on the x axis of a figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Batch,
    Partition,
    Data,
}

impl Axis {
    const ALL: [Axis; 3] = [Axis::Batch, Axis::Partition, Axis::Data];

    fn name(self) -> &'static str {
        match self {
            Axis::Batch => "batch",
            Axis::Partition => "partition",
            Axis::Data => "data",
        }
    }

    /// Name and unit in labels.
    fn label(self) -> (&'static str, &'static str) {
        match self {
            Axis::Batch => ("batch size", "images"),
            Axis::Partition => ("partition size", "MB"),
            Axis::Data => ("data size", "GB"),
        }
    }

    fn value(self, row: &Row) -> Option<f64> {
        match self {
            Axis::Batch => row.setting.batch_size,
            Axis::Partition => row.setting.partition_mb,
            Axis::Data => row.study.data_gb,
        }
    }

    /// Name of the line that a row belongs to: all settings that the rows of the line share, without the one on the
    /// axis.
    fn line(self, row: &Row) -> String {
        let setting = &row.setting;
        let mut parts = Vec::new();
        if self != Axis::Partition
            && let Some(mb) = setting.partition_mb
        {
            parts.push(format!("{} MB", short(mb)));
        }
        // Partitions of another size hold the same data in another number of files, so name the size of the data.
        if self != Axis::Data
            && let Some(gb) = row.study.data_gb
        {
            parts.push(format!("about {} GB", short(one_digit(gb))));
        }
        if self != Axis::Batch
            && let Some(size) = setting.batch_size
        {
            parts.push(format!("batch {size:.0}"));
        }
        parts.extend(setting.precision.clone().filter(|precision| precision != "f32"));
        parts.push(if is_one_process(row) { "one process".to_owned() } else { setting.executor.to_string() });
        if let Some(threads) = setting.threads {
            parts.push(count(threads as usize, "thread"));
        }
        parts.join(", ")
    }
}

/// Draws all figures for which the rows have data.
///
/// # Errors
/// A figure cannot be drawn.
pub(crate) fn figures(rows: &[Row], timelines: &[(String, Vec<TaskReport>)]) -> Result<Vec<Chart>> {
    let mut charts = Vec::new();
    // Plot the time of whole runs only if all rows have it, so that no figure mixes it with the time of workers.
    let is_total = rows.iter().all(|row| row.total_s.is_some());
    let time: RowQuantity = match is_total {
        true => ("time", "time of the whole run", "s", |row| row.total_s),
        false => ("time", "mean runtime of a worker", "s", runtime),
    };
    let throughput: RowQuantity = match is_total {
        true => ("throughput", "throughput, end to end", "images/s", |row| row.images_per_s),
        false => ("throughput", "throughput, sum of all workers", "images/s", workers_rate),
    };
    let memory: RowQuantity = ("memory", "peak memory of a worker", "MB", |row| row.memory_peak_mb);
    for axis in Axis::ALL {
        for (name, what, unit, value) in [time, throughput, memory] {
            charts.extend(lines(rows, axis, name, what, unit, value).map(|lines| lines.draw()).transpose()?);
        }
    }
    charts.extend(machines(rows).map(|lines| lines.draw()).transpose()?);
    charts.extend(cost_and_time(rows).map(|scatter| scatter.draw()).transpose()?);
    for (index, (run, tasks)) in timelines.iter().take(TIMELINES_MAX).enumerate() {
        charts.push(timeline(index, run, tasks).draw()?);
    }
    charts.extend(histogram(rows).map(|histogram| histogram.draw()).transpose()?);
    let bars: Vec<Bar> = rows.iter().filter_map(|row| Some(Bar { label: row.label(), phases: row.phases? })).collect();
    if !bars.is_empty() {
        let stacked = Stacked {
            name: "phases".to_owned(),
            title: "Time of the workers by phase".to_owned(),
            x: quantity("time of all workers", "s", Spacing::Linear),
            bars,
        };
        charts.push(stacked.draw()?);
    }
    Ok(charts)
}

type Value = fn(&Row) -> Option<Estimate>;
/// Quantity on a y axis: its name in file names, its name in labels, its unit, and its value for a row.
type RowQuantity = (&'static str, &'static str, &'static str, Value);

/// Mean runtime of the workers' loops.
fn runtime(row: &Row) -> Option<Estimate> {
    row.study.runtime_s_mean.map(single)
}

/// Sum of the rates of the workers in images per second.
fn workers_rate(row: &Row) -> Option<Estimate> {
    let sample_bytes = accounting::SAMPLE_BYTES;
    row.sum_of_workers_gb_per_s.map(|rate| single(rate.median * f64::from(1 << 30) / sample_bytes))
}

/// Rounds to one digit, because data in partitions of different sizes differs by up to a file.
fn one_digit(value: f64) -> f64 {
    let power = 10_f64.powf(value.abs().max(f64::MIN_POSITIVE).log10().floor());
    (value / power).round() * power
}

fn single(value: f64) -> Estimate {
    Estimate { median: value, low: value, high: value, count: 1 }
}

pub(super) fn quantity(name: &str, unit: &str, spacing: Spacing) -> Quantity {
    Quantity { name: name.to_owned(), unit: unit.to_owned(), spacing }
}

pub(super) fn measured(estimate: &Estimate) -> PlottedValue {
    let interval = (estimate.count > 1 && estimate.high > estimate.low).then_some((estimate.low, estimate.high));
    PlottedValue { value: estimate.median, interval }
}

/// Plot of a quantity over an axis; `None` if no line has two points.
fn lines(rows: &[Row], axis: Axis, name: &str, what: &str, unit: &str, value: Value) -> Option<Lines> {
    let mut series: BTreeMap<String, Vec<(f64, PlottedValue)>> = BTreeMap::new();
    for row in rows {
        if let Some((x, y)) = axis.value(row).zip(value(row)) {
            let points = series.entry(axis.line(row)).or_default();
            // Two experiments with the same setting share one point.
            if !points.iter().any(|(known, _)| *known == x) {
                points.push((x, measured(&y)));
            }
        }
    }
    series.retain(|_, points| points.len() > 1);
    if series.is_empty() {
        return None;
    }
    let (x_name, x_unit) = axis.label();
    let mut values: Vec<f64> = series.values().flatten().map(|(x, _)| *x).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    let across = match axis {
        Axis::Data => XAxis::Values(quantity(x_name, x_unit, Spacing::Linear)),
        Axis::Batch => XAxis::Values(quantity(x_name, x_unit, Spacing::Log2)),
        Axis::Partition => XAxis::Categories {
            name: x_name.to_owned(),
            unit: x_unit.to_owned(),
            names: values.iter().map(|value| short(*value)).collect(),
        },
    };
    let place = |x: f64| match axis {
        Axis::Batch | Axis::Data => x,
        Axis::Partition => values.iter().position(|value| *value == x).unwrap_or_default() as f64,
    };
    let series: Vec<Series> = series
        .into_iter()
        .map(|(name, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { name, points: points.into_iter().map(|(x, y)| LinePoint { x: place(x), y }).collect() }
        })
        .collect();
    let references = match (axis, name) {
        (Axis::Data, "time") => in_proportion(&series).into_iter().collect(),
        _ => Vec::new(),
    };
    Some(Lines {
        name: format!("{name}-by-{}", axis.name()),
        title: format!("{} by {x_name}", capitalize(what)),
        x: across,
        y: quantity(what, unit, Spacing::Linear),
        series,
        references,
    })
}

/// Reference line from the first point of the first series: time in proportion to data.
fn in_proportion(series: &[Series]) -> Option<Reference> {
    let line = series.first()?;
    let (first, last) = (line.points.first()?, line.points.last()?);
    let end = first.y.value * last.x / first.x;
    let points = vec![(first.x, first.y.value), (last.x, end)];
    end.is_finite().then(|| Reference { name: "in proportion to data".to_owned(), points })
}

/// Groups indices of similar sizes: in each group the largest size is at most 1.1 × the smallest.
fn group_similar_sizes(sizes: &[Option<f64>]) -> Vec<Vec<usize>> {
    const SIMILAR: f64 = 1.1;
    let size = |index: &usize| sizes[*index].unwrap_or_default();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| size(a).total_cmp(&size(b)));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match groups.last_mut() {
            Some(group) if size(&index) <= SIMILAR * size(&group[0]) => group.push(index),
            _ => groups.push(vec![index]),
        }
    }
    groups
}

/// Plot of cost over time for the rows with a bill above 0; the Pareto-optimal ones are highlighted.
fn cost_and_time(rows: &[Row]) -> Option<Scatter> {
    let is_total = rows.iter().all(|row| row.total_s.is_some());
    let points: Vec<(&Row, Estimate, Estimate)> = rows
        .iter()
        .filter_map(|row| {
            let bill = row.bill_usd.filter(|bill| bill.median > 0.0)?;
            Some((row, if is_total { row.total_s } else { runtime(row) }?, bill))
        })
        .collect();
    if points.len() < 2 {
        return None;
    }
    let time = if is_total { "time of the whole run" } else { "mean runtime of a worker" };
    // Less data is faster and cheaper, so compare only rows of similar data size.
    let groups = group_similar_sizes(&points.iter().map(|(row, ..)| row.study.data_gb).collect::<Vec<_>>());
    let mut places = vec![(0, false); points.len()];
    for (group, indices) in groups.iter().enumerate() {
        let is_dominated = dominated(indices.iter().map(|index| (points[*index].1.median, points[*index].2.median)));
        for (index, is_dominated) in indices.iter().zip(is_dominated) {
            places[*index] = (group, !is_dominated);
        }
    }
    let points = points
        .iter()
        .zip(places)
        .map(|((row, time, bill), (group, highlighted))| ScatterPoint {
            label: row.label(),
            x: measured(time),
            y: measured(bill),
            highlighted,
            group,
        })
        .collect();
    let highlighted = match groups.len() {
        1 => PARETO_OPTIMAL,
        _ => "Pareto-optimal for its data size",
    };
    let compared = Comparison::Front { highlighted: highlighted.to_owned(), others: OTHERS.to_owned() };
    Some(Scatter {
        name: "cost-and-time".to_owned(),
        title: format!("Bill over {time}"),
        x: quantity(time, "s", Spacing::Log10),
        y: quantity("bill", "USD", Spacing::Log10),
        points,
        comparison: compared,
    })
}

fn timeline(index: usize, run: &str, tasks: &[TaskReport]) -> Gantt {
    let first = tasks.iter().map(|task| task.started.as_str()).min().unwrap_or_default().to_owned();
    let after = |time: &str| seconds_between(&first, time).unwrap_or_default();
    let took = |task: &TaskReport| after(&task.finished) - after(&task.started);
    let threshold = straggler_threshold(&tasks.iter().map(took).collect::<Vec<_>>());
    let tasks = tasks
        .iter()
        .map(|task| TimelineTask {
            label: task.rank.to_string(),
            // Do not draw waiting time before the first task began.
            queued: after(&task.queued).max(0.0).min(after(&task.started)),
            start: after(&task.started),
            end: after(&task.finished),
            phases: Some(task.seconds),
            is_straggler: threshold.is_some_and(|threshold| took(task) > threshold),
        })
        .collect();
    Gantt { name: format!("timeline-{}", index + 1), title: format!("Tasks over time, {run}"), tasks, threshold }
}

/// Histogram of task times, for the row with the most tasks.
fn histogram(rows: &[Row]) -> Option<Histogram> {
    let row = rows.iter().filter(|row| row.task_s.len() > 2).max_by_key(|row| row.task_s.len())?;
    Some(Histogram {
        name: "task-times".to_owned(),
        title: format!("Times of tasks, {}", row.label()),
        x: quantity("time of a worker's loop", "s", Spacing::Linear),
        counted: "task".to_owned(),
        values: row.task_s.clone(),
        threshold: row.straggler_s,
    })
}

/// Writes the plot of a forecast: cost over time for each setting.
pub(crate) fn write_forecast(found: &SearchResult, path: &Path) -> Result<()> {
    let of = |interval: &accounting::forecast::prediction::Interval| PlottedValue {
        value: interval.median,
        interval: Some((interval.low, interval.high)),
    };
    let point = |highlighted: bool| {
        move |one: &accounting::forecast::prediction::Prediction| ScatterPoint {
            label: format!("{} MB × {}", short(one.setting.partition_mb), one.setting.concurrency),
            x: of(&one.seconds),
            y: of(&one.usd),
            highlighted,
            group: 0,
        }
    };
    let points = found.front.iter().map(point(true)).chain(found.others.iter().map(point(false))).collect();
    let chart = Scatter {
        name: "forecast".to_owned(),
        title: "Forecast bill over forecast time".to_owned(),
        x: quantity("time of the whole run", "s", Spacing::Log10),
        y: quantity("bill", "USD", Spacing::Log10),
        points,
        comparison: Comparison::Front { highlighted: PARETO_OPTIMAL.to_owned(), others: OTHERS.to_owned() },
    };
    write(&chart.draw()?, path)
}

/// Writes the plot of a validated forecast: predicted over measured total times.
pub(crate) fn write_replay(replay: &Replay, path: &Path) -> Result<()> {
    let points = replay
        .forecast
        .iter()
        .map(|one| {
            let runs = &one.configuration.total_s;
            let [low, high] = [f64::min, f64::max].map(|of| runs.iter().copied().fold(one.measured_s, of));
            ScatterPoint {
                label: format!("{} MB, {} GB", one.configuration.partition_mb, one.configuration.data_gb),
                x: PlottedValue { value: one.measured_s, interval: Some((low, high)) },
                y: PlottedValue { value: one.predicted_s, interval: Some((one.interval_s[0], one.interval_s[1])) },
                highlighted: one.fitted_on,
                group: 0,
            }
        })
        .collect();
    let chart = Scatter {
        name: "forecast".to_owned(),
        title: format!(
            "Forecast of the CAI study's executions: median error {:.1} %, largest {:.0} %",
            100.0 * replay.median_error,
            100.0 * replay.largest_error
        ),
        x: quantity("measured total time", "s", Spacing::Linear),
        y: quantity("forecast total time (diamonds: used for fitting)", "s", Spacing::Linear),
        points,
        comparison: Comparison::Equality,
    };
    write(&chart.draw()?, path)
}

fn write(chart: &Chart, path: &Path) -> Result<()> {
    let is_svg = path.extension().is_some_and(|ending| ending == "svg");
    let is_png = path.extension().is_some_and(|ending| ending == "png");
    ensure!(is_svg || is_png, "--plot `{}`: expected a name that ends in .svg or .png", path.display());
    if is_png { new_file::write(path, &chart.png()?) } else { new_file::write(path, chart.svg().as_bytes()) }
}

fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_sizes_within_a_tenth() {
        let of = |sizes: &[f64]| group_similar_sizes(&sizes.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(of(&[1.074, 0.1, 1.025]), [vec![1], vec![2, 0]]);
        assert_eq!(of(&[10.06, 12.6]).len(), 2);
        assert_eq!(of(&[0.928, 0.952]).len(), 1);
        assert_eq!(of(&[1.49, 1.51]).len(), 1);
        assert_eq!(group_similar_sizes(&[None, None]).len(), 1);
    }
}
