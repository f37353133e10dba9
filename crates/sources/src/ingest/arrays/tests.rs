//! Ingests archives of the types of `sdss.npz` (Pasquet et al. 2019), which experiments/sdss-npz/make.py wrote.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write as _};
use std::path::Path;

use pipeline::objects::Objects;
use pipeline::partition::{Partition, Rows};
use pipeline::storage::{StorageOptions, Stores};
use tokio::runtime::Runtime;

use super::super::{
    ArraySource, Channels, IngestError, IngestRequest, IngestSource, Ingested, IngestedParts, PartFolder, ingest,
    ingest_parts,
};

/// Bytes of three galaxies of 4×6 pixels.
const SIZE: u64 = 3 * (4 * (5 * 24 + 5) + 8);

fn golden(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest").join(name).to_str().unwrap().to_owned()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn request(source: ArraySource) -> IngestRequest {
    IngestRequest { source: IngestSource::Arrays(source), crop: None, flux_scale: None }
}

fn archive(name: &str) -> ArraySource {
    ArraySource { archive: Some(name.to_owned()), ..ArraySource::default() }
}

fn stores() -> Stores {
    Stores::open(".", StorageOptions::default()).unwrap()
}

/// Folder of partitions in a `memory:` store. It fails at a partition if asked to.
struct Folder<'a> {
    runtime: &'a Runtime,
    stores: &'a Stores,
    resumes: bool,
    fails_at: usize,
    written: Vec<usize>,
}

impl PartFolder for Folder<'_> {
    type File = Vec<u8>;

    fn url(&self) -> &str {
        "memory:sky"
    }

    fn resumes(&self) -> bool {
        self.resumes
    }

    fn create(&mut self, number: usize) -> io::Result<Vec<u8>> {
        if number == self.fails_at { Err(io::Error::other("stopped here")) } else { Ok(Vec::new()) }
    }

    fn keep(&mut self, number: usize, file: Vec<u8>, ingested: &Ingested) -> io::Result<()> {
        let (bucket, key) = self.stores.open_url(&format!("memory:sky/{number}.pt")).unwrap();
        self.runtime.block_on(async {
            bucket.write(&key, file.into()).await.unwrap();
            let partition = Partition::open(bucket.store(), bucket.path(&key).unwrap(), None).await.unwrap();
            if let Some(objects) = &ingested.objects {
                objects.write(&bucket, &key, &partition).await.unwrap();
            }
        });
        self.written.push(number);
        Ok(())
    }
}

struct Sky {
    runtime: Runtime,
    stores: Stores,
}

impl Sky {
    fn new() -> Self {
        Self { runtime: runtime(), stores: stores() }
    }

    /// Ingests with `resumes`, failing at one partition. Returns the numbers of the written partitions, too.
    fn make(
        &self,
        request: &IngestRequest,
        resumes: bool,
        fails_at: usize,
    ) -> (Result<IngestedParts, IngestError>, Vec<usize>) {
        let mut folder =
            Folder { runtime: &self.runtime, stores: &self.stores, resumes, fails_at, written: Vec::new() };
        let made = ingest_parts(self.runtime.handle(), &self.stores, request, SIZE, &mut folder, &mut |_, _| {});
        (made, folder.written)
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let (bucket, prefix) = self.stores.open_url("memory:sky").unwrap();
        self.runtime.block_on(async {
            let mut files = BTreeMap::new();
            for object in bucket.list(&prefix).await.unwrap() {
                let bytes = bucket.read_object(&object.key, 1 << 20, "a file").await.unwrap().1;
                files.insert(object.key, bytes.to_vec());
            }
            files
        })
    }

    fn delete(&self, name: &str) {
        let (bucket, key) = self.stores.open_url(&format!("memory:sky/{name}")).unwrap();
        self.runtime.block_on(bucket.delete(vec![key])).unwrap();
    }

    fn read(&self, number: usize) -> (Rows, Objects) {
        let (bucket, key) = self.stores.open_url(&format!("memory:sky/{number}.pt")).unwrap();
        self.runtime.block_on(async {
            let partition = Partition::open(bucket.store(), bucket.path(&key).unwrap(), None).await.unwrap();
            let objects = Objects::read_beside(&bucket, &partition).await.unwrap().unwrap();
            (partition.read(0..partition.len()).await.unwrap(), objects)
        })
    }
}

