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
pub const COST_FORMULA: &str = "workers × mean runtime × mean memory used / 1024 × 0.00001667";

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
        let memory = mean(run.records.iter().filter_map(|record| record.process_memory_mb));
        Self::from_means(run.files(), run.records.len(), run.data_gb(), mean(run.runtimes()), memory)
    }

    /// The row of so many files, done by so many workers of this mean runtime in seconds and mean memory in binary MB.
    pub fn from_means(
        files: usize,
        workers: usize,
        data_gb: Option<f64>,
        runtime: Option<f64>,
        memory: Option<f64>,
    ) -> Self {
        let spent = |seconds: f64, mb: f64| workers as f64 * seconds * mb / MB_PER_GB * USD_PER_GB_S;
        let cost = runtime.zip(memory).map(|(seconds, mb)| spent(seconds, mb));
        let throughput = data_gb.zip(runtime).and_then(|(gb, seconds)| finite(gb / seconds));
        Self {
            files,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the study's table whose printed runtime and memory have digits enough: partition MB, files, runtime, memory;
    /// then data, cost, throughput and efficiency as printed.
    #[test]
    fn the_study_s_rows_come_out_to_the_printed_digits() {
        let rows = [
            (100.0, 1, 225.48, 2738.23, "0.10", "0.0101", "0.0004", "0.04"),
            (25.0, 42, 6.35, 1720.11, "1.03", "0.0075", "0.1615", "21.62"),
            (100.0, 11, 24.07, 4314.0, "1.07", "0.0186", "0.0446", "2.40"),
        ];
        for (mb, files, runtime, memory, data_gb, cost, throughput, efficiency) in rows {
            let gb = mb * files as f64 / 1024.0;
            let row = StudyFigures::from_means(files, files, Some(gb), Some(runtime), Some(memory));
            let [printed_gb, printed_cost, printed_throughput, printed_efficiency] = [
                format!("{:.2}", row.data_gb.unwrap()),
                format!("{:.4}", row.cost_usd.unwrap()),
                format!("{:.4}", row.throughput_gb_per_s.unwrap()),
                format!("{:.2}", row.performance_efficiency.unwrap()),
            ];
            assert_eq!(
                [&printed_gb[..], &printed_cost, &printed_throughput, &printed_efficiency],
                [data_gb, cost, throughput, efficiency],
                "{files} files of {mb} MB"
            );
        }
    }
}
