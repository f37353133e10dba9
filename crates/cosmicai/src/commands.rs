//! The commands, one file each: its options, then what it does.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod convert;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod deploy;
mod execution;
pub(crate) mod executions;
mod folder;
pub(crate) mod forecast;
pub(crate) mod ingest;
mod inputs;
pub(crate) mod inspect;
mod interruption;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod model_init;
pub(crate) mod new_file;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod split;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod summarize;
pub(crate) mod sweep;
mod tether;
pub(crate) mod worker;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Command;
use crate::printer::Printer;
use crate::settings::Settings;

/// What became of a command that did not fail outright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All was done.
    Done,
    /// Some of it failed; what failed was said, the rest is kept.
    Incomplete,
    /// It was interrupted; how to go on was said.
    Interrupted,
    /// What was looked at may mislead; why was said.
    Warned,
    /// What was looked at is wrong; why was said.
    Wrong,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Incomplete => ExitCode::FAILURE,
            Outcome::Interrupted => ExitCode::from(130),
            Outcome::Warned => ExitCode::from(3),
            Outcome::Wrong => ExitCode::from(4),
        }
    }
}

/// Runs one command.
pub(crate) async fn run(command: Command, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    match command {
        Command::Demo(options) => demo::demo(options, settings, printer).await,
        Command::Predict(options) => predict::predict(options, settings, printer).await,
        Command::Run(options) => run::run(options, settings, printer).await,
        Command::Worker(options) => worker::worker(options, settings).await,
        Command::Summarize(options) => summarize::summarize(options, settings, printer).await,
        Command::Deploy(options) => deploy::deploy(options, printer),
        Command::Executions(options) => executions::executions(options, settings, printer).await,
        Command::Status(options) => status::status(options, settings, printer).await,
        Command::Logs(options) => logs::logs(options, settings).await,
        Command::Stop(options) => stop::stop(options, settings, printer).await,
        Command::Sweep(options) => sweep::sweep(options, settings, printer).await,
        Command::Split(options) => split::split(options, settings, printer).await,
        Command::Ingest(options) => ingest::ingest(options, settings, printer).await,
        Command::Simulate(options) => simulate::simulate(options, settings, printer).await,
        Command::Inspect(options) => inspect::inspect(options, settings, printer).await,
        Command::Convert(options) => convert::convert(options, settings, printer).await,
        Command::ModelInit(options) => model_init::model_init(&options, printer),
        Command::Bench(options) => bench::bench(options, settings, printer).await,
        Command::Forecast(options) => forecast::forecast(options, settings, printer).await,
        Command::Report(options) => report::report(options, settings, printer).await,
        Command::Cost(options) => cost::cost(options, settings, printer).await,
        Command::Audit(options) => audit::audit(options, settings, printer).await,
        Command::Metrics(options) => metrics::metrics(options, settings, printer).await,
    }
}

/// A bar that counts `what` on a terminal, and nothing elsewhere.
fn counting_bar(what: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:>24} {wide_bar} {human_pos}/{human_len} eta {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
