//! Throughput of a run in three definitions: sum of the workers' rates, over the Map, and end to end.

use serde::Serialize;

use crate::bill::Bill;
use crate::measured::MeasuredRun;
use crate::statistics::mean;
use crate::study::{StudyFigures, finite};

/// Bytes in a binary GB.
const GB: f64 = 1_073_741_824.0;

/// Throughput in one definition. A figure that the files do not determine is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Throughput {
    /// Name of the definition: `sum_of_workers`, `map` or `end_to_end`.
    pub way: &'static str,
    /// Definition in words, with its divisor.
    pub explanation: &'static str,
    /// Divisor in seconds. The sum of workers has no single divisor: this is the mean of the workers' times.
    pub seconds: Option<f64>,
    /// Binary GB (2³⁰ bytes) per second.
    pub gb_per_s: Option<f64>,
    /// Gigabits (10⁹ bits) per second.
    pub gbit_per_s: Option<f64>,
    /// Images per second.
    pub images_per_s: Option<f64>,
    /// (GB/s)/USD with the study's cost.
    pub performance_efficiency_study: Option<f64>,
    /// (GB/s)/USD with the bill.
    pub performance_efficiency_bill: Option<f64>,
}

/// Computes throughput in all three definitions, from the bytes that the model processed, not from the study's nominal
/// sizes.
pub fn throughput(run: &MeasuredRun, study: &StudyFigures, bill: &Bill) -> [Throughput; 3] {
    let (bytes, samples) = (run.bytes(), run.samples());
    let over = |amount: Option<f64>, seconds: Option<f64>| finite(amount? / seconds?);
    let way = |way, explanation, seconds: Option<f64>, bytes_per_s: Option<f64>, images_per_s: Option<f64>| {
        let gb_per_s = bytes_per_s.map(|rate| rate / GB);
        let per_usd = |usd: Option<f64>| finite(gb_per_s? / usd.filter(|usd| *usd > 0.0)?);
        Throughput {
            way,
            explanation,
            seconds,
            gb_per_s,
            gbit_per_s: bytes_per_s.map(|rate| rate * 8.0 / 1e9),
            images_per_s,
            performance_efficiency_study: per_usd(study.cost_usd),
            performance_efficiency_bill: per_usd(Some(bill.total_usd)),
        }
    };
    let of_workers: Option<f64> = run.records.iter().map(|record| Some(record.throughput_bps? / 8.0)).sum();
    let images_of_workers: Option<f64> = run.records.iter().map(|record| record.sample_persec).sum();
    let (map, total) = (run.map_seconds(), run.total_seconds());
    [
        way(
            "sum_of_workers",
            "sum of the rates of all workers' loops, as if all ran at once and nothing else took time",
            mean(run.runtimes()),
            of_workers.filter(|_| !run.records.is_empty()),
            images_of_workers.filter(|_| !run.records.is_empty()),
        ),
        way(
            "map",
            "data ÷ time from the start of the first task to the end of the last one, without pauses between \
             executions",
            map,
            over(bytes, map),
            over(samples, map),
        ),
        way("end_to_end", "data ÷ time of the whole run", total, over(bytes, total), over(samples, total)),
    ]
}
