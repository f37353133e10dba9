//! What was measured of the engine on one machine: what `cosmicai bench` prints and `record/` keeps.
//!
//! Plain records with a format version. A process that measures one precision writes one; the process that started it
//! takes them together. Never here: how anything is measured, which docs/benchmarking.md says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Machine;

/// The version of the record that this code writes and reads.
pub const BENCHMARK_FORMAT: u32 = 1;

/// Everything that one benchmark measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// Version of this format: [`BENCHMARK_FORMAT`].
    pub format_version: u32,
    /// The command that measures it again.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// When it began, RFC 3339.
    pub created: String,
    /// The machine.
    pub machine: BenchmarkMachine,
    /// The model that was run.
    pub model: BenchmarkModel,
    /// How far answers lie from the reference in float64, by precision.
    pub checks: Vec<Check>,
    /// Multiply-adds on registers alone, by precision, then `gflop_per_s_<n>_threads`.
    pub peaks: BTreeMap<String, BTreeMap<String, f64>>,
    /// From the start of a process that predicts one galaxy to its end; absent where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_result_ms: Option<f64>,
    /// What the parts of an image's way cost; empty unless it was asked for.
    pub profile: Vec<PartCost>,
    /// Rates by precision, threads and batch.
    pub measurements: Vec<Measurement>,
}

/// The machine that measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkMachine {
    /// Processor, cores, memory.
    #[serde(flatten)]
    pub machine: Machine,
    /// Instruction set that ran.
    pub isa: String,
    /// What the processor can do, of what matters here.
    pub features: Vec<String>,
}

/// The model that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkModel {
    /// A file or URL, or what its seeded weights are.
    pub name: String,
    /// SHA-256 of its file, as reports of runs have it.
    pub sha256: String,
    /// Parameters in its checkpoint.
    pub parameters: usize,
    /// Millions of floating-point operations of one image, a multiply-add counting as two.
    pub mflop_per_image: f64,
}

/// The answers of one precision beside the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Arithmetic of the model.
    pub precision: String,
    /// Galaxies predicted.
    pub galaxies: usize,
    /// The largest difference from the reference in float64: of |z| for `f32`, of the larger of 1 and |z| for others.
    pub largest_difference: f64,
    /// The largest that passes.
    pub bound: f64,
}

/// A rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Arithmetic of the model.
    pub precision: String,
    /// Threads, each with a batch of its own.
    pub threads: usize,
    /// Images pushed through together.
    pub batch: usize,
    /// Images of all threads.
    pub images_per_s: f64,
    /// Operations of all threads.
    pub gflop_per_s: f64,
    /// Share of the time that the threads ran instead of waiting for a processor. Far below 100, something else kept
    /// the machine busy, and the rates say little about the engine.
    pub percent_of_time: f64,
    /// The peak of as many threads, in their processor time, measured in turn with the rate.
    pub peak_gflop_per_s: f64,
    /// The engine's share of the peak, both in the processor time of their threads.
    pub percent_of_peak: f64,
    /// Most resident memory of the process until then, in binary MB; it never falls from one measurement to the next.
    pub memory_peak_mb: f64,
}

/// What one part of an image's way costs on one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartCost {
    /// Arithmetic of the model.
    pub precision: String,
    /// `read`, `decode`, or a part of the model.
    pub part: String,
    /// Microseconds: of processor time in the model, of waiting for `read`, of wall time for `decode`.
    pub us_per_image: f64,
    /// Of all parts together.
    pub share_percent: f64,
    /// Millions of operations of one image; 0 where nothing is multiplied.
    pub mflop_per_image: f64,
    /// Absent where nothing is multiplied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gflop_per_s: Option<f64>,
    /// Share of the peak measured in turn with it; absent where nothing is multiplied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_of_peak: Option<f64>,
}

impl Benchmark {
    /// Takes up what another process measured: its peaks, profile and rates.
    pub fn take_up(&mut self, other: Benchmark) {
        for (precision, peaks) in other.peaks {
            self.peaks.entry(precision).or_default().extend(peaks);
        }
        self.profile.extend(other.profile);
        self.measurements.extend(other.measurements);
    }
}

/// A measured value to four significant digits: the rest is noise.
pub fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Through decimal text, so that what is printed has four digits too.
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn four_digits_are_kept() {
        let values = [0.0, 123_456.0, 2.240_969e-6, -0.999_96, 109.25].map(significant);
        assert_eq!(values, [0.0, 123_500.0, 2.241e-6, -1.0, 109.2]);
        assert_eq!(significant(109.26).to_string(), "109.3");
        assert!(significant(f64::NAN).is_nan());
    }
}
