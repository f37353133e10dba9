//! Tests of written partitions. PyTorch checks them in `tests/golden/check_written.py`, which records sizes and
//! checksums in `written.json`. These tests compare with that file, and read the partitions back.

use object_store::local::LocalFileSystem;

use super::*;

/// Environment variable with a folder to which the partitions are written, for PyTorch to read.
const FOLDER_VARIABLE: &str = "WRITTEN_PARTITIONS";

const LAYOUTS: [(&str, Layout); 4] = [
    ("plain", layout(3, 4, 3, Dtype::F64, Some(Dtype::F32))),
    ("without_redshift", layout(2, 3, 4, Dtype::F32, None)),
    ("redshift_float64", layout(1, 1, 1, Dtype::F32, Some(Dtype::F64))),
    ("large", layout(400, 32, 32, Dtype::F64, Some(Dtype::F32))),
];

pub(super) const fn layout(
    samples: usize,
    height: usize,
    width: usize,
    magnitude_dtype: Dtype,
    redshift_dtype: Option<Dtype>,
) -> Layout {
    Layout { samples, height, width, magnitude_dtype, redshift_dtype }
}

/// Value of pixel `index`: bit patterns of all kinds, including infinities and NaN.
fn pixel(index: usize) -> f32 {
    f32::from_bits((index as u32).wrapping_mul(2_654_435_761))
}

fn magnitude(index: usize) -> f64 {
    15.0 + (index % 1_000) as f64 / 64.0
}

fn redshift(index: usize) -> f64 {
    (index % 977) as f64 / 4_096.0
}

/// Writes a partition of `layout` in chunks of `chunk` pixels.
pub(super) fn write(layout: Layout, chunk: usize) -> Vec<u8> {
    let Layout { samples, height, width, .. } = layout;
    let pixels: Vec<f32> = (0..samples * BANDS * height * width).map(pixel).collect();
    let magnitudes: Vec<f64> = (0..samples * BANDS).map(magnitude).collect();
    let redshift: Option<Vec<f64>> = layout.redshift_dtype.map(|_| (0..samples).map(redshift).collect());
    let mut writer = Writer::new(Vec::new(), layout).unwrap();
    for chunk in pixels.chunks(chunk) {
        writer.write_images(chunk).unwrap();
    }
    writer.finish(&magnitudes, redshift.as_deref()).unwrap()
}

#[test]
fn written_bytes_match_those_checked_by_pytorch() {
    let folder = std::env::var_os(FOLDER_VARIABLE).map(std::path::PathBuf::from);
    for (name, layout) in LAYOUTS {
        let bytes = write(layout, 10_000);
        assert!(bytes == write(layout, 7_001), "{name}: equal samples must give equal bytes");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.pt")), &bytes).unwrap();
            continue;
        }
        let checked: Value = serde_json::from_slice(&golden("written.json")).unwrap();
        let found = serde_json::json!({ "bytes": bytes.len(), "crc32": crc32fast::hash(&bytes) });
        assert_eq!(checked[name], found, "{name}: re-run check_written.py");
    }
}

#[tokio::test]
async fn written_partitions_are_read_back() {
    for (name, layout) in LAYOUTS {
        let partition = open(write(layout, 10_000), FetchLimits::DEFAULT).await.unwrap();
        let rows = read_in_batches(&partition, 33).await;
        assert_eq!(partition.magnitude_dtype(), layout.magnitude_dtype);
        assert_eq!(partition.redshift_dtype(), layout.redshift_dtype);
        let expected = |index: usize| pixel(index).to_bits();
        assert!(rows.images.iter().map(|pixel| pixel.to_bits()).eq((0..rows.images.len()).map(expected)), "{name}");
        assert!(rows.magnitudes.iter().copied().eq((0..rows.magnitudes.len()).map(magnitude)), "{name}");
        let redshifts = layout.redshift_dtype.map(|_| (0..layout.samples).map(redshift).collect());
        assert_eq!(rows.redshift, redshifts, "{name}");
    }
}

#[tokio::test]
async fn split_parts_join_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] =
        [Arc::new(InMemory::new()), Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())];
    let (_, large) = LAYOUTS[3];
    let whole = open(write(large, 10_000), FetchLimits::DEFAULT).await.unwrap();
    for store in stores {
        // Parts of 150 samples, as the CAI study counts them; then one part of 8.2 MB, which needs several pieces.
        for (size, samples) in [(150 * 20_508 + 1, vec![150, 150, 100]), (100 << 20, vec![400])] {
            let mut reported = Vec::new();
            let prefix = Path::from("out/parts");
            let parts = split(&whole, None, size, Arc::clone(&store), &prefix, |part| reported.push(part.clone()))
                .await
                .unwrap();
            assert_eq!(parts, reported);
            assert_eq!(parts.iter().map(|part| part.samples).collect::<Vec<_>>(), samples);

            let mut at = 0;
            for (index, part) in parts.iter().enumerate() {
                assert_eq!(part.path, Path::from(format!("out/parts/{}.pt", index + 1)));
                let opened = Partition::open(Arc::clone(&store), part.path.clone(), None).await.unwrap();
                assert_eq!((opened.len(), opened.file_bytes()), (part.samples, part.bytes));
                assert_eq!(opened.redshift_dtype(), Some(Dtype::F32));
                let found = read_in_batches(&opened, 64).await;
                let expected = whole.read(at..at + part.samples).await.unwrap();
                assert!(found.images.iter().map(|p| p.to_bits()).eq(expected.images.iter().map(|p| p.to_bits())));
                assert_eq!((found.magnitudes, found.redshift), (expected.magnitudes, expected.redshift));
                at += part.samples;
            }
            assert_eq!(at, whole.len());
        }
    }
    // The folder holds only the parts and no temporary file.
    let files: Vec<_> = std::fs::read_dir(folder.path().join("out/parts")).unwrap().collect();
    assert_eq!(files.len(), 3);
}

#[tokio::test]
async fn split_names_a_destination_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "a file where a folder is needed").unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let (_, large) = LAYOUTS[3];
    let whole = open(write(large, 10_000), FetchLimits::DEFAULT).await.unwrap();
    for size in [1 << 20, 100 << 20] {
        let store: Arc<dyn ObjectStore> = store.clone();
        let error = split(&whole, None, size, store, &Path::from("out"), |_| ()).await.unwrap_err();
        assert!(matches!(&error, PartitionError::Storage { path, .. } if path == &Path::from("out/1.pt")), "{error:?}");
    }
    let error = split(&whole, None, 1, Arc::new(InMemory::new()), &Path::from("out"), |_| ()).await;
    assert_eq!(error.unwrap().len(), 400);
}
