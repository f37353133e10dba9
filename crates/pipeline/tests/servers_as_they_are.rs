//! Tests with servers that do less than stores do, and with listings that hold odd keys.

mod support;

use std::sync::{Arc, Mutex};

use object_store::{GetOptions, GetRange};
use pipeline::partition::Partition;
use pipeline::storage::{StorageError, StorageOptions, Stores, Warnings, is_transient};
use support::web::{Answer, Request, WebServer};
use support::{partition, s3_options, short_limits};

/// Options that collect the warnings.
fn warned(options: StorageOptions) -> (StorageOptions, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let receiver = told.clone();
    let warnings = Warnings::new(move |text| receiver.lock().unwrap().push(text.to_owned()));
    (StorageOptions { warnings, limits: short_limits(), ..options }, told)
}

/// Answers like Python's http.server: `HEAD` works, ranges are ignored, other methods are not implemented.
fn without_ranges(files: Vec<(&'static str, Vec<u8>)>) -> impl Fn(&Request) -> Answer {
    move |request| match files.iter().find(|(name, _)| *name == request.target) {
        _ if !["GET", "HEAD"].contains(&request.method.as_str()) => Answer::whole(501, "not implemented"),
        Some((_, bytes)) => Answer::whole(200, bytes.clone()),
        None => Answer::whole(404, "not found"),
    }
}

#[tokio::test]
async fn reads_partitions_from_a_server_without_ranges() {
    let (first, second) = (partition(40, 1, 16), partition(3, 2, 16));
    let server = WebServer::start(without_ranges(vec![("/a/1.pt", first), ("/a/2.pt", second)])).await;
    let (options, told) = warned(StorageOptions::default());
    let stores = Stores::open("memory:", options).unwrap();
    for (name, samples) in [("1.pt", 40), ("2.pt", 3)] {
        let (bucket, key) = stores.open_url(&format!("{}/a/{name}", server.address)).unwrap();
        assert!(bucket.find(&key).await.unwrap().is_some());
        let opened = Partition::open(bucket.store(), bucket.path(&key).unwrap(), None).await.unwrap();
        assert_eq!(opened.len(), samples);
        let half = opened.read(0..samples / 2).await.unwrap();
        let all = opened.read(0..samples).await.unwrap();
        assert_eq!(half.images, all.images[..half.images.len()]);
    }
    let downloads = server.seen().iter().filter(|request| *request == "GET /a/1.pt").count();
    assert_eq!(downloads, 1, "{:?}", server.seen());
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "one warning for the server: {told:?}");
    assert!(told[0].contains("cannot send parts of files") && told[0].contains("1024 MB"), "{}", told[0]);
}

#[tokio::test]
async fn a_missing_file_of_a_web_server_is_not_found() {
    let server = WebServer::start(without_ranges(Vec::new())).await;
    let stores = Stores::open("memory:", warned(StorageOptions::default()).0).unwrap();
    let (bucket, key) = stores.open_url(&format!("{}/none.pt", server.address)).unwrap();
    assert_eq!(bucket.find(&key).await.unwrap(), None);
    let error = bucket.list(&key).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("none.pt` not found, and the server cannot list folders"), "{error}");
}

#[tokio::test]
async fn queries_reach_the_server_as_they_are_written() {
    let server = WebServer::start(|request| match request.target.as_str() {
        // A service that makes files knows neither `HEAD` nor the length.
        _ if request.method == "HEAD" => Answer::whole(405, ""),
        "/fits-cutout?ra=150.1&dec=%2B2.25&layer=a%20b" => Answer(200, Vec::new(), b"0123456789".to_vec()),
        "/none?ra=1" => Answer::whole(404, "no such galaxy"),
        _ => Answer::whole(400, "bad query"),
    })
    .await;
    let stores = Stores::open("memory:", warned(StorageOptions::default()).0).unwrap();
    let url = format!("{}/fits-cutout?ra=150.1&dec=%2B2.25&layer=a b", server.address);
    let (bucket, key) = stores.open_url(&url).unwrap();
    assert_eq!(bucket.url(&key), url.replace("a b", "a%20b"));
    assert_eq!(bucket.read(&key, 10, "a cutout").await.unwrap(), "0123456789");
    assert_eq!(bucket.find(&key).await.unwrap().unwrap().bytes, 10);
    let range = GetOptions { range: Some(GetRange::Bounded(2..5)), ..GetOptions::default() };
    let part = bucket.store().get_opts(&bucket.path(&key).unwrap(), range).await.unwrap();
    assert_eq!((part.range.clone(), part.bytes().await.unwrap().as_ref()), (2..5, &b"234"[..]));
    assert!(matches!(bucket.read(&key, 9, "a cutout").await, Err(StorageError::TooLarge { .. })));
    // A key below the server, as a pattern of cutouts makes it.
    let (bucket, folder) = stores.open_url(&format!("{}/", server.address)).unwrap();
    assert_eq!(folder, "");
    let error = bucket.read("none?ra=1", 10, "a cutout").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let seen = server.seen();
    assert!(seen.contains(&"GET /none?ra=1".to_owned()), "{seen:?}");
    // A slash in a query is not the end of a folder.
    let (_, key) = stores.open_url("http://h/c?url=http://x/y").unwrap();
    assert_eq!(key, "c?url=http:/%2Fx/y");
    assert!(stores.open_url("http://h/a%3Fb.pt").unwrap_err().to_string().contains("encoded `?`"));
}

