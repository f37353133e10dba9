use proptest::prelude::*;

use super::*;
use crate::parquet_files::claim_rows;
use crate::partition::{Dtype, Layout, Writer};
use crate::storage::{StorageOptions, Stores};

fn bucket() -> Bucket {
    Stores::open("memory:", StorageOptions::default()).unwrap().bucket("b").unwrap()
}

/// Writes a partition of `samples` images of one pixel with the value `value`.
async fn partition(bucket: &Bucket, key: &str, samples: usize, value: f32) -> Partition {
    let layout = Layout { samples, height: 1, width: 1, magnitude_dtype: Dtype::F32, redshift_dtype: None };
    let mut writer = Writer::new(Vec::new(), layout).unwrap();
    writer.write_images(&vec![value; 5 * samples]).unwrap();
    bucket.write(key, writer.finish(&vec![18.0; 5 * samples], None).unwrap().into()).await.unwrap();
    Partition::open(bucket.store(), bucket.path(key).unwrap(), None).await.unwrap()
}

fn three() -> Objects {
    let ids = [Some("a"), None, Some(" Ü,\"3\" ")].map(|id| id.map(str::to_owned));
    Objects::new(ids.to_vec(), vec![Some(0.0), Some(359.9), None], vec![Some(-90.0), Some(90.0), Some(f64::NAN)])
        .unwrap()
}

#[tokio::test]
async fn objects_are_read_back_beside_their_partition() {
    let bucket = bucket();
    let partition = partition(&bucket, "sky/1.pt", 3, 1.0).await;
    assert_eq!(Objects::read_beside(&bucket, &partition).await.unwrap(), None);
    three().write(&bucket, "sky/1.pt", &partition).await.unwrap();
    let read = Objects::read_beside(&bucket, &partition).await.unwrap().unwrap();
    assert_eq!(read, three());
    assert_eq!(read.object_id()[2].as_deref(), Some("Ü,\"3\""), "without the spaces around it");
    assert_eq!((read.ra()[2], read.dec()[2]), (None, None));
    assert_eq!(read.slice(1..3).object_id(), &read.object_id()[1..]);
    assert!(bucket.find("sky/1.objects.parquet").await.unwrap().is_some());
    assert_eq!(three().encode(None), three().encode(None));
}

#[tokio::test]
async fn rejects_objects_of_another_partition() {
    let bucket = bucket();
    let ours = partition(&bucket, "1.pt", 3, 1.0).await;
    three().write(&bucket, "1.pt", &ours).await.unwrap();
    let longer = partition(&bucket, "1.pt", 4, 1.0).await;
    let error = Objects::read_beside(&bucket, &longer).await.unwrap_err().to_string();
    assert!(error.contains("3 rows, but the partition has 4 samples"), "{error}");
    // Same number of rows, other images, as after a second `cosmicai simulate`.
    let other = partition(&bucket, "1.pt", 3, 2.0).await;
    let error = Objects::read_beside(&bucket, &other).await.unwrap_err().to_string();
    assert!(error.contains("1.objects.parquet") && error.contains("other images or magnitudes"), "{error}");
    let error = three().write(&bucket, "1.pt", &longer).await.unwrap_err().to_string();
    assert!(error.contains("3 rows for a partition of 4 samples"), "{error}");
    // A copy of the partition under another name has the same fingerprint.
    let copy = partition(&bucket, "2.pt", 3, 1.0).await;
    let listed = Objects::find(&bucket, "1.pt").await.unwrap().unwrap();
    assert_eq!(Objects::read(&bucket, &listed, &copy).await.unwrap(), three());
}

#[tokio::test]
async fn rejects_another_version_than_the_listed_one() {
    let bucket = bucket();
    let partition = partition(&bucket, "1.pt", 3, 1.0).await;
    three().write(&bucket, "1.pt", &partition).await.unwrap();
    let listed = Objects::find(&bucket, "1.pt").await.unwrap().unwrap();
    three().write(&bucket, "1.pt", &partition).await.unwrap();
    let error = Objects::read(&bucket, &listed, &partition).await.unwrap_err();
    assert!(matches!(error, ObjectsError::Changed { .. }), "{error}");
}

#[test]
fn rejects_long_identifiers_and_positions_off_the_sky() {
    let one = |id: &str, ra: f64, dec: f64| {
        Objects::new(vec![Some(id.to_owned())], vec![Some(ra)], vec![Some(dec)]).map(drop)
    };
    assert_eq!(one("a", 0.0, 90.0), Ok(()));
    for (ra, dec) in [(360.0, 0.0), (-0.001, 0.0), (f64::INFINITY, 0.0), (0.0, 90.001), (0.0, -91.0)] {
        assert!(one("a", ra, dec).unwrap_err().to_string().starts_with("row 0: "), "{ra} {dec}");
    }
    assert!(one(&"x".repeat(257), 0.0, 0.0).unwrap_err().to_string().contains("256 bytes"));
    let empty = Objects::new(vec![Some("  ".to_owned())], vec![None], vec![None]).unwrap();
    assert_eq!(empty.object_id(), [None]);
}

#[test]
fn rejects_files_whose_columns_have_other_names() {
    let decoded = |names: &[&str]| {
        let schema = Arc::new(arrow_schema::Schema::new(
            names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>(),
        ));
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), schema.clone(), None).unwrap();
        let columns = names.iter().map(|_| Arc::new(StringArray::new_null(3)) as ArrayRef).collect();
        writer.write(&arrow_array::RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        parquet::decode(writer.into_inner().unwrap().into(), 3).map(|(objects, _)| objects.len())
    };
    assert_eq!(decoded(&["object_id"]), Ok(3));
    assert_eq!(decoded(&["object_id", "field"]), Ok(3));
    for (names, message) in [
        (&["objid"][..], "no column `object_id`, `ra` or `dec`; the columns are objid"),
        (&["objid", "ra"], "no column `object_id`; the columns are objid, ra"),
    ] {
        match decoded(names) {
            Err(parquet::DecodeError::Malformed(problem)) => assert!(problem.starts_with(message), "{problem}"),
            other => panic!("{names:?}: {other:?}"),
        }
    }
}

#[test]
fn objects_key_replaces_the_ending() {
    assert_eq!(objects_key("sky/1.pt"), "sky/1.objects.parquet");
    assert_eq!(objects_key("sky/x"), "sky/x.objects.parquet");
}

/// A page of a few bytes repeats one null any number of times.
#[test]
fn stops_at_more_rows_than_the_metadata_state() {
    let rows = 100_000;
    let unknown = Objects::new(vec![None; rows], vec![None; rows], vec![None; rows]).unwrap();
    let hostile = claim_rows(&parquet::encode(&unknown, None).unwrap(), rows as u64, 3);
    assert!(hostile.len() < 4_000, "{}", hostile.len());
    let error = parquet::decode(hostile, 3).unwrap_err();
    let expected = "damaged Parquet: more rows found than stated in the metadata (3)";
    assert_eq!(error, parquet::DecodeError::Malformed(expected.to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_give_another_number_of_rows(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = parquet::encode(&three(), Some("x")).unwrap().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok((objects, _)) = parquet::decode(bytes.into(), 3) {
            prop_assert_eq!(objects.len(), 3);
        }
    }
}
