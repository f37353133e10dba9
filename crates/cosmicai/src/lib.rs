//! Library of the `cosmicai` program: its command line and its output.
//!
//! [`main`] parses the arguments, reads the [`settings`] once, and runs one of the `commands`: arguments in, calls into
//! the other crates, results printed. `printer` is the only module that writes to standard output; `progress` shows the
//! events of a run on standard error. `forecast`, `sweep`, `bench` and `report` prepare what their commands print.
//!
//! This crate contains no model arithmetic and no execution of tasks, and does not read pixels (except that `inspect`
//! counts bad ones).

mod accounting_options;
mod accounting_tables;
mod args;
#[cfg(feature = "aws")]
mod aws_execution;
mod bench;
mod bootstrap;
mod commands;
mod counting_bar;
mod demo_model;
mod findings;
mod forecast;
mod galaxies_bar;
mod help;
mod inputs;
mod interruption;
mod measurements;
mod metrics_table;
mod new_file;
mod outcome;
mod parent_watch;
mod partitions;
mod payload_file;
mod plot_files;
mod printer;
mod progress;
mod ranks_in_words;
mod report;
mod run_target;
pub mod settings;
mod sweep;
mod visible;
#[cfg(not(feature = "aws"))]
mod without_aws;

use std::process::ExitCode;

use clap::Parser;
use pipeline::storage::reject_password;

use args::Args;
use outcome::Outcome;
use printer::{Printer, write_message};
use settings::Settings;

/// Parses the arguments, runs the command and returns its exit status: 0 done, 1 failed, 2 wrong arguments, 130
/// interrupted; `audit` also returns 3 for warnings and 4 for errors.
pub fn main() -> ExitCode {
    let args = Args::parse().checked().unwrap_or_else(|error| error.exit());
    let settings = Settings::from_environment().with_endpoint(args.endpoint_url);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            write_message(&format!("error: cannot start the threads of the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Some(Err(error)) = settings.endpoint_given().map(reject_password) {
        write_message(&format!("error: --endpoint-url: {error}"));
        return ExitCode::FAILURE;
    }
    let printer = Printer::new(args.format);
    let outcome = runtime.block_on(commands::run(args.command, &settings, &printer));
    // Do not wait for abandoned reads, which may still wait for a store.
    runtime.shutdown_background();
    match outcome {
        Ok(Outcome::Done) if settings.has_passed_over() => Outcome::Incomplete.into(),
        Ok(outcome) => outcome.into(),
        Err(error) => {
            write_message(&visible::shortened(&format!("error: {error:#}")));
            ExitCode::FAILURE
        }
    }
}
