//! Options of `cosmicai run` about its forecast and budget.

use executors::CommandLine;

use crate::accounting_options::{TermsOptions, positive};

/// Forecast and budget of a run.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Forecast and budget")]
pub(crate) struct ForecastOptions {
    /// Highest cost of this run in USD.
    ///
    /// The run does not start if the upper end of its forecast (95 of 100 executions) is higher, and stops when the
    /// running bill exceeds the budget. With --resume, only the remaining tasks count.
    #[arg(long, value_name = "USD", value_parser = positive)]
    pub(crate) budget: Option<f64>,
    /// Forecast time and cost before the run.
    ///
    /// The report of the run has them beside the actual time and cost.
    #[arg(long, hide_short_help = true)]
    pub(crate) forecast: bool,
    /// Measured run or benchmark for the forecast. Repeatable.
    ///
    /// The default is a short benchmark on this machine.
    #[arg(long, hide_short_help = true, value_name = "RUN|FILE")]
    pub(crate) forecast_from: Vec<String>,
    #[command(flatten)]
    pub(crate) terms: TermsOptions,
}

impl ForecastOptions {
    /// Adds these options to a command line.
    pub(crate) fn add_to(&self, line: CommandLine) -> CommandLine {
        let line = line
            .option_if("budget", self.budget)
            .flag("forecast", self.forecast)
            .options("forecast-from", &self.forecast_from);
        self.terms.add_to(line)
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.budget.is_some() || self.forecast || !self.forecast_from.is_empty()
    }
}
