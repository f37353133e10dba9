//! `cosmicai cost`: what a finished run cost, by the study's formula and by the bill.

use std::io::Read;
use std::path::PathBuf;

use accounting::audit::{Finding, Severity};
use accounting::bill::{Basis, Bill, Terms};
use accounting::circumstances::{Assumption, Circumstances};
use accounting::measured::{LOCAL, MeasuredRun, SLURM, STEP_FUNCTIONS, Told};
use accounting::prices::{MAX_PRICES_BYTES, Prices};
use accounting::study::{COST_FORMULA, StudyFigures};
use accounting::throughput::{Throughput, throughput};
use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::Outcome;
use super::audit::examine;
use crate::measurements;
use crate::printer::{Printer, table, usd};
use crate::settings::Settings;

/// What a finished run cost: the study's formula beside an itemised bill, and throughput three ways.
///
/// RUN is the folder of a run's results, or a combined_data.json, ours or the study's. Where Lambda's own count of memory
/// and time is in report.json it is billed; elsewhere the bill is reckoned from the workers' times and from assumptions,
/// which are listed and can be replaced with --assume. A run on this machine or a cluster costs what you say it does
/// (`local_hour`, `slurm_core_hour` in the table of prices).
///
/// The study's cost is memory used × its profiler's time; AWS charges configured memory × billed time, requests, state
/// transitions and S3's requests. The study's throughput is data ÷ mean time of a worker; a person waits for the whole run.
///
/// Records of ours say where they were made. Others count as Lambda's, unless none has a `result_path` or a `data_path`, or a
/// `device` is not `cpu`: then as one machine's. --executor says it.
///
/// Example: cosmicai cost sky/results/first
/// Example: cosmicai cost combined_data.json --partition-mb 25 --total-seconds 25.8 --assume memory_mb=3008
/// Example: cosmicai cost --print-prices > prices.toml; cosmicai cost sky/results/first --prices prices.toml
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The run: a folder of results, or a file of the study's records; path or URL.
    #[arg(required_unless_present = "print_prices", value_name = "RUN|FILE")]
    run: Option<String>,
    /// Nominal size of a partition in binary MB, where the records do not say it.
    #[arg(long, value_name = "N", value_parser = positive)]
    partition_mb: Option<f64>,
    /// Wall seconds of the whole execution, where no report says it.
    #[arg(long, value_name = "S", value_parser = positive)]
    total_seconds: Option<f64>,
    /// Wall seconds of the Map, where no report says it.
    #[arg(long, value_name = "S", value_parser = positive)]
    map_seconds: Option<f64>,
    /// Where the tasks ran, where the records do not say it.
    #[arg(long, value_name = "NAME", value_parser = executor)]
    executor: Option<&'static str>,
    #[command(flatten)]
    terms: TermsOptions,
    /// Print the table of prices, to be changed and given back with --prices.
    #[arg(long, conflicts_with = "run")]
    print_prices: bool,
}

/// What things cost, for every command that reckons it.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct TermsOptions {
    /// Table of prices instead of that in the program (`cosmicai cost --print-prices`).
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Another value for an assumption, by its name; may be given often.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) assume: Vec<String>,
    /// Take off what each month of AWS begins with at no charge.
    #[arg(long)]
    pub(crate) free_tier: bool,
}

impl TermsOptions {
    /// The table of prices.
    pub(crate) fn prices(&self) -> Result<Prices> {
        let Some(path) = &self.prices else { return Ok(Prices::default()) };
        let place = || format!("--prices `{}`", path.display());
        // A pipe or a device says no length beforehand.
        let mut toml = String::new();
        let file = std::fs::File::open(path).with_context(place)?;
        file.take(MAX_PRICES_BYTES + 1).read_to_string(&mut toml).with_context(place)?;
        ensure!(toml.len() as u64 <= MAX_PRICES_BYTES, "{}: more than {MAX_PRICES_BYTES} bytes", place());
        Prices::parse(&toml).map_err(anyhow::Error::msg).with_context(place)
    }

