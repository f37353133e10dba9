//! `cosmicai forecast`: what a run will take and cost, before it is started.

mod choices;
mod human;
pub(crate) mod rates;
mod validation;

use std::path::PathBuf;

use accounting::circumstances::{Assumption, Circumstances};
use accounting::forecast::conditions;
use accounting::forecast::prediction::{Grounds, Place, Prediction, predict};
use accounting::forecast::rates::Rate;
use accounting::forecast::search::{Found, search};
use accounting::forecast::work::{Data, MAX_DATA_BYTES};
use accounting::prices::{Architecture, Prices};
use anyhow::{Context, Result, bail, ensure};
use pipeline::finished::finished;
use pipeline::partition::parse_size;
use pipeline::payload::Payload;
use pipeline::plan::{ModelIdentity, Origin, plan};
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::storage::Stores;
use serde::Serialize;

pub(crate) use choices::asked;
pub(crate) use human::time;

use super::cost::{TermsOptions, positive};
use super::{Outcome, cores, run};
use crate::printer::{self, Printer};
use crate::report::pictures;
use crate::settings::Settings;

/// What a run will take and cost, before it is started.
///
/// A seeded simulation hands out the tasks of every sensible setting as AWS would (one child after another, environments
/// as the ramp allows, cold starts, stragglers, S3's rates), or as this machine or a cluster would, many times over, and
/// shows the settings that no other beats in both time and cost, with the interval in which 90 of 100 executions lie.
///
/// How fast a worker is comes from runs that were measured (--from: folders of results, combined_data.json files of the
/// study, records of `cosmicai bench`), or from a few seconds of the engine on this machine. Everything else is an
/// assumption: all are listed with their sources, and --assume replaces them.
///
/// With --validate, the study's executions are foretold from its workers' times alone, with a few assumptions fitted on a
/// few of them, to show how far to trust this.
///
/// Example: cosmicai forecast payload.json --store s3 --executor step-functions --deadline 60s
/// Example: cosmicai forecast --data-size 12.6GB --from results/first --budget 0.10
/// Example: cosmicai forecast --data-size 1TB --assume concurrency=5000 --format json
/// Example: cosmicai forecast --validate worker_times.csv total_execution_time.csv --plot foretold.svg
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Payload of the run: file or URL. Its partitions are listed, not read.
    #[arg(value_name = "PAYLOAD.json")]
    payload: Option<String>,
    /// Where the payload's buckets are, as for `run`.
    #[arg(long, value_name = "DIR|s3|URL", requires = "payload")]
    store: Option<String>,
    /// Data instead of a payload: 12.6GB, 1TB, 1PB. Units are binary, as the study counts.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "payload")]
    data_size: Option<u64>,
    /// Where it will run.
    #[arg(long, value_enum, default_value_t = run::Where::StepFunctions)]
    executor: run::Where,
    /// Runs or benchmarks that were measured, for the speed of a worker; several batch sizes are compared.
    /// May be given often.
    #[arg(long, value_name = "RUN|FILE")]
    from: Vec<String>,
    /// Time within which the run must end: 60s, 5m, 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    deadline: Option<f64>,
    /// USD that the run may cost.
    #[arg(long, value_name = "USD", value_parser = positive)]
    budget: Option<f64>,
    /// Sizes of partitions to consider, in binary MB.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    partition_mb: Vec<f64>,
    /// Memory of a worker to consider, in MB.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = positive)]
    memory_mb: Vec<f64>,
    /// Tasks at a time to consider.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Vec<u32>,
    /// Compute threads of a worker to consider, where they do not come with memory.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Processors to consider; both by default.
    #[arg(long, value_name = "x86_64,arm64", value_delimiter = ',', value_parser = architecture)]
    architecture: Vec<Architecture>,
    #[command(flatten)]
    terms: TermsOptions,
    /// Seed of the simulation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Draw what was found, or foretold, as SVG or PNG.
    #[arg(long, value_name = "F.svg|F.png")]
    plot: Option<PathBuf>,
    /// Foretell executions that were measured: a table of worker times, and one of total times.
    #[arg(long, value_names = ["WORKERS.csv", "TOTALS.csv"], num_args = 2, conflicts_with_all = NOT_WITH_VALIDATE)]
    validate: Option<Vec<PathBuf>>,
    /// Configurations that assumptions are fitted on, with --validate.
    #[arg(long, value_name = "N", default_value_t = 7, requires = "validate")]
    fit_on: usize,
}

/// What means nothing to the study's executions.
const NOT_WITH_VALIDATE: [&str; 15] = [
    "payload",
    "data_size",
    "store",
    "executor",
    "seed",
    "from",
    "deadline",
    "budget",
    "partition_mb",
    "memory_mb",
    "concurrency",
    "threads",
    "architecture",
    "prices",
    "free_tier",
];

