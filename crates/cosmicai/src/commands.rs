//! Commands, one module each: options first, then the code that runs them.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod concat;
pub(crate) mod convert;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod executions;
pub(crate) mod forecast;
pub(crate) mod ingest;
pub(crate) mod inspect;
pub(crate) mod logs;
pub(crate) mod man_pages;
pub(crate) mod metrics;
pub(crate) mod model_init;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod split;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod summarize;
pub(crate) mod sweep;
pub(crate) mod validate_forecast;
pub(crate) mod worker;

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::Settings;

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
        Command::Concat(options) => concat::concat(options, settings, printer).await,
        Command::Split(options) => split::split(options, settings, printer).await,
        Command::Ingest(options) => ingest::ingest(options, settings, printer).await,
        Command::Simulate(options) => simulate::simulate(options, settings, printer).await,
        Command::Inspect(options) => inspect::inspect(options, settings, printer).await,
        Command::Convert(options) => convert::convert(options, settings, printer).await,
        Command::ModelInit(options) => model_init::model_init(&options, printer),
        Command::Bench(options) => bench::bench(options, settings, printer).await,
        Command::Forecast(options) => forecast::forecast(options, settings, printer).await,
        Command::ValidateForecast(options) => validate_forecast::validate_forecast(&options, printer),
        Command::Report(options) => report::report(options, settings, printer).await,
        Command::Cost(options) => cost::cost(options, settings, printer).await,
        Command::Audit(options) => audit::audit(options, settings, printer).await,
        Command::Metrics(options) => metrics::metrics(options, settings, printer).await,
        Command::Completions(options) => completions::completions(&options, Args::command(), printer),
        Command::ManPages(options) => man_pages::man_pages(&options, Args::command(), printer),
    }
}
