//! Checks that rows are read while others are predicted, in small pieces first, and never many at once.

mod support;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use pipeline::partition::Partition;
use pipeline::predict::{Worker, predict};
use support::{model, partition};
use tokio::sync::Notify;

/// Time after which a test fails. Everything here takes much less.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests for more bytes than this are requests for images.
const MANY_BYTES: u64 = 128 << 10;

/// Store in memory that answers the first request for rows, and delays the others until `open_gate` is called.
#[derive(Debug, Default)]
struct Gated {
    inner: InMemory,
    open: AtomicBool,
    opened: Notify,
    /// Size in bytes of the unanswered requests for rows.
    pending: AtomicU64,
    /// Maximum of `pending` so far.
    pending_max: AtomicU64,
    /// Size in bytes of the first request for rows.
    first: AtomicU64,
}

impl Gated {
    fn open_gate(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    async fn wait(&self) {
        let opened = self.opened.notified();
        if !self.open.load(Ordering::SeqCst) {
            opened.await;
        }
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a gated store")
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let rows = match &options.range {
            Some(GetRange::Bounded(Range { start, end })) if end - start > MANY_BYTES => end - start,
            _ => return self.inner.get_opts(location, options).await,
        };
        let pending = self.pending.fetch_add(rows, Ordering::SeqCst) + rows;
        self.pending_max.fetch_max(pending, Ordering::SeqCst);
        if self.first.compare_exchange(0, rows, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.wait().await;
        }
        let answer = self.inner.get_opts(location, options).await;
        self.pending.fetch_sub(rows, Ordering::SeqCst);
        answer
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
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

/// The store answers the second request only when the first rows are predicted, and the first rows are done only when
/// another request is pending. Code that does not read and predict at the same time would time out here.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reads_rows_while_others_are_predicted() {
    const ROWS: usize = 1_000;
    let store = Arc::new(Gated::default());
    let path = Path::from("1.pt");
    store.put(&path, PutPayload::from(partition(ROWS, 1, 32))).await.unwrap();
    let opened = Arc::new(Partition::open(store.clone(), path, None).await.unwrap());
    let mut worker = Worker::new(model(), 2, 0.0);
    let on_rows = |_| {
        let begun = Instant::now();
        while !store.open.load(Ordering::SeqCst) && store.pending.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < TIMEOUT, "nothing is read while rows are predicted");
            std::thread::sleep(Duration::from_millis(1));
        }
        store.open_gate();
    };
    let predicted = tokio::time::timeout(TIMEOUT, predict(opened, &mut worker, 256, &on_rows));
    let predicted = predicted.await.expect("rows that were read wait for others").unwrap();
    assert_eq!(predicted.z_phot.len(), ROWS);
    let first = store.first.load(Ordering::SeqCst);
    assert!(first <= 256 << 10, "predicting waits for {first} bytes before it begins");
    let most = store.pending_max.load(Ordering::SeqCst);
    assert!((first + 1..=4 << 20).contains(&most), "{most} bytes pending at the same time");
}
