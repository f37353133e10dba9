//! `cosmicai audit`: what is wrong with the records of runs.

use accounting::audit::{AuditOptions, Finding, Severity, audit as audit_run, audit_together};
use accounting::measured::{MeasuredRun, Told};
use anyhow::{Context, Result};
use pipeline::payload::MAX_PAYLOAD_BYTES;
use pipeline::results::Results;
use pipeline::storage::Stores;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Outcome;
use super::cost::positive;
use crate::measurements;
use crate::printer::{Printer, grouped, table};
use crate::settings::Settings;

/// Find what is wrong with the records of runs: lost, doubled, mixed, mislabelled, contradictory, slow.
///
/// Looks for the errors that this project found in the study it starts from, and for their like: records cut off at 1,000 by
/// one page of a listing, records of sibling runs merged by a prefix, incomplete runs, files taken in the order of their
/// names, a payload that is another run's, values in a wrong unit, exchanged, or short of a digit, numbers that
/// contradict each other, stragglers, and stated costs and throughputs that are not what they are called. A sound run
/// raises nothing.
///
/// A FILE is a combined_data.json or a <rank>.json, of the study's workers or of ours, or the folder of a run's results;
/// plan.json, report.json and payload.json are read where they lie beside. Several files are also held against each
/// other.
///
/// Each finding has a stable code, a severity, a message, and evidence: the numbers and places that it rests on. An error
/// makes numbers from the file wrong or incomplete, a warning may mislead, a note is worth knowing.
///
/// Exit status: 0 nothing, or notes only; 3 warnings at worst; 4 errors at worst; 1 a file cannot be read; 2 wrong
/// arguments.
///
/// Example: cosmicai audit sky/results/combined_data.json --expect-files 1230
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Records or folders of results: paths or URLs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Partition files that each run was to take; without it, as many as the plan beside it says.
    #[arg(long, value_name = "N")]
    expect_files: Option<usize>,
    /// What the partitions are called, in MB of 2²⁰ bytes: 25 of `25MB`.
    #[arg(long, value_name = "MB", value_parser = positive)]
    partition_mb: Option<f64>,
    /// Seconds that the whole run took, from beginning to end.
    #[arg(long, value_name = "S", value_parser = positive)]
    total_seconds: Option<f64>,
}

/// A finding and where it was made.
#[derive(Serialize)]
struct InFile {
    #[serde(flatten)]
    finding: Finding,
    file: String,
}

/// What is printed.
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
    let told = Told { partition_mb: options.partition_mb, total_seconds: options.total_seconds, ..Told::default() };
    let (mut findings, mut runs) = (Vec::new(), Vec::new());
    for file in &options.files {
        let run = measurements::read(&stores, file, told).await?;
        let found = examine(&stores, &run, options.expect_files).await?;
        findings.extend(found.into_iter().map(|finding| InFile { finding, file: file.clone() }));
        runs.push(run);
    }
    let together = audit_together(&runs).into_iter();
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

/// What is wrong with one run, by its records and by what lies beside them.
pub(crate) async fn examine(stores: &Stores, run: &MeasuredRun, expect_files: Option<usize>) -> Result<Vec<Finding>> {
    let Beside { payload, predictions } = Beside::read(stores, &run.name, run).await?;
    Ok(audit_run(run, &AuditOptions { expect_files, payload, predictions }))
}

/// What lies beside the records, of the run as a whole.
#[derive(Default)]
struct Beside {
    /// The study's payload, where we have no plan.
    payload: Option<Map<String, Value>>,
    /// Tasks with predictions, of a run of ours.
    predictions: Option<usize>,
}

impl Beside {
    async fn read(stores: &Stores, file: &str, run: &MeasuredRun) -> Result<Self> {
        const COMBINED: &str = "combined_data.json";
        let (bucket, key) = stores.open_url(file)?;
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let folder = match name {
            COMBINED => folder,
            // A file of another name is one of several in its folder, and what lies beside them is of all.
            _ if name.ends_with(".json") => return Ok(Self::default()),
            _ => &key,
        };
        let results = Results::new(bucket, folder);
        if let Some(plan) = &run.plan {
            let present = results.list().await?;
            let kept = plan.tasks.iter().filter(|task| present.contains(&results.predictions(task.rank)));
            return Ok(Self { payload: None, predictions: Some(kept.count()) });
        }
        let url = || results.bucket().url(&results.payload());
        let json = results.bucket().read_if_there(&results.payload(), MAX_PAYLOAD_BYTES, "a payload").await?;
        let payload = json.map(|json| serde_json::from_slice(&json));
        let payload = payload.transpose().with_context(|| format!("`{}`: not a payload", url()))?;
        Ok(Self { payload, predictions: None })
    }
}

fn human(printed: &Printed) -> String {
    /// The longest evidence that is shown, in characters.
    const MAX_EVIDENCE: usize = 400;
    let mut text = String::new();
    for of_file in printed.findings.chunk_by(|a, b| a.file == b.file) {
        let rows = of_file.iter().map(|found| [found.finding.severity.to_string(), found.finding.code.to_owned()]);
        text += &table([of_file[0].file.as_str(), "code"], rows);
        for InFile { finding, .. } in of_file {
            let evidence: String = finding.evidence.to_string().chars().take(MAX_EVIDENCE).collect();
            // What a file says must not move a terminal's cursor.
            let message: String = finding.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("{}: {message}\n    {evidence}\n", finding.code);
        }
    }
    if text.is_empty() {
        text = format!(
            "nothing found in {} records of {}: they are complete as far as can be seen, of one run, agree with \
             themselves, and no worker stands out\n",
            grouped(printed.records as u64),
            printed.files.join(", ")
        );
    }
    text
}
