//! `cosmicai deploy render`: the files from which AWS makes the functions and the state machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Outcome, new_file};
use crate::bootstrap::{self, Architecture};
use crate::printer::{Printer, bytes};

const TEMPLATE: &str = include_str!("../../../../deploy/lambda/template.yaml");
const STATE_MACHINE: &str = include_str!("../../../../deploy/lambda/state_machine.asl.json");
const README: &str = include_str!("../../../../deploy/lambda/README.md");
/// The largest program that is packed, in bytes: what Lambda takes unpacked.
const MAX_BOOTSTRAP_BYTES: u64 = 250 << 20;

/// Make what AWS needs to run payloads: template, state machine and program.
///
/// Nothing is sent anywhere; the README.md that is written beside them has the commands for that, from nothing to the first
/// run and to deleting everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Render(Render),
}

/// Write template.yaml, state_machine.asl.json, bootstrap.zip and README.md into a folder.
///
/// The program is built once from the sources, for the processor that the functions will have, against a libc as old as
/// Lambda's: cargo lambda build --profile lambda --package lambda (cargo-lambda is on PyPI; --arm64 for arm64).
///
/// Example: cosmicai deploy render --out deploy
#[derive(Debug, clap::Args)]
struct Render {
    /// Folder to write into; files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The program of the functions: `bootstrap`, or a zip with it. By default target/lambda/bootstrap/bootstrap here.
    #[arg(long, value_name = "FILE", default_value = "target/lambda/bootstrap/bootstrap")]
    bootstrap: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Rendered {
    files: Vec<PathBuf>,
    architecture: Architecture,
    zip_bytes: usize,
    /// The newest libc that the program needs.
    glibc: Option<String>,
}

pub(crate) fn deploy(options: Options, printer: &Printer) -> Result<Outcome> {
    let Command::Render(Render { out, bootstrap: path }) = options.command;
    let program = read(&path)?;
    let found = bootstrap::inspect(&program).with_context(|| format!("`{}`", path.display()))?;
    let zip = bootstrap::zip(&program)?;
    fs::create_dir_all(&out).with_context(|| format!("`{}`", out.display()))?;
    let template = TEMPLATE.replace("Default: x86_64", &format!("Default: {}", found.architecture));
    let contents: [(&str, &[u8]); 4] = [
        ("template.yaml", template.as_bytes()),
        ("state_machine.asl.json", STATE_MACHINE.as_bytes()),
        ("bootstrap.zip", &zip),
        ("README.md", README.as_bytes()),
    ];
    let mut files = Vec::new();
    for (name, content) in contents {
        let path = out.join(name);
        new_file::write(&path, content)?;
        files.push(path);
    }
    let rendered = Rendered { files, architecture: found.architecture, zip_bytes: zip.len(), glibc: found.glibc };
    printer.print(&rendered, |rendered| {
        let glibc = rendered.glibc.as_ref().map_or_else(String::new, |version| format!(", glibc {version} or newer"));
        let files: String = rendered.files.iter().map(|path| format!("{}\n", path.display())).collect();
        format!("{files}for {}{glibc}; bootstrap.zip has {}\n", rendered.architecture, bytes(rendered.zip_bytes as u64))
    })?;
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let advice = "build it once: cargo lambda build --profile lambda --package lambda (see deploy/lambda/README.md)";
    let found = fs::metadata(path).with_context(|| format!("`{}`: {advice}", path.display()))?;
    if found.len() > MAX_BOOTSTRAP_BYTES {
        bail!("`{}`: {} bytes, but Lambda takes {MAX_BOOTSTRAP_BYTES} at most", path.display(), found.len());
    }
    let content = fs::read(path).with_context(|| format!("`{}`", path.display()))?;
    bootstrap::unzip(content, MAX_BOOTSTRAP_BYTES).with_context(|| format!("`{}`", path.display()))
}
