//! `cosmicai deploy render`: files from which AWS makes the functions and the state machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::bootstrap::{self, Architecture};
use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, bytes};

const TEMPLATE: &str = include_str!("../../../../deploy/lambda/template.yaml");
const STATE_MACHINE: &str = include_str!("../../../../deploy/lambda/state_machine.asl.json");
const README: &str = include_str!("../../../../deploy/lambda/README.md");
/// Largest program in bytes: the limit of Lambda for an unpacked program.
const MAX_BOOTSTRAP_BYTES: u64 = 250 << 20;

/// Write the files that AWS needs to run payloads.
///
/// `cosmicai deploy render` writes them to a folder. Nothing is sent to AWS. README.md in that folder has the commands
/// from the first deployment to the first run and to deleting everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Render(Render),
}

/// Write template, state machine, program and README to a folder.
///
/// Writes template.yaml, state_machine.asl.json, bootstrap.zip and README.md.
///
/// Build the program once from the sources, for the processor of the functions and for the libc of Lambda:
/// `cargo lambda build --profile lambda --package lambda`. Add --arm64 to build for arm64. cargo-lambda is on PyPI.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai deploy render --out deploy"]))]
struct Render {
    /// Folder to write to. Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Program of the functions: `bootstrap`, or a zip that contains it.
    #[arg(long, value_name = "FILE", default_value = "target/lambda/bootstrap/bootstrap")]
    bootstrap: PathBuf,
}

/// Output of the command.
#[derive(Serialize)]
struct Rendered {
    files: Vec<PathBuf>,
    architecture: Architecture,
    zip_bytes: usize,
    /// Oldest version of glibc that runs the program.
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
        format!(
            "{files}for {}{glibc}; size of bootstrap.zip: {}\n",
            rendered.architecture,
            bytes(rendered.zip_bytes as u64)
        )
    })?;
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let advice = "build it first: cargo lambda build --profile lambda --package lambda (see deploy/lambda/README.md)";
    let found = fs::metadata(path).with_context(|| format!("`{}`: {advice}", path.display()))?;
    if found.len() > MAX_BOOTSTRAP_BYTES {
        bail!("`{}`: {} bytes, but the limit of Lambda is {MAX_BOOTSTRAP_BYTES}", path.display(), found.len());
    }
    let content = fs::read(path).with_context(|| format!("`{}`", path.display()))?;
    bootstrap::unzip(content, MAX_BOOTSTRAP_BYTES).with_context(|| format!("`{}`", path.display()))
}
