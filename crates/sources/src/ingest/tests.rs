//! Ingests files that astropy, numpy and polars wrote, from memory and from disk.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use pipeline::partition::{Dtype, Partition, Rows};
use pipeline::storage::StorageOptions;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;

const IDS: [&str; 3] = ["1237648720693755918", "1237648720693755919", "1237648720693755920"];

fn golden(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest").join(name);
    path.to_str().unwrap().to_owned()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Stores that open local files, and `memory:` URLs that belong to this test.
fn stores() -> Stores {
    Stores::open(".", StorageOptions::default()).unwrap()
}

fn write(runtime: &Runtime, stores: &Stores, url: &str, bytes: impl Into<bytes::Bytes>) {
    let (bucket, key) = stores.open_url(url).unwrap();
    runtime.block_on(bucket.write(&key, bytes.into())).unwrap();
}

fn make(stores: &Stores, request: &IngestRequest) -> Result<(Ingested, Vec<u8>), IngestError> {
    let mut steps = Vec::new();
    let made = ingest(runtime().handle(), stores, request, Vec::new(), &mut |done, total| steps.push((done, total)))?;
    assert!(steps.last().is_some_and(|(done, total)| done == total), "{steps:?}");
    Ok(made)
}

fn request(source: IngestSource) -> IngestRequest {
    IngestRequest { source, crop: None, flux_scale: None }
}

fn archive_source(archive: String) -> IngestSource {
    IngestSource::Arrays(ArraySource { archive: Some(archive), ..ArraySource::default() })
}

fn npz(name: &str) -> IngestRequest {
    request(archive_source(golden(name)))
}

fn catalogue(catalogue: &str, cutouts: &str, skip_bad: bool) -> IngestRequest {
    request(IngestSource::Catalogue {
        catalogue: catalogue.to_owned(),
        cutouts: cutouts.to_owned(),
        columns: Vec::new(),
        skip_bad,
    })
}

/// Reads all rows of a partition.
fn read(bytes: Vec<u8>) -> (Partition, Rows) {
    runtime().block_on(async {
        let bucket = Stores::open("memory:", StorageOptions::default()).unwrap().bucket("b").unwrap();
        bucket.write("1.pt", bytes.into()).await.unwrap();
        let partition = Partition::open(bucket.store(), bucket.path("1.pt").unwrap(), None).await.unwrap();
        let rows = partition.read(0..partition.len()).await.unwrap();
        (partition, rows)
    })
}

/// Value of a pixel in the files that make.py writes.
fn pixel(object: usize, band: usize, line: usize, column: usize) -> f32 {
    (1000 * object + 100 * band + 10 * line + column) as f32 + 0.25
}

fn pixels(objects: &[usize], height: usize, top: usize) -> Vec<f32> {
    let mut pixels = Vec::new();
    for (&object, band) in objects.iter().flat_map(|object| (0..5).map(move |band| (object, band))) {
        for (line, column) in (top..top + height).flat_map(|line| (0..3).map(move |column| (line, column))) {
            pixels.push(pixel(object, band, line, column));
        }
    }
    pixels
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Checks the magnitudes and redshifts against those that make.py writes.
fn assert_columns(rows: &Rows) {
    let magnitudes = (0..15).map(|at| if at == 7 { f64::NAN } else { (20 + at / 5) as f64 + 0.125 * (at % 5) as f64 });
    assert_eq!(bits(&rows.magnitudes), bits(&magnitudes.collect::<Vec<f64>>()));
    assert_eq!(bits(rows.redshift.as_ref().unwrap()), bits(&[0.125, f64::NAN, 0.375]));
}

#[test]
fn ingests_numpy_arrays_bit_for_bit() {
    let (ingested, bytes) = make(&stores(), &npz("plain.npz")).unwrap();
    let (partition, rows) = read(bytes);
    assert_eq!((partition.len(), partition.height(), partition.width()), (3, 4, 3));
    assert_eq!((partition.magnitude_dtype(), partition.redshift_dtype()), (Dtype::F64, Some(Dtype::F64)));
    assert_eq!(rows.images, pixels(&[0, 1, 2], 4, 0));
    assert_columns(&rows);
    let objects = ingested.objects.unwrap();
    assert_eq!(objects.object_id(), IDS.map(|id| Some(id.to_owned())));
    assert_eq!(objects.ra(), [Some(0.0), Some(180.5), Some(359.75)]);
    assert_eq!(objects.dec(), [Some(-90.0), Some(0.0), Some(90.0)]);
    assert_eq!(ingested.notes, ["array `confidence` is not part of a partition: left out"]);
    assert_eq!((ingested.rows_without_redshift, ingested.rows_with_bad_magnitudes), (1, 1));
    assert_eq!((ingested.rows_with_non_finite_pixels, ingested.samples), (0, 3));
}

#[test]
fn ingests_compressed_arrays_of_other_types() {
    let (ingested, bytes) = make(&stores(), &npz("packed.npz")).unwrap();
    let (partition, rows) = read(bytes);
    assert_eq!((partition.magnitude_dtype(), partition.redshift_dtype()), (Dtype::F32, Some(Dtype::F32)));
    assert_eq!(rows.images, pixels(&[0, 1, 2], 4, 0));
    assert_columns(&rows);
    let objects = ingested.objects.unwrap();
    assert_eq!(objects.object_id(), [0, 1, 2].map(|number| Some(format!("galaxy {number}é"))));
    assert_eq!(objects.ra()[2], Some(359.75));
    assert_eq!(ingested.notes, ["images are `>f8`: stored as float32"]);
}

#[test]
fn ingests_a_catalogue_and_its_cutouts() {
    for name in ["sample.csv", "sample.fits", "sample-polars.parquet", "sample-arrow.parquet"] {
        let cubes = catalogue(&golden(name), &golden("cubes/{object_id}.fits"), false);
        let (ingested, bytes) = make(&stores(), &cubes).unwrap();
        let (partition, rows) = read(bytes);
        assert_eq!((partition.len(), partition.height(), partition.width()), (3, 4, 3), "{name}");
        let mut expected = pixels(&[0, 1, 2], 4, 0);
        assert!(rows.images[60].is_nan(), "the undefined pixel of the second");
        expected[60] = rows.images[60];
        let same = rows.images.iter().zip(&expected).all(|(found, expected)| found.to_bits() == expected.to_bits());
        assert!(same, "{name}: {:?}", rows.images);
        assert_columns(&rows);
        assert_eq!(ingested.rows_with_non_finite_pixels, 1, "{name}");
        assert_eq!(ingested.objects.unwrap().object_id(), IDS.map(|id| Some(id.to_owned())), "{name}");
        assert!(ingested.notes[0].contains("u=modelMag_u") && ingested.notes[0].contains("ra=RAJ2000"), "{name}");

        let bands = catalogue(&golden(name), &golden("bands/{OBJID}-{band}.fits.gz"), false);
        let (_, bytes) = make(&stores(), &bands).unwrap();
        assert_eq!(read(bytes).1.images, pixels(&[0, 1, 2], 4, 0), "{name}");
    }
}

#[test]
fn crops_and_scales_images() {
    let wanted = IngestRequest { crop: Some(2), flux_scale: Some(-0.5), ..npz("plain.npz") };
    let (ingested, bytes) = make(&stores(), &wanted).unwrap();
    assert_eq!((ingested.height, ingested.width), (2, 2));
    // Keeps lines 1 and 2, columns 0 and 1: the smaller half of an odd margin is on the left.
    let expected: Vec<f32> = (0..15)
        .flat_map(|plane| [(1, 0), (1, 1), (2, 0), (2, 1)].map(|(line, column)| (plane, line, column)))
        .map(|(plane, line, column)| -0.5 * pixel(plane / 5, plane % 5, line, column))
        .collect();
    assert_eq!(read(bytes).1.images, expected);
    let error = make(&stores(), &IngestRequest { crop: Some(4), ..npz("plain.npz") }).unwrap_err().to_string();
    assert!(error.contains("4×3 pixels are too small to crop to 4×4"), "{error}");
}

#[test]
fn rejects_npy_files_that_do_not_fit_each_other() {
    let stores = stores();
    let runtime = runtime();
    let file = |name: &str, array: &str| {
        let mut archive = zip::ZipArchive::new(std::fs::File::open(golden("plain.npz")).unwrap()).unwrap();
        let mut bytes = Vec::new();
        archive.by_name(&format!("{array}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
        write(&runtime, &stores, &format!("memory:{name}.npy"), bytes);
    };
    for array in ["images", "magnitudes", "redshift", "ra"] {
        file(array, array);
    }
    let url = |name: &str| format!("memory:{name}.npy");
    let files =
        ArraySource { images: Some(url("images")), magnitudes: Some(url("magnitudes")), ..ArraySource::default() };
    let ingest_npy = |files: ArraySource| make(&stores, &request(IngestSource::Arrays(files)));
    let (ingested, bytes) = ingest_npy(files.clone()).unwrap();
    assert_eq!((ingested.objects, ingested.has_redshift), (None, false));
    assert_eq!(read(bytes).1.redshift, None);
    let with_ids = ArraySource { object_id: Some(golden("unsigned_id.npy")), ra: Some(url("ra")), ..files.clone() };
    let objects = ingest_npy(with_ids).unwrap().0.objects.unwrap();
    assert_eq!(objects.object_id()[2].as_deref(), Some("18446744073709551615"));
    assert_eq!((objects.ra()[1], objects.dec()[1]), (Some(180.5), None));
    for (files, message) in [
        (ArraySource { object_id: Some(golden("objects.npy")), ..files.clone() }, "pickled programs"),
        (ArraySource { object_id: Some(url("ra")), ..files.clone() }, "does not hold every digit"),
        (ArraySource { images: Some(golden("fortran_images.npy")), ..files.clone() }, "numpy.ascontiguousarray"),
        (ArraySource { images: Some(url("magnitudes")), ..files.clone() }, "expected (n, 5, height, width)"),
        (ArraySource { magnitudes: Some(url("images")), ..files.clone() }, "expected (n, 5)"),
        (ArraySource { redshift: Some(url("magnitudes")), ..files.clone() }, "expected shape (3,), found (3, 5)"),
        (ArraySource { redshift: Some(golden("bytes_id.npy")), ..files.clone() }, "text (`|S3`)"),
        (ArraySource { dec: Some(url("ra")), ..files.clone() }, "row 1: `dec` is 180.5"),
        (ArraySource { images: Some(url("none")), ..files.clone() }, "none.npy"),
    ] {
        let error = ingest_npy(files).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

/// Writes an archive of these arrays, compressed or not.
fn archive(arrays: &[(&str, &[u8])], is_compressed: bool) -> Vec<u8> {
    use zip::write::SimpleFileOptions;
    let method = if is_compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn rejects_archives_with_false_headers() {
    let stores = stores();
    let runtime = runtime();
    let magnitudes = npy("<f4", "(1, 5)", &[0; 20]);
    let images = npy("<f4", "(1, 5, 1, 1)", &[0; 20]);
    let long = npy("<f4", "(1152921504606846976, 5)", &[0; 40]);
    let short = npy("<f4", "(3, 5)", &[0; 40]);
    let tail = npy("<f4", "(1, 5)", &[0; 24]);
    let empty = npy("<f4", "(0, 5)", &[]);
    let doubles = npy("<i8", "(1,)", &[0; 8]);
    for (number, (arrays, message)) in [
        (vec![("images", &images), ("magnitudes", &long)], "takes more bytes than a file can have"),
        (vec![("images", &images), ("magnitudes", &short)], "takes 60 bytes, but 40 were found"),
        (vec![("images", &images), ("magnitudes", &tail)], "takes 20 bytes, but 24 were found"),
        (vec![("images", &images), ("magnitudes", &empty)], "no rows"),
        (vec![("images", &images)], "no magnitudes"),
        (vec![("magnitudes", &magnitudes)], "array not found"),
        (vec![("magnitudes", &magnitudes), ("images", &images), ("object_id", &doubles)], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let arrays: Vec<(&str, &[u8])> = arrays.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        for is_compressed in [false, true] {
            let url = format!("memory:{number}.npz");
            write(&runtime, &stores, &url, archive(&arrays, is_compressed));
            match make(&stores, &request(archive_source(url))) {
                Ok((ingested, _)) => assert_eq!((ingested.samples, message), (1, "")),
                Err(error) => assert!(!message.is_empty() && error.to_string().contains(message), "{error}"),
            }
        }
    }
    // A compressed array whose header states a larger size than deflate can reach.
    let mut bomb = archive(&[("magnitudes", &magnitudes), ("images", &images)], true);
    let at = bomb.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bomb[at + 24..at + 28].copy_from_slice(&u32::to_le_bytes(4_000_000_000));
    write(&runtime, &stores, "memory:bomb.npz", bomb);
    let error = make(&stores, &request(archive_source("memory:bomb.npz".into()))).unwrap_err().to_string();
    assert!(error.contains("which is impossible"), "{error}");
}

#[test]
fn names_rows_without_a_cutout_and_leaves_them_out_on_request() {
    let stores = stores();
    let runtime = runtime();
    let table =
        "id,u,g,r,i,z,ra\na,1,2,3,4,5,10\nb,6,7,8,9,10,20\n../c,1,1,1,1,1,30\n,1,1,1,1,1,40\nd,11,12,13,14,15,50\n";
    write(&runtime, &stores, "memory:t.csv", table);
    let cube = std::fs::read(golden(&format!("cubes/{}.fits", IDS[0]))).unwrap();
    write(&runtime, &stores, "memory:cutouts/a.fits", cube.clone());
    write(&runtime, &stores, "memory:c.fits", cube.clone());
    write(&runtime, &stores, "memory:cutouts/d.fits", cube[..3000].to_vec());
    let wanted = |skip| catalogue("memory:t.csv", "memory:cutouts/{id}.fits", skip);
    let error = make(&stores, &wanted(false)).unwrap_err().to_string();
    assert!(
        error.starts_with("4 objects cannot be ingested: `b` (row 1): `memory:/cutouts/b.fits` not found; "),
        "{error}"
    );
    assert!(error.contains("`../c` (row 2): column `id` is \"../c\", which is not allowed in a file name"), "{error}");
    assert!(error.contains("row 3: column `id` is empty"), "{error}");
    assert!(error.contains("`d` (row 4): not a readable FITS file"), "{error}");

    let (ingested, bytes) = make(&stores, &wanted(true)).unwrap();
    assert_eq!((ingested.samples, ingested.rows_skipped), (1, 4));
    assert_eq!(ingested.skipped.iter().map(|failure| failure.row).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let objects = ingested.objects.unwrap();
    assert_eq!((objects.len(), objects.ra()[0]), (1, Some(10.0)));
    assert_eq!(read(bytes).1.magnitudes, [1.0, 2.0, 3.0, 4.0, 5.0]);

    write(&runtime, &stores, "memory:cutouts/d.fits", cube);
    let (ingested, bytes) = make(&stores, &wanted(true)).unwrap();
    assert_eq!((ingested.samples, ingested.objects.unwrap().ra()[1]), (2, Some(50.0)));
    let rows = read(bytes).1;
    assert_eq!((rows.magnitudes[5], rows.redshift.is_none()), (11.0, true));
    let none = make(&stores, &catalogue("memory:t.csv", "memory:nowhere/{id}.fits", true)).unwrap_err().to_string();
    assert!(none.starts_with("5 objects cannot be ingested"), "{none}");
}

#[test]
fn rejects_duplicate_identifiers_and_impossible_positions() {
    let stores = stores();
    let runtime = runtime();
    for (table, message) in [
        ("id,u,g,r,i,z\na,1,2,3,4,5\na,1,2,3,4,5\n", "repeats in 1 rows (`a`)"),
        ("id,u,g,r,i\na,1,2,3,4\n", "no columns for the magnitudes"),
        ("id,u,g,r,i,z,objid\na,1,2,3,4,5,6\n", "could each be `object_id`"),
    ] {
        write(&runtime, &stores, "memory:t.csv", table);
        let error = make(&stores, &catalogue("memory:t.csv", "memory:s/{id}.fits", false)).unwrap_err().to_string();
        assert!(error.starts_with("`memory:t.csv`: ") && error.contains(message), "{error}");
    }
    let error = make(&stores, &catalogue("memory:t.csv", "memory:s/{nothing}.fits", false)).unwrap_err().to_string();
    assert!(error.contains("could each be") || error.contains("no column `nothing`"), "{error}");
}

#[test]
fn leaves_out_rows_whose_values_cannot_be_right_on_request() {
    let (stores, runtime) = (stores(), runtime());
    let cube = std::fs::read(golden(&format!("cubes/{}.fits", IDS[0]))).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        write(&runtime, &stores, &format!("memory:cutouts/{name}.fits"), cube.clone());
    }
    let table = "id,u,g,r,i,z,ra,dec\na,1,2,3,4,5,360,0\nb,6,7,8,9,10,20,-999\nc,1,1,1,x,1,30,0\n\
                 d,11,12,13,14,15,40,0\ne,1,2,3,4,5,-9999,0\n";
    write(&runtime, &stores, "memory:t.csv", table);
    let wanted = |skip| catalogue("memory:t.csv", "memory:cutouts/{id}.fits", skip);
    let error = make(&stores, &wanted(false)).unwrap_err().to_string();
    for message in [
        "4 objects cannot be ingested: `a` (row 0): `ra` is 360; expected at least 0 and less than 360 degrees",
        "`b` (row 1): `dec` is -999",
        "`c` (row 2): column `i`: expected a number, found `x`",
        "`e` (row 4): `ra` is -9999",
        "`--skip-bad`",
    ] {
        assert!(error.contains(message), "{error}");
    }
    let (ingested, bytes) = make(&stores, &wanted(true)).unwrap();
    assert_eq!((ingested.samples, ingested.rows_skipped), (1, 4));
    assert_eq!(ingested.objects.unwrap().object_id(), [Some("d".to_owned())]);
    assert_eq!(read(bytes).1.magnitudes, [11.0, 12.0, 13.0, 14.0, 15.0]);
}

#[test]
fn redshifts_that_no_galaxy_has_become_unknown() {
    let (stores, runtime) = (stores(), runtime());
    let cube = std::fs::read(golden(&format!("cubes/{}.fits", IDS[0]))).unwrap();
    write(&runtime, &stores, "memory:cutouts/a.fits", cube);
    let redshifts = [-9999.0, -99.0, -1.0, 99.0, 9999.0, 0.1, -0.001];
    let rows: String = redshifts.iter().map(|z| format!("a,1,2,3,4,5,{z}\n")).collect();
    write(&runtime, &stores, "memory:t.csv", format!("n,u,g,r,i,z,z_spec\n{rows}"));
    let (ingested, bytes) = make(&stores, &catalogue("memory:t.csv", "memory:cutouts/{n}.fits", false)).unwrap();
    assert_eq!((ingested.has_redshift, ingested.rows_without_redshift), (true, 5));
    let expected: Vec<f64> = redshifts.iter().map(|&z| records::redshift::known(z).unwrap_or(f64::NAN)).collect();
    assert_eq!(bits(&read(bytes).1.redshift.unwrap()), bits(&expected));
    // A role may be left out.
    for name in ["none", ""] {
        let mut wanted = catalogue("memory:t.csv", "memory:cutouts/{n}.fits", false);
        if let IngestSource::Catalogue { columns, .. } = &mut wanted.source {
            columns.push((Role::Redshift, name.to_owned()));
        }
        assert!(!make(&stores, &wanted).unwrap().0.has_redshift);
    }
}

#[test]
fn counts_images_without_light() {
    let (stores, runtime) = (stores(), runtime());
    let magnitudes = npy("<f4", "(2, 5)", &[0; 40]);
    let mut pixels: Vec<u8> = (0..2 * 5 * 4).flat_map(|pixel| (pixel as f32).to_le_bytes()).collect();
    pixels[5 * 4 * 4..6 * 4 * 4].fill(0);
    let images = npy("<f4", "(2, 5, 2, 2)", &pixels);
    write(&runtime, &stores, "memory:b.npz", archive(&[("magnitudes", &magnitudes), ("images", &images)], false));
    let ingested = make(&stores, &request(archive_source("memory:b.npz".into()))).unwrap().0;
    assert_eq!(ingested.rows_with_blank_bands, 1);
}

/// With `--crop`, an image may be larger than a partition allows, but a header may not state any size.
#[test]
fn rejects_huge_images_that_are_cropped() {
    let (stores, runtime) = (stores(), runtime());
    let magnitudes = npy("<f4", "(1, 5)", &[0; 20]);
    write(&runtime, &stores, "memory:m.npy", magnitudes.clone());
    for (descr, shape) in [
        ("|S0", "(1, 5, 1048576, 1048576)"),
        ("<U0", "(1, 5, 4294967296, 4294967296)"),
        ("|S0", "(1, 5, 4097, 64)"),
        ("|S0", "(1, 5, 64, 4611686018427387904)"),
        ("<f4", "(1, 5, 1073741824, 1073741824)"),
    ] {
        let images = npy(descr, shape, &[]);
        write(&runtime, &stores, "memory:i.npy", images.clone());
        write(&runtime, &stores, "memory:i.npz", archive(&[("magnitudes", &magnitudes), ("images", &images)], false));
        let files = ArraySource {
            images: Some("memory:i.npy".into()),
            magnitudes: Some("memory:m.npy".into()),
            ..ArraySource::default()
        };
        for source in [IngestSource::Arrays(files), archive_source("memory:i.npz".into())] {
            let wanted = IngestRequest { crop: Some(32), ..request(source) };
            let error = make(&stores, &wanted).unwrap_err().to_string();
            let is_named = [
                "expected sides of at most 4096, also with `--crop`",
                "truncated or damaged",
                "expected numbers, found text",
            ];
            assert!(is_named.iter().any(|message| error.contains(message)), "{shape}: {error}");
        }
    }
}

/// Real SDSS cutouts.
#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn ingests_real_cutouts() {
    let path = crate::reference_data::reference_data("data/sdss_cutouts_15.npz");
    let (ingested, bytes) = make(&stores(), &request(archive_source(path.to_str().unwrap().to_owned()))).unwrap();
    let (partition, rows) = read(bytes);
    assert_eq!((partition.len(), partition.height(), partition.width()), (15, 64, 64));
    assert_eq!((ingested.objects, ingested.rows_with_non_finite_pixels), (None, 0));
    assert!(ingested.notes[0].contains("`redshift_confidence`"), "{:?}", ingested.notes);
    // The light of each image agrees with its magnitude. Light around the galaxy makes the ratio differ from 1.
    for (image, magnitudes) in rows.images.chunks(5 * 64 * 64).zip(rows.magnitudes.chunks(5)) {
        let light: f32 = image[2 * 4096..3 * 4096].iter().sum();
        let ratio = f64::from(light) / 10_f64.powf(0.4 * (22.5 - magnitudes[2]));
        assert!((0.3..5.0).contains(&ratio), "{ratio}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Damage anywhere in the file gives an error or a readable partition, never a panic.
    #[test]
    fn never_panics_on_damaged_archives(
        is_compressed in any::<bool>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let name = if is_compressed { "packed.npz" } else { "plain.npz" };
        let mut bytes = std::fs::read(golden(name)).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let stores = stores();
        let runtime = runtime();
        write(&runtime, &stores, "memory:a.npz", bytes);
        let wanted = request(archive_source("memory:a.npz".into()));
        if let Ok((ingested, bytes)) = ingest(runtime.handle(), &stores, &wanted, Vec::new(), &mut |_, _| {}) {
            prop_assert_eq!(read(bytes).0.len(), ingested.samples);
        }
    }
}
