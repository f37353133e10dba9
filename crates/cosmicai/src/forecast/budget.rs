//! Forecast and budget of a run that is about to start.

use accounting::bill::BillTerms;
use accounting::forecast::choices::{EXECUTIONS, payload_setting};
use accounting::forecast::conditions::conditions_for;
use accounting::forecast::prediction::predict;
use accounting::forecast::rates::nearest;
use accounting::prices::Prices;
use anyhow::{Context, Result, bail};
use executors::Budget;
use pipeline::event::Stopwatch;
use pipeline::storage::Stores;
use records::ExecutorKind;
use records::payload::Payload;

use super::job::job_of_payload;
use super::rates;
use crate::accounting_options::TermsOptions;
use crate::printer::{Printer, seconds_interval, usd};
use crate::settings::{Settings, cores};

/// Facts about a run that is about to start, for its forecast.
pub(crate) struct Upcoming<'a> {
    pub(crate) payload: &'a Payload,
    pub(crate) stores: &'a Stores,
    /// Model that replaces the payload's.
    pub(crate) model: Option<&'a str>,
    pub(crate) executor: ExecutorKind,
    /// True to leave out finished tasks.
    pub(crate) resume: bool,
    /// Number of tasks at a time, if the user chose one.
    pub(crate) concurrency: Option<f64>,
    /// Threads of a worker, if the user chose a number.
    pub(crate) threads: Option<f64>,
}

/// Forecasts a run and checks the forecast against the budget. Returns `None` if nothing is left to do.
///
/// # Errors
/// The upper end of the forecast cost is above `limit_usd`, or the price of the executor is 0 in the table of prices.
/// The run is not started.
pub(crate) async fn forecast_run(
    run: &Upcoming<'_>,
    limit_usd: Option<f64>,
    from: &[String],
    terms: &TermsOptions,
    settings: &Settings,
    printer: &Printer,
) -> Result<Option<Budget>> {
    let Upcoming { payload, stores, model, executor, .. } = *run;
    let job = job_of_payload(payload.clone(), stores, run.resume).await?;
    if job.data.bytes() == 0.0 {
        return Ok(None);
    }
    let rates = rates::rates(from, &[payload.precision], Some((payload, stores, model)), settings, printer).await?;
    let rate = nearest(&rates, payload.precision.name(), payload.batch_size as f64).context("no speed is known")?;
    let prices = terms.prices()?;
    if limit_usd.is_some() {
        check_budget(executor, &prices)?;
    }
    let model_mb = rates::model_mb(payload, stores, model).await;
    let assumptions = terms.assume(conditions_for(executor, cores(), &rates, model_mb))?;
    let mut setting = payload_setting(payload, &job, executor, &assumptions, &rates, cores());
    match executor {
        ExecutorKind::Local | ExecutorKind::Workers => {
            setting.concurrency = run.concurrency.unwrap_or(1.0);
            let shared = (cores() as f64 / setting.concurrency).floor().max(1.0);
            setting.threads = run.threads.unwrap_or(shared);
        }
        ExecutorKind::Slurm => {
            setting.concurrency = run.concurrency.unwrap_or(setting.concurrency);
            setting.threads = run.threads.unwrap_or(1.0);
        }
        ExecutorKind::StepFunctions => {}
    }
    let terms_of_bill = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: terms.free_tier };
    let prediction = predict(&setting, rate, &job.data, terms_of_bill, EXECUTIONS, 0);
    let prediction = prediction.context("forecast")?;
    let [time, cost] = [&prediction.seconds, &prediction.usd];
    let forecast = format!(
        "forecast: {}, {} USD ({}–{}), from {}",
        seconds_interval(time),
        usd(cost.median),
        usd(cost.low),
        usd(cost.high),
        rate.source
    );
    if let Some(limit) = limit_usd.filter(|limit| cost.high > *limit) {
        bail!(
            "{forecast}; the upper end is above --budget {}, so the run was not started. Use `cosmicai forecast` to \
             find cheaper settings, or --assume and --prices to change the assumptions",
            usd(limit)
        );
    }
    printer.tell(&forecast);
    let (source, free_tier) = (rate.source.clone(), terms.free_tier);
    let since_forecast = Stopwatch::start();
    Ok(Some(Budget { prediction, source, limit_usd, prices, assumptions, free_tier, since_forecast }))
}

/// Checks that a run can exceed a budget.
///
/// # Errors
/// The price of the executor is 0 in the table of prices.
pub(crate) fn check_budget(executor: ExecutorKind, prices: &Prices) -> Result<()> {
    match prices.free_entry(executor) {
        None => Ok(()),
        Some(name) => bail!(
            "--budget: `{name}` is 0 in the table of prices, so no run can exceed a budget; set it in the table that \
             `cosmicai cost --print-prices` prints, and pass the table with --prices"
        ),
    }
}
