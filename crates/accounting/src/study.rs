//! The study's figures of a run, by its own formulas, so that they can be compared with what it printed. Its cost is not
//! what AWS bills, and its throughput is not what a person waits for: [`bill`](crate::bill) and
//! [`throughput`](crate::throughput) have those.

use serde::{Deserialize, Serialize};

use crate::MB_PER_GB;
use crate::measured::MeasuredRun;
use crate::statistics::mean;

/// The study's price of a GB·s, in USD; it has a digit less than Lambda's.
const USD_PER_GB_S: f64 = 0.000_016_67;
/// The formula of the cost, to be printed beside it.
pub const COST_FORMULA: &str = "files × mean runtime × mean memory used / 1024 × 0.00001667";

/// A row of the study's table. What the records do not allow is None.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StudyFigures {
    /// Files, which in the study are workers.
    pub files: usize,
    /// Nominal data in binary GB: partition MB × files / 1024.
    pub data_gb: Option<f64>,
    /// Mean of `total_cpu_time (seconds)`.
    pub runtime_s_mean: Option<f64>,
    /// Mean of `total_process_memory (MB)`.
    pub memory_mb_mean: Option<f64>,
    /// By [`COST_FORMULA`].
    pub cost_usd: Option<f64>,
    /// Data ÷ mean runtime: as if all workers ran at once and nothing else took time.
    pub throughput_gb_per_s: Option<f64>,
    /// Throughput ÷ cost, in (GB/s)/USD.
    pub performance_efficiency: Option<f64>,
}

impl StudyFigures {
    /// The row of a run.
    pub fn of(run: &MeasuredRun) -> Self {
        let runtime = mean(run.runtimes());
        let memory = mean(run.records.iter().filter_map(|record| record.process_memory_mb));
        let data_gb = run.data_gb();
        let workers = run.records.len() as f64;
        let cost = runtime.zip(memory).map(|(runtime, mb)| workers * runtime * mb / MB_PER_GB * USD_PER_GB_S);
        let throughput = data_gb.zip(runtime).and_then(|(gb, seconds)| finite(gb / seconds));
        Self {
            files: run.files(),
            data_gb,
            runtime_s_mean: runtime,
            memory_mb_mean: memory,
            cost_usd: cost,
            throughput_gb_per_s: throughput,
            performance_efficiency: throughput.zip(cost).and_then(|(rate, usd)| finite(rate / usd)),
        }
    }
}

/// A quotient, unless it was by nothing.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
