//! `cosmicai cost`: cost of a finished run, by the formula of the CAI study and as a bill.

use accounting::assumptions::{Assumptions, ListedAssumption};
use accounting::audit::Finding;
use accounting::bill::{Basis, Bill, BillTerms};
use accounting::measured::{MeasuredRun, Stated};
use accounting::prices::Prices;
use accounting::study::{COST_FORMULA, StudyFigures};
use accounting::throughput::{Throughput, throughput};
use anyhow::Result;
use records::ExecutorKind;
use serde::Serialize;

use crate::accounting_options::{TermsOptions, executor, positive, tell_doubts, warn_assumed_executor};
use crate::accounting_tables;
use crate::findings::examine;
use crate::help::examples;
use crate::measurements;
use crate::outcome::Outcome;
use crate::printer::{Printer, price, table, usd};
use crate::settings::Settings;

/// Compute the cost and throughput of a finished run.
///
/// Prints the cost by the formula of the CAI study (Staylor et al., arXiv:2501.06249), an itemised bill, and three
/// definitions of throughput.
///
/// RUN is the results folder of a run, a combined_data.json of cosmicai or of the CAI study, or a total.json, a
/// job_<N>.json or a folder of these of the CAI study's runs on a cluster. If report.json has the
/// memory and time that Lambda billed, the bill uses them. Otherwise it is computed from the times of the workers and
/// from assumptions, which are listed and can be replaced with --assume. The prices of a run on this machine or on a
/// cluster are `local_hour` and `slurm_core_hour` in the table of prices; set them to your own.
///
/// The CAI study computes cost as memory used × time of its profiler. AWS charges for configured memory × billed time,
/// requests, state transitions and S3 requests. The CAI study computes throughput as data ÷ mean time of a worker. A
/// user waits for the whole run.
///
/// Records of cosmicai state their executor. Other records are assumed to be of a cluster if all have `GB_processed` or
/// `file_index`. They are assumed to be of one machine if none has a `result_path` or a `data_path`, or if a `device` is
/// not `cpu`, and of Lambda otherwise. Pass --executor to state it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai cost sky/results/first",
    "cosmicai cost combined_data.json --partition-mb 25 --total-seconds 25.8",
    "cosmicai cost combined_data.json --assume memory_mb=3008",
    "cosmicai cost --print-prices > prices.toml",
    "cosmicai cost sky/results/first --prices prices.toml",
]))]
pub(crate) struct Options {
    /// Results folder, or file of records: path or URL.
    #[arg(required_unless_present = "print_prices", value_name = "RUN|FILE")]
    run: Option<String>,
    /// Nominal size of a partition in MB (2²⁰ bytes).
    ///
    /// For records that do not state it.
    #[arg(long, value_name = "N", value_parser = positive)]
    partition_mb: Option<f64>,
    /// Wall time of the whole run in seconds.
    ///
    /// For runs without a report.json that states it.
    #[arg(long, value_name = "S", value_parser = positive)]
    total_seconds: Option<f64>,
    /// Wall time of the Map state in seconds.
    ///
    /// For runs without a report.json that states it.
    #[arg(long, value_name = "S", value_parser = positive, hide_short_help = true)]
    map_seconds: Option<f64>,
    /// Executor: local, slurm or step-functions.
    ///
    /// For records that do not state it.
    #[arg(long, value_name = "NAME", value_parser = executor)]
    executor: Option<ExecutorKind>,
    #[command(flatten)]
    terms: TermsOptions,
    /// Print the built-in table of prices, for --prices.
    #[arg(long, conflicts_with = "run")]
    print_prices: bool,
}

/// Header of the bill.
pub(crate) const BILL_HEADER: [&str; 5] = ["bill", "quantity", "unit", "USD per unit", "USD"];
/// Header of the three definitions of throughput.
pub(crate) const THROUGHPUT_HEADER: [&str; 7] = [
    "throughput",
    "s",
    "GB/s (2³⁰ bytes)",
    "Gbit/s (10⁹ bits)",
    "images/s",
    "(GB/s)/USD, CAI study's cost",
    "(GB/s)/USD, bill",
];

