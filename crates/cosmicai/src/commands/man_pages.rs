//! `cosmicai man-pages`: manual pages of the program and of every command.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap_mangen::Man;
use serde::Serialize;

use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, count};

/// Write manual pages for `man` to a folder.
///
/// Writes cosmicai.1, and a page for each command, such as cosmicai-predict.1. They have the text of --help. `man` finds
/// them in a folder `man1` of its search path; then `man cosmicai-predict` shows one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai man-pages --out ~/.local/share/man/man1"]))]
pub(crate) struct Options {
    /// Folder to write to. Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Output of the command.
#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
}

/// Writes the pages of `program`, the definition of the command line.
pub(crate) fn man_pages(options: &Options, mut program: clap::Command, printer: &Printer) -> Result<Outcome> {
    std::fs::create_dir_all(&options.out).with_context(|| format!("create `{}`", options.out.display()))?;
    program.build();
    let mut files = Vec::new();
    write_pages(&program, "cosmicai", &options.out, &mut files)?;
    printer.print(&Written { files }, |written| {
        format!("{} in {}\n", count(written.files.len(), "manual page"), options.out.display())
    })?;
    Ok(Outcome::Done)
}

/// Writes the page of a command, then those of its commands.
fn write_pages(command: &clap::Command, name: &str, folder: &std::path::Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(name).render(&mut page).with_context(|| format!("make the page of `{name}`"))?;
    let path = folder.join(format!("{name}.1"));
    new_file::write(&path, &page)?;
    files.push(path);
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        write_pages(inner, &format!("{name}-{}", inner.get_name()), folder, files)?;
    }
    Ok(())
}
