//! `cosmicai report`: a report on measured runs, as HTML, Markdown, CSV and JSON.

use accounting::comparison::changes::{COMPARISON_FILE, COMPARISON_FORMAT, changes};
use accounting::comparison::row::rows;
use std::path::{Path, PathBuf};

use accounting::assumptions::Assumptions;
use accounting::audit::{Finding, audit_across_runs};
use anyhow::{Context, Result, ensure};
use executors::CommandLine;
use pipeline::event::now;
use records::ExecutorKind;
use serde::Serialize;

use crate::accounting_options::{TermsOptions, executor, positive, warn_assumed_executor};
use crate::findings::examine;
use crate::help::examples;
use crate::new_file;
use crate::outcome::Outcome;
use crate::printer::{Printer, table};
use crate::report::baseline::read_baseline;
use crate::report::gather::{CostTerms, Gathered, StatedByUser, gather};
use crate::report::sheets::{self, Sheet};
use crate::report::{Facts, Report, figures, markdown, page};
use crate::settings::Settings;

/// Folder of the plots, within the folder of the report.
const PICTURES: &str = "pictures";

/// Write an HTML, Markdown and CSV report on measured runs.
///
/// INPUT is the results folder of a run, a combined_data.json of cosmicai or of the CAI study (Staylor et al.,
/// arXiv:2501.06249), or the lines of a sweep (F.jsonl).
///
/// The report has the tables of the CAI study by its formulas, and beside them the bill of AWS, the time that a user
/// waits, intervals over repeats, stragglers and peak memory. Plots show time, throughput and memory by batch size,
/// partition size and data size, cost against time with the Pareto-optimal settings, tasks over time, and the
/// distribution of task times. The report also lists the findings of `cosmicai audit` and the source of every number.
///
/// The command writes to DIR: report.html (one file, no network needed), report.md, comparison.json (all numbers, for
/// programs and for --baseline), rows.csv (plain numbers), workers.csv and one-process.csv (the tables as printed), and
/// pictures/ with the plots as SVG and PNG.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai report sky/results/first --out report",
    "cosmicai report sweep.jsonl --out report --baseline last-week/comparison.json",
    "cosmicai report 25MB.json 100MB.json --out report \\",
    "    --total-seconds 25MB.json=25.8 --total-seconds 100MB.json=39.7",
]))]
pub(crate) struct Options {
    /// Runs, sweeps and files of records: paths or URLs.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// Folder of the report.
    ///
    /// Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Title of the report.
    #[arg(long, value_name = "WORDS", default_value = "Measured runs")]
    title: String,
    /// Earlier result to compare with.
    ///
    /// A comparison.json of an earlier report, a sweep or a run.
    #[arg(long, value_name = "URL")]
    baseline: Option<String>,
    /// Wall time of the run of INPUT in seconds. Repeatable.
    ///
    /// For inputs that do not state it.
    #[arg(long, value_name = "INPUT=S", value_parser = total)]
    total_seconds: Vec<(String, f64)>,
    /// Executor that produced INPUT. Repeatable.
    ///
    /// One of local, slurm and step-functions, for records that do not state it. Records that cosmicai did not write
    /// are assumed to be of Lambda, unless none has a `result_path` or a `data_path`, or a `device` is not `cpu`: then
    /// they are assumed to be of one machine.
    #[arg(long, value_name = "INPUT=NAME", value_parser = executor_of_input)]
    executor: Vec<(String, ExecutorKind)>,
    #[command(flatten)]
    terms: TermsOptions,
}

/// Output of the command.
#[derive(Serialize)]
struct Printed {
    written: Vec<String>,
    rows: usize,
    pictures: usize,
    findings: usize,
}

