//! Figures of a run by the formulas of the CAI study, to compare with its printed table.
//!
//! The study's cost is not what AWS bills, and its throughput is not that of the whole run. See [`bill`](crate::bill)
//! and [`throughput`](crate::throughput) for those.

use serde::{Deserialize, Serialize};

use crate::MB_PER_GB;
use crate::measured::MeasuredRun;
use crate::statistics::mean;

/// Price of a GB·s in the study, in USD. It has one digit less than Lambda's price.
const USD_PER_GB_S: f64 = 0.000_016_67;
/// Formula of the cost, for display.
pub const COST_FORMULA: &str = "workers × mean runtime × mean memory used / 1024 × 0.00001667";

/// Row of the study's table. A figure that the records do not determine is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StudyFigures {
    /// Number of files. The study uses one worker for each file.
    pub files: usize,
    /// Nominal data in binary GB: partition MB × files / 1024.
    pub data_gb: Option<f64>,
    /// Mean of `total_cpu_time (seconds)`.
    pub runtime_s_mean: Option<f64>,
    /// Mean of `total_process_memory (MB)`.
    pub memory_mb_mean: Option<f64>,
    /// Cost in USD by [`COST_FORMULA`].
    pub cost_usd: Option<f64>,
    /// Data ÷ mean runtime, which assumes that all workers run at once and that nothing else takes time.
    pub throughput_gb_per_s: Option<f64>,
    /// Throughput ÷ cost, in (GB/s)/USD.
    pub performance_efficiency: Option<f64>,
}

impl StudyFigures {
    /// Computes the row of a run.
    pub fn of(run: &MeasuredRun) -> Self {
        let memory = mean(run.records.iter().filter_map(|record| record.process_memory_mb));
        Self::from_means(run.files(), run.records.len(), run.data_gb(), mean(run.runtimes()), memory)
    }

    /// Computes the row from the number of files and workers, the mean runtime in seconds and the mean memory in binary
    /// MB.
    pub fn from_means(
        files: usize,
        workers: usize,
        data_gb: Option<f64>,
        runtime: Option<f64>,
        memory: Option<f64>,
    ) -> Self {
        let usd = |seconds: f64, mb: f64| workers as f64 * seconds * mb / MB_PER_GB * USD_PER_GB_S;
        let cost = runtime.zip(memory).map(|(seconds, mb)| usd(seconds, mb));
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

/// Quotient, if its divisor was not 0.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the study's table that print enough digits of runtime and memory: partition MB, files, runtime, memory;
    /// then the printed data, cost, throughput and efficiency.
    #[test]
    fn reproduces_the_printed_rows_of_the_study() {
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
