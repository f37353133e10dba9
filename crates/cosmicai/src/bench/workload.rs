//! Workload of the benchmark, in a temporary folder: a model, galaxies, and a single galaxy.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use astromae::Model;
use astromae::init::{Sizes, seeded};
use pipeline::event::new_run_id;
use pipeline::partition::Partition;
use sources::simulate::{Galaxies, Sample, Sky, write_partition};
use tokio_util::task::AbortOnDropHandle;

use crate::interruption::when_interrupted;
use crate::settings::Settings;

const MODEL_SEED: u64 = 1;
const SKY_SEED: u64 = 1;

/// Files of the workload. Dropping it deletes them.
pub(crate) struct Workload {
    folder: PathBuf,
    /// File or URL of the model.
    pub(crate) model: String,
    /// Name of the model in the record.
    pub(crate) model_name: String,
    /// Partition with enough galaxies for the largest batch.
    pub(crate) galaxies: PathBuf,
    /// Partition with one galaxy.
    pub(crate) galaxy: PathBuf,
    /// Deletes the files when the program is interrupted.
    _guard: Option<AbortOnDropHandle<()>>,
}

impl Workload {
    /// Makes the folder, and the model unless the user passes one.
    pub(crate) fn make(given: Option<&str>, settings: &Settings) -> Result<Workload> {
        let folder = settings.temporary_folder().join(format!("cosmicai-bench-{}", new_run_id()));
        let path = |name: &str| folder.join(name);
        let (model, model_name) = match given {
            Some(url) => (url.to_owned(), url.to_owned()),
            None => {
                let model = path("model.safetensors").into_os_string().into_string();
                let model = model.ok().context("the temporary folder's path is not UTF-8")?;
                (model, format!("published size, seed {MODEL_SEED}"))
            }
        };
        let abandoned = folder.clone();
        let guard = when_interrupted(move || drop(std::fs::remove_dir_all(abandoned)));
        std::fs::create_dir(&folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        let (galaxies, galaxy) = (path("galaxies.pt"), path("galaxy.pt"));
        let workload = Workload { folder, model, model_name, galaxies, galaxy, _guard: guard };
        if given.is_none() {
            write(Path::new(&workload.model), &seeded(&Sizes::full(), MODEL_SEED))?;
        }
        Ok(workload)
    }

    /// Makes a partition with `count` galaxies, and one with a single galaxy.
    pub(crate) fn simulate(&self, count: usize, image_size: usize) -> Result<()> {
        write(&self.galaxies, &sky(count, image_size)?)?;
        write(&self.galaxy, &sky(1, image_size)?)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn sky(count: usize, image_size: usize) -> Result<Vec<u8>> {
    let sky = Sky { galaxies: Galaxies::Drawn(count, Sample::Main), seed: SKY_SEED, image_size };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    write_partition(sky, threads, Vec::new(), |_| {}).context("simulate galaxies")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("write `{}`", path.display()))
}

/// Galaxies in memory, in the form that a model reads.
pub(crate) struct ModelInputs {
    /// (n, bands, size, size)
    pub(crate) images: Vec<f32>,
    /// (n, bands)
    pub(crate) magnitudes: Vec<f32>,
}

impl ModelInputs {
    /// Reads the first `count` galaxies of a partition.
    pub(crate) async fn read(partition: &Partition, count: usize) -> Result<ModelInputs> {
        let rows = partition.read(0..count).await?;
        let magnitudes = rows.magnitudes.iter().map(|magnitude| *magnitude as f32).collect();
        Ok(ModelInputs { images: rows.images, magnitudes })
    }

    /// Images and magnitudes of the first `count` galaxies.
    pub(crate) fn first(&self, model: &Model, count: usize) -> (&[f32], &[f32]) {
        let pixels = model.bands() * model.image_size().pow(2);
        (&self.images[..count * pixels], &self.magnitudes[..count * model.bands()])
    }
}

/// Opens a partition on this machine.
pub(crate) async fn open(settings: &Settings, path: &Path) -> Result<Partition> {
    let url = path.to_str().context("the temporary folder's path is not UTF-8")?;
    let (bucket, key) = settings.stores(".").await?.open_url(url)?;
    Ok(Partition::open(bucket.store(), bucket.path(&key)?, None).await?)
}