/// Value of a pixel in the files of make.py.
fn pixel(object: usize, band: usize, line: usize, column: usize) -> f32 {
    (1000 * object + 100 * band + 10 * line + column) as f32 + 0.25
}

#[test]
fn reads_sdss_npz_as_it_is() {
    for name in ["sdss.npz", "sdss-packed.npz"] {
        let sky = Sky::new();
        let (made, written) = sky.make(&request(archive(&golden(name))), false, 0);
        let made = made.unwrap();
        assert_eq!((written, made.written, made.kept, made.total.samples), (vec![1, 2, 3], 3, 0, 7), "{name}");
        assert_eq!((made.total.height, made.total.width, made.total.has_redshift), (4, 6, true));
        let notes = made.total.notes.join("\n");
        let bands = "dered_petro_u,dered_petro_g,dered_petro_r,dered_petro_i,dered_petro_z";
        assert!(notes.contains(&format!("columns: magnitudes={bands} object_id=specObjID redshift=z")), "{notes}");
        assert!(notes.contains("bands are the last dimension"), "{notes}");
        let (rows, objects) = sky.read(2);
        let expected: Vec<f32> = (3..6)
            .flat_map(|o| (0..5).flat_map(move |b| (0..4).flat_map(move |y| (0..6).map(move |x| pixel(o, b, y, x)))))
            .collect();
        assert_eq!(rows.images, expected, "{name}");
        let magnitudes: Vec<f64> =
            (3..6).flat_map(|o| (0..5).map(move |b| f64::from(16 + o) + 0.125 * f64::from(b))).collect();
        assert_eq!(rows.magnitudes, magnitudes);
        let redshift: Vec<f64> = (3..6).map(|o| f64::from((0.01 + f64::from(o) / 1024.0) as f32)).collect();
        assert_eq!(rows.redshift.unwrap(), redshift);
        assert_eq!(objects.object_id()[0].as_deref(), Some("9223372036854775812"));
        assert_eq!((objects.ra()[2], objects.dec()[2]), (Some(5.0 * 0.37), Some(5.0 * 0.11 - 90.0)));
        assert_eq!(sky.read(3).0.images.len(), 5 * 24);
    }
}

#[test]
fn a_resumed_ingest_writes_what_is_missing_and_the_same_bytes() {
    for name in ["sdss.npz", "sdss-packed.npz"] {
        let (whole, sky) = (Sky::new(), Sky::new());
        let request = request(archive(&golden(name)));
        whole.make(&request, false, 0).0.unwrap();
        let (stopped, written) = sky.make(&request, false, 3);
        assert!(stopped.unwrap_err().to_string().contains("stopped here"));
        assert_eq!(written, [1, 2]);
        let error = sky.make(&request, false, 0).0.unwrap_err().to_string();
        assert!(error.contains("1.pt`: exists already; pass `--resume`"), "{error}");
        let (made, written) = sky.make(&request, true, 0);
        let made = made.unwrap();
        assert_eq!((written, made.written, made.kept), (vec![3], 1, 2), "{name}");
        assert_eq!(sky.files(), whole.files(), "{name}");
        let has_note = made.total.notes.iter().any(|note| note.contains("checksum") && note.contains("not compared"));
        assert_eq!(has_note, name == "sdss.npz", "{:?}", made.total.notes);
        // A partition whose objects are missing is written again.
        sky.delete("2.objects.parquet");
        assert_eq!(sky.make(&request, true, 0).1, [2]);
        assert_eq!(sky.files(), whole.files());
    }
}

