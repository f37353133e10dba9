//! Checks tasks from partitions to results: results do not depend on threads and batches, bad data are flagged, and a
//! partition that cannot be predicted gives a clear error.

mod support;

use std::sync::Arc;

use pipeline::event::{Event, NullSink};
use pipeline::model_file::ModelFile;
use pipeline::output::Table;
use pipeline::partition::Partition;
use pipeline::predict::{PredictError, Predicted, Worker, predict};
use pipeline::prepare::Prepared;
use pipeline::storage::{Bucket, Limits, StorageOptions, Stores};
use pipeline::{Attempt, Run, TaskError, run_task};
use records::flags;
use records::plan::Plan;
use records::report::{StoreRequests, TaskReport};
use records::request::IfTaken;
use records::study_record::StudyRecord;
use serde_json::{Value, json};
use support::{RecordedEvents, model, partition, payload, prepared, sky, write};

async fn predicted(bucket: &Bucket, key: &str, threads: usize, batch_size: usize) -> Result<Predicted, PredictError> {
    let partition = Partition::open(bucket.store(), bucket.path(key).unwrap(), None).await?;
    let mut worker = Worker::new(model(), threads, 0.0);
    predict(Arc::new(partition), &mut worker, batch_size, &|_| {}).await
}

fn memory() -> Bucket {
    Stores::open("memory:", StorageOptions::default()).unwrap().bucket("sky").unwrap()
}

async fn run(
    stores: &Stores,
    changes: Value,
    events: &RecordedEvents,
) -> (Prepared, Vec<Result<TaskReport, TaskError>>) {
    let prepared = prepared(stores, payload(changes), IfTaken::Refuse, "1").await.unwrap();
    let mut worker = Worker::new(model(), 2, 1.5);
    let mut outcomes = Vec::new();
    for task in &prepared.plan.tasks {
        let run = Run { plan: &prepared.plan, data: &prepared.data, results: &prepared.results, events };
        let attempt = Attempt { number: 1, queued: "then".into() };
        outcomes.push(run_task(run, task, attempt, &mut worker).await);
    }
    (prepared, outcomes)
}

async fn table(prepared: &Prepared, rank: usize) -> Table {
    let key = prepared.results.predictions(rank);
    Table::read(prepared.data.read(&key, 1 << 20, "a test").await.unwrap(), &key).unwrap()
}

/// Runs on an S3 server and in memory give the same results. Only the first counts requests.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_count_their_requests_to_s3() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sky")).unwrap();
    let address = support::s3::serve(folder.path()).await;
    let stores = Stores::open("s3", support::s3_options(&address, Limits::default())).unwrap();
    support::fill(&stores, 2, 40).await;
    let before = unix_now();
    let (prepared, outcomes) = run(&stores, json!({}), &RecordedEvents::default()).await;
    let reports: Vec<TaskReport> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(reports.len(), 2);
    for report in &reports {
        let counted = report.requests.unwrap();
        // A partition is opened and read in a few requests; the predictions and the record are written.
        assert!((2..=8).contains(&counted.reads), "{counted:?}");
        assert_eq!((counted.writes, counted.others), (2, 0), "{counted:?}");
        assert!(counted.first >= before && counted.last <= unix_now() && counted.first < counted.last, "{counted:?}");
        let json = prepared.data.read(&prepared.results.record(report.rank), 1 << 20, "a test").await.unwrap();
        let record: StudyRecord = serde_json::from_slice(&json).unwrap();
        let s3 = record.s3.unwrap();
        assert_eq!(s3.requests, counted.count() - 1, "the record cannot count its own request");
        assert_eq!(s3.first_request, counted.first);
        assert!((s3.mean * s3.requests as f64 - s3.total).abs() < 1e-9 && s3.min <= s3.mean && s3.mean <= s3.max);
    }

    let (in_memory, outcomes) = run(&sky(2, 40).await, json!({}), &RecordedEvents::default()).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap().requests.is_none()));
    let json = in_memory.data.read(&in_memory.results.record(0), 1 << 20, "a test").await.unwrap();
    assert!(!String::from_utf8_lossy(&json).contains("s3_"), "{}", String::from_utf8_lossy(&json));
    let predictions = |prepared: &Prepared| prepared.results.predictions(1);
    let [a, b] = [&prepared, &in_memory].map(|prepared| (prepared.data.clone(), predictions(prepared)));
    assert_eq!(a.0.read(&a.1, 1 << 20, "a test").await.unwrap(), b.0.read(&b.1, 1 << 20, "a test").await.unwrap());
}

