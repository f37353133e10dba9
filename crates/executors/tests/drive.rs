//! `drive` with an executor that runs no tasks: end, interrupts, bill, report, summary.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use accounting::forecast::conditions::of_lambda;
use accounting::forecast::prediction::{Interval, Prediction, RunSetting};
use accounting::forecast::work::Work;
use accounting::prices::{Architecture, Prices};
use async_trait::async_trait;
use executors::{Budget, Driven, Executor, ExecutorError, Interrupts, drive};
use nix::sys::signal::{Signal, raise};
use pipeline::event::{Event, EventSink, StopCause, Stopwatch, now};
use pipeline::results::Results;
use pipeline::storage::{StorageError, StorageOptions, Stores};
use pipeline::unattended::run_report;
use records::ExecutorKind;
use records::payload::Payload;
use records::plan::{FileIdentity, ModelIdentity, PLAN_FORMAT, Plan, Task};
use records::report::{Billed, RunReport};
use serde_json::json;
use tokio::sync::Notify;

/// Executor that ends when it is stopped or when `ended` is notified. It never finishes its task.
struct Idle {
    results: Results,
    kind: ExecutorKind,
    /// False if the executor ignores a request to stop.
    stops_on_request: bool,
    ended: Notify,
    stops: AtomicUsize,
    /// Number of the next requests to stop that fail.
    failing_stops: AtomicUsize,
    /// True if the bill never arrives.
    has_no_bill: bool,
}

impl Idle {
    fn new(results: &Results, kind: ExecutorKind, stops_on_request: bool) -> Self {
        Self {
            results: results.clone(),
            kind,
            stops_on_request,
            ended: Notify::new(),
            stops: AtomicUsize::new(0),
            failing_stops: AtomicUsize::new(0),
            has_no_bill: false,
        }
    }
}

#[async_trait]
impl Executor for Idle {
    fn results(&self) -> &Results {
        &self.results
    }

    async fn execute(&self, plan: &Plan, _events: &dyn EventSink) -> Result<RunReport, ExecutorError> {
        self.ended.notified().await;
        Ok(run_report(&self.results, plan, Vec::new(), self.kind, now(), 1).await?)
    }

    async fn stop(&self, _reason: &str) -> Result<(), ExecutorError> {
        self.stops.fetch_add(1, Ordering::Relaxed);
        let left = |left: usize| left.checked_sub(1);
        if self.failing_stops.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            let (location, problem) = ("cluster".into(), "no answer".into());
            return Err(ExecutorError::Storage(StorageError::Location { location, problem }));
        }
        if self.stops_on_request {
            self.ended.notify_one();
        }
        Ok(())
    }

    fn ends_with_this_process(&self) -> bool {
        self.kind == ExecutorKind::Local
    }

    fn has_written_report(&self) -> bool {
        self.kind == ExecutorKind::StepFunctions
    }

    async fn add_bill(&self, report: &mut RunReport) -> Result<(), ExecutorError> {
        if self.has_no_bill {
            std::future::pending::<()>().await;
        }
        if self.kind == ExecutorKind::StepFunctions {
            report.billed = Some(Billed { gb_s: 2.0, ..Billed::default() });
        }
        Ok(())
    }
}

/// Event sink that keeps all events.
#[derive(Default)]
struct Memory(Mutex<Vec<Event>>);

impl EventSink for Memory {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

fn run(name: &str) -> (Results, Plan) {
    let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
    let payload = json!({
        "bucket": "sky", "file_limit": 1, "batch_size": 256, "model": "m.safetensors", "result_path": name,
        "data_bucket": "sky", "data_prefix": "10MB"
    });
    let file = FileIdentity { key: "10MB/1.pt".into(), bytes: 9, e_tag: None, modified: None, objects: None };
    let plan = Plan {
        format_version: PLAN_FORMAT,
        run_id: name.to_owned(),
        created: now(),
        created_by: "the tests".into(),
        payload: Payload::parse(payload.to_string().as_bytes()).unwrap(),
        model: ModelIdentity { url: "m".into(), sha256: "0".into(), bytes: 3 },
        tasks: vec![Task { rank: 0, files: vec![file] }],
    };
    (Results::new(stores.bucket("sky").unwrap(), name), plan)
}

fn interrupt_after(milliseconds: u64) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        raise(Signal::SIGTERM).unwrap();
    })
}

/// Budget that every run exceeds at the first check of its bill.
fn budget(executor: ExecutorKind) -> Budget {
    let interval = |median| Interval { low: 0.0, median, high: 2.0 * median };
    let mut prices = Prices::default();
    prices.local_hour.tiers[0].usd = 3_600.0;
    let prediction = Prediction {
        setting: RunSetting {
            executor,
            partition_mb: 25.0,
            batch_size: Some(256.0),
            precision: None,
            memory_mb: 2_048.0,
            architecture: Architecture::Arm,
            concurrency: 1.0,
            threads: 1.0,
        },
        work: Work { samples: 1_000.0, bytes: 2e7, partition_mb: 25.0, files: 1, tasks: 1, executions: 1 },
        worker_images_per_s: 100.0,
        seconds: interval(60.0),
        map_seconds: interval(50.0),
        slowest_task_seconds: interval(10.0),
        usd: interval(1.0),
    };
    Budget {
        prediction,
        source: "the tests".into(),
        limit_usd: Some(0.000_001),
        prices,
        assumptions: of_lambda(),
        free_tier: false,
        since_forecast: Stopwatch::start(),
    }
}

