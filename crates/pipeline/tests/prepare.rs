//! Checks that runs claim their folder, resume, overwrite and are summarized.

mod support;

use std::collections::BTreeMap;

use pipeline::event::NullSink;
use pipeline::finished::finished;
use pipeline::predict::Worker;
use pipeline::prepare::{PrepareError, Prepared};
use pipeline::results::Results;
use pipeline::storage::{Bucket, Stores};
use pipeline::summary::{merge_predictions, summarize};
use pipeline::{Attempt, Run, run_task};
use records::request::IfTaken;
use records::summary::Summary;
use serde_json::{Value, json};
use support::{model, partition, payload, prepared, sky, write};

/// Runs these ranks of a plan.
async fn run(prepared: &Prepared, ranks: impl IntoIterator<Item = usize>) {
    let Prepared { plan, data, results, .. } = prepared;
    let mut worker = Worker::new(model(), 1, 0.0);
    for rank in ranks {
        let run = Run { plan, data, results, events: &NullSink };
        let attempt = Attempt { number: 1, queued: String::new() };
        run_task(run, &plan.tasks[rank], attempt, &mut worker).await.unwrap();
    }
}

async fn begin(stores: &Stores, changes: Value, if_taken: IfTaken, run_id: &str) -> Result<Prepared, PrepareError> {
    prepared(stores, payload(changes), if_taken, run_id).await
}

async fn refused(stores: &Stores, changes: Value, if_taken: IfTaken) -> String {
    begin(stores, changes, if_taken, "2").await.unwrap_err().to_string()
}

async fn summary(prepared: &Prepared) -> Summary {
    summarize(&prepared.results, &prepared.plan).await.unwrap()
}

fn ranks(prepared: &Prepared) -> Vec<usize> {
    prepared.finished.iter().map(|report| report.rank).collect()
}

/// Every object of a bucket.
async fn everything(bucket: &Bucket) -> BTreeMap<String, bytes::Bytes> {
    let mut all = BTreeMap::new();
    for object in bucket.list("").await.unwrap() {
        let bytes = bucket.read(&object.key, u64::MAX, "a test").await.unwrap();
        all.insert(object.key, bytes);
    }
    all
}

#[tokio::test]
async fn plans_a_run_and_claims_its_folder() {
    let stores = sky(12, 1).await;
    let first = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    assert_eq!((first.plan.tasks.len(), first.plan.run_id.as_str()), (11, "1"));
    let study = first.data.read("results/payload.json", 1 << 20, "a test").await.unwrap();
    let study: Value = serde_json::from_slice(&study).unwrap();
    assert_eq!((&study["file_limit"], &study["data_map"]["1"]), (&json!("11"), &json!("10MB/10.pt")));

    for path in ["results", "results/", "/results"] {
        let error = refused(&stores, json!({"result_path": path}), IfTaken::Refuse).await;
        assert!(error.contains("already holds run 1, planned 2025-08-05T19:03:04Z by the tests"), "{error}");
        assert!(error.contains("--resume") && error.contains("--overwrite"), "{error}");
    }
    assert!(begin(&stores, json!({"result_path": "results2"}), IfTaken::Refuse, "2").await.is_ok());
    assert!(begin(&stores, json!({"result_path": "results/sub"}), IfTaken::Refuse, "3").await.is_ok());
}

#[tokio::test]
async fn only_one_of_several_simultaneous_claims_succeeds() {
    let stores = sky(2, 1).await;
    let runs = ["a", "b", "c", "d"].map(|run_id| begin(&stores, json!({}), IfTaken::Refuse, run_id));
    let outcomes = futures::future::join_all(runs).await;
    let begun: Vec<&Prepared> = outcomes.iter().flatten().collect();
    assert_eq!(begun.len(), 1);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| { matches!(error, PrepareError::Taken { run_id, .. } if *run_id == begun[0].plan.run_id) })
    );
}