#[tokio::test]
async fn requests_of_the_start_belong_to_the_first_task() {
    let stores = sky(2, 5).await;
    let prepared = prepared(&stores, payload(json!({})), IfTaken::Refuse, "1").await.unwrap();
    let start = StoreRequests {
        reads: 7,
        writes: 0,
        others: 0,
        seconds: 0.5,
        min_seconds: 0.01,
        max_seconds: 0.1,
        first: 100.0,
        last: 101.0,
    };
    let mut worker = Worker::new(model(), 1, 1.5).with_requests(Some(start));
    let mut counted = Vec::new();
    for task in &prepared.plan.tasks {
        let run = Run { plan: &prepared.plan, data: &prepared.data, results: &prepared.results, events: &NullSink };
        let attempt = Attempt { number: 1, queued: "then".into() };
        counted.push(run_task(run, task, attempt, &mut worker).await.unwrap().requests);
    }
    assert_eq!(counted, [Some(start), None]);
}

fn unix_now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_do_not_depend_on_threads_or_batches() {
    let bucket = memory();
    // More rows than one read takes, and not a multiple of any batch size.
    write(&bucket, "1.pt", partition(451, 7, 32)).await;
    let reference = predicted(&bucket, "1.pt", 1, 1).await.unwrap();
    assert_eq!(reference.z_phot.len(), 451);
    assert_eq!(reference.magnitudes.len(), 451 * 5);
    assert!(reference.cost.seconds > 0.0 && reference.cost.cpu_seconds > 0.0);
    assert!(reference.cost.bytes_fetched >= 451 * 20_480);
    for (threads, batch_size) in [(1, 256), (2, 32), (7, 512), (3, 450), (16, 1 << 20)] {
        let other = predicted(&bucket, "1.pt", threads, batch_size).await.unwrap();
        let bits = |predicted: &Predicted| predicted.z_phot.iter().map(|z| z.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&other), bits(&reference), "{threads} threads, batches of {batch_size}");
        assert_eq!(other.magnitudes, reference.magnitudes);
        assert_eq!((other.z_spec, other.flags), (reference.z_spec.clone(), reference.flags.clone()));
    }
}

/// Each row has the prediction that the model gives for it alone, in the order of the file.
#[tokio::test]
async fn rows_keep_their_order() {
    let bucket = memory();
    write(&bucket, "1.pt", partition(451, 7, 32)).await;
    let predicted = predicted(&bucket, "1.pt", 2, 256).await.unwrap();
    let partition = Partition::open(bucket.store(), bucket.path("1.pt").unwrap(), None).await.unwrap();
    let model = model();
    let mut scratch = model.scratch();
    for row in [0, 1, 203, 204, 205, 450] {
        let rows = partition.read(row..row + 1).await.unwrap();
        let magnitudes: Vec<f32> = rows.magnitudes.iter().map(|&magnitude| magnitude as f32).collect();
        let mut z_phot = [0.0];
        model.predict(&rows.images, &magnitudes, &mut scratch, &mut z_phot);
        assert_eq!(predicted.z_phot[row].to_bits(), z_phot[0].to_bits(), "row {row}");
        assert_eq!(predicted.z_spec.as_ref().unwrap()[row], rows.redshift.unwrap()[0], "row {row}");
    }
}

#[tokio::test]
async fn crops_larger_images_to_their_centre() {
    let bucket = memory();
    write(&bucket, "64.pt", partition(9, 3, 64)).await;
    let large = predicted(&bucket, "64.pt", 2, 4).await.unwrap();
    let partition = Partition::open(bucket.store(), bucket.path("64.pt").unwrap(), None).await.unwrap();
    let rows = partition.read(0..9).await.unwrap();
    let model = model();
    let centre = |image: &[f32]| -> Vec<f32> {
        let line = |at: usize| image[(at / 32) * 64 * 64 + (16 + at % 32) * 64 + 16..][..32].to_vec();
        (0..5 * 32).flat_map(line).collect()
    };
    let magnitudes: Vec<f32> = rows.magnitudes.iter().map(|&magnitude| magnitude as f32).collect();
    let images: Vec<f32> = rows.images.chunks(5 * 64 * 64).flat_map(centre).collect();
    let mut z_phot = [0.0; 9];
    model.predict(&images, &magnitudes, &mut model.scratch(), &mut z_phot);
    assert_eq!(large.z_phot, z_phot);

    write(&bucket, "16.pt", partition_of_zeros(2, 16)).await;
    let error = predicted(&bucket, "16.pt", 1, 4).await.unwrap_err().to_string();
    assert!(error.contains("expects images of 5×32×32 (or larger, to be cropped), found 5×16×16"), "{error}");
}

