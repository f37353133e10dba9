//! Tests that read partitions written by PyTorch, with different batch sizes and ways to fetch rows.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::Value;

use super::column::FetchLimits;
use super::*;

mod concat;
mod hostile;
mod store;
mod written;

/// Limits that make even the smallest storage fetched by rows, one or two at a time.
const TINY: FetchLimits = FetchLimits { small_storage_bytes: 0, held_bytes: 1 << 20, piece_bytes: 600 };

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; run make_partitions.py"))
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&golden("expected.json")).unwrap()
}

async fn in_memory(bytes: Vec<u8>) -> (Arc<dyn ObjectStore>, Path) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("folder/1.pt");
    store.put(&path, PutPayload::from(bytes)).await.unwrap();
    (store, path)
}

async fn open(bytes: Vec<u8>, limits: FetchLimits) -> Result<Partition, PartitionError> {
    let (store, path) = in_memory(bytes).await;
    Partition::open_with_limits(store, path, None, limits).await
}

/// Numbers in a golden file. NaN and infinities are written as words.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    let number = |value: &Value| match value {
        Value::String(word) => word.parse().unwrap(),
        value => value.as_f64().unwrap(),
    };
    Some(value.as_array()?.iter().map(number).collect())
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Reads all rows in batches of `batch` and concatenates them.
async fn read_in_batches(partition: &Partition, batch: usize) -> Rows {
    let mut all = partition.read(0..0).await.unwrap();
    for start in (0..partition.len()).step_by(batch) {
        let rows = partition.read(start..(start + batch).min(partition.len())).await.unwrap();
        all.images.extend(rows.images);
        all.magnitudes.extend(rows.magnitudes);
        if let (Some(all), Some(rows)) = (&mut all.redshift, rows.redshift) {
            all.extend(rows);
        }
        all.bytes_fetched += rows.bytes_fetched;
    }
    all
}

fn assert_golden(name: &str, partition: &Partition, rows: &Rows, expected: &Value) {
    let shape = [partition.len(), partition.bands(), partition.height(), partition.width()];
    assert_eq!(Value::from(shape.to_vec()), expected["shape"], "{name}");
    assert_eq!(partition.magnitude_dtype().name(), expected["magnitude_dtype"], "{name}");
    let redshift_dtype = partition.redshift_dtype().map(Dtype::name);
    assert_eq!(redshift_dtype, expected["redshift_dtype"].as_str(), "{name}");

    let pixels: Vec<u8> = rows.images.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    assert_eq!(Value::from(crc32fast::hash(&pixels)), expected["images_crc32"], "{name}");
    if let Some(images) = numbers(&expected["images"]) {
        let found: Vec<f64> = rows.images.iter().map(|&pixel| f64::from(pixel)).collect();
        assert_eq!(bits(&found), bits(&images), "{name}");
    }
    assert_eq!(bits(&rows.magnitudes), bits(&numbers(&expected["magnitudes"]).unwrap()), "{name}");
    let redshift = numbers(&expected["redshift"]);
    assert_eq!(rows.redshift.as_deref().map(bits), redshift.as_deref().map(bits), "{name}");
}

#[tokio::test]
async fn reads_every_golden_as_pytorch_does() {
    let mut good = 0;
    for (name, expected) in &expected() {
        if expected.get("error").is_some() {
            continue;
        }
        good += 1;
        for limits in [FetchLimits::DEFAULT, TINY] {
            for batch in [1, 2, 100] {
                let partition = open(golden(&format!("{name}.pt")), limits).await.unwrap();
                let rows = read_in_batches(&partition, batch).await;
                assert_golden(name, &partition, &rows, expected);
            }
        }
    }
    assert!(good >= 15, "{good} goldens");
}

#[tokio::test]
async fn rejects_malformed_goldens_with_a_reason() {
    let mut refused = 0;
    for (name, expected) in &expected() {
        let Some(words) = expected.get("error").and_then(Value::as_array) else {
            continue;
        };
        refused += 1;
        let error = open(golden(&format!("{name}.pt")), FetchLimits::DEFAULT).await.expect_err(name);
        let message = error.to_string();
        assert!(message.starts_with("partition `folder/1.pt`: "), "{message}");
        for word in words {
            assert!(message.contains(word.as_str().unwrap()), "{name}: {message}");
        }
        match error {
            PartitionError::Empty { .. } => assert_eq!(name, "no_images"),
            PartitionError::Malformed { .. } => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(refused >= 15, "{refused} goldens");
}

#[tokio::test]
async fn reads_any_rows_in_any_order() {
    for name in ["plain", "slice", "channels_last", "samples_innermost", "expanded"] {
        let partition = open(golden(&format!("{name}.pt")), TINY).await.unwrap();
        let all = partition.read(0..partition.len()).await.unwrap();
        let image = all.images.len() / partition.len();
        for start in (0..partition.len()).rev() {
            for end in start..=partition.len() {
                let rows = partition.read(start..end).await.unwrap();
                assert_eq!(rows.images, all.images[start * image..end * image], "{name} {start}..{end}");
                assert_eq!(rows.magnitudes, all.magnitudes[start * BANDS..end * BANDS]);
                assert_eq!(rows.redshift.unwrap(), all.redshift.as_ref().unwrap()[start..end]);
            }
        }
    }
}

#[tokio::test]
#[should_panic(expected = "rows 2..4 of 3")]
async fn panics_for_rows_beyond_the_end() {
    let partition = open(golden("plain.pt"), FetchLimits::DEFAULT).await.unwrap();
    let _ = partition.read(2..4).await;
}

#[tokio::test]
async fn reports_bytes_per_sample_and_file_size() {
    let partition = open(golden("plain.pt"), FetchLimits::DEFAULT).await.unwrap();
    assert_eq!(partition.bytes_per_sample(), 4 * 5 * 4 * 3 + 5 * 8);
    assert_eq!(partition.file_bytes(), golden("plain.pt").len() as u64);
    assert_eq!(partition.path(), &Path::from("folder/1.pt"));
}

/// 64 images of 32×32 pixels, as PyTorch pickles them.
#[tokio::test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
async fn reads_the_shared_partition() {
    let bytes = std::fs::read(crate::reference_data::reference_data("golden/partition.pt")).unwrap();
    for limits in [FetchLimits::DEFAULT, TINY] {
        let partition = open(bytes.clone(), limits).await.unwrap();
        assert_eq!((partition.len(), partition.height(), partition.width()), (64, 32, 32));
        assert_eq!(partition.bytes_per_sample(), 20_520);
        let rows = read_in_batches(&partition, 10).await;
        assert_eq!(rows.images.len(), 64 * 5 * 32 * 32);
        assert!(rows.images.iter().all(|pixel| pixel.is_finite()));
        assert!(rows.magnitudes.iter().all(|magnitude| (5.0..40.0).contains(magnitude)));
        assert!(rows.redshift.unwrap().iter().all(|redshift| (-0.1..5.0).contains(redshift)));
    }
}
