//! `cosmicai report`: a page, Markdown, CSV and JSON on measured runs.

use std::path::{Path, PathBuf};

use accounting::audit::{Finding, audit_together};
use accounting::circumstances::Circumstances;
use accounting::measured::STEP_FUNCTIONS;
use anyhow::{Context, Result, ensure};
use pipeline::event::now;
use serde::Serialize;

use super::audit::examine;
use super::cost::{TermsOptions, executor, positive, tell_place};
use super::{Outcome, new_file};
use crate::executor::slurm::quoted;
use crate::printer::{Printer, table};
use crate::report::baseline::{self, FACTS};
use crate::report::gather::{Gathered, Reckoning, ToldOfInputs, gather};
use crate::report::row::rows;
use crate::report::sheets::{self, Sheet};
use crate::report::{Facts, REPORT_FORMAT, Report, markdown, page, pictures};
use crate::settings::Settings;

/// Folder of the pictures, within that of the report.
const PICTURES: &str = "pictures";

/// Make a report on measured runs: one page without a network, Markdown, CSV and JSON.
///
/// An input is the folder of a run's results, a combined_data.json (ours or the study's), or the lines of a sweep
/// (F.jsonl). The report has the study's tables by the study's formulas, and beside them what AWS would bill, what a person
/// waits for, intervals over repeats, stragglers, peak memory; pictures of time, throughput and memory by batch, partition
/// and data size, cost against time with those that nothing beats, tasks over time, the times of tasks, and where the time
/// went; what is wrong with the records; and where every number comes from.
///
/// Under DIR appear report.html, report.md, report.json, rows.csv (plain numbers), workers.csv and one-process.csv (the
/// tables as printed), and pictures/ as SVG and PNG.
///
/// Example: cosmicai report sky/results/first --out report
/// Example: cosmicai report study.jsonl --out report --baseline last-week/report.json
/// Example: cosmicai report 25MB.json 100MB.json --out report --total-seconds 25MB.json=25.8 --total-seconds 100MB.json=39.7
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs, sweeps and files of records: paths or URLs.
    #[arg(required = true, value_name = "RUN|SWEEP|FILE")]
    inputs: Vec<String>,
    /// Folder of the report; files of the same names there are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the report is called.
    #[arg(long, value_name = "WORDS", default_value = "Measured runs")]
    title: String,
    /// An earlier report's report.json, a sweep or a run, to show what changed.
    #[arg(long, value_name = "REPORT|SWEEP|RUN")]
    baseline: Option<String>,
    /// Wall seconds of the whole execution of an input that does not say it; may be given for each.
    #[arg(long, value_name = "INPUT=S", value_parser = total)]
    total_seconds: Vec<(String, f64)>,
    /// Where the tasks of an input ran that does not say it; may be given for each. Records that are not ours count as
    /// Lambda's, unless none has a `result_path` or a `data_path`, or a `device` is not `cpu`: then as one machine's.
    #[arg(long, value_name = "INPUT=NAME", value_parser = place)]
    executor: Vec<(String, &'static str)>,
    #[command(flatten)]
    terms: TermsOptions,
}

/// What is printed.
#[derive(Serialize)]
struct Printed {
    written: Vec<PathBuf>,
    rows: usize,
    pictures: usize,
    findings: usize,
}