#[tokio::test]
async fn writes_nothing_if_a_run_cannot_be_prepared() {
    let stores = sky(1, 1).await;
    let bucket = stores.bucket("sky").unwrap();
    let before = everything(&bucket).await;
    for (changes, expected) in [
        (json!({"data_prefix": "nowhere"}), "`memory:/sky/nowhere`: no partition: none of the 0 objects"),
        (json!({"data_prefix": "10M"}), "no partition"),
        (json!({"model": "absent.pt"}), "read `memory:/sky/absent.pt`: there is no such object"),
        (json!({"model": "memory:/sky/absent.pt"}), "there is no such object"),
        (json!({"model": "s3://x/a//y"}), "empty path segment"),
    ] {
        for if_taken in [IfTaken::Refuse, IfTaken::Resume, IfTaken::Overwrite] {
            let error = refused(&stores, changes.clone(), if_taken).await;
            assert!(error.contains(expected), "{error}");
        }
    }
    assert_eq!(everything(&bucket).await, before);
}

#[tokio::test]
async fn finds_the_only_model_in_a_folder() {
    let stores = sky(1, 1).await;
    let bucket = stores.bucket("sky").unwrap();
    let model = bucket.read("model/m.safetensors", 1 << 30, "a test").await.unwrap();
    let from = |folder: &str| {
        let mut json = payload(json!({})).submitted().clone();
        json.remove("model");
        json.insert("S3_object_name".into(), folder.into());
        records::payload::Payload::try_from(json).unwrap()
    };
    let error = prepared(&stores, from("empty"), IfTaken::Refuse, "1").await.unwrap_err().to_string();
    assert!(error.contains("none (expected a name ending in .pt, .pth, .safetensors)"), "{error}");
    write(&bucket, "Anomaly Detection/Fine_Tune_Model/Mixed.pt", model.clone()).await;
    write(&bucket, "Anomaly Detection/Inference/resized_inference.pt", "a sample").await;
    let found = prepared(&stores, from("Anomaly Detection"), IfTaken::Refuse, "1").await.unwrap();
    assert_eq!(found.plan.model.url, "memory:/sky/Anomaly Detection/Fine_Tune_Model/Mixed.pt");
    assert_eq!((found.plan.model.bytes, found.plan.model.sha256.len()), (model.len() as u64, 64));
    write(&bucket, "Anomaly Detection/Fine_Tune_Model/Other.pt", model).await;
    let error = prepared(&stores, from("Anomaly Detection"), IfTaken::Overwrite, "1").await.unwrap_err().to_string();
    assert!(error.contains("3 files (Anomaly Detection/Fine_Tune_Model/Mixed.pt, "), "{error}");
    assert!(error.contains("--model"), "{error}");
}

#[tokio::test]
async fn resume_skips_finished_tasks() {
    let stores = sky(5, 3).await;
    let first = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    run(&first, [0, 2, 4]).await;
    let again = begin(&stores, json!({"file_limit": 11}), IfTaken::Resume, "2").await.unwrap();
    assert_eq!((again.plan.run_id.as_str(), ranks(&again)), ("1", vec![0, 2, 4]));

    // A worker that was killed while it wrote a task's results left no report, because the report is written last.
    first.data.delete(vec!["results/tasks/2.json".into()]).await.unwrap();
    assert_eq!(ranks(&begin(&stores, json!({}), IfTaken::Resume, "3").await.unwrap()), [0, 4]);
    // Predictions that were deleted, and a malformed report.
    first.data.delete(vec!["results/predictions/0.parquet".into()]).await.unwrap();
    write(&first.data, "results/tasks/4.json", "{\"format_version\": 1}").await;
    assert_eq!(ranks(&begin(&stores, json!({}), IfTaken::Resume, "4").await.unwrap()), [0; 0]);

    // A resumed run ends with the same predictions as an uninterrupted run.
    run(&again, 0..5).await;
    let whole = begin(&stores, json!({"result_path": "whole"}), IfTaken::Refuse, "5").await.unwrap();
    run(&whole, 0..5).await;
    let all = everything(&first.data).await;
    for rank in 0..5 {
        let name = format!("predictions/{rank}.parquet");
        assert_eq!(all[&format!("results/{name}")], all[&format!("whole/{name}")]);
    }
    // In an empty folder, resuming starts a new run.
    assert!(begin(&stores, json!({"result_path": "new"}), IfTaken::Resume, "6").await.is_ok());
}

