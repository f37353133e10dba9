//! Child processes of the benchmark: one that measures a precision with its own peak memory, and one that predicts one
//! galaxy.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use astromae::{Isa, Precision};
use pipeline::event::Stopwatch;
use records::benchmark::{Benchmark, significant};

use super::median::median;
use super::request::BenchRequest;
use super::workload::Workload;
use crate::settings::{ISA, Settings};

/// Number of timed starts to predict one galaxy, after a first start that fills the caches of the system.
const STARTS: usize = 7;

/// Starts child processes.
pub(crate) struct Child<'a> {
    pub(crate) program: &'a Path,
    pub(crate) workload: &'a Workload,
    pub(crate) isa: Isa,
    pub(crate) settings: &'a Settings,
}

impl Child<'_> {
    /// Milliseconds that `cosmicai predict` takes for one galaxy, from start to end: the median of several.
    pub(crate) fn first_result_ms(&self, precision: Precision) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..=STARTS {
            let line = self
                .settings
                .command("predict")
                .option("precision", precision)
                .option("model", &self.workload.model)
                .argument(self.workload.galaxy.display().to_string());
            let mut command = Command::new(self.program);
            command.args(line.arguments()).env(ISA, self.isa.name()).stdin(Stdio::null());
            let watch = Stopwatch::start();
            let output = command.output().with_context(|| format!("start `{}`", self.program.display()))?;
            times.push(watch.seconds() * 1e3);
            let messages = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "predict one galaxy: {}: {}", output.status, messages.trim_end());
        }
        Ok(significant(median(times.into_iter().skip(1))))
    }

    /// Measures one precision in a separate process.
    pub(crate) fn measure(&self, request: &BenchRequest, precision: Precision) -> Result<Benchmark> {
        let line = request
            .command_line(self.settings, &[precision], Some(&self.workload.model))
            .option("galaxies", self.workload.galaxies.display())
            .option("format", "json");
        let mut command = Command::new(self.program);
        command.args(line.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start `{}`", self.program.display()))?;
        // The child exits when this pipe closes, so it does not continue if this process ends.
        let parent_end = child.stdin.take();
        let output = child.wait_with_output().context("wait for the measuring process")?;
        drop(parent_end);
        ensure!(output.status.success(), "{precision}: the measuring process failed: {}", output.status);
        Benchmark::parse(&output.stdout).context(
            "read the record of the measuring process; if this program was replaced during the benchmark, run it again",
        )
    }
}
