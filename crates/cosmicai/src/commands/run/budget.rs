//! What a run was foretold to take, the bill that grows while it runs, and the end of a run whose bill passes its budget.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use accounting::MB_PER_GB;
use accounting::bill::{Bill, Terms};
use accounting::circumstances::Circumstances;
use accounting::forecast::prediction::{Grounds, Place, Prediction, predict};
use accounting::measured::{MeasuredRun, STEP_FUNCTIONS, Told};
use accounting::prices::{FreeTier, Prices};
use anyhow::{Context, Result, bail};
use pipeline::event::{Event, EventSink, Stopwatch};
use pipeline::payload::Payload;
use pipeline::report::{Foretold, RunReport};
use pipeline::storage::Stores;

use super::Options;
use crate::commands::cores;
use crate::commands::cost::{TermsOptions, positive};
use crate::commands::forecast::{self, asked, check_budget, conditions_of, job_of_payload, place};
use crate::executor::slurm::quoted;
use crate::printer::{Printer, usd};
use crate::settings::Settings;

/// The wait between two looks at the bill.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Simulated executions.
const EXECUTIONS: usize = 100;
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// What to foretell, and what a run may cost.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Forecast and budget")]
pub(crate) struct BudgetOptions {
    /// USD that this execution of the run may cost: it is not begun where the forecast's upper end (95 of 100 executions) is
    /// above it, and stopped where the running bill passes it. With --resume, what is left counts.
    #[arg(long, value_name = "USD", value_parser = positive)]
    pub(crate) budget: Option<f64>,
    /// Foretell time and cost before the run, as `cosmicai forecast` does; the report has both beside what they became.
    #[arg(long)]
    pub(crate) forecast: bool,
    /// Runs or benchmarks that were measured, for the forecast; otherwise the engine is measured here for a few seconds.
    /// May be given often.
    #[arg(long, value_name = "RUN|FILE")]
    pub(crate) forecast_from: Vec<String>,
    #[command(flatten)]
    pub(crate) terms: TermsOptions,
}

impl BudgetOptions {
    /// The options as a person would type them, each after a space.
    pub(super) fn to_command_line(&self) -> String {
        let mut line = self.budget.map_or_else(String::new, |usd| format!(" --budget {usd}"));
        if self.forecast {
            line += " --forecast";
        }
        for from in &self.forecast_from {
            line += &format!(" --forecast-from {}", quoted(from));
        }
        if let Some(prices) = &self.terms.prices {
            line += &format!(" --prices {}", quoted(&prices.display().to_string()));
        }
        for assumed in &self.terms.assume {
            line += &format!(" --assume {}", quoted(assumed));
        }
        line + if self.terms.free_tier { " --free-tier" } else { "" }
    }

    fn is_asked_for(&self) -> bool {
        self.budget.is_some() || self.forecast || !self.forecast_from.is_empty()
    }
}

/// The forecast of a run that may begin.
pub(super) struct Budget {
    prediction: Prediction,
    source: String,
    usd: Option<f64>,
    prices: Prices,
    conditions: Circumstances,
    free_tier: bool,
    /// Since the run may begin.
    begun: Stopwatch,
}

impl Budget {
    /// Foretells a run, where that is asked for.
    ///
    /// # Errors
    /// Where it would cost more than its budget; nothing was begun.
    pub(super) async fn foretell(
        payload: &Payload,
        stores: &Stores,
        options: &Options,
        settings: &Settings,
        printer: &Printer,
    ) -> Result<Option<Budget>> {
        let asked_for = &options.budget;
        if !asked_for.is_asked_for() {
            return Ok(None);
        }
        let place = place(options.executor);
        let job = job_of_payload(payload.clone(), stores, options.resume).await?;
        if job.data.bytes() == 0.0 {
            return Ok(None);
        }
        let rates = forecast::rates::rates(
            &asked_for.forecast_from,
            Some((payload, stores, options.model.as_deref())),
            settings,
            printer,
        )
        .await?;
        let rate = forecast::rates::nearest(&rates, payload.batch_size as f64);
        let prices = asked_for.terms.prices()?;
        if asked_for.budget.is_some() {
            check_budget(place, &prices)?;
        }
        let model_mb = forecast::rates::model_mb(payload, stores, options.model.as_deref()).await;
        let conditions = asked_for.terms.assume(conditions_of(place, &rates, model_mb))?;
        let mut setting = asked(payload, &job, place, &conditions, &rates);
        match place {
            Place::Local => {
                setting.concurrency = options.workers.map_or(1.0, f64::from);
                let shared = (cores() as f64 / setting.concurrency).floor().max(1.0);
                setting.threads = options.threads.map_or(shared, f64::from);
            }
            Place::Slurm => {
                setting.concurrency = options.slurm.array_limit.map_or(setting.concurrency, f64::from);
                setting.threads = options.slurm.cpus_per_task.map_or(1.0, f64::from);
            }
            Place::StepFunctions => {}
        }
        let free_tier = asked_for.terms.free_tier;
        let grounds = Grounds { prices: &prices, conditions: &conditions, free_tier };
        let prediction = predict(&setting, rate, &job.data, grounds, EXECUTIONS, 0);
        let prediction = prediction.map_err(anyhow::Error::msg).context("forecast")?;
        let [time, cost] = [&prediction.seconds, &prediction.usd];
        let told = format!(
            "forecast: {}, {} USD ({}–{}), from {}",
            forecast::time(time),
            usd(cost.median),
            usd(cost.low),
            usd(cost.high),
            rate.source
        );
        if let Some(budget) = asked_for.budget.filter(|budget| cost.high > *budget) {
            bail!(
                "{told}; the upper end is above --budget {}: nothing was begun. `cosmicai forecast` shows cheaper settings; what \
                 it rests on can be replaced by --assume and --prices",
                usd(budget)
            );
        }
        printer.tell(&told);
        let source = rate.source.clone();
        let begun = Stopwatch::start();
        Ok(Some(Budget { prediction, source, usd: asked_for.budget, prices, conditions, free_tier, begun }))
    }

