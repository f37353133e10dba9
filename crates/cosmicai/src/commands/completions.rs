//! `cosmicai completions`: completions of the command line for a shell.

use anyhow::Result;
use clap_complete::Shell;
use serde_json::json;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::Printer;

/// Print completions of commands and options for a shell.
///
/// Save the output where your shell reads completions, and start a new shell. After that, the Tab key completes
/// commands, options and file names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai completions bash > ~/.bash_completion",
    "cosmicai completions zsh > ~/.zfunc/_cosmicai",
    "cosmicai completions fish > ~/.config/fish/completions/cosmicai.fish",
]))]
pub(crate) struct Options {
    /// Shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

/// Prints the completions of `program`, the definition of the command line.
pub(crate) fn completions(options: &Options, mut program: clap::Command, printer: &Printer) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut program, "cosmicai", &mut script);
    let script = String::from_utf8(script)?;
    printer.print(&json!({ "shell": options.shell.to_string(), "script": script }), |_| script.clone())?;
    Ok(Outcome::Done)
}
