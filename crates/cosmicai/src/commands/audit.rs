//! `cosmicai audit`: errors in the records of runs.

use accounting::audit::{Finding, Severity, audit_across_runs};
use accounting::measured::Stated;
use anyhow::Result;
use serde::Serialize;

use crate::accounting_options::positive;
use crate::findings::examine;
use crate::help::examples;
use crate::measurements;
use crate::outcome::Outcome;
use crate::printer::{Printer, grouped, table};
use crate::settings::Settings;

/// Find errors in the records of runs.
///
/// Looks for the errors that this project found in the records of the CAI study (Staylor et al., arXiv:2501.06249), and
/// for similar ones: records cut off at 1,000 by the first page of a listing, records of other runs merged by a common
/// prefix, incomplete runs, files in the order of their names, a payload of another run, values in a wrong unit,
/// exchanged values, values with a digit missing, numbers that contradict each other, stragglers, and stated costs and
/// throughputs that do not match their definition. The command reports nothing for a sound run.
///
/// FILE is a combined_data.json or a <rank>.json, written by the CAI study or by cosmicai, or the results folder of a
/// run. plan.json, report.json and payload.json in the same folder are read too. Several files are also compared with
/// each other.
///
/// Each finding has a stable code, a severity, a message and evidence: the numbers and places that support it. An error
/// means that numbers from the file are wrong or incomplete. A warning means that they may mislead. A note is
/// information.
///
/// Exit status: 0 no findings, or only notes; 3 warnings at worst; 4 errors at worst; 1 a file cannot be read; 2 wrong
/// arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai audit sky/results",
    "cosmicai audit sky/results/combined_data.json --expect-files 1230",
]))]
pub(crate) struct Options {
    /// Records or results folders: paths or URLs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Number of partition files of each run [default: from its plan].
    ///
    /// The default needs a plan.json in the same folder.
    #[arg(long, value_name = "N")]
    expect_files: Option<usize>,
    /// Nominal size of a partition in MB (2²⁰ bytes).
    ///
    /// For example 25 for partitions in the folder `25MB`.
    #[arg(long, value_name = "MB", value_parser = positive)]
    partition_mb: Option<f64>,
    /// Wall time of the whole run in seconds.
    #[arg(long, value_name = "S", value_parser = positive)]
    total_seconds: Option<f64>,
}

/// Finding, and the file that it is about.
#[derive(Serialize)]
struct InFile {
    #[serde(flatten)]
    finding: Finding,
    file: String,
}

/// Output of the command.
#[derive(Serialize)]
struct Printed {
    findings: Vec<InFile>,
    #[serde(skip)]
    files: Vec<String>,
    #[serde(skip)]
    records: usize,
}

pub(crate) async fn audit(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let stated =
        Stated { partition_mb: options.partition_mb, total_seconds: options.total_seconds, ..Stated::default() };
    let (mut findings, mut runs) = (Vec::new(), Vec::new());
    for file in &options.files {
        let run = measurements::read(&stores, file, stated).await?;
        let found = examine(&stores, &run, options.expect_files).await?;
        findings.extend(found.into_iter().map(|finding| InFile { finding, file: file.clone() }));
        runs.push(run);
    }
    let together = audit_across_runs(&runs).into_iter();
    findings.extend(together.map(|finding| InFile { finding, file: options.files.join(", ") }));
    let worst = findings.iter().map(|found| found.finding.severity).max();
    let records = runs.iter().map(|run| run.records.len()).sum();
    printer.print(&Printed { findings, files: options.files, records }, human)?;
    Ok(match worst {
        None | Some(Severity::Note) => Outcome::Done,
        Some(Severity::Warning) => Outcome::Warned,
        Some(Severity::Error) => Outcome::Wrong,
    })
}

fn human(printed: &Printed) -> String {
    /// Length of the longest evidence that is shown, in characters.
    const MAX_EVIDENCE: usize = 400;
    let mut text = String::new();
    for of_file in printed.findings.chunk_by(|a, b| a.file == b.file) {
        let rows = of_file.iter().map(|found| [found.finding.severity.to_string(), found.finding.code.to_owned()]);
        text += &table([of_file[0].file.as_str(), "code"], rows);
        for InFile { finding, .. } in of_file {
            let evidence: String = finding.evidence.to_string().chars().take(MAX_EVIDENCE).collect();
            // Text from a file must not control the terminal.
            let message: String = finding.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("{}: {message}\n    {evidence}\n", finding.code);
        }
    }
    if text.is_empty() {
        text = format!(
            "no findings in {} records of {}: they are of one run and consistent, none is known to be missing, and \
             there are no stragglers\n",
            grouped(printed.records as u64),
            printed.files.join(", ")
        );
    }
    text
}
