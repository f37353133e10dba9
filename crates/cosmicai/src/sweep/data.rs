//! Data of a sweep: checks that there are enough partitions of each size, and simulates galaxies and a model if the
//! definition asks for that.
//!
//! Simulated partitions are under `simulated-<seed>/<size>` in their bucket, so they cannot be mixed up with other
//! data. Existing partitions are neither made again nor replaced. A galaxy depends on the seed and its number only, so
//! a sweep that needs more partitions adds to those of an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use astromae::init::{Sizes, seeded};
use pipeline::partition::samples_per_part;
use pipeline::storage::Stores;
use records::plan::PARTITION_ENDING;
use sources::ingest::MAX_SAMPLES;
use sources::simulate::{Galaxies, Sample, Sky};

use super::axes::{One, Size};
use super::points::{Point, Sweep};
use super::staging::StagingFolder;
use crate::new_file;
use crate::partitions::{split_into, write_sky};
use crate::printer::{Printer, bytes, grouped};
use crate::settings::Settings;

/// Default seed of the sky. The model of `cosmicai demo` was trained on seeds below 1,000.
const SEED: u64 = 2025;
/// Height and width of a simulated image in pixels.
const IMAGE_SIZE: usize = 32;
/// Seed of the weights of a generated model.
const MODEL_SEED: u64 = 1;
/// Folder of a generated model.
const MODEL_FOLDER: &str = "published-size";
/// Name of a generated model.
const MODEL_NAME: &str = "seeded.safetensors";
/// Folder for partitions that are being split.
const PARTS: &str = "parts";
/// Values of `--store` that name no folder.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

impl Sweep {
    /// Folder of a point's partitions in their bucket.
    pub(crate) fn data_prefix(&self, point: &Point) -> String {
        let size = &point.partition.text;
        match (&self.data.prefix, self.data.simulate) {
            (_, true) => format!("{}/{size}", self.simulated()),
            (Some(One(prefix)), false) => format!("{prefix}/{size}"),
            (None, false) => size.clone(),
        }
    }

    /// URL or key of the model.
    pub(crate) fn model(&self) -> String {
        self.data.model.as_ref().map_or_else(|| format!("{MODEL_FOLDER}/{MODEL_NAME}"), |One(model)| model.clone())
    }

    /// Folder of all simulated partitions in their bucket.
    fn simulated(&self) -> String {
        format!("simulated-{}", self.sky_seed())
    }

    fn sky_seed(&self) -> u64 {
        self.data.seed.as_ref().map_or(SEED, |One(seed)| seed.0)
    }

    /// For each folder of partitions, the size of the partitions and the number that the points need.
    fn needed(&self) -> BTreeMap<String, (&Size, usize)> {
        let mut needed = BTreeMap::new();
        for point in &self.points {
            let (_, files) = needed.entry(self.data_prefix(point)).or_insert((&point.partition, 0));
            *files = point.settings.file_limit.max(*files);
        }
        needed
    }
}

/// Checks that the data of a sweep can be simulated.
///
/// # Errors
/// The store is not a folder, or there are too many galaxies.
pub(crate) fn check_simulated(sweep: &Sweep, store: &str) -> Result<()> {
    ensure!(
        !store.contains("://") && !SCHEMES.contains(&store),
        "--store `{store}`: `simulate = true` needs a folder of this machine; pass one, or make the partitions with \
         `cosmicai simulate` and `cosmicai split` and upload them"
    );
    for (size, files) in sweep.needed().into_values() {
        let images = galaxies(size, files);
        ensure!(
            images <= MAX_SAMPLES,
            "{files} partitions of {size} are {images} galaxies; at most {MAX_SAMPLES} can be simulated"
        );
    }
    Ok(())
}

/// Makes the folders that serve as buckets of a simulated sweep.
pub(crate) fn make_buckets(sweep: &Sweep, store: &str) -> Result<()> {
    for bucket in [&sweep.data.bucket.0.0, sweep.results_bucket()] {
        let folder = Path::new(store).join(bucket);
        std::fs::create_dir_all(&folder).with_context(|| format!("create folder `{}`", folder.display()))?;
    }
    Ok(())
}