    fn terms(&self) -> Terms<'_> {
        Terms { prices: &self.prices, circumstances: &self.conditions, free_tier: self.free_tier }
    }

    /// Writes into a report what was foretold of the run, and what it cost by the same prices.
    pub(super) fn add_to(&self, report: &mut RunReport) {
        // What earlier executions took was foretold with them.
        let of_this = RunReport { seconds_before: 0.0, billed_before: None, ..report.clone() };
        let run = MeasuredRun {
            name: String::new(),
            records: Vec::new(),
            report: Some(of_this),
            plan: None,
            told: Told::default(),
        };
        // Of a run on Lambda whose bill could not be read, reckoning from what workers say would be another forecast.
        let is_known = report.executor != STEP_FUNCTIONS || report.billed.is_some();
        let Prediction { seconds, usd, .. } = &self.prediction;
        report.foretold = Some(Foretold {
            seconds: seconds.median,
            seconds_90: [seconds.low, seconds.high],
            seconds_actual: match self.prediction.setting.place {
                Place::Local => self.begun.seconds(),
                Place::Slurm | Place::StepFunctions => report.seconds,
            },
            usd: usd.median,
            usd_90: [usd.low, usd.high],
            source: self.source.clone(),
            budget_usd: self.usd,
            usd_actual: is_known.then(|| Bill::of(&run, self.terms()).total_usd),
        });
    }
}

/// Passes events on, and reckons the bill that grows meanwhile.
pub(super) struct Meter<'a> {
    inner: &'a dyn EventSink,
    budget: Option<&'a Budget>,
    state: Mutex<State>,
}

/// What was consumed until the last look.
struct State {
    begun: Stopwatch,
    looked_at: f64,
    running: usize,
    finished: usize,
    /// Seconds of all workers together.
    worker_s: f64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(inner: &'a dyn EventSink, budget: Option<&'a Budget>) -> Self {
        let state = State { begun: Stopwatch::start(), looked_at: 0.0, running: 0, finished: 0, worker_s: 0.0 };
        Self { inner, budget, state: Mutex::new(state) }
    }

    /// The running bill, once it has passed the budget; waits for ever where there is none.
    pub(super) async fn exceeded(&self) -> f64 {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some((budget, limit)) = self.budget.and_then(|budget| Some((budget, budget.usd?))) else { continue };
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.look();
            let bill = state.bill(budget);
            if bill > limit {
                return bill;
            }
        }
    }
}

impl EventSink for Meter<'_> {
    fn record(&self, event: &Event) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.look();
            match event {
                Event::TaskFinished { .. } => state.finished += 1,
                Event::Counted { running, .. } => state.running = *running,
                _ => {}
            }
        }
        self.inner.record(event);
    }
}

impl State {
    /// Adds what workers did since the last look.
    fn look(&mut self) {
        let now = self.begun.seconds();
        self.worker_s += self.running as f64 * (now - self.looked_at);
        self.looked_at = now;
    }

    /// USD until now. Where nobody says how many tasks run, those that are finished are taken for what was foretold.
    fn bill(&self, budget: &Budget) -> f64 {
        let Budget { prediction, prices, conditions, .. } = budget;
        let setting = &prediction.setting;
        let of_finished = prediction.usd.median * self.finished as f64 / prediction.work.tasks as f64;
        let counted = match setting.place {
            Place::Local => prices.local_hour.of(self.looked_at / SECONDS_PER_HOUR),
            Place::Slurm => prices.slurm_core_hour.of(self.worker_s * setting.threads / SECONDS_PER_HOUR),
            Place::StepFunctions => {
                let tasks = (self.finished + self.running) as f64;
                let transitions = conditions.get("transitions") + conditions.get("transitions_per_task") * tasks;
                let gb_s = setting.memory_mb / MB_PER_GB * self.worker_s;
                let free = if budget.free_tier { prices.free_tier } else { FreeTier::default() };
                let lambda = prices.lambda(setting.architecture);
                let beyond = |quantity: f64, free: f64| (quantity - free).max(0.0);
                lambda.of(beyond(gb_s, free.lambda_gb_s))
                    + prices.lambda_request.of(beyond(tasks, free.lambda_request))
                    + prices.state_transition.of(beyond(transitions, free.state_transition))
            }
        };
        counted.max(if setting.place == Place::Local { 0.0 } else { of_finished })
    }
}