    /// Assumptions with those in their place that were given.
    pub(crate) fn assume(&self, mut circumstances: Circumstances) -> Result<Circumstances> {
        for assignment in &self.assume {
            circumstances.set(assignment).map_err(anyhow::Error::msg).context("--assume")?;
        }
        Ok(circumstances)
    }
}

/// A number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "a number above 0 is expected".to_owned())
}

/// A place where tasks run, by its name in reports.
pub(crate) fn executor(text: &str) -> Result<&'static str, String> {
    const ALL: [&str; 3] = [LOCAL, SLURM, STEP_FUNCTIONS];
    ALL.into_iter().find(|name| *name == text).ok_or_else(|| format!("one of {} is expected", ALL.join(", ")))
}

/// Says on the terminal where records are taken to be made that do not say it, and which option does.
pub(crate) fn tell_place(run: &MeasuredRun, option: &str, printer: &Printer) {
    if let Some(why) = run.why_local() {
        printer.tell(&format!("`{}`: taken for a run on one machine, as {why}; {option} says otherwise", run.name));
    }
}

/// Says on the terminal what in its records makes a run's sums doubtful.
pub(crate) fn tell_doubts(run: &MeasuredRun, findings: &[Finding], printer: &Printer) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let codes: Vec<&str> = errors.map(|finding| finding.code).collect();
    if !codes.is_empty() {
        printer.tell(&format!(
            "doubtful: the records of `{}` have errors ({}), and sums of them are not those of one whole run; `cosmicai audit` \
             says more",
            run.name,
            codes.join(", ")
        ));
    }
}

/// Everything that is known of a run's cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Costs {
    /// Where the run was read from.
    pub(crate) run: String,
    /// Where its tasks ran.
    pub(crate) executor: String,
    /// The study's figures by its own formulas.
    pub(crate) study: StudyFigures,
    /// How the study reckons the cost.
    pub(crate) study_cost_formula: &'static str,
    /// Nominal size of a partition in binary MB.
    pub(crate) partition_mb: Option<f64>,
    /// The itemised bill.
    pub(crate) bill: Bill,
    /// The bill over the study's cost.
    pub(crate) bill_over_study: Option<f64>,
    /// Throughput three ways.
    pub(crate) throughput: [Throughput; 3],
    /// What the bill rests on where nothing was measured.
    pub(crate) assumptions: Vec<Assumption>,
    /// What is wrong with the records that all of this rests on.
    pub(crate) findings: Vec<Finding>,
}

impl Costs {
    pub(crate) fn of(
        run: &MeasuredRun,
        prices: &Prices,
        options: &TermsOptions,
        findings: Vec<Finding>,
    ) -> Result<Costs> {
        let circumstances = if run.is_ours() { Circumstances::of_ours() } else { Circumstances::of_study() };
        let circumstances = options.assume(circumstances)?;
        let study = StudyFigures::of(run);
        let bill = Bill::of(run, Terms { prices, circumstances: &circumstances, free_tier: options.free_tier });
        let is_reckoned =
            run.executor() == STEP_FUNCTIONS && bill.lines.iter().any(|line| line.basis == Basis::Assumed);
        Ok(Costs {
            run: run.name.clone(),
            executor: run.executor().to_owned(),
            study_cost_formula: COST_FORMULA,
            partition_mb: run.partition_mb(),
            bill_over_study: study
                .cost_usd
                .filter(|usd| *usd > 0.0 && bill.total_usd > 0.0)
                .map(|usd| bill.total_usd / usd),
            throughput: throughput(run, &study, &bill),
            assumptions: if is_reckoned { circumstances.all().to_vec() } else { Vec::new() },
            findings,
            study,
            bill,
        })
    }
}