pub(crate) async fn report(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    for own in ["plan.json", "combined_data.json"] {
        ensure!(
            !options.out.join(own).exists(),
            "--out `{}`: that is the folder of a run's results, whose report.json would be replaced; give another",
            options.out.display()
        );
    }
    let prices = options.terms.prices()?;
    let reckoning = Reckoning { prices: &prices, options: &options.terms };
    let told = ToldOfInputs { totals: &options.total_seconds, executors: &options.executor };
    let Gathered { measurements, sources, timelines, runs } =
        gather(&stores, &options.inputs, &told, &reckoning).await?;
    let rows = rows(measurements);
    let changes = match &options.baseline {
        Some(url) => Some(baseline::changes(&stores, url, &rows, &reckoning).await?),
        None => None,
    };
    let mut found: Vec<(String, Finding)> = Vec::new();
    for run in &runs {
        tell_place(run, "--executor INPUT=NAME", printer);
        let of_run = examine(&stores, run, None).await?;
        found.extend(of_run.into_iter().map(|finding| (run.name.clone(), finding)));
    }
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    found.extend(audit_together(&runs).into_iter().map(|finding| (names.join(", "), finding)));
    let findings = found.len();
    let study = options.terms.assume(Circumstances::of_study())?;
    let ours = options.terms.assume(Circumstances::of_ours())?;
    let is_reckoned = |is_ours: bool| {
        rows.iter().any(|row| row.setting.executor == STEP_FUNCTIONS && is_ours == row.setting.precision.is_some())
    };
    let mut assumed = Vec::new();
    if is_reckoned(false) {
        assumed.push(("of the study's workers on Lambda", study.all()));
    }
    if is_reckoned(true) {
        assumed.push(("of our workers on Lambda", ours.all()));
    }
    let tables = [sheets::workers(&rows), sheets::one_process(&rows)];
    let mut all: Vec<Sheet> = tables.iter().flatten().cloned().collect();
    all.extend(changes.as_ref().map(sheets::changes));
    all.extend(sheets::foretold(&rows));
    all.extend(sheets::findings(&found));
    all.extend(sheets::bills(&rows));
    all.extend(sheets::assumptions(&assumed));
    all.push(sheets::provenance(&sources));
    let report = Report {
        title: options.title.clone(),
        charts: pictures::pictures(&rows, &timelines).context("pictures")?,
        sheets: all,
        facts: Facts {
            format_version: REPORT_FORMAT,
            created: now(),
            command: command(&options),
            program: format!("cosmicai {}", env!("CARGO_PKG_VERSION")),
            sources,
            prices: prices.name.clone(),
            rows,
            changes,
        },
    };
    let written = write(&report, &tables, &options.out)?;
    let printed = Printed { written, rows: report.facts.rows.len(), pictures: report.charts.len(), findings };
    printer.print(&printed, |printed| {
        let counts = [
            ["rows".to_owned(), printed.rows.to_string()],
            ["pictures".to_owned(), printed.pictures.to_string()],
            ["findings of the audit".to_owned(), printed.findings.to_string()],
        ];
        table(["report", ""], counts) + &format!("{}\n", printed.written[0].display())
    })?;
    Ok(Outcome::Done)
}

/// Writes every form of it; the page comes first in the list.
fn write(report: &Report, tables: &[Option<Sheet>; 2], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        new_file::write(&path, bytes)?;
        written.push(path);
        Ok::<_, anyhow::Error>(())
    };
    add("report.html", page::write(report).as_bytes())?;
    add("report.md", markdown::write(report, PICTURES).as_bytes())?;
    add("rows.csv", &markdown::numbers(&report.facts.rows)?)?;
    add(FACTS, (serde_json::to_string_pretty(&report.facts)? + "\n").as_bytes())?;
    for (name, sheet) in ["workers.csv", "one-process.csv"].iter().zip(tables) {
        if let Some(sheet) = sheet {
            add(name, &markdown::csv(sheet)?)?;
        }
    }
    for chart in &report.charts {
        add(&format!("{PICTURES}/{}.svg", chart.name()), chart.svg().as_bytes())?;
        add(&format!("{PICTURES}/{}.png", chart.name()), &chart.png()?)?;
    }
    Ok(written)
}

fn command(options: &Options) -> String {
    let inputs: Vec<String> = options.inputs.iter().map(|input| quoted(input)).collect();
    let mut command =
        format!("cosmicai report {} --out {}", inputs.join(" "), quoted(&options.out.display().to_string()));
    command += &format!(" --title {}", quoted(&options.title));
    for (input, seconds) in &options.total_seconds {
        command += &format!(" --total-seconds {}", quoted(&format!("{input}={seconds}")));
    }
    for (input, executor) in &options.executor {
        command += &format!(" --executor {}", quoted(&format!("{input}={executor}")));
    }
    if let Some(baseline) = &options.baseline {
        command += &format!(" --baseline {}", quoted(baseline));
    }
    if let Some(prices) = &options.terms.prices {
        command += &format!(" --prices {}", quoted(&prices.display().to_string()));
    }
    for assumed in &options.terms.assume {
        command += &format!(" --assume {}", quoted(assumed));
    }
    if options.terms.free_tier {
        command += " --free-tier";
    }
    command
}

fn total(text: &str) -> Result<(String, f64), String> {
    let (input, seconds) = text.rsplit_once('=').ok_or_else(|| "INPUT=SECONDS is expected".to_owned())?;
    Ok((input.to_owned(), positive(seconds)?))
}

fn place(text: &str) -> Result<(String, &'static str), String> {
    let (input, name) = text.rsplit_once('=').ok_or_else(|| "INPUT=NAME is expected".to_owned())?;
    Ok((input.to_owned(), executor(name)?))
}