/// Makes the missing model and partitions in the folder `store`.
pub(crate) async fn make(sweep: &Sweep, store: &str, settings: &Settings, printer: &Printer) -> Result<()> {
    let store = Path::new(store);
    let folder = store.join(sweep.results_bucket()).join(MODEL_FOLDER);
    let model = folder.join(MODEL_NAME);
    if sweep.data.model.is_none() && !model.exists() {
        let staging = StagingFolder::enter(&folder, printer).await?;
        if !model.exists() {
            printer.tell(&format!("making model {}: published size, seeded weights", model.display()));
            new_file::write(&staging.path(MODEL_NAME), &seeded(&Sizes::full(), MODEL_SEED))?;
            staging.move_into_place(MODEL_NAME, &model)?;
        }
    }
    let bucket = store.join(&sweep.data.bucket.0.0);
    for (prefix, (size, files)) in sweep.needed() {
        let folder = bucket.join(&prefix);
        let names: Vec<String> = (1..=files).map(|number| format!("{number}{PARTITION_ENDING}")).collect();
        let are_there = || names.iter().all(|name| folder.join(name).exists());
        if are_there() {
            continue;
        }
        let staging = StagingFolder::enter(&bucket.join(sweep.simulated()), printer).await?;
        // The sweep that held the lock before may have made these partitions.
        if are_there() {
            continue;
        }
        let images = galaxies(size, files);
        printer.tell(&format!(
            "simulating {} galaxies, {files} partitions of {size} under {}",
            grouped(images as u64),
            folder.display()
        ));
        let sky = staging.path(&format!("sky{PARTITION_ENDING}"));
        let galaxies = Galaxies::Drawn(images, Sample::Main);
        write_sky(Sky { galaxies, seed: sweep.sky_seed(), image_size: IMAGE_SIZE }, &sky)?;
        let parts = staging.path(PARTS);
        let [from, into] = [&sky, &parts].map(|path| path.to_str().context("--store: expected a path in UTF-8"));
        split_into(&settings.stores(".").await?, from?, size.bytes, into?).await?;
        std::fs::create_dir_all(&folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        for name in &names {
            staging.move_into_place(&format!("{PARTS}/{name}"), &folder.join(name))?;
        }
    }
    Ok(())
}

/// Number of galaxies in `files` partitions of a size.
fn galaxies(size: &Size, files: usize) -> usize {
    files.saturating_mul(samples_per_part(size.bytes, IMAGE_SIZE, IMAGE_SIZE))
}

/// Checks that all partitions are there. A run would not notice: it predicts fewer files if fewer exist.
///
/// # Errors
/// A folder has fewer partitions than a point needs.
pub(crate) async fn check(sweep: &Sweep, stores: &Stores) -> Result<()> {
    let One(bucket) = &sweep.data.bucket;
    let bucket = stores.bucket(&bucket.0)?;
    for (prefix, (size, files)) in sweep.needed() {
        let found =
            bucket.list(&prefix).await?.into_iter().filter(|object| object.key.ends_with(PARTITION_ENDING)).count();
        let url = bucket.url(&prefix);
        ensure!(
            found >= files,
            "`{url}`: {found} partitions found, {files} of {size} needed; make more with `cosmicai split --size \
             {size}`, lower `file_limit` or `data_size`, or set `simulate = true`"
        );
    }
    Ok(())
}

/// Text with the bytes of all partitions, and the bytes that all measured runs read.
pub(crate) fn volume(sweep: &Sweep) -> String {
    let all: u64 = sweep.needed().values().map(|(size, files)| size.bytes.saturating_mul(*files as u64)).sum();
    let read = sweep.points.iter().map(Point::bytes).fold(0_u64, u64::saturating_add);
    let runs = read.saturating_mul(sweep.repeats as u64);
    format!("{} of partitions, {} read by all measured runs", bytes(all), bytes(runs))
}
