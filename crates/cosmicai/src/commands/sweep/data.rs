//! What a sweep predicts: whether there are as many partitions of each size as its points ask for, and, where it
//! simulates, galaxies and a model in a store on this machine.
//!
//! Simulated partitions lie under `simulated-<seed>/<size>` in their bucket, which says what they are, so that nobody's
//! own data is ever replaced or taken for them. What is there already is not made again, nor replaced: a galaxy of a seed is
//! the same whatever their number, so a sweep that needs more partitions adds to those of another.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use astromae::init::{Sizes, seeded};
use pipeline::ingest::MAX_SAMPLES;
use pipeline::partition::samples_per_part;
use pipeline::plan::PARTITION_ENDING;
use pipeline::simulate::{Galaxies, Sample, Sky};
use pipeline::storage::Stores;

use super::axes::{One, Size};
use super::points::{Point, Sweep};
use super::workplace::Workplace;
use crate::commands::{new_file, simulate, split};
use crate::printer::{Printer, bytes, grouped};
use crate::settings::Settings;

/// Seed of the sky where none is given. The demonstration's model was trained on seeds below 1,000.
const SEED: u64 = 2025;
/// Lines and columns of a simulated image.
const IMAGE_SIZE: usize = 32;
/// Seed of the weights of a model that is made.
const MODEL_SEED: u64 = 1;
/// Folder of a model that is made, and its name there.
const MODEL_FOLDER: &str = "published-size";
const MODEL_NAME: &str = "seeded.safetensors";
/// Folder of partitions that are being cut.
const PARTS: &str = "parts";
/// Places that are no folders.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

impl Sweep {
    /// Folder of a point's partitions in their bucket.
    pub(super) fn data_prefix(&self, point: &Point) -> String {
        let size = &point.partition.text;
        match (&self.data.prefix, self.data.simulate) {
            (_, true) => format!("{}/{size}", self.simulated()),
            (Some(One(prefix)), false) => format!("{prefix}/{size}"),
            (None, false) => size.clone(),
        }
    }

    /// URL or key of the model.
    pub(super) fn model(&self) -> String {
        self.data.model.as_ref().map_or_else(|| format!("{MODEL_FOLDER}/{MODEL_NAME}"), |One(model)| model.clone())
    }

    /// Folder of all simulated partitions in their bucket.
    fn simulated(&self) -> String {
        format!("simulated-{}", self.sky_seed())
    }

    fn sky_seed(&self) -> u64 {
        self.data.seed.as_ref().map_or(SEED, |One(seed)| seed.0)
    }

    /// For each folder of partitions, their size and how many of them the points ask for at most.
    fn needed(&self) -> BTreeMap<String, (&Size, usize)> {
        let mut needed = BTreeMap::new();
        for point in &self.points {
            let (_, files) = needed.entry(self.data_prefix(point)).or_insert((&point.partition, 0));
            *files = point.settings.file_limit.max(*files);
        }
        needed
    }
}

/// Refuses what cannot be simulated, before anything is.
pub(super) fn check_simulated(sweep: &Sweep, store: &str) -> Result<()> {
    ensure!(
        !store.contains("://") && !SCHEMES.contains(&store),
        "--store `{store}`: `simulate = true` makes galaxies in a folder of this machine; give one, or simulate and split \
         them by hand and upload them"
    );
    for (size, files) in sweep.needed().into_values() {
        let images = galaxies(size, files);
        ensure!(
            images <= MAX_SAMPLES,
            "{files} partitions of {size} are {images} galaxies; {MAX_SAMPLES} are simulated at most"
        );
    }
    Ok(())
}

/// Makes the folders that serve as buckets for what is simulated.
pub(super) fn make_buckets(sweep: &Sweep, store: &str) -> Result<()> {
    for bucket in [&sweep.data.bucket.0.0, sweep.results_bucket()] {
        let folder = Path::new(store).join(bucket);
        std::fs::create_dir_all(&folder).with_context(|| format!("create folder `{}`", folder.display()))?;
    }
    Ok(())
}

/// Simulates what is not there yet, in the store of this folder.
pub(super) async fn make(sweep: &Sweep, store: &str, settings: &Settings, printer: &Printer) -> Result<()> {
    let store = Path::new(store);
    let folder = store.join(sweep.results_bucket()).join(MODEL_FOLDER);
    let model = folder.join(MODEL_NAME);
    if sweep.data.model.is_none() && !model.exists() {
        let workplace = Workplace::enter(&folder, printer).await?;
        if !model.exists() {
            printer.tell(&format!("model {}: the published model's size, seeded weights", model.display()));
            new_file::write(&workplace.path(MODEL_NAME), &seeded(&Sizes::full(), MODEL_SEED))?;
            workplace.place(MODEL_NAME, &model)?;
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
        let workplace = Workplace::enter(&bucket.join(sweep.simulated()), printer).await?;
        // Who had it before may have made just these.
        if are_there() {
            continue;
        }
        let images = galaxies(size, files);
        printer.tell(&format!(
            "simulating {} galaxies, {files} partitions of {size} under {}",
            grouped(images as u64),
            folder.display()
        ));
        let sky = workplace.path(&format!("sky{PARTITION_ENDING}"));
        let galaxies = Galaxies::Drawn(images, Sample::Main);
        simulate::write(Sky { galaxies, seed: sweep.sky_seed(), image_size: IMAGE_SIZE }, &sky)?;
        let parts = workplace.path(PARTS);
        let [from, into] = [&sky, &parts].map(|path| path.to_str().context("--store: a path in UTF-8 is expected"));
        split::into(&settings.stores(".").await?, from?, size.bytes, into?).await?;
        std::fs::create_dir_all(&folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        for name in &names {
            workplace.place(&format!("{PARTS}/{name}"), &folder.join(name))?;
        }
    }
    Ok(())
}

/// How many galaxies so many partitions of a size have.
fn galaxies(size: &Size, files: usize) -> usize {
    files.saturating_mul(samples_per_part(size.bytes, IMAGE_SIZE, IMAGE_SIZE))
}

/// Refuses a sweep whose points would get fewer partitions than they ask for, which a run takes for all there are.
pub(super) async fn check(sweep: &Sweep, stores: &Stores) -> Result<()> {
    let One(bucket) = &sweep.data.bucket;
    let bucket = stores.bucket(&bucket.0)?;
    for (prefix, (size, files)) in sweep.needed() {
        let found =
            bucket.list(&prefix).await?.into_iter().filter(|object| object.key.ends_with(PARTITION_ENDING)).count();
        let url = bucket.url(&prefix);
        ensure!(
            found >= files,
            "`{url}`: {found} partitions found, {files} of {size} are asked for; cut more with `cosmicai split --size {size}`, \
             lower `file_limit` or `data_size`, or set `simulate = true`"
        );
    }
    Ok(())
}

/// How many bytes the points' partitions have, folder by folder, and how many are read by all runs.
pub(super) fn volume(sweep: &Sweep) -> String {
    let all: u64 = sweep.needed().values().map(|(size, files)| size.bytes.saturating_mul(*files as u64)).sum();
    let read = sweep.points.iter().map(Point::bytes).fold(0_u64, u64::saturating_add);
    let runs = read.saturating_mul(sweep.repeats as u64);
    format!("{} of partitions, {} read by all measured runs", bytes(all), bytes(runs))
}
