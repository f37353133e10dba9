//! Forecast, running bill and budget of a run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use accounting::assumptions::Assumptions;
use accounting::bill::{Bill, BillTerms};
use accounting::forecast::prediction::Prediction;
use accounting::measured::{MeasuredRun, Stated};
use accounting::prices::Prices;
use accounting::running_bill::{Consumption, running_bill};
use pipeline::event::{Event, EventSink, Stopwatch};
use records::ExecutorKind;
use records::report::{RunForecast, RunReport};

/// Interval at which the running bill is checked.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Forecast of a run, and the limit of its cost.
#[derive(Debug)]
pub struct Budget {
    /// Forecast time and cost.
    pub prediction: Prediction,
    /// Source of the worker speed that the forecast uses.
    pub source: String,
    /// Largest cost of the run in USD; `None` for no limit.
    pub limit_usd: Option<f64>,
    /// Prices.
    pub prices: Prices,
    /// Assumptions.
    pub assumptions: Assumptions,
    /// True if the free tier of AWS is subtracted.
    pub free_tier: bool,
    /// Stopwatch that was started when the forecast was made.
    pub since_forecast: Stopwatch,
}

impl Budget {
    fn terms(&self) -> BillTerms<'_> {
        BillTerms { prices: &self.prices, assumptions: &self.assumptions, free_tier: self.free_tier }
    }

    /// Adds the forecast to a report, with the time that the run took and its cost at the same prices.
    pub(crate) fn add_forecast(&self, report: &mut RunReport) {
        // The forecast covers only this execution.
        let this_execution = RunReport { seconds_before: 0.0, billed_before: None, ..report.clone() };
        let run = MeasuredRun {
            name: String::new(),
            records: Vec::new(),
            written: Vec::new(),
            report: Some(this_execution),
            plan: None,
            stated: Stated::default(),
        };
        // Without Lambda's bill, a cost computed from the reports of workers would be another forecast.
        let is_known = report.executor != ExecutorKind::StepFunctions || report.billed.is_some();
        let Prediction { seconds, usd, .. } = &self.prediction;
        report.forecast = Some(RunForecast {
            seconds: seconds.median,
            seconds_90: [seconds.low, seconds.high],
            seconds_actual: match report.executor {
                ExecutorKind::Local => self.since_forecast.seconds(),
                _ => report.seconds,
            },
            usd: usd.median,
            usd_90: [usd.low, usd.high],
            source: self.source.clone(),
            budget_usd: self.limit_usd,
            usd_actual: is_known.then(|| Bill::of(&run, self.terms()).total_usd),
        });
    }
}

/// Event sink that forwards events and computes the running bill.
pub(crate) struct Meter<'a> {
    inner: &'a dyn EventSink,
    budget: Option<&'a Budget>,
    state: Mutex<State>,
}

/// Consumption until the last update.
struct State {
    begun: Stopwatch,
    /// Time of the last update, in seconds since `begun`.
    updated_s: f64,
    running: usize,
    finished: usize,
    /// Seconds of all workers together.
    worker_s: f64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(inner: &'a dyn EventSink, budget: Option<&'a Budget>) -> Self {
        let state = State { begun: Stopwatch::start(), updated_s: 0.0, running: 0, finished: 0, worker_s: 0.0 };
        Self { inner, budget, state: Mutex::new(state) }
    }

    /// Waits until the running bill exceeds the budget, and returns it in USD. Never returns if there is no budget.
    pub(crate) async fn exceeded(&self) -> f64 {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let Some((budget, limit)) = self.budget.and_then(|budget| Some((budget, budget.limit_usd?))) else {
                continue;
            };
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.update();
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
            state.update();
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
    /// Adds the time of the workers since the last update.
    fn update(&mut self) {
        let now = self.begun.seconds();
        self.worker_s += self.running as f64 * (now - self.updated_s);
        self.updated_s = now;
    }

    /// Running bill in USD.
    fn bill(&self, budget: &Budget) -> f64 {
        let consumption = Consumption {
            elapsed_s: self.updated_s,
            worker_s: self.worker_s,
            running: self.running,
            finished: self.finished,
        };
        running_bill(&budget.prediction, budget.terms(), &consumption)
    }
}
