//! Fixtures for the tests of `pipeline`: stores, a server that fails on purpose, partitions, a model.

#![allow(dead_code, reason = "each test file uses only some of these fixtures")]

pub(crate) mod faulty;
pub(crate) mod s3;
pub(crate) mod web;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use astromae::init::{Sizes, seeded};
use astromae::{Isa, Model, Precision};
use object_store::aws::AwsCredential;
use object_store::client::StaticCredentialProvider;
use pipeline::event::{Event, EventSink};
use pipeline::planning::Origin;
use pipeline::prepare::{PrepareError, Prepared, prepare};
use pipeline::storage::{Bucket, Limits, S3Options, StorageOptions, Stores};
use records::payload::Payload;
use records::request::IfTaken;
use serde_json::{Value, json};
use sources::simulate::{Galaxies, Sample, Sky, write_partition};

/// Limits with short timeouts: requests to a failing store end within about two seconds.
pub(crate) fn short_limits() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        read: Duration::from_millis(400),
        request: Duration::from_secs(2),
        retries: 2,
        retry_for: Duration::from_secs(1),
        backoff: Duration::from_millis(10),
    }
}

/// Options for an S3 server at this address.
pub(crate) fn s3_options(endpoint: &str, limits: Limits) -> StorageOptions {
    let credential = AwsCredential { key_id: s3::KEY.into(), secret_key: s3::SECRET.into(), token: None };
    let s3 = S3Options {
        region: None,
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(Arc::new(StaticCredentialProvider::new(credential))),
        skip_signature: false,
    };
    StorageOptions { s3, limits, ..StorageOptions::default() }
}

pub(crate) async fn write(bucket: &Bucket, key: &str, bytes: impl Into<bytes::Bytes>) {
    bucket.write(key, bytes.into()).await.unwrap();
}

/// Simulates a partition.
pub(crate) fn partition(images: usize, seed: u64, image_size: usize) -> Vec<u8> {
    write_partition(
        Sky { galaxies: Galaxies::Drawn(images, Sample::Main), seed, image_size },
        NonZeroUsize::MIN,
        Vec::new(),
        |_| {},
    )
    .unwrap()
}

pub(crate) fn model() -> Arc<Model> {
    let bytes = seeded(&Sizes::small(), 1);
    Arc::new(Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap())
}

/// Payload for the bucket `sky`, with the model at `model/m.safetensors` and partitions under `10MB`.
pub(crate) fn payload(changes: Value) -> Payload {
    let mut json = json!({
        "bucket": "sky", "file_limit": "11", "batch_size": 256, "model": "model/m.safetensors",
        "result_path": "results/", "data_bucket": "sky", "data_prefix": "10MB"
    });
    json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Payload::parse(json.to_string().as_bytes()).unwrap()
}

/// Stores in memory with the model and `count` partitions of `images` images each, for [`payload`].
pub(crate) async fn sky(count: usize, images: usize) -> Stores {
    let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
    fill(&stores, count, images).await;
    stores
}

/// Writes the model and the partitions of [`sky`].
pub(crate) async fn fill(stores: &Stores, count: usize, images: usize) {
    let bucket = stores.bucket("sky").unwrap();
    write(&bucket, "model/m.safetensors", seeded(&Sizes::small(), 1)).await;
    for number in 1..=count {
        write(&bucket, &format!("10MB/{number}.pt"), partition(images, number as u64, 32)).await;
    }
}

pub(crate) fn origin(run_id: &str) -> Origin {
    Origin { run_id: run_id.into(), created: "2025-08-05T19:03:04Z".into(), created_by: "the tests".into() }
}

pub(crate) async fn prepared(
    stores: &Stores,
    payload: Payload,
    if_taken: IfTaken,
    run_id: &str,
) -> Result<Prepared, PrepareError> {
    prepare(stores, payload, None, if_taken, origin(run_id)).await
}

/// Event sink that records every event.
#[derive(Default)]
pub(crate) struct RecordedEvents(Mutex<Vec<Event>>);

impl RecordedEvents {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl EventSink for RecordedEvents {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
