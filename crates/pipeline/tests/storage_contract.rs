//! Checks that every kind of store behaves in the same way: a folder, memory, and an S3 server.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use pipeline::storage::{Bucket, Limits, StorageOptions, Stores};
use tempfile::TempDir;

/// More than two pages of an S3 listing.
const MANY: usize = 2_300;

/// Way to create many objects: through the store, or as files on disk if the store is too slow.
enum Many<'a> {
    Put,
    OnDisk(&'a Path),
}

impl Many<'_> {
    async fn write(&self, bucket: &Bucket) {
        for number in 0..MANY {
            match self {
                Many::Put => support::write(bucket, &format!("many/{number}.pt"), "x").await,
                Many::OnDisk(folder) => std::fs::write(folder.join(format!("{number}.pt")), "x").unwrap(),
            }
        }
    }
}

async fn contract(bucket: &Bucket, many: Many<'_>) {
    reading_and_writing(bucket).await;
    listing(bucket, many).await;
    creating(bucket).await;
    deleting(bucket).await;
}

async fn reading_and_writing(bucket: &Bucket) {
    let key = "Anomaly Detection/Inference/a b%20c+é.json";
    assert_eq!(bucket.find(key).await.unwrap(), None);
    let missing = bucket.read(key, 100, "a test").await.unwrap_err();
    assert!(missing.is_not_found() && !missing.is_transient(), "{missing}");
    assert!(missing.to_string().contains(key) && missing.to_string().contains("no such object"), "{missing}");
    assert!(bucket.read_if_there(key, 100, "a test").await.unwrap().is_none());

    support::write(bucket, key, "first").await;
    support::write(bucket, key, "second, longer").await;
    assert_eq!(bucket.read(key, 14, "a test").await.unwrap(), "second, longer");
    assert_eq!(bucket.read_if_there(key, 14, "a test").await.unwrap().unwrap(), "second, longer");
    let found = bucket.find(key).await.unwrap().unwrap();
    assert_eq!((found.key.as_str(), found.bytes), (key, 14));
    let large = bucket.read(key, 13, "a test").await.unwrap_err().to_string();
    assert!(large.contains("14 bytes, but a test has 13 at most"), "{large}");
    assert_eq!(bucket.list("Anomaly Detection").await.unwrap()[0].key, key);
}

async fn listing(bucket: &Bucket, many: Many<'_>) {
    for key in ["100MB/1.pt", "100MB/sub/2.pt", "100MB-old/1.pt", "100MB.txt", "10/1.pt", "100MB/10.pt", "100MB/é.pt"]
    {
        support::write(bucket, key, "x").await;
    }
    for hidden in ["100MB/.ipynb_checkpoints/1-checkpoint.pt", "100MB/._1.pt", ".old/1.pt"] {
        support::write(bucket, hidden, "x").await;
    }
    let keys = |objects: Vec<pipeline::storage::StoredObject>| {
        objects.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    let expected = ["100MB/1.pt", "100MB/10.pt", "100MB/sub/2.pt", "100MB/é.pt"];
    assert_eq!(keys(bucket.list("100MB").await.unwrap()), expected);
    assert_eq!(keys(bucket.list("/100MB/").await.unwrap()), expected);
    assert_eq!(keys(bucket.list("100").await.unwrap()), [""; 0]);
    assert_eq!(keys(bucket.list("nowhere").await.unwrap()), [""; 0]);
    assert_eq!(keys(bucket.list(".old").await.unwrap()), [".old/1.pt"], "the listed folder itself may be hidden");
    assert!(keys(bucket.list("").await.unwrap()).contains(&"100MB.txt".to_owned()));

    many.write(bucket).await;
    let listed = keys(bucket.list("many").await.unwrap());
    let expected: BTreeSet<String> = (0..MANY).map(|number| format!("many/{number}.pt")).collect();
    assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
}

async fn creating(bucket: &Bucket) {
    assert!(bucket.create("claims/a b/plan.json", Bytes::from("mine")).await.unwrap());
    assert!(!bucket.create("claims/a b/plan.json", Bytes::from("yours")).await.unwrap());
    assert_eq!(bucket.read("claims/a b/plan.json", 10, "a test").await.unwrap(), "mine");
}

async fn deleting(bucket: &Bucket) {
    for number in 0..3 {
        support::write(bucket, &format!("own/{number}"), "x").await;
    }
    let keys = ["own/0", "own/2", "own/absent"].map(str::to_owned).to_vec();
    bucket.delete(keys).await.unwrap();
    assert_eq!(bucket.list("own").await.unwrap()[0].key, "own/1");
    assert_eq!(bucket.list("own").await.unwrap().len(), 1);
    bucket.delete(Vec::new()).await.unwrap();
}

/// Checks that exactly one of many simultaneous claims succeeds, and that its bytes are stored.
async fn race(bucket: &Bucket) {
    let claims = (0..16).map(|who| {
        let bucket = bucket.clone();
        tokio::spawn(async move { bucket.create("race/plan.json", Bytes::from(who.to_string())).await.unwrap() })
    });
    let won: Vec<bool> = futures::future::try_join_all(claims).await.unwrap();
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let winner = won.iter().position(|won| *won).unwrap().to_string();
    assert_eq!(bucket.read("race/plan.json", 10, "a test").await.unwrap(), winner);
}

fn folder() -> (TempDir, Stores) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sky")).unwrap();
    let stores = Stores::open(folder.path().to_str().unwrap(), StorageOptions::default()).unwrap();
    (folder, stores)
}

