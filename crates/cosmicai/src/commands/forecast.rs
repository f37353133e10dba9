//! `cosmicai forecast`: time and cost of a run before it starts.

mod human;

use std::path::PathBuf;

use accounting::assumptions::ListedAssumption;
use accounting::bill::BillTerms;
use accounting::forecast::choices::{self, Wanted, choices};
use accounting::forecast::conditions::conditions_for;
use accounting::forecast::prediction::{Prediction, predict};
use accounting::forecast::rates::{Rate, nearest};
use accounting::forecast::search::{SearchResult, search};
use accounting::forecast::work::{Data, ForecastJob, MAX_DATA_BYTES};
use accounting::prices::Architecture;
use anyhow::{Context, Result, bail, ensure};
use astromae::Precision;
use pipeline::partition::parse_size;
use pipeline::storage::Stores;
use records::ExecutorKind;
use records::payload::Payload;
use serde::Serialize;

use super::run::ExecutorName;
use crate::accounting_options::{TermsOptions, positive};
use crate::forecast::budget::check_budget;
use crate::forecast::job::job_of_payload;
use crate::forecast::rates;
use crate::help::examples;
use crate::outcome::Outcome;
use crate::payload_file::read_payload;
use crate::printer::{self, Printer};
use crate::report::figures;
use crate::settings::{Settings, cores};

/// Forecast the time and cost of a run before it starts.
///
/// The command simulates many executions of every sensible setting. The simulation starts tasks as AWS does (limits on
/// starts and on concurrency, cold starts, stragglers, request rates of S3), or as this machine or a cluster does. The
/// same seed gives the same result. The command prints the Pareto-optimal settings: no other setting is both faster and
/// cheaper. Each has an interval that contains 90 of 100 executions.
///
/// Worker speed is taken from measured runs (--from: results folders, combined_data.json files of cosmicai or of the
/// CAI study (Staylor et al., arXiv:2501.06249), records of `cosmicai bench`) or, by default, from a short benchmark on
/// this machine. The benchmark counts processor time, so that other programs do not change the forecast. All other
/// inputs are assumptions. They are listed with their sources and can be replaced with
/// --assume.
///
/// `cosmicai validate-forecast` compares forecasts with measured executions. `cosmicai run --budget` forecasts a run
/// and limits its cost.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples([
    "cosmicai forecast payload.json --store s3 --deadline 60s",
    "cosmicai forecast payload.json --executor local --from sky/results/first",
    "cosmicai forecast --data-size 12.6GB --from sky/results/first --budget 0.10",
    "cosmicai forecast --data-size 1TB --assume concurrency=5000 --format json",
]))]
pub(crate) struct Options {
    /// Payload of the run: file or URL.
    ///
    /// Its partitions are listed, not read.
    #[arg(value_name = "PAYLOAD.json")]
    payload: Option<String>,
    /// Folder or URL of the buckets, as in `cosmicai run`.
    #[arg(long, value_name = "DIR|s3|URL", requires = "payload")]
    store: Option<String>,
    /// Size of the data, instead of a payload: 12.6GB, 1TB.
    ///
    /// Units are binary, as in the CAI study: 1GB is 2³⁰ bytes.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "payload")]
    data_size: Option<u64>,
    /// Executor: local, slurm or step-functions.
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ExecutorName::StepFunctions)]
    executor: ExecutorName,
    /// Measured run or benchmark, for worker speed. Repeatable.
    ///
    /// If they have several batch sizes, the forecast compares them.
    #[arg(long, value_name = "RUN|FILE")]
    from: Vec<String>,
    /// Longest time of the run: 60s, 5m, 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    deadline: Option<f64>,
    /// Highest cost of the run, in USD.
    #[arg(long, value_name = "USD", value_parser = positive)]
    budget: Option<f64>,
    /// Partition sizes to compare, in MB (2²⁰ bytes).
    ///
    /// For --data-size; the partitions of a payload exist already [default: 10 to 100, and up to 1,000 for large data].
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    partition_mb: Vec<f64>,
    /// Memory sizes of a function to compare, in MB.
    ///
    /// In MB of 2²⁰ bytes, as AWS counts. The default is 512 to 10,240 for step-functions. For local and slurm, memory
    /// changes neither time nor cost, and the default is what a worker needs.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    memory_mb: Vec<f64>,
    /// Numbers of concurrent tasks to compare.
    ///
    /// The default has powers of 2 up to the cores for local, 1 to 1,024 for slurm, and 10 to the assumed limit of the
    /// account for step-functions.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Vec<u32>,
    /// Numbers of threads of a worker to compare.
    ///
    /// Not for step-functions: on Lambda, the memory of a worker decides its threads.
    #[arg(long, hide_short_help = true, value_name = "N,…", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Precisions to compare: f32, bf16, int8 [default: all that run here, or that the inputs of --from have].
    ///
    /// A payload's own precision is always compared.
    #[arg(long, value_name = "P,…", value_delimiter = ',')]
    precision: Vec<Precision>,
    /// Processors to compare: x86_64, arm64 [default: both].
    #[arg(long, hide_short_help = true, value_name = "NAME,…", value_delimiter = ',', value_parser = architecture)]
    architecture: Vec<Architecture>,
    #[command(flatten)]
    terms: TermsOptions,
    /// Seed of the simulation.
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Also plot the settings, as SVG or PNG.
    #[arg(long, value_name = "F.svg|F.png")]
    plot: Option<PathBuf>,
}