#[tokio::test]
async fn resume_rejects_a_different_payload_or_different_files() {
    let stores = sky(3, 2).await;
    let first = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    let error = refused(&stores, json!({"batch_size": 7, "order": "natural"}), IfTaken::Resume).await;
    assert!(
        error.contains("run 1 cannot be resumed with this payload: the run has `batch_size`: 256, not 7; `order`: "),
        "{error}"
    );
    write(&first.data, "10MB/10.pt", partition(2, 1, 32)).await;
    let error = refused(&stores, json!({}), IfTaken::Resume).await;
    assert!(error.contains("rank 1: \"10MB/2.pt\", not \"10MB/10.pt\""), "{error}");
    write(&first.data, "results/plan.json", "{}").await;
    for if_taken in [IfTaken::Refuse, IfTaken::Resume, IfTaken::Overwrite] {
        let error = refused(&stores, json!({}), if_taken).await;
        assert!(
            error.contains("`memory:/sky/results/plan.json`: not a plan: missing field `format_version`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn resume_repeats_tasks_whose_files_or_model_changed() {
    let stores = sky(3, 2).await;
    let first = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    run(&first, 0..3).await;
    assert!(summary(&first).await.is_complete());
    write(&first.data, "10MB/2.pt", partition(2, 99, 32)).await;
    let again = begin(&stores, json!({}), IfTaken::Resume, "2").await.unwrap();
    assert_eq!(ranks(&again), [0, 2]);
    // The old combined records are deleted until all tasks are finished again.
    assert!(again.data.find("results/combined_data.json").await.unwrap().is_none());
    assert_eq!(summary(&again).await.missing, [1]);
    run(&again, [1]).await;
    assert!(summary(&again).await.is_complete());

    let other = astromae::init::seeded(&astromae::init::Sizes::small(), 2);
    write(&first.data, "model/m.safetensors", other).await;
    let again = begin(&stores, json!({}), IfTaken::Resume, "3").await.unwrap();
    assert_eq!((ranks(&again), again.plan.run_id.as_str()), (vec![], "1"));
    assert_ne!(again.plan.model, first.plan.model);
}

#[tokio::test]
async fn overwrite_deletes_only_the_objects_of_the_run() {
    let stores = sky(3, 2).await;
    let first = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    run(&first, 0..3).await;
    summary(&first).await;
    let foreign = ["results/7.json", "results/notes.txt", "results/predictions/7.parquet", "results2/0.json"];
    for key in foreign {
        write(&first.data, key, "not of this run").await;
    }
    let second = begin(&stores, json!({"file_limit": 2}), IfTaken::Overwrite, "2").await.unwrap();
    assert_eq!((second.plan.run_id.as_str(), second.plan.tasks.len(), second.finished.len()), ("2", 2, 0));
    let mut keys: Vec<String> = everything(&first.data).await.into_keys().collect();
    keys.retain(|key| key.starts_with("results"));
    let mut expected = foreign.map(str::to_owned).to_vec();
    expected.extend(["results/plan.json".into(), "results/payload.json".into()]);
    expected.sort();
    assert_eq!(keys, expected);
    // The foreign `7.json` is not summarized.
    run(&second, 0..2).await;
    assert_eq!(summary(&second).await.finished, 2);
}

#[tokio::test]
async fn rejects_a_folder_with_results_but_no_plan() {
    let stores = sky(1, 1).await;
    let bucket = stores.bucket("sky").unwrap();
    write(&bucket, "results/0.json", "{}").await;
    for if_taken in [IfTaken::Refuse, IfTaken::Resume, IfTaken::Overwrite] {
        let error = refused(&stores, json!({}), if_taken).await;
        assert!(error.contains("holds results (`memory:/sky/results/0.json`) without a `plan.json`"), "{error}");
    }
    write(&bucket, "other/notes.txt", "no result").await;
    assert!(begin(&stores, json!({"result_path": "other"}), IfTaken::Refuse, "1").await.is_ok());
}

#[tokio::test]
async fn combines_records_in_rank_order_when_all_tasks_are_finished() {
    let stores = sky(11, 3).await;
    let prepared = begin(&stores, json!({"world_size": 13}), IfTaken::Refuse, "1").await.unwrap();
    run(&prepared, [0, 1, 2, 12]).await;
    let part = summary(&prepared).await;
    assert_eq!((part.finished, part.missing.as_slice()), (4, &[3, 4, 5, 6, 7, 8, 9, 10, 11][..]));
    assert!(part.accuracy.unwrap().all.is_some());
    assert!(prepared.data.find("results/combined_data.json").await.unwrap().is_none());

    run(&prepared, (3..12).rev()).await;
    let whole = summary(&prepared).await;
    assert!(whole.is_complete());
    assert_eq!((whole.samples, whole.bytes), (33, 33 * 20_520));
    assert_eq!(whole.accuracy.as_ref().unwrap().rows, 33);
    let combined = prepared.data.read("results/combined_data.json", 1 << 20, "a test").await.unwrap();
    let combined: Vec<Value> = serde_json::from_slice(&combined).unwrap();
    let paths: Vec<&str> = combined.iter().map(|record| record["data_path"].as_str().unwrap()).collect();
    let expected = ["1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"].map(|n| format!("10MB/{n}.pt"));
    assert_eq!(paths, expected);
    let record = prepared.data.read("results/1.json", 1 << 20, "a test").await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&record).unwrap(), combined[1]);
    let written = prepared.data.read("results/summary.json", 1 << 20, "a test").await.unwrap();
    assert_eq!(serde_json::from_slice::<Summary>(&written).unwrap(), whole);

    // The folder alone is enough to summarize again.
    let results = Results::open(&stores, "memory:/sky/results/").unwrap();
    let plan = pipeline::prepare::read_plan(&results).await.unwrap().unwrap();
    assert_eq!(summarize(&results, &plan).await.unwrap(), whole);
    assert_eq!(finished(&results, &plan).await.unwrap().len(), 13);

    write(&prepared.data, "results/1.json", "[]").await;
    let error = summarize(&results, &plan).await.unwrap_err().to_string();
    assert!(error.contains("record `memory:/sky/results/1.json`: not an object; delete the record"), "{error}");
}

#[tokio::test]
async fn predictions_that_no_task_wrote_are_damaged() {
    let stores = sky(2, 3).await;
    let prepared = begin(&stores, json!({}), IfTaken::Refuse, "1").await.unwrap();
    run(&prepared, [0, 1]).await;
    let Prepared { plan, data, results, .. } = &prepared;
    let whole = merge_predictions(results, plan).await.unwrap();
    let [first, second] = ["results/predictions/0.parquet", "results/predictions/1.parquet"];
    let bytes = data.read(first, 1 << 20, "a test").await.unwrap();
    let other = data.read(second, 1 << 20, "a test").await.unwrap();

    // A bit in the middle of the file, and predictions of the other task.
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 1;
    for damaged in [bytes::Bytes::from(flipped), other.clone()] {
        write(data, first, damaged).await;
        for error in [
            summarize(results, plan).await.map(drop).unwrap_err().to_string(),
            merge_predictions(results, plan).await.map(drop).unwrap_err().to_string(),
        ] {
            assert!(error.contains("predictions/0.parquet`: damaged: its SHA-256 is"), "{error}");
        }
    }

    // Tasks of older versions have no digest. Their rows must be those of the task.
    for rank in [0, 1] {
        let key = results.task_report(rank);
        let report = data.read(&key, 1 << 20, "a test").await.unwrap();
        let mut report: Value = serde_json::from_slice(&report).unwrap();
        assert!(report.as_object_mut().unwrap().remove("predictions_sha256").is_some());
        write(data, &key, report.to_string()).await;
    }
    let error = merge_predictions(results, plan).await.unwrap_err().to_string();
    assert!(error.contains("damaged: row 0 (from 0) is of `10MB/2.pt`, which is no file of the task"), "{error}");
    write(data, first, bytes).await;
    assert_eq!(merge_predictions(results, plan).await.unwrap(), whole);
    summarize(results, plan).await.unwrap();

    let key = results.task_report(0);
    let report = String::from_utf8(data.read(&key, 1 << 20, "a test").await.unwrap().to_vec()).unwrap();
    write(data, &key, report.replace("\"samples\":3", "\"samples\":4")).await;
    let error = merge_predictions(results, plan).await.unwrap_err().to_string();
    assert!(error.contains("damaged: 3 rows, but the task predicted 4"), "{error}");
}