/// What is printed.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    /// Bytes of images and magnitudes.
    data_bytes: f64,
    images: f64,
    executor: Place,
    rates: &'a [Rate],
    /// The settings that the payload asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_asked: Option<Prediction>,
    /// The Pareto front of time and cost, the fastest first.
    front: &'a [Prediction],
    settings: usize,
    refused: &'a [(String, usize)],
    /// The best within deadline and budget, in 95 of 100 executions.
    best: Option<&'a Prediction>,
    deadline_s: Option<f64>,
    budget_usd: Option<f64>,
    prices: &'a str,
    assumptions: &'a [Assumption],
    seed: u64,
}

/// What is to be run, as far as a forecast needs it.
pub(crate) struct Job {
    pub(crate) payload: Option<Payload>,
    pub(crate) data: Data,
    /// Size of the largest partition, where there are some.
    pub(crate) partition_mb: Option<f64>,
}

pub(crate) async fn forecast(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    if let Some(tables) = &options.validate {
        return validation::validate(&options, tables, printer);
    }
    let (job, stores) = job(&options, settings).await?;
    let prices = options.terms.prices()?;
    let place = place(options.executor);
    if options.budget.is_some() {
        check_budget(place, &prices)?;
    }
    if let (Place::Local, Some(most)) = (place, options.threads.iter().max()) {
        ensure!(usize::from(*most) <= cores(), "--threads {most}: this machine has {} cores", cores());
    }
    let payload = job.payload.as_ref().zip(stores.as_ref()).map(|(payload, stores)| (payload, stores, None));
    let rates = rates::rates(&options.from, payload, settings, printer).await?;
    let model_mb = match payload {
        Some((payload, stores, instead)) => rates::model_mb(payload, stores, instead).await,
        None => None,
    };
    let conditions = options.terms.assume(conditions_of(place, &rates, model_mb))?;
    let grounds = Grounds { prices: &prices, conditions: &conditions, free_tier: options.terms.free_tier };
    let choices = choices::choices(&options, place, &job, rates.clone(), &conditions);
    let found = search(&choices, &job.data, grounds, options.seed);
    if found.front.is_empty() {
        let reasons: Vec<&str> = found.refused.iter().map(|(reason, _)| reason.as_str()).collect();
        bail!("no setting can do it: {}", reasons.join("; "));
    }
    if let Some(path) = &options.plot {
        pictures::forecast(&found, path)?;
    }
    let best = found.best(options.deadline, options.budget);
    let printed = Printed {
        data_bytes: job.data.bytes(),
        images: found.front[0].work.samples,
        executor: place,
        as_asked: as_asked(&job, place, &rates, grounds, options.seed)?,
        rates: &rates,
        front: &found.front,
        settings: found.settings,
        refused: &found.refused,
        best,
        deadline_s: options.deadline,
        budget_usd: options.budget,
        prices: &prices.name,
        assumptions: conditions.all(),
        seed: options.seed,
    };
    printer.print(&printed, human::table)?;
    if best.is_none() {
        printer.tell(&nothing_keeps(&found));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Done)
}

/// The setting that a payload asks for, with what its deployment has by default.
fn as_asked(job: &Job, place: Place, rates: &[Rate], grounds: Grounds<'_>, seed: u64) -> Result<Option<Prediction>> {
    let Some(payload) = &job.payload else { return Ok(None) };
    let setting = choices::asked(payload, job, place, grounds.conditions, rates);
    let rate = rates::nearest(rates, payload.batch_size as f64);
    let predicted = predict(&setting, rate, &job.data, grounds, choices::EXECUTIONS, seed);
    predicted.map(Some).map_err(anyhow::Error::msg).context("the payload's own setting")
}

/// Where a run will be.
pub(crate) fn place(executor: run::Where) -> Place {
    match executor {
        run::Where::Local => Place::Local,
        run::Where::Slurm => Place::Slurm,
        run::Where::StepFunctions => Place::StepFunctions,
    }
}

/// Whether a budget means anything there.
///
/// # Errors
/// Where an hour costs nothing, so that no bill can pass a budget.
pub(crate) fn check_budget(place: Place, prices: &Prices) -> Result<()> {
    let (price, name) = match place {
        Place::Local => (&prices.local_hour, "local_hour"),
        Place::Slurm => (&prices.slurm_core_hour, "slurm_core_hour"),
        Place::StepFunctions => return Ok(()),
    };
    ensure!(
        price.of(1.0) > 0.0,
        "--budget: `{name}` costs nothing in the table of prices, so that no bill can pass it; `cosmicai cost --print-prices` \
         prints the table, --prices takes it back"
    );
    Ok(())
}