#[test]
fn a_resumed_ingest_refuses_partitions_of_another_input_or_other_options() {
    let sky = Sky::new();
    let first = request(archive(&golden("sdss.npz")));
    sky.make(&first, false, 3).0.unwrap_err();
    let of = |change: fn(&mut ArraySource)| {
        let mut source = archive(&golden("sdss.npz"));
        change(&mut source);
        request(source)
    };
    for other in [
        IngestRequest { flux_scale: Some(2.0), ..first.clone() },
        IngestRequest { crop: Some(4), ..first.clone() },
        of(|source| source.magnitudes = Some("extinction".to_owned())),
        of(|source| source.redshift = Some("none".to_owned())),
        of(|source| source.redshift = Some("zphot".to_owned())),
        of(|source| source.object_id = Some("bestObjID".to_owned())),
    ] {
        let before = sky.files();
        let error = sky.make(&other, true, 0).0.unwrap_err().to_string();
        assert!(error.contains("another input, or with other options") || error.contains("repeats"), "{error}");
        assert_eq!(sky.files(), before);
    }
    let (bucket, key) = sky.stores.open_url("memory:sky/4.pt").unwrap();
    sky.runtime.block_on(bucket.write(&key, "older".into())).unwrap();
    let error = sky.make(&first, true, 0).0.unwrap_err().to_string();
    assert!(error.contains("not one of the 3 partitions to write"), "{error}");
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Ingests an archive of these arrays as one partition.
fn made(arrays: &[(&str, Vec<u8>)], change: impl FnOnce(&mut ArraySource)) -> Result<Ingested, String> {
    let sky = Sky::new();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let (bucket, key) = sky.stores.open_url("memory:in/a.npz").unwrap();
    sky.runtime.block_on(bucket.write(&key, zip.finish().unwrap().into_inner().into())).unwrap();
    let mut source = archive("memory:in/a.npz");
    change(&mut source);
    let made = ingest(sky.runtime.handle(), &sky.stores, &request(source), Vec::new(), &mut |_, _| {});
    made.map(|(ingested, _)| ingested).map_err(|error| error.to_string())
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|at| (at as f32).to_le_bytes()).collect()
}

#[test]
fn names_what_is_missing_or_ambiguous() {
    let data = || npy("'<f4'", "(2, 3, 3, 5)", &floats(90));
    let z = || npy("'<f4'", "(2, 1)", &floats(2));
    let magnitudes = || npy("'<f4'", "(2, 5)", &floats(10));
    // The example of Pasquet et al. has no magnitudes.
    let example = [("data", data()), ("z", z()), ("ebv", npy("'<f4'", "(2,)", &floats(2)))];
    let error = made(&example, |_| {}).unwrap_err();
    assert!(error.contains("no magnitudes: expected an array `magnitudes` (n, 5)"), "{error}");
    assert!(error.contains("the columns are z ebv"), "{error}");
    let arrays = [("data", data()), ("z", z()), ("magnitudes", magnitudes())];
    let ingested = made(&arrays, |_| {}).unwrap();
    assert!(ingested.has_redshift && ingested.notes[0] == "columns: redshift=z", "{:?}", ingested.notes);
    let ingested = made(&arrays, |source| source.redshift = Some("none".to_owned())).unwrap();
    assert!(!ingested.has_redshift);

    let ambiguous = [("cube", npy("'<f4'", "(2, 5, 3, 5)", &floats(150))), ("magnitudes", magnitudes())];
    let error = made(&ambiguous, |_| {}).unwrap_err();
    assert!(
        error.contains("a.npz: cube`: images of shape (2, 5, 3, 5)") && error.contains("`--channels first`"),
        "{error}"
    );
    let first = made(&ambiguous, |source| source.channels = Some(Channels::First)).unwrap();
    let last = made(&ambiguous, |source| source.channels = Some(Channels::Last)).unwrap();
    assert_eq!(((first.height, first.width), (last.height, last.width)), ((3, 5), (5, 3)));

    let error = made(&[("cube", data()), ("data", data()), ("magnitudes", magnitudes())], |_| {}).unwrap_err();
    assert!(error.contains("cube and data could each be the images; choose one with `--images NAME`"), "{error}");
    let error = made(&[("stack", data()), ("magnitudes", magnitudes())], |_| {}).unwrap_err();
    assert!(error.contains("found `stack` <f4 (2, 3, 3, 5), `magnitudes`"), "{error}");
    assert!(made(&[("stack", data()), ("magnitudes", magnitudes())], |s| s.images = Some("stack".into())).is_ok());
}

