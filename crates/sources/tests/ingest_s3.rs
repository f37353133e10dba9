//! Ingests the same files from disk and from an S3 server, and compares the partitions.

#[path = "../../pipeline/tests/support/s3.rs"]
mod s3;

use std::path::{Path, PathBuf};

use pipeline::storage::{StorageOptions, Stores};
use sources::ingest::{ArraySource, IngestRequest, IngestSource, Ingested, ingest};
use std::sync::Arc;

use object_store::aws::AwsCredential;
use object_store::client::StaticCredentialProvider;
use pipeline::storage::S3Options;
use tokio::runtime::Handle;

/// Options for the S3 server at this address.
fn s3_options(endpoint: &str) -> StorageOptions {
    let credential = AwsCredential { key_id: s3::KEY.into(), secret_key: s3::SECRET.into(), token: None };
    let s3 = S3Options {
        region: None,
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(Arc::new(StaticCredentialProvider::new(credential))),
        skip_signature: false,
    };
    StorageOptions { s3, ..StorageOptions::default() }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest")
}

async fn make(stores: &Stores, source: IngestSource) -> Result<(Ingested, Vec<u8>), String> {
    let (stores, runtime) = (stores.clone(), Handle::current());
    let request = IngestRequest { source, crop: None, flux_scale: None };
    let making = move || ingest(&runtime, &stores, &request, Vec::new(), &mut |_, _| {});
    tokio::task::spawn_blocking(making).await.unwrap().map_err(|error| error.to_string())
}

fn archive(archive: String) -> IngestSource {
    IngestSource::Arrays(ArraySource { archive: Some(archive), ..ArraySource::default() })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ingests_the_same_partition_from_disk_and_s3() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden(), &folder.path().join("sky/in"));
    let here = Stores::open(".", StorageOptions::default()).unwrap();
    let there = Stores::open("s3", s3_options(&s3::serve(folder.path()).await)).unwrap();
    let local = golden().to_str().unwrap().to_owned();
    for name in ["plain.npz", "packed.npz"] {
        let from_s3 = make(&there, archive(format!("s3://sky/in/{name}"))).await.unwrap();
        assert!(from_s3 == make(&here, archive(format!("{local}/{name}"))).await.unwrap(), "{name}");
    }
    for pattern in ["cubes/{object_id}.fits", "bands/{object_id}-{band}.fits.gz"] {
        let source = |base: &str| IngestSource::Catalogue {
            catalogue: format!("{base}/sample.fits"),
            cutouts: format!("{base}/{pattern}"),
            columns: Vec::new(),
            skip_bad: false,
        };
        let (ingested, bytes) = make(&there, source("s3://sky/in")).await.unwrap();
        assert_eq!((ingested.samples, bytes), (3, make(&here, source(&local)).await.unwrap().1), "{pattern}");
    }
    let missing = make(&there, archive("s3://sky/in/none.npz".to_owned())).await.unwrap_err();
    assert!(missing.contains("s3://sky/in/none.npz"), "{missing}");
}