/// What is assumed of the place, with what the measured runs and the size of the model say better.
pub(crate) fn conditions_of(place: Place, rates: &[Rate], model_mb: Option<f64>) -> Circumstances {
    let mut conditions = match place {
        Place::StepFunctions if rates.iter().all(|rate| rate.threads.is_none()) => conditions::of_study(),
        Place::StepFunctions => conditions::of_lambda(),
        Place::Slurm => conditions::of_cluster(),
        Place::Local => conditions::of_local(cores()),
    };
    if let Some(mb) = model_mb {
        conditions.replace("model_mb", mb, "the payload's model").expect("every place has this assumption");
    }
    let spread = rates.iter().max_by_key(|rate| rate.tasks);
    let told = spread.map(|rate| {
        [
            ("jitter", rate.jitter),
            ("straggler_fraction", rate.straggler_fraction),
            ("straggler_factor", rate.straggler_factor),
        ]
    });
    for (name, value) in told.into_iter().flatten() {
        if let Some(value) = value {
            conditions.replace(name, value, "the measured run").expect("every place has this assumption");
        }
    }
    conditions
}

/// How much there is to do, and where the buckets of a payload are.
async fn job(options: &Options, settings: &Settings) -> Result<(Job, Option<Stores>)> {
    let (job, stores) = match (&options.payload, options.data_size) {
        (Some(url), _) => {
            let payload = run::read_payload(&settings.stores(".").await?, url).await?;
            let default = if options.executor == run::Where::StepFunctions { "s3" } else { "." };
            let stores = settings.stores(options.store.as_deref().unwrap_or(default)).await?;
            (job_of_payload(payload, &stores, false).await?, Some(stores))
        }
        (None, Some(bytes)) => (Job { payload: None, data: Data::Size(bytes as f64), partition_mb: None }, None),
        (None, None) => bail!(
            "a payload (PAYLOAD.json), --data-size SIZE, or --validate WORKERS.csv TOTALS.csv is expected; see \
             `cosmicai forecast --help`"
        ),
    };
    let bytes = job.data.bytes();
    ensure!(
        bytes <= MAX_DATA_BYTES,
        "{} of data: {} are foretold at most",
        printer::bytes(bytes as u64),
        printer::bytes(MAX_DATA_BYTES as u64)
    );
    Ok((job, stores))
}

/// How much a payload asks for: its partitions are listed and planned, not read. With `resume`, only the tasks that an
/// earlier execution of it did not finish.
pub(crate) async fn job_of_payload(payload: Payload, stores: &Stores, resume: bool) -> Result<Job> {
    let bucket = stores.bucket(&payload.data_bucket)?;
    let listing = bucket.list(&payload.data_prefix).await?;
    // Neither of both matters to which tasks there are.
    let model = ModelIdentity { url: String::new(), sha256: String::new(), bytes: 0 };
    let origin = Origin { run_id: "forecast".to_owned(), created: String::new(), created_by: String::new() };
    let planned = plan(payload.clone(), listing, model, origin);
    let planned = planned.with_context(|| format!("`{}`", bucket.url(&payload.data_prefix)))?;
    let mut is_done = vec![false; planned.tasks.len()];
    if resume {
        let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
        if let Some(earlier) = read_plan(&results).await? {
            for report in finished(&results, &earlier).await? {
                if let Some(done) = is_done.get_mut(report.rank) {
                    *done = true;
                }
            }
        }
    }
    let left = planned.tasks.iter().filter(|task| !is_done[task.rank] && !task.files.is_empty());
    let tasks: Vec<f64> = left.map(|task| task.bytes() as f64).collect();
    let files = planned.tasks.iter().flat_map(|task| &task.files);
    let largest = files.map(|file| file.bytes).max().unwrap_or_default();
    let partition_mb = Some(largest as f64 / f64::from(1 << 20));
    Ok(Job { payload: Some(payload), data: Data::Tasks(tasks), partition_mb })
}

fn nothing_keeps(found: &Found) -> String {
    let fastest = &found.front[0];
    let cheapest = &found.front[found.front.len() - 1];
    format!(
        "nothing keeps deadline and budget in 95 of 100 executions; the fastest ends within {:.1} s, the cheapest costs up to \
         {} USD",
        // A deadline of what is told must be one that can be kept.
        (fastest.seconds.high * 10.0).ceil() / 10.0,
        printer::usd(cheapest.usd.high)
    )
}

fn duration(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 3] = [("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let (number, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).unwrap_or((text, 1.0));
    let seconds = positive(number).map_err(|_| "a time such as 60s, 5m or 2h is expected".to_owned())?;
    Ok(seconds * unit)
}

fn architecture(text: &str) -> Result<Architecture, String> {
    match text {
        "x86_64" => Ok(Architecture::X86),
        "arm64" => Ok(Architecture::Arm),
        _ => Err("x86_64 or arm64 is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(["60s", "5m", "2h", "7"].map(|text| duration(text).unwrap()), [60.0, 300.0, 7_200.0, 7.0]);
        for wrong in ["", "s", "-1s", "1d", "NaNs"] {
            assert!(duration(wrong).unwrap_err().contains("60s"), "{wrong}");
        }
    }
}