#[test]
fn reads_records_with_nested_padded_and_big_endian_fields() {
    let descr = "{'names': ['m', 'pos', 'id', 'name'], 'formats': [('>f8', (5,)), [('ra', '<f2'), ('dec', '|i1')], \
                 '<i8', '|S3'], 'offsets': [8, 0, 48, 60], 'itemsize': 64}";
    let row = |id: i64| {
        let mut row = vec![0xff_u8; 64];
        row[..2].copy_from_slice(&half::f16::from_f32(1.5).to_le_bytes());
        row[2] = 0xfe;
        for band in 0..5 {
            row[8 + 8 * band..16 + 8 * band].copy_from_slice(&(20.5 + band as f64).to_be_bytes());
        }
        row[48..56].copy_from_slice(&id.to_le_bytes());
        row[60..63].copy_from_slice(b"ab\0");
        row
    };
    let labels = npy(descr, "(2,)", &[row(i64::MAX), row(7)].concat());
    let arrays = [("cube", npy("'<f4'", "(2, 3, 3, 5)", &floats(90))), ("labels", labels)];
    let names = |source: &mut ArraySource| {
        source.magnitudes = Some("m".to_owned());
        (source.ra, source.dec) = (Some("pos.ra".to_owned()), Some("labels.pos.dec".to_owned()));
    };
    let ingested = made(&arrays, names).unwrap();
    let objects = ingested.objects.unwrap();
    assert_eq!(objects.object_id()[0].as_deref(), Some("9223372036854775807"));
    assert_eq!((objects.ra()[1], objects.dec()[1]), (Some(1.5), Some(-2.0)));
    let named = made(&arrays, |source| {
        names(source);
        source.object_id = Some("name".to_owned());
    });
    assert!(named.unwrap_err().contains("`object_id` repeats in 1 rows (`ab`)"));
}

#[test]
fn identifiers_as_floats_are_left_out_unless_asked_for() {
    let labels = npy("[('magnitudes', '<f4', (5,)), ('specObjID', '<f8')]", "(1,)", &floats(7));
    let arrays = [("cube", npy("'<f4'", "(1, 3, 3, 5)", &floats(45))), ("labels", labels)];
    let ingested = made(&arrays, |_| {}).unwrap();
    assert!(ingested.objects.is_none());
    assert!(ingested.notes.iter().any(|note| note.contains("`specObjID` is left out")), "{:?}", ingested.notes);
    let error = made(&arrays, |source| source.object_id = Some("specObjID".to_owned())).unwrap_err();
    assert!(error.contains("does not hold every digit"), "{error}");
}

#[test]
fn an_array_of_python_objects_is_refused_with_the_line_that_converts_it() {
    let labels = npy("[('z', '<f4'), ('name', '|O')]", "(2,)", b"\x80\x04N.");
    let error = made(&[("cube", npy("'<f4'", "(2, 3, 3, 5)", &floats(90))), ("labels", labels)], |_| {}).unwrap_err();
    assert!(error.contains("pickled programs and are not run"), "{error}");
    assert!(error.contains("np.load('memory:in/a.npz', allow_pickle=True)['labels']"), "{error}");
    assert!(error.contains("pass `labels.npy` by its option, such as `--labels labels.npy`"), "{error}");
}

#[test]
fn damaged_records_and_checksums_are_refused() {
    let cube = npy("'<f4'", "(2, 3, 3, 5)", &floats(90));
    for (descr, shape, message) in [
        ("[('magnitudes', '<f4', (5,))]", "(1152921504606846976,)", "takes more bytes than a file can have"),
        ("[('magnitudes', '<f4', (5,))]", "(3,)", "takes 60 bytes, but 40 were found"),
        ("[('magnitudes', '<f4', (5,)), ('magnitudes', '<f4')]", "(2,)", "`labels`: two fields `magnitudes`"),
    ] {
        let error = made(&[("cube", cube.clone()), ("labels", npy(descr, shape, &floats(10)))], |_| {}).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    // One bit of the last pixel of an uncompressed array.
    let sky = Sky::new();
    let mut bytes = std::fs::read(golden("sdss.npz")).unwrap();
    let last = pixel(6, 4, 3, 5).to_le_bytes();
    let at = bytes.windows(4).rposition(|window| window == last).unwrap();
    bytes[at] ^= 1;
    let (bucket, key) = sky.stores.open_url("memory:in/a.npz").unwrap();
    sky.runtime.block_on(bucket.write(&key, bytes.into())).unwrap();
    let error = sky.make(&request(archive("memory:in/a.npz")), false, 0).0.unwrap_err().to_string();
    assert!(error.contains("damaged: its checksum is"), "{error}");
}