/// Makes a partition of black images of any size.
fn partition_of_zeros(images: usize, size: usize) -> Vec<u8> {
    edited(images, size, |_, _| {})
}

/// Makes a partition whose pixels and magnitudes `edit` changes.
fn edited(images: usize, size: usize, edit: impl FnOnce(&mut [f32], &mut [f64])) -> Vec<u8> {
    use pipeline::partition::{Dtype, Layout, Writer};
    // Pixels that are all equal would be a blank band.
    let mut pixels: Vec<f32> =
        (0..images * 5 * size * size).map(|index| (index % (size * size) % 3) as f32 * 1e-3).collect();
    let mut magnitudes = vec![17.0; images * 5];
    edit(&mut pixels, &mut magnitudes);
    let (magnitude_dtype, redshift_dtype) = (Dtype::F64, Some(Dtype::F32));
    let layout = Layout { samples: images, height: size, width: size, magnitude_dtype, redshift_dtype };
    let mut writer = Writer::new(Vec::new(), layout).unwrap();
    writer.write_images(&pixels).unwrap();
    writer.finish(&magnitudes, Some(&vec![0.1; images])).unwrap()
}

#[tokio::test]
async fn flags_bad_rows_and_keeps_them() {
    let bucket = memory();
    let bytes = edited(6, 32, |pixels, magnitudes| {
        pixels[5 * 1024 + 7] = f32::NAN;
        pixels[2 * 5 * 1024] = f32::INFINITY;
        magnitudes[3 * 5] = -9999.0;
        magnitudes[4 * 5 + 4] = f64::NAN;
    });
    write(&bucket, "1.pt", bytes).await;
    let predicted = predicted(&bucket, "1.pt", 2, 256).await.unwrap();
    let without = |row: usize, flag: u8| predicted.flags[row] & !flag;
    assert_eq!(predicted.flags[0] & !flags::BAD_PREDICTION, 0);
    assert_eq!(predicted.flags[1], flags::NON_FINITE_PIXEL | flags::BAD_PREDICTION);
    assert_eq!(predicted.flags[2], flags::NON_FINITE_PIXEL | flags::BAD_PREDICTION);
    assert_eq!(without(3, flags::BAD_PREDICTION), flags::BAD_MAGNITUDE);
    assert_eq!(predicted.flags[4], flags::BAD_MAGNITUDE | flags::BAD_PREDICTION);
    assert_eq!(predicted.flags[5], predicted.flags[0]);
    // Bad rows do not change other rows.
    assert_eq!(predicted.z_phot[5].to_bits(), predicted.z_phot[0].to_bits());
    assert!(!predicted.z_phot[1].is_finite() && !predicted.z_phot[4].is_finite());
    assert_eq!(predicted.magnitudes[15], -9999.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn task_writes_predictions_record_and_report() {
    let stores = sky(3, 20).await;
    let events = RecordedEvents::default();
    let (prepared, outcomes) = run(&stores, json!({"world_size": 2, "batch_size": 8}), &events).await;
    let reports: Vec<TaskReport> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!((reports[0].samples, reports[1].samples), (40, 20));
    assert_eq!((reports[0].warm, reports[1].warm), (false, true));
    assert_eq!((reports[0].seconds.init, reports[1].seconds.init), (1.5, 0.0));
    assert_eq!(reports[0].bytes, 40 * 20_520);
    assert_eq!((reports[0].threads, reports[0].precision.as_str()), (2, "f32"));
    assert!(reports[0].memory_peak_mb > 1.0 && reports[0].seconds.infer > 0.0);

    let two = table(&prepared, 0).await;
    assert_eq!(two.row, (0..20).chain(0..20).collect::<Vec<_>>());
    assert_eq!((two.data_path[19].as_str(), two.data_path[20].as_str()), ("10MB/1.pt", "10MB/2.pt"));
    assert!(two.z_spec.iter().all(Option::is_some));

    let record = prepared.data.read("results/0.json", 1 << 20, "a test").await.unwrap();
    let record: StudyRecord = serde_json::from_slice(&record).unwrap();
    assert_eq!(record.data_path, json!(["10MB/1.pt", "10MB/2.pt"]));
    assert_eq!((record.num_batches, record.batch_size, record.device.as_str()), (6, 8, "cpu"));
    assert_eq!(record.result_path, "results/");
    assert_eq!(record.total_image_memory, 8.0 * 20_520.0 / 1_048_576.0);
    assert_eq!(record.total_model_memory, model().parameters() as f64 * 4.0 / 1_048_576.0);
    // Bytes that a row allocates: image, magnitudes as float32 and float64, redshift, prediction, flags.
    let row = 20_480 + 20 + 40 + 8 + 4 + 1;
    assert_eq!(record.total_cpu_memory * 1e6, (reports[0].bytes_fetched + 40 * row) as f64);

    let written = prepared.data.read("results/tasks/0.json", 1 << 20, "a test").await.unwrap();
    assert_eq!(TaskReport::parse(&written).unwrap(), reports[0]);
    let predicted: usize = events
        .events()
        .iter()
        .map(|event| match event {
            Event::BatchPredicted { rank: 0, samples, .. } => *samples,
            _ => 0,
        })
        .sum();
    assert_eq!(predicted, 40);
}

#[tokio::test]
async fn task_without_files_writes_only_its_report() {
    let stores = sky(1, 2).await;
    let (prepared, outcomes) = run(&stores, json!({"world_size": 2}), &RecordedEvents::default()).await;
    assert_eq!(outcomes.into_iter().map(|outcome| outcome.unwrap().samples).collect::<Vec<_>>(), [2, 0]);
    let keys: Vec<String> = prepared.data.list("results").await.unwrap().into_iter().map(|object| object.key).collect();
    let expected = ["0.json", "payload.json", "plan.json", "predictions/0.parquet", "tasks/0.json", "tasks/1.json"];
    assert_eq!(keys, expected.map(|name| format!("results/{name}")));
}

#[tokio::test]
async fn writes_no_predictions_if_the_payload_excludes_them() {
    let stores = sky(1, 2).await;
    let (prepared, outcomes) = run(&stores, json!({"predictions": "none"}), &RecordedEvents::default()).await;
    assert!(outcomes[0].is_ok());
    assert!(prepared.data.list("results/predictions").await.unwrap().is_empty());
}

#[tokio::test]
async fn names_a_bad_partition_and_does_not_retry_it() {
    let stores = sky(1, 4).await;
    let bucket = stores.bucket("sky").unwrap();
    let whole = partition(4, 1, 32);
    write(&bucket, "10MB/2.pt", whole[..whole.len() / 2].to_vec()).await;
    write(&bucket, "10MB/3.pt", partition_of_zeros(3, 16)).await;
    write(&bucket, "10MB/4.pt", "not a zip").await;
    let (prepared, outcomes) = run(&stores, json!({}), &RecordedEvents::default()).await;
    assert!(outcomes[0].is_ok());
    for (rank, outcome) in outcomes.iter().enumerate().skip(1) {
        let error = outcome.as_ref().unwrap_err();
        assert!(error.to_string().contains(&format!("10MB/{}.pt`", rank + 1)), "{error}");
        assert!(!error.retry_can_help(), "{error}");
        assert!(prepared.data.find(&format!("results/{rank}.json")).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn fails_if_a_partition_changed_or_was_deleted() {
    let stores = sky(2, 4).await;
    let prepared = prepared(&stores, payload(json!({})), IfTaken::Refuse, "1").await.unwrap();
    prepared.data.delete(vec!["10MB/1.pt".into()]).await.unwrap();
    write(&prepared.data, "10MB/2.pt", partition(4, 9, 32)).await;
    let mut worker = Worker::new(model(), 1, 0.0);
    let Prepared { plan, data, results, .. } = &prepared;
    let mut errors = Vec::new();
    for task in &plan.tasks {
        let run = Run { plan, data, results, events: &NullSink };
        let attempt = Attempt { number: 1, queued: String::new() };
        errors.push(run_task(run, task, attempt, &mut worker).await.unwrap_err());
    }
    assert!(errors[0].to_string().contains("there is no such object"), "{}", errors[0]);
    assert!(errors[1].to_string().contains("changed"), "{}", errors[1]);
    assert!(errors.iter().all(|error| !error.retry_can_help()));
}

/// A remote worker reads the plan from storage. It must be equal to the plan that was prepared.
#[tokio::test]
async fn written_plan_is_read_back_and_a_changed_model_is_rejected() {
    let stores = sky(3, 2).await;
    let prepared = prepared(&stores, payload(json!({})), IfTaken::Refuse, "1").await.unwrap();
    let json = prepared.results.read_plan().await.unwrap().unwrap();
    assert_eq!(Plan::parse(&json).unwrap(), prepared.plan);
    let load = async || {
        let file = ModelFile::of_plan(&stores, &prepared.plan.model).await.unwrap();
        file.load(astromae::Precision::F32, astromae::Isa::detect())
    };
    load().await.unwrap();
    write(&prepared.data, "model/m.safetensors", "another").await;
    let changed = load().await.unwrap_err();
    assert!(changed.to_string().contains("has changed since the run was planned"), "{changed}");
}