/// Header of the settings.
pub(crate) const FRONT_HEADER: [&str; 10] = [
    "setting",
    "time (90\u{a0}%)",
    "USD (90\u{a0}%)",
    "partition",
    "tasks",
    "batch",
    "memory",
    "CPU",
    "at a time",
    "slowest task",
];

/// Output of the command.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    /// Bytes of images and magnitudes.
    data_bytes: f64,
    images: f64,
    executor: ExecutorKind,
    rates: &'a [Rate],
    /// Forecast of the settings that the payload requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_asked: Option<Prediction>,
    /// Pareto front of time and cost, the fastest first.
    front: &'a [Prediction],
    settings: usize,
    refused: &'a [(String, usize)],
    /// Best setting that keeps deadline and budget in 95 of 100 executions.
    best: Option<&'a Prediction>,
    deadline_s: Option<f64>,
    budget_usd: Option<f64>,
    prices: &'a str,
    assumptions: &'a [ListedAssumption],
    seed: u64,
}

pub(crate) async fn forecast(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let (job, stores) = job(&options, settings).await?;
    let prices = options.terms.prices()?;
    let executor = options.executor.kind();
    if options.budget.is_some() {
        check_budget(executor, &prices)?;
    }
    if let (ExecutorKind::Local, Some(most)) = (executor, options.threads.iter().max()) {
        ensure!(usize::from(*most) <= cores(), "--threads {most}: this machine has {} cores", cores());
    }
    let payload = job.payload.as_ref().zip(stores.as_ref()).map(|(payload, stores)| (payload, stores, None));
    let precisions = precisions(&options.precision, job.payload.as_ref());
    let rates = rates::rates(&options.from, &precisions, payload, settings, printer).await?;
    let model_mb = match payload {
        Some((payload, stores, instead)) => rates::model_mb(payload, stores, instead).await,
        None => None,
    };
    let assumptions = options.terms.assume(conditions_for(executor, cores(), &rates, model_mb))?;
    let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: options.terms.free_tier };
    let wanted = Wanted {
        partition_mb: options.partition_mb.clone(),
        memory_mb: options.memory_mb.clone(),
        concurrency: options.concurrency.clone(),
        threads: options.threads.clone(),
        architecture: options.architecture.clone(),
    };
    let choices = choices(&wanted, executor, &job, rates.clone(), &assumptions, cores());
    let found = search(&choices, &job.data, terms, options.seed);
    if found.front.is_empty() {
        let reasons: Vec<&str> = found.refused.iter().map(|(reason, _)| reason.as_str()).collect();
        bail!("no setting can run this: {}", reasons.join("; "));
    }
    if let Some(path) = &options.plot {
        figures::write_forecast(&found, path)?;
    }
    let best = found.best(options.deadline, options.budget);
    let printed = Printed {
        data_bytes: job.data.bytes(),
        images: found.front[0].work.samples,
        executor,
        as_asked: as_asked(&job, executor, &rates, terms, options.seed)?,
        rates: &rates,
        front: &found.front,
        settings: found.settings,
        refused: &found.refused,
        best,
        deadline_s: options.deadline,
        budget_usd: options.budget,
        prices: &prices.name,
        assumptions: &assumptions.list(),
        seed: options.seed,
    };
    printer.print(&printed, human::table)?;
    if best.is_none() {
        printer.tell(&no_setting_keeps_limits(&found));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Done)
}

