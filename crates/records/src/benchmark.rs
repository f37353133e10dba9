//! Benchmark of the engine on one machine, as printed by `cosmicai bench` and kept in `record/`.
//!
//! `cosmicai bench` starts one process per precision. Each process writes a [`Benchmark`], and the parent process
//! merges them. Never here: how the numbers are measured, which docs/reference/benchmarking.md explains.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Machine;
use crate::format::{FormatError, check_format};

/// Version of the benchmark record that this program writes and reads.
pub const BENCHMARK_FORMAT: u32 = 1;
/// Largest benchmark record that is read, in bytes.
pub const MAX_BENCHMARK_BYTES: u64 = 16 << 20;

/// Results of one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// Version of this format: [`BENCHMARK_FORMAT`].
    pub format_version: u32,
    /// Command that repeats the benchmark.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// Start of the benchmark, RFC 3339.
    pub created: String,
    /// Machine that was measured.
    pub machine: BenchmarkMachine,
    /// Model that was run.
    pub model: BenchmarkModel,
    /// Difference of the predictions from the float64 reference, by precision.
    pub checks: Vec<Check>,
    /// Peak rate of multiply-adds on registers, by precision and then by `gflop_per_s_<n>_threads`, in GFLOP/s.
    pub peaks: BTreeMap<String, BTreeMap<String, f64>>,
    /// Duration of a process that predicts one galaxy, from start to end, in milliseconds; absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_result_ms: Option<f64>,
    /// Time of each step from stored bytes to prediction; empty if no profile was requested.
    pub profile: Vec<PartProfile>,
    /// Rates by precision, number of threads and batch size.
    pub measurements: Vec<RateMeasurement>,
}

impl Benchmark {
    /// Reads a benchmark record.
    ///
    /// # Errors
    /// The bytes are not a benchmark record of this version.
    pub fn parse(json: &[u8]) -> Result<Self, FormatError> {
        check_format(json, BENCHMARK_FORMAT)?;
        Ok(serde_json::from_slice(json)?)
    }
}

/// Machine that was measured, and its instruction set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkMachine {
    /// Processor, cores, memory.
    #[serde(flatten)]
    pub machine: Machine,
    /// Instruction set that the kernels used.
    pub isa: String,
    /// Features of the processor that the kernels can use.
    pub features: Vec<String>,
}

/// Model that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkModel {
    /// File or URL of the model, or a description of its random weights.
    pub name: String,
    /// SHA-256 of the model file in hexadecimal, as in run reports.
    pub sha256: String,
    /// Number of parameters in the checkpoint.
    pub parameters: usize,
    /// Floating-point operations per image, in millions. A multiply-add counts as two.
    pub mflop_per_image: f64,
}

/// Comparison of the predictions of one precision with the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Number of galaxies predicted.
    pub galaxies: usize,
    /// Largest difference from the float64 reference, relative to |z| for `f32` and to max(1, |z|) for other
    /// precisions.
    pub largest_difference: f64,
    /// Largest difference that passes the check.
    pub bound: f64,
}

/// Rate of the engine at one precision, number of threads and batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateMeasurement {
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Number of threads. Each thread predicts a separate batch.
    pub threads: usize,
    /// Images in a batch.
    pub batch: usize,
    /// Images per second of all threads.
    pub images_per_s: f64,
    /// Floating-point operations per second of all threads, in GFLOP/s.
    pub gflop_per_s: f64,
    /// Share of the wall time in which the threads ran instead of waiting for a processor, in percent. If it is far
    /// below 100, other programs kept the machine busy and the rates do not describe the engine.
    pub percent_of_time: f64,
    /// Peak rate of the same number of threads per second of their processor time, in GFLOP/s. Measurements of peak and
    /// rate alternate.
    pub peak_gflop_per_s: f64,
    /// Rate of the engine as a share of the peak, in percent. Both are per second of processor time.
    pub percent_of_peak: f64,
    /// Peak resident memory of the process so far, in binary MB. It never decreases from one measurement to the next.
    pub memory_peak_mb: f64,
}

/// Time of one step from stored bytes to prediction, on one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartProfile {
    /// Precision of the model's arithmetic.
    pub precision: String,
    /// Name of the step: `read`, `decode`, or a part of the model.
    pub part: String,
    /// Microseconds per image: processor time for parts of the model, waiting time for `read`, wall time for `decode`.
    pub us_per_image: f64,
    /// Share of the total time of all steps, in percent.
    pub share_percent: f64,
    /// Floating-point operations per image, in millions; 0 for steps without matrix multiplication.
    pub mflop_per_image: f64,
    /// Floating-point operations per second, in GFLOP/s; absent for steps without matrix multiplication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gflop_per_s: Option<f64>,
    /// Rate as a share of the peak, in percent; absent for steps without matrix multiplication. Measurements of peak
    /// and step alternate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_of_peak: Option<f64>,
}

impl Benchmark {
    /// Adds the peaks, the profile and the rates that another process measured.
    pub fn merge(&mut self, other: Benchmark) {
        for (precision, peaks) in other.peaks {
            self.peaks.entry(precision).or_default().extend(peaks);
        }
        self.profile.extend(other.profile);
        self.measurements.extend(other.measurements);
    }
}

/// Rounds a measured value to four significant digits. The remaining digits are noise.
pub fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Rounding through decimal text also limits the printed value to four digits.
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn rounds_to_four_significant_digits() {
        let values = [0.0, 123_456.0, 2.240_969e-6, -0.999_96, 109.25].map(significant);
        assert_eq!(values, [0.0, 123_500.0, 2.241e-6, -1.0, 109.2]);
        assert_eq!(significant(109.26).to_string(), "109.3");
        assert!(significant(f64::NAN).is_nan());
    }
}
