//! Tests of the requests that a partition sends to its store, and of its errors if the store fails or the object
//! changes.

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutOptions, PutResult, Result,
};

use super::*;

/// Store that records the requested ranges and can be set to fail.
#[derive(Debug)]
struct Recorder {
    inner: InMemory,
    requests: Mutex<Vec<Option<std::ops::Range<u64>>>>,
    failing: Mutex<bool>,
}

impl Recorder {
    async fn with(bytes: Vec<u8>) -> (Arc<Self>, Path) {
        let inner = InMemory::new();
        let path = Path::from("1.pt");
        inner.put(&path, PutPayload::from(bytes)).await.unwrap();
        let recorder = Self { inner, requests: Mutex::default(), failing: Mutex::default() };
        (Arc::new(recorder), path)
    }

    /// Ranges requested since the last call; `None` for a request for the properties of the object.
    fn take(&self) -> Vec<Option<std::ops::Range<u64>>> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

#[async_trait]
impl ObjectStore for Recorder {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if *self.failing.lock().unwrap() {
            return Err(object_store::Error::Generic { store: "recorder", source: "503".into() });
        }
        let range = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.clone()),
            _ => None,
        };
        let has_version = options.if_match.is_some();
        assert_eq!(range.is_some(), has_version, "every range is requested with its version");
        self.requests.lock().unwrap().push(range);
        self.inner.get_opts(location, options).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Makes a partition of 2,000 samples of 16×16 pixels, 10 MB.
fn large() -> Vec<u8> {
    let layout =
        Layout { samples: 2_000, height: 16, width: 16, magnitude_dtype: Dtype::F64, redshift_dtype: Some(Dtype::F32) };
    let mut writer = Writer::new(Vec::new(), layout).unwrap();
    for sample in 0..2_000 {
        writer.write_images(&vec![sample as f32; 5 * 16 * 16]).unwrap();
    }
    let magnitudes: Vec<f64> = (0..10_000).map(f64::from).collect();
    let redshift: Vec<f64> = (0..2_000).map(f64::from).collect();
    writer.finish(&magnitudes, Some(&redshift)).unwrap()
}

#[tokio::test]
async fn opening_and_reading_use_few_requests() {
    let (store, path) = Recorder::with(large()).await;
    let partition = Partition::open(store.clone(), path, None).await.unwrap();
    let opening = store.take();
    assert_eq!(opening.len(), 3, "size, end, start: {opening:?}");
    let opened: u64 = opening.iter().flatten().map(|range| range.end - range.start).sum();
    assert!(opened < 100_000, "{opened} bytes to open");

    let first = partition.read(0..100).await.unwrap();
    assert_eq!(store.take().len(), 2, "images and all magnitudes; the end of the file had the redshifts");
    let second = partition.read(100..200).await.unwrap();
    assert_eq!(store.take().len(), 1, "images");
    assert_eq!(second.bytes_fetched, 100 * 4 * 5 * 16 * 16);
    assert!(first.bytes_fetched > second.bytes_fetched + 80_000);
    assert_eq!(second.images[0], 100.0);
    assert_eq!(second.magnitudes[0], 500.0);
    assert_eq!(second.redshift.unwrap()[99], 199.0);
}

#[tokio::test]
async fn rejects_another_version_of_the_object() {
    let (store, path) = Recorder::with(large()).await;
    let listed = store.head(&path).await.unwrap().e_tag;
    let partition = Partition::open(store.clone(), path.clone(), listed.clone()).await.unwrap();
    partition.read(0..1).await.unwrap();

    store.put(&path, PutPayload::from(large())).await.unwrap();
    let error = partition.read(1..2).await.unwrap_err();
    assert!(matches!(error, PartitionError::Changed { .. }), "{error:?}");
    assert!(error.to_string().contains("changed since it was listed or opened"), "{error}");
    let error = Partition::open(store, path, listed).await.unwrap_err();
    assert!(matches!(error, PartitionError::Changed { .. }), "{error:?}");
}

#[tokio::test]
async fn rejects_a_file_that_changes_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("1.pt");
    std::fs::write(&file, large()).unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let partition = Partition::open(store, Path::from("1.pt"), None).await.unwrap();
    assert_eq!(partition.read(7..8).await.unwrap().images[0], 7.0);
    std::fs::write(&file, &large()[..5_000_000]).unwrap();
    let error = partition.read(8..9).await.unwrap_err();
    assert!(matches!(error, PartitionError::Changed { .. }), "{error:?}");
}

#[tokio::test]
async fn error_of_the_store_is_explained() {
    let (store, path) = Recorder::with(golden("plain.pt")).await;
    let error = Partition::open(store.clone(), Path::from("2.pt"), None).await.unwrap_err();
    assert!(matches!(&error, PartitionError::Storage { error: object_store::Error::NotFound { .. }, .. }), "{error:?}");
    *store.failing.lock().unwrap() = true;
    let error = Partition::open(store, path, None).await.unwrap_err();
    assert!(matches!(&error, PartitionError::Storage { error: object_store::Error::Generic { .. }, .. }), "{error:?}");
    assert_eq!(error.to_string(), "partition `1.pt`: reading its size failed: 503");
}

#[tokio::test]
async fn reading_the_last_rows_reports_damage() {
    let mut bytes = large();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let partition = open(bytes, FetchLimits::DEFAULT).await.unwrap();
    for start in (0..1_900).step_by(100).chain([1_950]) {
        partition.read(start..start + 50).await.unwrap();
        if start < 1_900 {
            partition.read(start + 50..start + 100).await.unwrap();
        }
    }
    let error = partition.read(1_900..1_950).await.unwrap_err();
    assert!(error.to_string().contains("`archive/data/0` is damaged"), "{error}");
}

#[tokio::test]
async fn rejects_a_batch_that_is_too_large() {
    let expanded = super::hostile::expanded(70_000);
    let partition = open(expanded, FetchLimits::DEFAULT).await.unwrap();
    assert_eq!(partition.read(69_990..70_000).await.unwrap().images.len(), 10 * 5 * 32 * 32);
    let error = partition.read(0..60_000).await.unwrap_err();
    assert!(matches!(error, PartitionError::BatchTooLarge { rows: 60_000, .. }), "{error:?}");
}