#[tokio::test]
async fn folder_keeps_the_contract() {
    let (folder, stores) = folder();
    let bucket = stores.bucket("sky").unwrap();
    contract(&bucket, Many::Put).await;
    race(&bucket).await;
    // A temporary file of a write in progress is not listed.
    std::fs::write(folder.path().join("sky/own/2.pt#1"), "half").unwrap();
    assert_eq!(bucket.list("own").await.unwrap().len(), 1);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    contract(&bucket, Many::Put).await;
    race(&bucket).await;
    assert_eq!(stores.bucket("other").unwrap().list("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_server_keeps_the_contract() {
    let (folder, _) = folder();
    let endpoint = support::s3::serve(folder.path()).await;
    let stores = Stores::open("s3", support::s3_options(&endpoint, Limits::default())).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    let many = folder.path().join("sky/many");
    std::fs::create_dir(&many).unwrap();
    contract(&bucket, Many::OnDisk(&many)).await;
    assert_eq!(bucket.url("a b/1.pt"), "s3://sky/a b/1.pt");
    let error = stores.bucket("nowhere").unwrap().list("x").await.unwrap_err().to_string();
    assert!(error.contains("`s3://nowhere/x`: no such bucket (404 Not Found NoSuchBucket"), "{error}");
}

/// Tests the S3 server that `COSMICAI_TEST_S3` names. `scripts/test-seaweedfs` starts one. It must have an empty bucket
/// `sky` and accept the key in `support::s3`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an S3 server: run scripts/test-seaweedfs"]
async fn external_s3_server_keeps_the_contract() {
    let endpoint = std::env::var("COSMICAI_TEST_S3").expect("COSMICAI_TEST_S3 is the address of an S3 server");
    let stores = Stores::open("s3", support::s3_options(&endpoint, Limits::default())).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    contract(&bucket, Many::Put).await;
    race(&bucket).await;
    let mut wrong = support::s3_options(&endpoint, Limits::default());
    wrong.s3.skip_signature = true;
    let error = Stores::open("s3", wrong).unwrap().bucket("sky").unwrap().list("").await.unwrap_err().to_string();
    assert!(error.contains("403"), "{error}");
}

/// `s3s-fs` checks for the object before it writes, so two simultaneous claims may succeed there, unlike on S3. This
/// test checks that no claim fails, and that later claims are rejected.
#[tokio::test(flavor = "multi_thread")]
async fn s3_server_rejects_later_claims() {
    let (folder, _) = folder();
    let endpoint = support::s3::serve(folder.path()).await;
    let stores = Stores::open("s3://", support::s3_options(&endpoint, Limits::default())).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    assert!(bucket.create("race/plan.json", Bytes::from("0")).await.unwrap());
    let later = (0..16).map(|_| bucket.create("race/plan.json", Bytes::from("1")));
    assert!(futures::future::try_join_all(later).await.unwrap().iter().all(|won| !won));
}

#[tokio::test]
async fn opens_paths_and_urls_and_rejects_others() {
    let (folder, stores) = folder();
    let sky = stores.bucket("sky").unwrap();
    support::write(&sky, "a b/1.pt", "x").await;
    let path = folder.path().join("sky/a b/1.pt").display().to_string();

    for url in [path.clone(), format!("file://{}", path.replace(' ', "%20"))] {
        let (bucket, key) = stores.open_url(&url).unwrap();
        assert_eq!(bucket.read(&key, 1, "a test").await.unwrap(), "x", "{url}");
    }
    let (bucket, key) = stores.open_url(&sky.url("a b/1.pt")).unwrap();
    assert_eq!(bucket.read(&key, 1, "a test").await.unwrap(), "x");
    let (bucket, key) = stores.open_url(folder.path().join("sky").to_str().unwrap()).unwrap();
    assert_eq!((key.as_str(), bucket.list(&key).await.unwrap().len()), ("", 1));
    let (bucket, key) = stores.open_url(folder.path().join("new/er/2.pt").to_str().unwrap()).unwrap();
    support::write(&bucket, &key, "y").await;
    assert_eq!(std::fs::read(folder.path().join("new/er/2.pt")).unwrap(), b"y");
    let (bucket, key) = stores.open_url("s3://models/a b/m%20.pt").unwrap();
    assert_eq!((bucket.url(&key).as_str(), key.as_str()), ("s3://models/a b/m%20.pt", "a b/m%20.pt"));
    let (bucket, key) = stores.open_url("https://example.org/a%20b/1.pt").unwrap();
    assert_eq!((bucket.url("").as_str(), key.as_str()), ("https://example.org/", "a b/1.pt"));

    let under = Stores::open(&format!("file://{}", folder.path().display()), StorageOptions::default()).unwrap();
    assert_eq!(under.bucket("sky").unwrap().list("a b").await.unwrap().len(), 1);
    let under = Stores::open("s3://above/runs", StorageOptions::default()).unwrap();
    assert_eq!(under.bucket("sky").unwrap().url("1.pt"), "s3://above/runs/sky/1.pt");

    let refused = |url: &str| stores.open_url(url).unwrap_err().to_string();
    assert!(refused("ftp://x/y").contains("unknown scheme"));
    assert!(refused("https://x/y#part").contains("download the file"));
    assert!(refused("").contains("empty"));
    assert!(refused("s3://b/a//b").contains("empty path segment"));
    let missing = stores.bucket("absent").unwrap_err().to_string();
    assert!(missing.contains("mkdir -p") && missing.contains("absent"), "{missing}");
    for name in ["", "..", "a/b"] {
        assert!(stores.bucket(name).unwrap_err().to_string().contains("not the name of a bucket"));
    }
}
