//! Checks partitions on an S3 server: reading ranges, noticing changes, splitting into parts.

#[path = "support/s3.rs"]
mod s3;

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use pipeline::partition::{self, Dtype, Layout, Partition, PartitionError, Writer};

const BUCKET: &str = "cosmicai-data";

/// Serves `root` as S3 on a free port until the test's runtime ends.
async fn serve(root: &std::path::Path) -> Arc<dyn ObjectStore> {
    std::fs::create_dir(root.join(BUCKET)).unwrap();
    let address = s3::serve(root).await;
    pipeline::storage::choose_tls();
    let store = AmazonS3Builder::new()
        .with_endpoint(address)
        .with_allow_http(true)
        .with_unsigned_payload(true)
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_access_key_id(s3::KEY)
        .with_secret_access_key(s3::SECRET)
        .build()
        .unwrap();
    Arc::new(store)
}

/// Makes a partition of 450 samples of 32×32 pixels, 9 MB.
fn partition(first_pixel: f32) -> Vec<u8> {
    let layout =
        Layout { samples: 450, height: 32, width: 32, magnitude_dtype: Dtype::F64, redshift_dtype: Some(Dtype::F32) };
    let mut writer = Writer::new(Vec::new(), layout).unwrap();
    for sample in 0..450 {
        writer.write_images(&vec![first_pixel + sample as f32; 5 * 32 * 32]).unwrap();
    }
    let magnitudes: Vec<f64> = (0..2_250).map(f64::from).collect();
    let redshift: Vec<f64> = (0..450).map(|sample| f64::from(sample) / 1_024.0).collect();
    writer.finish(&magnitudes, Some(&redshift)).unwrap()
}

#[tokio::test]
async fn reads_the_same_rows_from_s3_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::from("25MB/1.pt");
    let stores: [Arc<dyn ObjectStore>; 2] = [serve(folder.path()).await, Arc::new(InMemory::new())];
    let mut seen = Vec::new();
    for store in stores {
        let put = store.put(&path, PutPayload::from(partition(0.0))).await.unwrap();
        let opened = Partition::open(store, path.clone(), put.e_tag).await.unwrap();
        let mut rows = Vec::new();
        for start in (0..opened.len()).step_by(256) {
            rows.push(opened.read(start..(start + 256).min(opened.len())).await.unwrap());
        }
        seen.push(rows);
    }
    assert!(seen[0] == seen[1]);
    assert_eq!(seen[0][1].images.last(), Some(&449.0));
}

#[tokio::test]
async fn fails_if_the_object_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = serve(folder.path()).await;
    let path = Path::from("1.pt");
    store.put(&path, PutPayload::from(partition(0.0))).await.unwrap();
    let opened = Partition::open(Arc::clone(&store), path.clone(), None).await.unwrap();
    opened.read(0..1).await.unwrap();
    store.put(&path, PutPayload::from(partition(1.0))).await.unwrap();
    let error = opened.read(1..2).await.unwrap_err();
    assert!(matches!(error, PartitionError::Changed { .. }), "{error:?}");
}

#[tokio::test]
async fn splits_a_partition_with_multipart_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let store = serve(folder.path()).await;
    let path = Path::from("whole.pt");
    store.put(&path, PutPayload::from(partition(0.0))).await.unwrap();
    let whole = Partition::open(Arc::clone(&store), path, None).await.unwrap();
    let size = partition::parse_size("8.5MB").unwrap();
    let parts = partition::split(&whole, None, size, Arc::clone(&store), &Path::from("parts"), |_| ()).await.unwrap();
    assert_eq!(parts.iter().map(|part| part.samples).collect::<Vec<_>>(), [434, 16]);
    let last = Partition::open(Arc::clone(&store), parts[1].path.clone(), None).await.unwrap();
    let rows = last.read(15..16).await.unwrap();
    assert_eq!((rows.images[0], rows.magnitudes[4], rows.redshift.unwrap()[0]), (449.0, 2_249.0, 449.0 / 1_024.0));

    let missing = Partition::open(store, Path::from("parts/3.pt"), None).await.unwrap_err();
    assert!(matches!(missing, PartitionError::Storage { error: object_store::Error::NotFound { .. }, .. }));
}
