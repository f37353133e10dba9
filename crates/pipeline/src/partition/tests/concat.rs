//! Tests of joined partitions: splitting and joining gives the same bytes again, with the objects beside them.

use super::written::{layout, write};
use super::*;
use crate::objects::{Objects, objects_key};
use crate::storage::{Bucket, StorageOptions, Stores};

async fn bucket() -> Bucket {
    Stores::open("memory:", StorageOptions::default()).unwrap().bucket("sky").unwrap()
}

async fn inputs(bucket: &Bucket, keys: &[&str]) -> Vec<ConcatInput> {
    let mut inputs = Vec::new();
    for key in keys {
        inputs.push(ConcatInput { bucket: bucket.clone(), object: bucket.find(key).await.unwrap().unwrap() });
    }
    inputs
}

async fn put(bucket: &Bucket, key: &str, layout: Layout) -> Vec<u8> {
    let bytes = write(layout, 10_000);
    bucket.write(key, bytes.clone().into()).await.unwrap();
    bytes
}

fn named(rows: usize, first: usize) -> Objects {
    let id = |row: usize| (row != 1).then(|| format!("{}", 1_237_648_720_693_755_918_u64 + (first + row) as u64));
    let (ra, dec) = (|row: usize| Some(row as f64 / 8.0), |row: usize| Some(row as f64 / -16.0));
    Objects::new((0..rows).map(id).collect(), (0..rows).map(ra).collect(), (0..rows).map(dec).collect()).unwrap()
}

#[tokio::test]
async fn split_and_joined_partition_has_the_same_bytes() {
    for layout in [
        layout(400, 32, 32, Dtype::F64, Some(Dtype::F32)),
        layout(31, 4, 3, Dtype::F32, Some(Dtype::F64)),
        layout(7, 1, 2, Dtype::F64, None),
    ] {
        let bucket = bucket().await;
        let whole = put(&bucket, "whole.pt", layout).await;
        let partition = Partition::open(bucket.store(), Path::from("whole.pt"), None).await.unwrap();
        let objects = named(layout.samples, 0);
        let size = (layout.samples as u64).div_ceil(3) * (4 * 5 * (layout.height * layout.width + 1) as u64 + 8);
        let parts =
            split(&partition, Some(&objects), size, bucket.store(), &Path::from("parts"), |_| ()).await.unwrap();
        assert_eq!(parts.len(), 3);
        let parts = inputs(&bucket, &["parts/1.pt", "parts/2.pt", "parts/3.pt"]).await;
        let mut images = 0;
        let joined = concat(&parts, &bucket, "joined.pt", |count| images += count).await.unwrap();
        assert_eq!((joined.samples, images, joined.bytes), (layout.samples, layout.samples, whole.len() as u64));
        let found = bucket.read("joined.pt", 1 << 30, "a partition").await.unwrap();
        assert!(found == whole, "the joined partition differs");
        let opened = Partition::open(bucket.store(), Path::from("joined.pt"), None).await.unwrap();
        assert_eq!(Objects::read_beside(&bucket, &opened).await.unwrap(), Some(objects));
    }
}

#[tokio::test]
async fn rows_of_inputs_without_objects_are_unknown() {
    let bucket = bucket().await;
    for key in ["a.pt", "b.pt", "c.pt"] {
        put(&bucket, key, layout(3, 2, 2, Dtype::F64, None)).await;
    }
    let partition = Partition::open(bucket.store(), Path::from("b.pt"), None).await.unwrap();
    named(3, 5).write(&bucket, "b.pt", &partition).await.unwrap();
    let all = inputs(&bucket, &["a.pt", "b.pt", "c.pt"]).await;
    concat(&all, &bucket, "joined.pt", |_| ()).await.unwrap();
    let joined = Partition::open(bucket.store(), Path::from("joined.pt"), None).await.unwrap();
    let objects = Objects::read_beside(&bucket, &joined).await.unwrap().unwrap();
    assert_eq!(objects.len(), 9);
    assert_eq!(objects.slice(3..6), named(3, 5));
    assert!([0..3, 6..9].into_iter().all(|rows| objects.slice(rows).ra().iter().all(Option::is_none)));
}

#[tokio::test]
async fn old_objects_of_the_output_are_deleted() {
    let bucket = bucket().await;
    put(&bucket, "a.pt", layout(2, 2, 2, Dtype::F64, None)).await;
    bucket.write(&objects_key("joined.pt"), "of an earlier partition".into()).await.unwrap();
    concat(&inputs(&bucket, &["a.pt"]).await, &bucket, "joined.pt", |_| ()).await.unwrap();
    assert!(bucket.find(&objects_key("joined.pt")).await.unwrap().is_none());
}

#[tokio::test]
async fn types_become_the_wider_one_with_equal_values() {
    let bucket = bucket().await;
    put(&bucket, "a.pt", layout(3, 2, 2, Dtype::F32, Some(Dtype::F32))).await;
    put(&bucket, "b.pt", layout(4, 2, 2, Dtype::F64, Some(Dtype::F64))).await;
    concat(&inputs(&bucket, &["a.pt", "b.pt"]).await, &bucket, "joined.pt", |_| ()).await.unwrap();
    let opened = |key: &'static str| Partition::open(bucket.store(), Path::from(key), None);
    let joined = opened("joined.pt").await.unwrap();
    assert_eq!((joined.magnitude_dtype(), joined.redshift_dtype()), (Dtype::F64, Some(Dtype::F64)));
    let rows = joined.read(0..7).await.unwrap();
    for (key, at) in [("a.pt", 0..3), ("b.pt", 3..7)] {
        let one = opened(key).await.unwrap().read(0..at.len()).await.unwrap();
        assert_eq!(rows.magnitudes[at.start * BANDS..at.end * BANDS], one.magnitudes);
        assert_eq!(rows.redshift.as_ref().unwrap()[at], one.redshift.unwrap());
    }
}

#[tokio::test]
async fn rejects_partitions_that_do_not_fit_together_and_an_output_that_exists() {
    let bucket = bucket().await;
    put(&bucket, "a.pt", layout(2, 2, 2, Dtype::F64, None)).await;
    put(&bucket, "larger.pt", layout(2, 3, 2, Dtype::F64, None)).await;
    put(&bucket, "known.pt", layout(2, 2, 2, Dtype::F64, Some(Dtype::F32))).await;
    let error = async |keys: &[&str], out: &str| {
        concat(&inputs(&bucket, keys).await, &bucket, out, |_| ()).await.unwrap_err().to_string()
    };
    let sizes = error(&["a.pt", "larger.pt"], "out.pt").await;
    assert!(sizes.contains("larger.pt` has images of 3×2 pixels") && sizes.contains("a.pt` of 2×2"), "{sizes}");
    for keys in [["a.pt", "known.pt"], ["known.pt", "a.pt"]] {
        let redshift = error(&keys, "out.pt").await;
        assert!(
            redshift.contains("known.pt` has redshifts, and `") && redshift.contains("a.pt` has none"),
            "{redshift}"
        );
    }
    assert!(error(&["a.pt"], "a.pt").await.contains("a.pt` exists"));
    assert_eq!(error(&[], "out.pt").await, "no partitions to join");
    let changed = inputs(&bucket, &["a.pt"]).await;
    put(&bucket, "a.pt", layout(3, 2, 2, Dtype::F64, None)).await;
    let error = concat(&changed, &bucket, "out.pt", |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("changed"), "{error}");
    assert!(bucket.find("out.pt").await.unwrap().is_none(), "nothing is written");
}