/// Cost and throughput of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Costs {
    /// Name of the run: the path or URL that it was read from.
    pub(crate) run: String,
    /// Executor of the run.
    pub(crate) executor: ExecutorKind,
    /// Figures by the formulas of the CAI study.
    pub(crate) study: StudyFigures,
    /// Formula by which the CAI study computes cost.
    pub(crate) study_cost_formula: &'static str,
    /// Nominal size of a partition in binary MB.
    pub(crate) partition_mb: Option<f64>,
    /// Itemised bill.
    pub(crate) bill: Bill,
    /// Ratio of the bill to the cost by the CAI study's formula.
    pub(crate) bill_over_study: Option<f64>,
    /// Three definitions of throughput.
    pub(crate) throughput: [Throughput; 3],
    /// Assumptions of the bill; empty if it was billed or measured.
    pub(crate) assumptions: Vec<ListedAssumption>,
    /// Errors and warnings about the records.
    pub(crate) findings: Vec<Finding>,
}

impl Costs {
    pub(crate) fn of(
        run: &MeasuredRun,
        prices: &Prices,
        options: &TermsOptions,
        findings: Vec<Finding>,
    ) -> Result<Costs> {
        let assumptions = if run.is_ours() { Assumptions::of_ours() } else { Assumptions::of_study() };
        let assumptions = options.assume(assumptions)?;
        let study = StudyFigures::of(run);
        let bill = Bill::of(run, BillTerms { prices, assumptions: &assumptions, free_tier: options.free_tier });
        let is_assumed =
            run.executor() == ExecutorKind::StepFunctions && bill.lines.iter().any(|line| line.basis == Basis::Assumed);
        Ok(Costs {
            run: run.name.clone(),
            executor: run.executor(),
            study_cost_formula: COST_FORMULA,
            partition_mb: run.partition_mb(),
            bill_over_study: study
                .cost_usd
                .filter(|usd| *usd > 0.0 && bill.total_usd > 0.0)
                .map(|usd| bill.total_usd / usd),
            throughput: throughput(run, &study, &bill),
            assumptions: if is_assumed { assumptions.list() } else { Vec::new() },
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
    let stated = Stated {
        partition_mb: options.partition_mb,
        total_seconds: options.total_seconds,
        map_seconds: options.map_seconds,
        executor: options.executor,
    };
    let stores = settings.stores(".").await?;
    let run = measurements::read(&stores, url, stated).await?;
    run.check()?;
    let findings = examine(&stores, &run, None).await?;
    warn_assumed_executor(&run, "--executor", printer);
    tell_doubts(&run, &findings, printer);
    if let Some(doubt) = run.contradiction() {
        printer.tell(&format!("doubtful: {doubt}"));
    }
    printer.print(&Costs::of(&run, &prices, &options.terms, findings)?, human)?;
    Ok(Outcome::Done)
}

fn human(costs: &Costs) -> String {
    /// Size below which data are shown with four decimals.
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
    let mut text = table(["by the CAI study's formulas", ""], rows);
    let rows = costs.bill.lines.iter().map(|line| {
        [line.what.clone(), quantity(line.quantity), line.unit.clone(), price(line.usd_per_unit), usd(line.amount_usd)]
    });
    let total = ["total".to_owned(), String::new(), String::new(), String::new(), usd(costs.bill.total_usd)];
    text += &table(BILL_HEADER, rows.chain([total]));
    if let Some(ratio) = costs.bill_over_study {
        text +=
            &format!("the bill is {ratio:.1} × the cost by the CAI study's formula, {}\n", costs.study_cost_formula);
    }
    let rows = costs.throughput.iter().map(|way| {
        [
            way.way.to_owned(),
            number(way.seconds, 2),
            number(way.gb_per_s, 4),
            number(way.gbit_per_s, 3),
            number(way.images_per_s, 0),
            number(way.performance_efficiency_study, 2),
            number(way.performance_efficiency_bill, 2),
        ]
    });
    text += &table(THROUGHPUT_HEADER, rows);
    for way in &costs.throughput {
        text += &format!("  {}: {}\n", way.way, way.explanation);
    }
    text += &format!("prices: {}\n", costs.bill.prices);
    for line in &costs.bill.lines {
        text +=
            &format!("  {}: {}, {}; {}, read {}\n", line.what, line.basis, line.calculation, line.source, line.read);
    }
    if !costs.assumptions.is_empty() {
        text += &accounting_tables::assumptions(&costs.assumptions);
    }
    if costs.throughput[2].gb_per_s.is_none() {
        text += "no file states the time of the whole run; pass it with --total-seconds\n";
    }
    text
}

fn quantity(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.3}") }
}
