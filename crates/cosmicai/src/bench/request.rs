//! Request of a benchmark, and the record that it starts with.

use std::collections::BTreeMap;

use astromae::{Isa, Precision};
use executors::CommandLine;
use pipeline::event::{cpu_features, this_machine};
use records::benchmark::{BENCHMARK_FORMAT, Benchmark, BenchmarkMachine, BenchmarkModel};

use crate::settings::Settings;

/// Settings of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BenchRequest {
    /// Model file or URL; `None` for seeded weights of the published size.
    pub(crate) model: Option<String>,
    /// Precisions to measure.
    pub(crate) precision: Vec<Precision>,
    /// Numbers of threads to measure.
    pub(crate) threads: Vec<u16>,
    /// Batch sizes to measure.
    pub(crate) batch: Vec<u16>,
    /// Seconds of each measurement.
    pub(crate) seconds: f64,
    /// True to measure each part of the model as well.
    pub(crate) profile: bool,
    /// Instruction set.
    pub(crate) isa: Isa,
}

/// Makes a record without measurements.
pub(super) fn empty_record(
    request: &BenchRequest,
    model: BenchmarkModel,
    created: String,
    settings: &Settings,
) -> Benchmark {
    let isa = request.isa;
    Benchmark {
        format_version: BENCHMARK_FORMAT,
        command: request.command_line(settings, &request.precision, request.model.as_deref()).to_string(),
        program: format!("cosmicai {}", env!("CARGO_PKG_VERSION")),
        created,
        machine: BenchmarkMachine { machine: this_machine(), isa: isa.to_string(), features: cpu_features() },
        model,
        checks: Vec::new(),
        peaks: BTreeMap::new(),
        first_result_ms: None,
        profile: Vec::new(),
        measurements: Vec::new(),
    }
}

impl BenchRequest {
    /// Command line that measures these precisions with this model.
    pub(crate) fn command_line(
        &self,
        settings: &Settings,
        precisions: &[Precision],
        model: Option<&str>,
    ) -> CommandLine {
        let list = |items: &[u16]| items.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let precisions: Vec<String> = precisions.iter().map(Precision::to_string).collect();
        settings
            .command("bench")
            .option("precision", precisions.join(","))
            .option("threads", list(&self.threads))
            .option("batch", list(&self.batch))
            .option("seconds", self.seconds)
            .flag("profile", self.profile)
            .option_if("model", model)
            .option("isa", self.isa)
    }
}

#[cfg(test)]
mod tests;
