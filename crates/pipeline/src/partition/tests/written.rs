//! Partitions that we write: judged by PyTorch through `tests/golden/check_written.py`, whose verdict
//! (`written.json`) these tests compare with, and by our own reader.

use object_store::local::LocalFileSystem;

use super::*;

/// Names a folder to write the partitions to, for PyTorch to read.
const FOLDER_VARIABLE: &str = "WRITTEN_PARTITIONS";

const LAYOUTS: [(&str, Layout); 4] = [
    ("plain", layout(3, 4, 3, Dtype::F64, Some(Dtype::F32))),
    ("without_redshift", layout(2, 3, 4, Dtype::F32, None)),
    ("redshift_float64", layout(1, 1, 1, Dtype::F32, Some(Dtype::F64))),
    ("large", layout(400, 32, 32, Dtype::F64, Some(Dtype::F32))),
];

const fn layout(
    samples: usize,
    height: usize,
    width: usize,
    magnitude_dtype: Dtype,
    redshift_dtype: Option<Dtype>,
) -> Layout {
    Layout { samples, height, width, magnitude_dtype, redshift_dtype }
}

/// Pixel `index`: all kinds of bit patterns, infinities and NaN among them.
fn pixel(index: usize) -> f32 {
    f32::from_bits((index as u32).wrapping_mul(2_654_435_761))
}

fn magnitude(index: usize) -> f64 {
    15.0 + (index % 1_000) as f64 / 64.0
}

fn redshift(index: usize) -> f64 {
    (index % 977) as f64 / 4_096.0
}

/// The file of `layout`, written in chunks of `chunk` pixels.
fn write(layout: Layout, chunk: usize) -> Vec<u8> {
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
fn the_bytes_are_those_that_pytorch_has_read() {
    let folder = std::env::var_os(FOLDER_VARIABLE).map(std::path::PathBuf::from);
    for (name, layout) in LAYOUTS {
        let bytes = write(layout, 10_000);
        assert!(bytes == write(layout, 7_001), "{name}: equal samples give equal bytes");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.pt")), &bytes).unwrap();
            continue;
        }
        let verdict: Value = serde_json::from_slice(&golden("written.json")).unwrap();
        let found = serde_json::json!({ "bytes": bytes.len(), "crc32": crc32fast::hash(&bytes) });
        assert_eq!(verdict[name], found, "{name}: re-run check_written.py");
    }
}

#[tokio::test]
async fn our_reader_reads_them_too() {
    for (name, layout) in LAYOUTS {
        let partition = open(write(layout, 10_000), Limits::DEFAULT).await.unwrap();
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

#[test]
fn parts_hold_what_the_studys_hold() {
    let studys = [("10MB", 511), ("25MB", 1_278), ("50 MB", 2_556), ("75mb", 3_834), ("100MB", 5_113)];
    for (size, samples) in studys {
        assert_eq!(samples_per_part(parse_size(size).unwrap(), 32, 32), samples, "{size}");
    }
    assert_eq!(samples_per_part(1, 32, 32), 1);
    assert_eq!(samples_per_part(u64::MAX, 1, 1), usize::MAX / 48);
}

#[test]
fn sizes_are_read_with_binary_units() {
    for (text, bytes) in
        [("4096", 4_096), ("1B", 1), (" 2 kB ", 2_048), ("25MB", 25 << 20), ("25MiB", 25 << 20), ("1.5GB", 3 << 29)]
    {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "MB", "0", "0.2B", "-1MB", "1e3", "25 MBit", "1TBB", "1..5MB", "inf", "99999999999GB", "２５MB"]
    {
        let error = parse_size(text).expect_err(text);
        assert!(error.to_string().contains("25MB"), "{error}");
    }
}

#[tokio::test]
async fn parts_put_together_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] =
        [Arc::new(InMemory::new()), Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())];
    let (_, large) = LAYOUTS[3];
    let whole = open(write(large, 10_000), Limits::DEFAULT).await.unwrap();
    for store in stores {
        // 150 samples by the study's count; then one part of 8.2 MB, which takes several pieces.
        for (size, samples) in [(150 * 20_508 + 1, vec![150, 150, 100]), (100 << 20, vec![400])] {
            let mut heard = Vec::new();
            let prefix = Path::from("out/parts");
            let parts =
                split(&whole, None, size, Arc::clone(&store), &prefix, |part| heard.push(part.clone())).await.unwrap();
            assert_eq!(parts, heard);
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
    // Nothing but the parts: no temporary file is left.
    let files: Vec<_> = std::fs::read_dir(folder.path().join("out/parts")).unwrap().collect();
    assert_eq!(files.len(), 3);
}

#[tokio::test]
async fn a_destination_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "a file where a folder is needed").unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let (_, large) = LAYOUTS[3];
    let whole = open(write(large, 10_000), Limits::DEFAULT).await.unwrap();
    for size in [1 << 20, 100 << 20] {
        let store: Arc<dyn ObjectStore> = store.clone();
        let error = split(&whole, None, size, store, &Path::from("out"), |_| ()).await.unwrap_err();
        assert!(matches!(&error, PartitionError::Storage { path, .. } if path == &Path::from("out/1.pt")), "{error:?}");
    }
    let error = split(&whole, None, 1, Arc::new(InMemory::new()), &Path::from("out"), |_| ()).await;
    assert_eq!(error.unwrap().len(), 400);
}