/// Precisions to compare: that of the payload first, then those that the user wants, or all.
fn precisions(wanted: &[Precision], payload: Option<&Payload>) -> Vec<Precision> {
    let others = if wanted.is_empty() { &Precision::ALL[..] } else { wanted };
    let mut precisions: Vec<Precision> = Vec::new();
    for precision in payload.map(|payload| payload.precision).iter().chain(others) {
        if !precisions.contains(precision) {
            precisions.push(*precision);
        }
    }
    precisions
}

/// Forecasts the setting that a payload requests, with the defaults of its deployment.
fn as_asked(
    job: &ForecastJob,
    executor: ExecutorKind,
    rates: &[Rate],
    terms: BillTerms<'_>,
    seed: u64,
) -> Result<Option<Prediction>> {
    let Some(payload) = &job.payload else { return Ok(None) };
    let setting = choices::payload_setting(payload, job, executor, terms.assumptions, rates, cores());
    let rate = nearest(rates, payload.precision.name(), payload.batch_size as f64).context("no speed is known")?;
    let predicted = predict(&setting, rate, &job.data, terms, choices::EXECUTIONS, seed);
    predicted.map(Some).map_err(anyhow::Error::msg).context("setting of the payload")
}

/// Reads the work of a run, and opens the buckets of its payload.
async fn job(options: &Options, settings: &Settings) -> Result<(ForecastJob, Option<Stores>)> {
    let (job, stores) = match (&options.payload, options.data_size) {
        (Some(url), _) => {
            let payload = read_payload(&settings.stores(".").await?, url).await?;
            let default = if options.executor == ExecutorName::StepFunctions { "s3" } else { "." };
            let stores = settings.stores(options.store.as_deref().unwrap_or(default)).await?;
            (job_of_payload(payload, &stores, false).await?, Some(stores))
        }
        (None, Some(bytes)) => {
            (ForecastJob { payload: None, data: Data::Size(bytes as f64), partition_mb: None }, None)
        }
        (None, None) => bail!("expected a payload (PAYLOAD.json) or --data-size SIZE; see `cosmicai forecast --help`"),
    };
    let bytes = job.data.bytes();
    ensure!(
        bytes <= MAX_DATA_BYTES,
        "cannot forecast {} of data: the limit is {}",
        printer::bytes(bytes as u64),
        printer::bytes(MAX_DATA_BYTES as u64)
    );
    Ok((job, stores))
}

fn no_setting_keeps_limits(found: &SearchResult) -> String {
    let fastest = &found.front[0];
    let cheapest = &found.front[found.front.len() - 1];
    format!(
        "no setting keeps --deadline and --budget in 95 of 100 executions; the fastest ends within {:.1} s, the \
         cheapest costs up to {} USD",
        // Round up: the setting must keep the printed time if it is passed as --deadline.
        (fastest.seconds.high * 10.0).ceil() / 10.0,
        printer::usd(cheapest.usd.high)
    )
}

fn duration(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 3] = [("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let (number, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).unwrap_or((text, 1.0));
    let seconds = positive(number).map_err(|_| "expected a time such as 60s, 5m or 2h".to_owned())?;
    Ok(seconds * unit)
}

fn architecture(text: &str) -> Result<Architecture, String> {
    match text {
        "x86_64" => Ok(Architecture::X86),
        "arm64" => Ok(Architecture::Arm),
        _ => Err("expected x86_64 or arm64".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_of_the_payload_comes_first() {
        let payload = |precision: &str| {
            let json = format!(
                r#"{{"bucket": "b", "file_limit": 1, "batch_size": 8, "object_type": "folder", "S3_object_name": "m",
                "script": "s", "result_path": "r", "data_bucket": "b", "data_prefix": "p", "precision": "{precision}"}}"#
            );
            Payload::parse(json.as_bytes()).unwrap()
        };
        assert_eq!(precisions(&[], None), Precision::ALL);
        assert_eq!(precisions(&[], Some(&payload("int8"))), [Precision::Int8, Precision::F32, Precision::Bf16]);
        assert_eq!(precisions(&[Precision::Int8], Some(&payload("f32"))), [Precision::F32, Precision::Int8]);
        assert_eq!(precisions(&[Precision::Bf16], None), [Precision::Bf16]);
    }

    #[test]
    fn parses_times_with_units() {
        assert_eq!(["60s", "5m", "2h", "7"].map(|text| duration(text).unwrap()), [60.0, 300.0, 7_200.0, 7.0]);
        for wrong in ["", "s", "-1s", "1d", "NaNs"] {
            assert!(duration(wrong).unwrap_err().contains("60s"), "{wrong}");
        }
    }
}
