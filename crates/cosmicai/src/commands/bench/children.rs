//! The program, started again: to measure one precision with memory of its own, and to predict one galaxy.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use astromae::{Isa, Precision};
use pipeline::benchmark::{BENCHMARK_FORMAT, Benchmark, significant};
use pipeline::event::Stopwatch;

use super::workload::Workload;
use super::{Options, median};
use crate::settings::ISA;

/// How often the program is started to predict one galaxy, after a first time that fills the system's caches.
const STARTS: usize = 7;

pub(super) struct Child<'a> {
    pub(super) program: &'a Path,
    pub(super) workload: &'a Workload,
    pub(super) isa: Isa,
}

impl Child<'_> {
    /// Milliseconds from the start of `cosmicai predict` for one galaxy to its end, the median of several.
    pub(super) fn first_result_ms(&self, precision: Precision) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..=STARTS {
            let mut command = Command::new(self.program);
            command.args(["predict", "--precision", &precision.to_string(), "--model", &self.workload.model]);
            command.arg(&self.workload.galaxy).env(ISA, self.isa.name()).stdin(Stdio::null());
            let watch = Stopwatch::start();
            let output = command.output().with_context(|| format!("start `{}`", self.program.display()))?;
            times.push(watch.seconds() * 1e3);
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "predict one galaxy: {}: {}", output.status, said.trim_end());
        }
        Ok(significant(median(times.into_iter().skip(1))))
    }

    /// What a process that does nothing else measures of one precision.
    pub(super) fn measure(&self, options: &Options, precision: Precision) -> Result<Benchmark> {
        let mut command = Command::new(self.program);
        command.arg("bench").args(options.arguments(&[precision])).args(["--isa", self.isa.name(), "--format", "json"]);
        command.args(["--model", &self.workload.model]).arg("--galaxies").arg(&self.workload.galaxies);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start `{}`", self.program.display()))?;
        // The child ends when this pipe does, so that it never measures for nobody.
        let tether = child.stdin.take();
        let output = child.wait_with_output().context("wait for the process that measures")?;
        drop(tether);
        ensure!(output.status.success(), "{precision}: the process that measures ended: {}", output.status);
        let benchmark: Benchmark = serde_json::from_slice(&output.stdout).context("what the process measured")?;
        ensure!(benchmark.format_version == BENCHMARK_FORMAT, "this program was replaced while it measured; run again");
        Ok(benchmark)
    }
}
