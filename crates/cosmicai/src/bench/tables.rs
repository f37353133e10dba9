//! Benchmark record as tables for people.

use records::benchmark::{Benchmark, PartProfile, RateMeasurement};

use crate::printer::{count, grouped, table};

/// Formats a benchmark record as text.
pub(crate) fn human(benchmark: &Benchmark) -> String {
    let mut text = table(
        [
            "precision",
            "threads",
            "batch",
            "images/s",
            "GFLOP/s",
            "% of time",
            "peak GFLOP/s",
            "% of peak",
            "memory MiB",
        ],
        benchmark.measurements.iter().map(rate_row),
    );
    if !benchmark.profile.is_empty() {
        text += &table(
            ["part, one thread", "precision", "µs/image", "share %", "MFLOP/image", "GFLOP/s", "% of peak"],
            benchmark.profile.iter().map(part_row),
        );
    }
    let model = &benchmark.model;
    let parameters = grouped(model.parameters as u64);
    text += &format!("model         {}, {parameters} parameters, {} MFLOP/image\n", model.name, model.mflop_per_image);
    let machine = &benchmark.machine;
    let cpu = machine.machine.cpu.as_deref().unwrap_or(&machine.machine.arch);
    text += &format!("machine       {cpu}, {}, {}\n", count(machine.machine.cores, "core"), machine.isa);
    for check in &benchmark.checks {
        let (precision, galaxies) = (&check.precision, check.galaxies);
        let (difference, bound) = (check.largest_difference, check.bound);
        text += &format!(
            "check         {precision}: at most {difference:.1e} off float64 in {galaxies} galaxies ({bound:.0e} \
             allowed)\n"
        );
    }
    if let Some(ms) = benchmark.first_result_ms {
        let precision = benchmark.checks.first().map_or("", |check| &check.precision);
        text += &format!("first result  {ms:.0} ms after the program starts, {precision}\n");
    }
    text
}

fn rate_row(measurement: &RateMeasurement) -> [String; 9] {
    let RateMeasurement { precision, threads, batch, .. } = measurement;
    [
        precision.clone(),
        threads.to_string(),
        batch.to_string(),
        format!("{:.0}", measurement.images_per_s),
        format!("{:.1}", measurement.gflop_per_s),
        format!("{:.0}", measurement.percent_of_time),
        format!("{:.1}", measurement.peak_gflop_per_s),
        format!("{:.0}", measurement.percent_of_peak),
        format!("{:.0}", measurement.memory_peak_mb),
    ]
}

fn part_row(cost: &PartProfile) -> [String; 7] {
    let or_none =
        |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    [
        cost.part.clone(),
        cost.precision.clone(),
        format!("{:.1}", cost.us_per_image),
        format!("{:.1}", cost.share_percent),
        if cost.mflop_per_image > 0.0 { format!("{:.2}", cost.mflop_per_image) } else { "–".to_owned() },
        or_none(cost.gflop_per_s, 1),
        or_none(cost.percent_of_peak, 0),
    ]
}