pub(crate) async fn cost(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let Some(url) = &options.run else {
        crate::printer::write_out(accounting::prices::DEFAULT.as_bytes())?;
        return Ok(Outcome::Done);
    };
    let prices = options.terms.prices()?;
    let told = Told {
        partition_mb: options.partition_mb,
        total_seconds: options.total_seconds,
        map_seconds: options.map_seconds,
        executor: options.executor,
    };
    let stores = settings.stores(".").await?;
    let run = measurements::read(&stores, url, told).await?;
    run.check().map_err(anyhow::Error::msg)?;
    let findings = examine(&stores, &run, None).await?;
    tell_place(&run, "--executor", printer);
    tell_doubts(&run, &findings, printer);
    if let Some(doubt) = run.doubt() {
        printer.tell(&format!("doubtful: {doubt}"));
    }
    printer.print(&Costs::of(&run, &prices, &options.terms, findings)?, human)?;
    Ok(Outcome::Done)
}

fn human(costs: &Costs) -> String {
    /// Data of which two decimals would say little.
    const SMALL_GB: f64 = 0.05;
    let study = &costs.study;
    let number = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
    };
    let rows = [
        ["files".to_owned(), study.files.to_string()],
        [
            "data, nominal (GB of 2³⁰ bytes)".to_owned(),
            number(study.data_gb, if study.data_gb.is_some_and(|gb| gb < SMALL_GB) { 4 } else { 2 }),
        ],
        ["mean runtime of a worker (s)".to_owned(), number(study.runtime_s_mean, 2)],
        ["mean memory of a worker (MB of 2²⁰ bytes)".to_owned(), number(study.memory_mb_mean, 2)],
        ["cost (USD)".to_owned(), study.cost_usd.map_or_else(|| "–".to_owned(), usd)],
        ["throughput, data ÷ mean runtime (GB/s)".to_owned(), number(study.throughput_gb_per_s, 4)],
        ["performance efficiency ((GB/s)/USD)".to_owned(), number(study.performance_efficiency, 2)],
    ];
    let mut text = table(["by the study's formulas", ""], rows);
    let rows = costs.bill.lines.iter().map(|line| {
        [line.what.clone(), quantity(line.quantity), line.unit.clone(), price(line.usd_per_unit), usd(line.amount_usd)]
    });
    let total = ["total".to_owned(), String::new(), String::new(), String::new(), usd(costs.bill.total_usd)];
    text += &table(["the bill", "quantity", "of", "USD each", "USD"], rows.chain([total]));
    if let Some(ratio) = costs.bill_over_study {
        text += &format!("the bill is {ratio:.1} × the study's cost, which is {}\n", costs.study_cost_formula);
    }
    let rows = costs.throughput.iter().map(|way| {
        [
            format!("{}: {}", way.way, way.explanation),
            number(way.seconds, 2),
            number(way.gb_per_s, 4),
            number(way.gbit_per_s, 3),
            number(way.images_per_s, 0),
            number(way.performance_efficiency_study, 2),
            number(way.performance_efficiency_bill, 2),
        ]
    });
    text += &table(
        [
            "throughput",
            "s",
            "GB/s (2³⁰ bytes)",
            "Gbit/s (10⁹ bits)",
            "images/s",
            "(GB/s)/USD, study's cost",
            "(GB/s)/USD, bill",
        ],
        rows,
    );
    text += &format!("prices: {}\n", costs.bill.prices);
    for line in &costs.bill.lines {
        let basis = match line.basis {
            Basis::Billed => "billed",
            Basis::Measured => "measured",
            Basis::Assumed => "assumed",
        };
        text += &format!("  {}: {basis}, {}; {}, read {}\n", line.what, line.reckoned, line.source, line.read);
    }
    if !costs.assumptions.is_empty() {
        text += &assumptions(&costs.assumptions);
    }
    if costs.throughput[2].gb_per_s.is_none() {
        text += "how long the whole run took is in no file; --total-seconds says it\n";
    }
    text
}

/// Assumptions as a table.
pub(crate) fn assumptions(assumptions: &[Assumption]) -> String {
    let rows = assumptions.iter().map(|assumption| {
        let Assumption { name, value, unit, source } = assumption;
        [(*name).to_owned(), format!("{value}"), (*unit).to_owned(), (*source).to_owned()]
    });
    table(["assumed (--assume NAME=VALUE)", "value", "unit", "source"], rows)
}

fn quantity(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// A unit price, with all of its digits.
fn price(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.10}").trim_end_matches('0').to_owned() }
}