pub(crate) async fn report(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    for own in ["plan.json", "combined_data.json"] {
        ensure!(
            !options.out.join(own).exists(),
            "--out `{}`: this is the results folder of a run; pass another folder",
            options.out.display()
        );
    }
    let prices = options.terms.prices()?;
    let cost_terms = CostTerms { prices: &prices, options: &options.terms };
    let stated = StatedByUser { totals: &options.total_seconds, executors: &options.executor };
    let Gathered { measurements, sources, timelines, runs } =
        gather(&stores, &options.inputs, &stated, &cost_terms).await?;
    let rows = rows(measurements);
    let changes = match &options.baseline {
        Some(url) => {
            let before = read_baseline(&stores, url, &cost_terms).await.context("--baseline")?;
            Some(changes(url, &before, &rows))
        }
        None => None,
    };
    let mut found: Vec<(String, Finding)> = Vec::new();
    for run in &runs {
        warn_assumed_executor(run, "--executor INPUT=NAME", printer);
        let of_run = examine(&stores, run, None).await?;
        found.extend(of_run.into_iter().map(|finding| (run.name.clone(), finding)));
    }
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    found.extend(audit_across_runs(&runs).into_iter().map(|finding| (names.join(", "), finding)));
    let findings = found.len();
    let study = options.terms.assume(Assumptions::of_study())?;
    let ours = options.terms.assume(Assumptions::of_ours())?;
    let is_assumed = |is_ours: bool| {
        rows.iter().any(|row| {
            row.setting.executor == ExecutorKind::StepFunctions && is_ours == row.setting.precision.is_some()
        })
    };
    let mut assumed = Vec::new();
    if is_assumed(false) {
        assumed.push(("of the CAI study's workers on Lambda", study.list()));
    }
    if is_assumed(true) {
        assumed.push(("of cosmicai's workers on Lambda", ours.list()));
    }
    let tables = [sheets::workers(&rows), sheets::one_process(&rows)];
    let mut all: Vec<Sheet> = tables.iter().flatten().cloned().collect();
    all.extend(changes.as_ref().map(sheets::changes));
    all.extend(sheets::forecast(&rows));
    all.extend(sheets::s3_requests(&rows));
    all.extend(sheets::findings(&found));
    all.extend(sheets::bills(&rows));
    all.extend(sheets::assumptions(&assumed));
    all.push(sheets::provenance(&sources));
    let report = Report {
        title: options.title.clone(),
        charts: figures::figures(&rows, &timelines).context("plots")?,
        sheets: all,
        facts: Facts {
            format_version: COMPARISON_FORMAT,
            created: now(),
            command: command(&options, settings).to_string(),
            program: format!("cosmicai {}", env!("CARGO_PKG_VERSION")),
            sources,
            prices: prices.name.clone(),
            rows,
            changes,
        },
    };
    let written = write(&report, &tables, &options.out)?;
    let written = written.iter().map(|path| path.display().to_string()).collect();
    let printed = Printed { written, rows: report.facts.rows.len(), pictures: report.charts.len(), findings };
    printer.print(&printed, |printed| {
        let counts = [
            ["rows".to_owned(), printed.rows.to_string()],
            ["plots".to_owned(), printed.pictures.to_string()],
            ["findings of the audit".to_owned(), printed.findings.to_string()],
        ];
        table(["report", ""], counts) + &format!("{}\n", printed.written[0])
    })?;
    Ok(Outcome::Done)
}

/// Writes every file of the report. The HTML page is the first in the returned list.
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
    add("rows.csv", &markdown::rows_csv(&report.facts.rows)?)?;
    add(COMPARISON_FILE, (serde_json::to_string_pretty(&report.facts)? + "\n").as_bytes())?;
    for (name, sheet) in ["workers.csv", "one-process.csv"].iter().zip(tables) {
        if let Some(sheet) = sheet {
            add(name, &markdown::sheet_csv(sheet)?)?;
        }
    }
    for chart in &report.charts {
        add(&format!("{PICTURES}/{}.svg", chart.name()), chart.svg().as_bytes())?;
        add(&format!("{PICTURES}/{}.png", chart.name()), &chart.png()?)?;
    }
    Ok(written)
}

/// Returns the command that makes this report again.
fn command(options: &Options, settings: &Settings) -> CommandLine {
    let line = options.inputs.iter().fold(settings.command("report"), |line, input| line.argument(input));
    let line = line
        .option("out", options.out.display())
        .option("title", &options.title)
        .options("total-seconds", options.total_seconds.iter().map(|(input, seconds)| format!("{input}={seconds}")))
        .options("executor", options.executor.iter().map(|(input, executor)| format!("{input}={executor}")))
        .option_if("baseline", options.baseline.as_ref());
    options.terms.add_to(line)
}

fn total(text: &str) -> Result<(String, f64), String> {
    let (input, seconds) = text.rsplit_once('=').ok_or_else(|| "expected INPUT=SECONDS".to_owned())?;
    Ok((input.to_owned(), positive(seconds)?))
}

fn executor_of_input(text: &str) -> Result<(String, ExecutorKind), String> {
    let (input, name) = text.rsplit_once('=').ok_or_else(|| "expected INPUT=NAME".to_owned())?;
    Ok((input.to_owned(), executor(name)?))
}

#[cfg(test)]
mod tests;
