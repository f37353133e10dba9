//! The same partition from files on this machine and on a real S3 server.

mod support;

use std::path::{Path, PathBuf};

use pipeline::ingest::{Ingested, Request, Source, ingest};
use pipeline::storage::{Limits, StorageOptions, Stores};
use support::{s3, s3_options};
use tokio::runtime::Handle;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest")
}

async fn make(stores: &Stores, source: Source) -> Result<(Ingested, Vec<u8>), String> {
    let (stores, runtime) = (stores.clone(), Handle::current());
    let request = Request { source, crop: None, flux_scale: None };
    let making = move || ingest(&runtime, &stores, &request, Vec::new(), &mut |_, _| {});
    tokio::task::spawn_blocking(making).await.unwrap().map_err(|error| error.to_string())
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
async fn files_and_urls_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden(), &folder.path().join("sky/in"));
    let here = Stores::open(".", StorageOptions::default()).unwrap();
    let there = Stores::open("s3", s3_options(&s3::serve(folder.path()).await, Limits::default())).unwrap();
    let local = golden().to_str().unwrap().to_owned();
    for name in ["plain.npz", "packed.npz"] {
        let from_s3 = make(&there, Source::Npz(format!("s3://sky/in/{name}"))).await.unwrap();
        assert!(from_s3 == make(&here, Source::Npz(format!("{local}/{name}"))).await.unwrap(), "{name}");
    }
    for pattern in ["cubes/{object_id}.fits", "bands/{object_id}-{band}.fits.gz"] {
        let source = |base: &str| Source::Catalogue {
            catalogue: format!("{base}/sample.fits"),
            cutouts: format!("{base}/{pattern}"),
            columns: Vec::new(),
            skip_missing: false,
        };
        let (said, bytes) = make(&there, source("s3://sky/in")).await.unwrap();
        assert_eq!((said.samples, bytes), (3, make(&here, source(&local)).await.unwrap().1), "{pattern}");
    }
    let missing = make(&there, Source::Npz("s3://sky/in/none.npz".to_owned())).await.unwrap_err();
    assert!(missing.contains("s3://sky/in/none.npz"), "{missing}");
}