#[tokio::test]
async fn files_that_are_too_large_to_read_whole_are_refused_at_once() {
    let server = WebServer::start(|_| Answer(200, vec!["Content-Length: 9000000000".to_owned()], Vec::new())).await;
    let stores = Stores::open("memory:", warned(StorageOptions::default()).0).unwrap();
    let (bucket, key) = stores.open_url(&format!("{}/1.pt", server.address)).unwrap();
    let range = GetOptions { range: Some(GetRange::Bounded(0..9)), ..GetOptions::default() };
    let error = bucket.store().get_opts(&bucket.path(&key).unwrap(), range).await.unwrap_err();
    assert!(!is_transient(&error));
    let message = pipeline::storage::explain(&error);
    assert!(message.contains("more than 1073741824 bytes") && message.contains("download the file"), "{message}");
    assert_eq!(server.seen().len(), 1);
}

/// Page of a listing of S3.
fn page(keys: &[&str]) -> String {
    let contents = keys.iter().map(|key| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>\"1\"</ETag>\
             <Size>9</Size></Contents>"
        )
    });
    format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>sky</Name><KeyCount>{}</KeyCount>\
         <IsTruncated>false</IsTruncated>{}</ListBucketResult>",
        keys.len(),
        contents.collect::<String>()
    )
}

#[tokio::test]
async fn odd_keys_in_a_listing_of_s3_are_passed_over_by_name() {
    let server = WebServer::start(|request| {
        assert!(request.target.contains("list-type=2"), "{request:?}");
        Answer::whole(200, page(&["d/", "d/1.pt", "d//2.pt", "d/./3.pt", "d/a&#9;b.pt", "d/.x.pt", "d/é&amp;.pt"]))
    })
    .await;
    let (options, told) = warned(s3_options(&server.address, short_limits()));
    let stores = Stores::open("s3", options.clone()).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    let keys = |objects: Vec<pipeline::storage::StoredObject>| {
        objects.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(bucket.list("d").await.unwrap()), ["d/1.pt", "d/é&.pt"]);
    assert!(told.lock().unwrap().is_empty() && !options.warnings.has_passed_over());
    assert_eq!(keys(bucket.list_inputs("d").await.unwrap()), ["d/1.pt", "d/é&.pt"]);
    assert!(options.warnings.has_passed_over());
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, key) in told.iter().zip(["d//2.pt", "d/./3.pt", "d/a\\tb.pt"]) {
        assert!(told.starts_with(&format!("warning: passed over `s3://sky/{key}`: ")), "{told}");
    }
    // A bucket that is a folder of a bucket lists the same.
    let below = Stores::open("s3://sky/", options).unwrap().bucket("d").unwrap();
    assert_eq!(keys(below.list("").await.unwrap()), ["1.pt", "é&.pt"]);
}

#[tokio::test]
async fn odd_names_in_a_folder_are_passed_over_by_name() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sky/d");
    std::fs::create_dir_all(data.join(".ipynb_checkpoints")).unwrap();
    for name in [&b"1.pt"[..], b"caf\xe9.pt", b"a\tb.pt", b".ipynb_checkpoints/1.pt", b".caf\xe9.pt"] {
        std::fs::write(data.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    std::os::unix::fs::symlink(&data, data.join("loop")).unwrap();
    let (options, told) = warned(StorageOptions::default());
    let stores = Stores::open(folder.path().to_str().unwrap(), options).unwrap();
    let bucket = stores.bucket("sky").unwrap();
    let listed = bucket.list_inputs("d").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["d/1.pt"]);
    assert_eq!(listed[0].e_tag, bucket.find("d/1.pt").await.unwrap().unwrap().e_tag, "the version that readers see");
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, name) in told.iter().zip(["a\\tb.pt", "caf\\xE9.pt", "loop"]) {
        assert!(told.contains(&format!("/sky/d/{name}`: ")), "{told}");
    }
}
