//! Checks that identifiers and positions of objects reach the predictions, and that resuming notices changes of them.

mod support;

use pipeline::event::NullSink;
use pipeline::finished::finished;
use pipeline::objects::Objects;
use pipeline::output::Table;
use pipeline::partition::{Partition, split};
use pipeline::predict::Worker;
use pipeline::prepare::Prepared;
use pipeline::storage::Bucket;
use pipeline::{Attempt, Run, TaskError, run_task};
use records::request::IfTaken;
use serde_json::json;
use support::{model, partition, payload, prepared, sky, write};

async fn put_beside(bucket: &Bucket, key: &str, start: &str) {
    let partition = Partition::open(bucket.store(), bucket.path(key).unwrap(), None).await.unwrap();
    let ids = (0..partition.len()).map(|row| Some(format!("{start}{row}"))).collect();
    let degrees = |step: f64| (0..partition.len()).map(|row| Some(row as f64 * step)).collect();
    Objects::new(ids, degrees(0.5), degrees(-0.25))
        .unwrap()
        .write(bucket, partition.path().as_ref(), &partition)
        .await
        .unwrap();
}

async fn run(prepared: &Prepared) -> Vec<Result<(), TaskError>> {
    let Prepared { plan, data, results, .. } = prepared;
    let mut worker = Worker::new(model(), 1, 0.0);
    let mut outcomes = Vec::new();
    for task in &plan.tasks {
        let run = Run { plan, data, results, events: &NullSink };
        let attempt = Attempt { number: 1, queued: String::new() };
        outcomes.push(run_task(run, task, attempt, &mut worker).await.map(drop));
    }
    outcomes
}

async fn columns(prepared: &Prepared, rank: usize) -> (Vec<String>, bytes::Bytes) {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let bytes = prepared.data.read(&prepared.results.predictions(rank), 1 << 20, "a test").await.unwrap();
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name().to_owned());
    (columns.collect(), bytes)
}

#[tokio::test]
async fn predictions_have_columns_of_objects_only_if_they_are_known() {
    let stores = sky(3, 4).await;
    let bucket = stores.bucket("sky").unwrap();
    let before = prepared(&stores, payload(json!({"result_path": "before"})), IfTaken::Refuse, "1").await.unwrap();
    assert!(run(&before).await.iter().all(Result::is_ok));
    put_beside(&bucket, "10MB/2.pt", "b").await;
    let after = prepared(&stores, payload(json!({"result_path": "after"})), IfTaken::Refuse, "2").await.unwrap();
    assert_eq!(after.plan.tasks.len(), 3, "a file of objects is not a partition");
    assert!(run(&after).await.iter().all(Result::is_ok));
    for rank in [0, 2] {
        assert_eq!(columns(&before, rank).await, columns(&after, rank).await);
    }
    let (names, bytes) = columns(&after, 1).await;
    assert_eq!(names[10..], ["object_id", "ra", "dec"]);
    let (known, plain) = (Table::read(bytes, "x").unwrap(), Table::read(columns(&before, 1).await.1, "x").unwrap());
    assert_eq!(known, plain);

    // One task with all three partitions has null values for the objects that are unknown.
    let one = json!({"result_path": "one", "world_size": 1});
    let one = prepared(&stores, payload(one), IfTaken::Refuse, "3").await.unwrap();
    assert!(run(&one).await.iter().all(Result::is_ok));
    assert_eq!(columns(&one, 0).await.0[10..], ["object_id", "ra", "dec"]);
}

#[tokio::test]
async fn resume_repeats_tasks_whose_objects_changed() {
    let stores = sky(2, 4).await;
    let bucket = stores.bucket("sky").unwrap();
    put_beside(&bucket, "10MB/2.pt", "b").await;
    let first = prepared(&stores, payload(json!({})), IfTaken::Refuse, "1").await.unwrap();
    assert!(run(&first).await.iter().all(Result::is_ok));
    let same = prepared(&stores, payload(json!({})), IfTaken::Resume, "2").await.unwrap();
    assert_eq!(same.finished.len(), 2);
    put_beside(&bucket, "10MB/2.pt", "other").await;
    let resumed = prepared(&stores, payload(json!({})), IfTaken::Resume, "3").await.unwrap();
    assert_eq!(resumed.finished.iter().map(|report| report.rank).collect::<Vec<_>>(), [0]);
    assert!(run(&resumed).await.iter().all(Result::is_ok));
    assert_eq!(finished(&resumed.results, &resumed.plan).await.unwrap().len(), 2);
}

#[tokio::test]
async fn only_the_task_with_wrong_objects_fails() {
    let stores = sky(2, 4).await;
    let bucket = stores.bucket("sky").unwrap();
    put_beside(&bucket, "10MB/2.pt", "b").await;
    write(&bucket, "10MB/2.pt", partition(4, 77, 32)).await;
    let prepared = prepared(&stores, payload(json!({})), IfTaken::Refuse, "1").await.unwrap();
    let outcomes = run(&prepared).await;
    assert!(outcomes[0].is_ok());
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(error.to_string().contains("10MB/2.objects.parquet") && !error.retry_can_help(), "{error}");
    // If the file of objects changes after planning, the task fails.
    put_beside(&bucket, "10MB/2.pt", "c").await;
    let error = run(&prepared).await.remove(1).unwrap_err();
    assert!(error.to_string().contains("changed since they were listed"), "{error}");
}

#[tokio::test]
async fn split_gives_each_part_its_objects() {
    let stores = sky(1, 10).await;
    let bucket = stores.bucket("sky").unwrap();
    put_beside(&bucket, "10MB/1.pt", "n").await;
    let open = async |key: &str| Partition::open(bucket.store(), bucket.path(key).unwrap(), None).await.unwrap();
    let whole = open("10MB/1.pt").await;
    let objects = Objects::read_beside(&bucket, &whole).await.unwrap().unwrap();
    let parts = split(&whole, Some(&objects), 4 * 20_508, bucket.store(), &bucket.path("parts").unwrap(), |_| ())
        .await
        .unwrap();
    let mut ids = Vec::new();
    for part in &parts {
        let part = open(part.path.as_ref()).await;
        ids.extend(Objects::read_beside(&bucket, &part).await.unwrap().unwrap().object_id().to_vec());
    }
    assert_eq!((parts.len(), ids), (3, objects.object_id().to_vec()));
}
