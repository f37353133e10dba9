//! Options and messages that all commands about cost share.

use std::io::Read;
use std::path::PathBuf;

use accounting::assumptions::Assumptions;
use accounting::audit::{Finding, Severity};
use accounting::measured::MeasuredRun;
use accounting::prices::{MAX_PRICES_BYTES, Prices};
use anyhow::{Context, Result, ensure};
use executors::CommandLine;
use records::ExecutorKind;

use crate::printer::Printer;

/// Prices and assumptions, for every command that computes a cost.
#[derive(Debug, Default, Clone, PartialEq, clap::Args)]
pub(crate) struct TermsOptions {
    /// Table of prices in TOML [default: the built-in table].
    ///
    /// `cosmicai cost --print-prices` prints the built-in table.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) prices: Option<PathBuf>,
    /// Replace the value of an assumption. Repeatable.
    ///
    /// The output lists the names and units.
    #[arg(long, value_name = "NAME=VALUE", hide_short_help = true)]
    pub(crate) assume: Vec<String>,
    /// Subtract the monthly free tier of AWS from the bill.
    #[arg(long, hide_short_help = true)]
    pub(crate) free_tier: bool,
}

impl TermsOptions {
    /// Adds these options to a command line.
    pub(crate) fn add_to(&self, line: CommandLine) -> CommandLine {
        line.option_if("prices", self.prices.as_ref().map(|path| path.display()))
            .options("assume", &self.assume)
            .flag("free-tier", self.free_tier)
    }

    /// Returns the table of prices: from the file of `--prices`, or the built-in one.
    pub(crate) fn prices(&self) -> Result<Prices> {
        let Some(path) = &self.prices else { return Ok(Prices::default()) };
        let place = || format!("--prices `{}`", path.display());
        // The length of a pipe or a device is not known before it is read.
        let mut toml = String::new();
        let file = std::fs::File::open(path).with_context(place)?;
        file.take(MAX_PRICES_BYTES + 1).read_to_string(&mut toml).with_context(place)?;
        ensure!(toml.len() as u64 <= MAX_PRICES_BYTES, "{}: more than {MAX_PRICES_BYTES} bytes", place());
        Prices::parse(&toml).with_context(place)
    }

    /// Replaces the assumptions that `--assume` names.
    pub(crate) fn assume(&self, mut assumptions: Assumptions) -> Result<Assumptions> {
        for assignment in &self.assume {
            assumptions.set(assignment).context("--assume")?;
        }
        Ok(assumptions)
    }
}

/// Parses a number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "expected a number above 0".to_owned())
}

/// Parses the name of an executor whose cost is known.
pub(crate) fn executor(text: &str) -> Result<ExecutorKind, String> {
    const ALL: [ExecutorKind; 3] = [ExecutorKind::Local, ExecutorKind::Slurm, ExecutorKind::StepFunctions];
    let expected = || format!("expected one of {}", ALL.map(ExecutorKind::name).join(", "));
    ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(expected)
}

/// Warns that the executor of a run is assumed, and names the option that states it.
pub(crate) fn warn_assumed_executor(run: &MeasuredRun, option: &str, printer: &Printer) {
    if let Some(why) = run.why_assumed() {
        let place = if run.executor() == ExecutorKind::Slurm { "a cluster" } else { "one machine" };
        printer.tell(&format!(
            "`{}`: assumed to be a run on {place}, because {why}; pass {option} if that is wrong",
            run.name
        ));
    }
}

/// Warns that records with errors make the totals of a run doubtful.
pub(crate) fn tell_doubts(run: &MeasuredRun, findings: &[Finding], printer: &Printer) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let codes: Vec<&str> = errors.map(|finding| finding.code).collect();
    if !codes.is_empty() {
        printer.tell(&format!(
            "doubtful: the records of `{}` have errors ({}), so their totals are not those of one complete run; for \
             details run `cosmicai audit`",
            run.name,
            codes.join(", ")
        ));
    }
}
