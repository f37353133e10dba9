//! The local executor: failing, retried and cancelled tasks, and their effect on other tasks and on the report.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use astromae::init::{Sizes, seeded};
use astromae::{Isa, Precision};
use executors::{Executor, Local};
use pipeline::event::{Event, EventSink, NullSink};
use pipeline::planning::Origin;
use pipeline::prepare::{Prepared, prepare};
use pipeline::storage::{StorageOptions, Stores};
use pipeline::summary::summarize;
use records::ExecutorKind;
use records::payload::Payload;
use records::report::RunReport;
use records::request::IfTaken;
use serde_json::{Value, json};
use sources::simulate::{Galaxies, Sample, Sky, write_partition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// Makes a store in memory with a model and partitions `1.pt`, `2.pt`, … of the given numbers of images, and a payload.
async fn sky(images: &[usize], changes: Value) -> (Stores, Payload) {
    let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    bucket.write("m.safetensors", seeded(&Sizes::small(), 1).into()).await.unwrap();
    for (index, &count) in images.iter().enumerate() {
        let sky = Sky { galaxies: Galaxies::Drawn(count, Sample::Main), seed: index as u64, image_size: 32 };
        let bytes = write_partition(sky, NonZeroUsize::MIN, Vec::new(), |_| {}).unwrap();
        bucket.write(&format!("10MB/{}.pt", index + 1), bytes.into()).await.unwrap();
    }
    let mut json = json!({
        "bucket": "sky", "file_limit": 100, "batch_size": 256, "model": "m.safetensors", "result_path": "results",
        "data_bucket": "sky", "data_prefix": "10MB"
    });
    json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    (stores, Payload::parse(json.to_string().as_bytes()).unwrap())
}

async fn begin(stores: &Stores, payload: Payload) -> Prepared {
    let origin = Origin { run_id: "1".into(), created: "now".into(), created_by: "the tests".into() };
    prepare(stores, payload, None, IfTaken::Resume, origin).await.unwrap()
}

fn local(prepared: &Prepared, workers: usize) -> Local {
    Local {
        data: prepared.data.clone(),
        results: prepared.results.clone(),
        model: prepared.model.clone().load(Precision::F32, Isa::detect()).unwrap(),
        init_seconds: 2.0,
        workers,
        threads: 2,
        attempts: 3,
        backoff: Duration::from_millis(1),
        cancel: CancellationToken::new(),
    }
}

async fn execute(prepared: &Prepared, workers: usize, events: &dyn EventSink) -> RunReport {
    local(prepared, workers).execute(&prepared.plan, events).await.unwrap()
}

fn finished(report: &RunReport) -> Vec<usize> {
    report.tasks.iter().map(|task| task.rank).collect()
}

/// Event sink that keeps all events.
#[derive(Default)]
struct Memory(Mutex<Vec<Event>>);

impl EventSink for Memory {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Memory {
    fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| is(event)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_do_not_depend_on_the_number_of_workers() {
    let mut all = Vec::new();
    for workers in [1, 2, 7] {
        let (stores, payload) = sky(&[5, 1, 9, 3, 2, 4, 8, 6, 7, 2, 1, 1], json!({"file_limit": 11})).await;
        let prepared = begin(&stores, payload).await;
        let report = execute(&prepared, workers, &NullSink).await;
        assert!(report.is_complete() && report.failed.is_empty() && report.left.is_empty());
        assert_eq!(finished(&report), (0..11).collect::<Vec<_>>());
        assert_eq!((report.workers, report.threads, report.executor), (workers, 2, ExecutorKind::Local));
        assert_eq!(report.samples, report.tasks.iter().map(|task| task.samples).sum::<u64>());
        let cold = report.tasks.iter().filter(|task| !task.warm).count();
        assert!((1..=workers).contains(&cold), "{cold} cold tasks of {workers} workers");
        assert_eq!(report.tasks.iter().map(|task| task.seconds.init).sum::<f64>(), 2.0);
        let mut predictions = Vec::new();
        for rank in 0..11 {
            let key = prepared.results.predictions(rank);
            predictions.push(prepared.data.read(&key, 1 << 20, "a test").await.unwrap());
        }
        all.push(predictions);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_partition_fails_alone_and_is_not_retried() {
    let (stores, payload) = sky(&[3, 3, 3, 3], json!({})).await;
    let bucket = stores.bucket("sky").unwrap();
    bucket.write("10MB/2.pt", "not a partition".into()).await.unwrap();
    let prepared = begin(&stores, payload.clone()).await;
    let events = Memory::default();
    let report = execute(&prepared, 2, &events).await;
    assert_eq!(finished(&report), [0, 2, 3]);
    assert!(!report.is_complete());
    assert_eq!((report.failed[0].rank, report.failed[0].attempts), (1, 1));
    assert_eq!(report.failed[0].files, ["10MB/2.pt"]);
    assert!(report.failed[0].error.contains("10MB/2.pt"), "{}", report.failed[0].error);
    assert_eq!(events.count(|event| matches!(event, Event::TaskRetried { .. })), 0);
    assert_eq!(events.count(|event| matches!(event, Event::TaskFailed { rank: 1, attempts: 1, .. })), 1);
    assert_eq!(summarize(&prepared.results, &prepared.plan).await.unwrap().missing, [1]);

    // After the file is replaced, resuming predicts only this file.
    let sky = Sky { galaxies: Galaxies::Drawn(3, Sample::Main), seed: 1, image_size: 32 };
    let bytes = write_partition(sky, NonZeroUsize::MIN, Vec::new(), |_| {}).unwrap();
    bucket.write("10MB/2.pt", bytes.into()).await.unwrap();
    let prepared = begin(&stores, payload).await;
    let events = Memory::default();
    assert!(execute(&prepared, 2, &events).await.is_complete());
    assert_eq!(events.count(|event| matches!(event, Event::TaskStarted { .. })), 1);
    assert_eq!(events.count(|event| matches!(event, Event::RunStarted { finished_before: 3, .. })), 1);
    assert!(summarize(&prepared.results, &prepared.plan).await.unwrap().is_complete());
}

/// HTTP server that serves a partition by byte range, after it has answered a number of requests with status 503.
struct Flaky {
    address: String,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Flaky {
    async fn start(bytes: Vec<u8>, mut failures: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let count = socket.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..count]).to_lowercase();
                let all = bytes.len();
                let range = request.split_once("range: bytes=").and_then(|(_, rest)| {
                    let (start, end) = rest.lines().next()?.trim().split_once('-')?;
                    Some((start.parse::<usize>().ok()?, end.parse::<usize>().map_or(all, |end| all.min(end + 1))))
                });
                let (status, range_line, (start, end)) = match range {
                    _ if failures > 0 => ("503 Slow Down", String::new(), (0, 0)),
                    Some((start, end)) => {
                        let line = format!("Content-Range: bytes {start}-{}/{all}\r\n", end - 1);
                        ("206 Partial Content", line, (start, end))
                    }
                    None => ("200 OK", String::new(), (0, all)),
                };
                failures = failures.saturating_sub(1);
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range_line}ETag: \"1\"\r\nLast-Modified: \
                     Tue, 05 Aug 2025 19:03:04 GMT\r\nConnection: close\r\n\r\n",
                    end - start
                );
                let body = if request.starts_with("head") { &[] } else { &bytes[start..end] };
                let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { address }
    }

    /// Prepares a run in memory whose partition is on this server.
    async fn prepared(&self) -> (Prepared, Local) {
        let (stores, payload) = sky(&[4], json!({"world_size": 1})).await;
        let mut prepared = begin(&stores, payload).await;
        let mut options = StorageOptions::default();
        options.limits.retries = 0;
        let (data, _) = Stores::open(".", options).unwrap().open_url(&self.address).unwrap();
        prepared.data = data;
        prepared.plan.tasks[0].files[0].e_tag = None;
        let local = local(&prepared, 1);
        (prepared, local)
    }
}

fn four_images() -> Vec<u8> {
    write_partition(
        Sky { galaxies: Galaxies::Drawn(4, Sample::Main), seed: 0, image_size: 32 },
        NonZeroUsize::MIN,
        Vec::new(),
        |_| {},
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn task_is_retried_if_the_store_recovers() {
    let (prepared, local) = Flaky::start(four_images(), 2).await.prepared().await;
    let events = Memory::default();
    let report = local.execute(&prepared.plan, &events).await.unwrap();
    assert!(report.is_complete(), "{:?}", report.failed);
    assert_eq!(report.tasks[0].attempts, 3);
    assert_eq!(events.count(|event| matches!(event, Event::TaskRetried { rank: 0, .. })), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn task_fails_after_all_attempts_if_the_store_stays_down() {
    let (prepared, local) = Flaky::start(four_images(), usize::MAX).await.prepared().await;
    let report = local.execute(&prepared.plan, &NullSink).await.unwrap();
    assert_eq!(report.failed[0].attempts, 3);
    let error = &report.failed[0].error;
    assert!(error.contains("10MB/1.pt`: the store is overloaded (503"), "{error}");
}

/// Event sink that cancels the run when the first rows are predicted.
struct CancelAtFirstBatch(CancellationToken);

impl EventSink for CancelAtFirstBatch {
    fn record(&self, event: &Event) {
        if matches!(event, Event::BatchPredicted { .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_run_leaves_no_partial_results_and_can_be_resumed() {
    let (stores, payload) = sky(&[900, 5, 5, 5], json!({})).await;
    let prepared = begin(&stores, payload.clone()).await;
    let local = local(&prepared, 2);
    let report = local.execute(&prepared.plan, &CancelAtFirstBatch(local.cancel.clone())).await.unwrap();
    assert!(report.left.contains(&0) && report.failed.is_empty() && !report.is_complete(), "{:?}", report.left);
    assert_eq!(report.left.len() + report.tasks.len(), 4);
    assert!(prepared.data.find("results/0.json").await.unwrap().is_none());
    assert!(prepared.data.find("results/predictions/0.parquet").await.unwrap().is_none());

    let prepared = begin(&stores, payload).await;
    assert_eq!(prepared.finished.len(), report.tasks.len());
    assert!(execute(&prepared, 2, &NullSink).await.is_complete());
}
