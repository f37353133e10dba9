//! Ingests an archive that is larger than the memory that it may use. experiments/sdss-npz/run.py starts it.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use pipeline::objects::Objects;
use pipeline::partition::{Partition, parse_size};
use pipeline::storage::{StorageOptions, Stores};
use sources::ingest::{ArraySource, IngestRequest, IngestSource, Ingested, PartFolder, ingest_parts};
use tokio::runtime::Handle;

/// Folder on this machine. A partition is synced to the disk before it gets its name.
struct Folder {
    runtime: Handle,
    stores: Stores,
    url: String,
}

impl Folder {
    fn path(&self, number: usize, ending: &str) -> PathBuf {
        PathBuf::from(&self.url).join(format!("{number}.{ending}"))
    }
}

impl PartFolder for Folder {
    type File = BufWriter<File>;

    fn url(&self) -> &str {
        &self.url
    }

    fn resumes(&self) -> bool {
        true
    }

    fn create(&mut self, number: usize) -> io::Result<Self::File> {
        Ok(BufWriter::with_capacity(1 << 20, File::create(self.path(number, "part"))?))
    }

    fn keep(&mut self, number: usize, mut file: Self::File, ingested: &Ingested) -> io::Result<()> {
        file.flush()?;
        file.get_ref().sync_all()?;
        let part = self.path(number, "part");
        if let Some(objects) = &ingested.objects {
            let out = self.path(number, "pt");
            self.runtime.block_on(write_objects(&self.stores, objects, &part, &out));
        }
        std::fs::rename(part, self.path(number, "pt"))
    }
}

async fn write_objects(stores: &Stores, objects: &Objects, part: &std::path::Path, out: &std::path::Path) {
    let (bucket, key) = stores.open_url(part.to_str().unwrap()).unwrap();
    let partition = Partition::open(bucket.store(), bucket.path(&key).unwrap(), None).await.unwrap();
    let (bucket, key) = stores.open_url(out.to_str().unwrap()).unwrap();
    objects.write(&bucket, &key, &partition).await.unwrap();
}

/// Set COSMICAI_LARGE_NPZ to an archive, and COSMICAI_OUT to a folder for the partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a large archive: run experiments/sdss-npz/run.py"]
async fn ingests_an_archive_larger_than_its_memory() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let (archive, url) = (variable("COSMICAI_LARGE_NPZ"), variable("COSMICAI_OUT"));
    std::fs::create_dir_all(&url).unwrap();
    let source = ArraySource { archive: Some(archive), ..ArraySource::default() };
    let request = IngestRequest { source: IngestSource::Arrays(source), crop: None, flux_scale: None };
    let (runtime, stores) = (Handle::current(), Stores::open(".", StorageOptions::default()).unwrap());
    let size = parse_size("100MB").unwrap();
    let making = move || {
        let mut folder = Folder { runtime: runtime.clone(), stores: stores.clone(), url };
        ingest_parts(&runtime, &stores, &request, size, &mut folder, &mut |_, _| {})
    };
    let made = tokio::task::spawn_blocking(making).await.unwrap().unwrap();
    assert_eq!(made.total.objects.as_ref().map(Objects::len), Some(made.total.samples));
    assert_eq!((made.total.rows_with_non_finite_pixels, made.total.rows_with_bad_magnitudes), (0, 0));
}