/// All signals are in one test, because a signal reaches every listener of the process.
#[tokio::test]
async fn budgets_and_interrupts_stop_local_runs_and_interrupts_detach_from_remote_runs() {
    let mut interrupts = Interrupts::listen().unwrap();
    let events = Memory::default();

    let (results, plan) = run("stopped");
    let local = Idle::new(&results, ExecutorKind::Local, true);
    let sender = interrupt_after(50);
    let Driven::Ended(ended) = drive(&local, &plan, None, &events, &mut interrupts).await.unwrap() else { panic!() };
    sender.await.unwrap();
    assert_eq!((ended.stopped, local.stops.load(Ordering::Relaxed)), (Some(StopCause::Interrupt), 1));
    assert_eq!((ended.summary.missing, ended.report.left, ended.warnings.len()), (vec![0], vec![0], 0));
    assert!(results.bucket().find(&results.report()).await.unwrap().is_some(), "the stopped run has no report");
    assert!(results.bucket().find(&results.summary()).await.unwrap().is_none(), "the incomplete run has a summary");
    let stopping = Event::Stopping { cause: StopCause::Interrupt };
    assert_eq!(events.0.lock().unwrap().iter().filter(|event| **event == stopping).count(), 1);

    let (results, plan) = run("killed");
    let stubborn = Idle::new(&results, ExecutorKind::Local, false);
    let senders = [interrupt_after(50), interrupt_after(150)];
    let driven = drive(&stubborn, &plan, None, &events, &mut interrupts).await.unwrap();
    for sender in senders {
        sender.await.unwrap();
    }
    assert!(matches!(driven, Driven::Killed), "{driven:?}");
    assert_eq!(stubborn.stops.load(Ordering::Relaxed), 1);

    let (results, plan) = run("detached");
    let cluster = Idle::new(&results, ExecutorKind::Slurm, true);
    let sender = interrupt_after(50);
    let driven = drive(&cluster, &plan, None, &events, &mut interrupts).await.unwrap();
    sender.await.unwrap();
    assert!(matches!(driven, Driven::Detached), "{driven:?}");
    assert_eq!(cluster.stops.load(Ordering::Relaxed), 0, "the jobs were stopped");
    assert!(results.bucket().find(&results.report()).await.unwrap().is_none());

    let (results, plan) = run("ended");
    let cloud = Idle::new(&results, ExecutorKind::StepFunctions, true);
    cloud.ended.notify_one();
    let Driven::Ended(ended) = drive(&cloud, &plan, None, &events, &mut interrupts).await.unwrap() else { panic!() };
    assert_eq!((ended.stopped, ended.report.billed.as_ref().unwrap().gb_s), (None, 2.0));
    let json = results.bucket().read(&results.report(), 1 << 20, "a report").await.unwrap();
    assert_eq!(RunReport::parse(&json).unwrap().billed, ended.report.billed, "the bill is not in report.json");

    // A stop that the executor refuses twice is tried again. An interrupt afterwards does not hide the budget.
    let (results, plan) = run("over-budget");
    let local = Idle::new(&results, ExecutorKind::Local, false);
    local.failing_stops.store(2, Ordering::Relaxed);
    let sender = interrupt_after(1_500);
    let limit = budget(ExecutorKind::Local);
    let (driven, ()) = tokio::join!(drive(&local, &plan, Some(&limit), &events, &mut interrupts), async {
        sender.await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        local.ended.notify_one();
    });
    let Driven::Ended(ended) = driven.unwrap() else { panic!() };
    assert!(matches!(ended.stopped, Some(StopCause::Budget { bill_usd }) if bill_usd > 0.000_001), "{ended:?}");
    assert_eq!(local.stops.load(Ordering::Relaxed), 4, "two failures, the budget, and the interrupt");
    let forecast = ended.report.forecast.as_ref().unwrap();
    assert_eq!((forecast.budget_usd, forecast.usd), (Some(0.000_001), 1.0));
    let json = results.bucket().read(&results.report(), 1 << 20, "a report").await.unwrap();
    assert_eq!(RunReport::parse(&json).unwrap().forecast, ended.report.forecast);

    // An interrupt does not wait for a bill that never arrives.
    let (results, plan) = run("without-bill");
    let cloud = Idle { has_no_bill: true, ..Idle::new(&results, ExecutorKind::StepFunctions, true) };
    cloud.ended.notify_one();
    let sender = interrupt_after(50);
    let driven = drive(&cloud, &plan, None, &events, &mut interrupts).await.unwrap();
    sender.await.unwrap();
    assert!(matches!(driven, Driven::Detached), "{driven:?}");
}
