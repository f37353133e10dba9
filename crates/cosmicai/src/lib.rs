//! `cosmicai`: what a person types and sees.
//!
//! [`main`] parses the arguments, reads the [`settings`] once, and runs one of the `commands`. An [`executor`] runs
//! the tasks of a plan somewhere; `progress` listens to their events; `printer` is the only one that writes to
//! standard output; `plots` draws how good predictions are. Never here: the arithmetic of a model, or a pixel of a
//! galaxy, but to count bad ones for `inspect`.

mod args;
mod bootstrap;
mod commands;
mod demo_model;
pub mod executor;
mod measurements;
mod plots;
mod printer;
mod progress;
mod report;
pub mod settings;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use printer::Printer;
use settings::Settings;

/// Parses the arguments, runs the command, and turns what became of it into an exit status: 0 done, 1 failed, 2 wrong
/// arguments, 130 interrupted; `audit` has 3 and 4 for what it finds.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let settings = Settings::from_environment().with_endpoint(args.endpoint_url);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads to work with: {error}");
            return ExitCode::FAILURE;
        }
    };
    let printer = Printer::new(args.format);
    let outcome = runtime.block_on(commands::run(args.command, &settings, &printer));
    // Reads that were abandoned may still wait for a store; nobody waits for them.
    runtime.shutdown_background();
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
