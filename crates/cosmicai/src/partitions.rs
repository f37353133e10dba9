//! Writes partitions: a simulated sky, and the parts of a larger partition.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object_store::path::Path as Key;
use pipeline::objects::{Objects, objects_key};
use pipeline::partition::{Part, Partition, samples_per_part};
use pipeline::storage::{Bucket, Stores};
use sources::simulate::{Sky, write_partition};

use crate::counting_bar::counting_bar;
use crate::new_file::NewFile;

/// Writes a simulated sky as one partition, on all cores.
pub(crate) fn write_sky(sky: Sky<'_>, path: &Path) -> Result<()> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bar = counting_bar("galaxies", sky.galaxies.count() as u64);
    let file = write_partition(sky, threads, NewFile::create(path)?, |done| bar.set_position(done as u64))
        .with_context(|| format!("write `{}`", path.display()))?;
    bar.finish_and_clear();
    file.keep()?;
    // The file of objects of an earlier partition at this path names other galaxies.
    match std::fs::remove_file(objects_key(&path.to_string_lossy())) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context("delete the file of objects of the earlier partition")
        }
        _ => Ok(()),
    }
}

/// Splits the partition at `input` into parts of about `size` bytes in the folder `out`.
pub(crate) async fn split_into(stores: &Stores, input: &str, size: u64, out: &str) -> Result<Vec<Part>> {
    let (bucket, key) = stores.open_url(input)?;
    let partition = Partition::open(bucket.store(), bucket.path(&key)?, None).await?;
    let objects = Objects::read_beside(&bucket, &partition).await?;
    if !out.contains("://") {
        std::fs::create_dir_all(Path::new(out)).with_context(|| format!("create folder `{out}`"))?;
    }
    let (to, prefix) = stores.open_url(out)?;
    let prefix: Key = to.path(&prefix)?;
    let count = partition.len().div_ceil(samples_per_part(size, partition.height(), partition.width()));
    refuse_others(&to, prefix.as_ref(), count).await?;
    refuse_input(
        &bucket.url(&key),
        (1..=count).map(|number| to.url(prefix.clone().join(format!("{number}.pt")).as_ref())),
    )?;
    let bar = counting_bar("parts", count as u64);
    let parts =
        pipeline::partition::split(&partition, objects.as_ref(), size, to.store(), &prefix, |_| bar.inc(1)).await;
    bar.finish_and_clear();
    Ok(parts?)
}

/// Checks that no part would replace the input, whose other samples would then be lost.
fn refuse_input(input: &str, mut parts: impl Iterator<Item = String>) -> Result<()> {
    let file = |url: &str| std::fs::canonicalize(url).unwrap_or_else(|_| url.into());
    let input_file = file(input);
    match parts.find(|part| part == input || file(part) == input_file) {
        Some(part) => bail!("--out would replace the input: `{part}` is the name of a part; choose another folder"),
        None => Ok(()),
    }
}

/// Checks that a folder has no partitions besides those that the new parts replace. A later reader of the folder would
/// take them for parts of the same sky.
async fn refuse_others(to: &Bucket, folder: &str, count: usize) -> Result<()> {
    let is_replaced = |name: &str| name.parse::<usize>().is_ok_and(|number| (1..=count).contains(&number));
    for object in to.list(folder).await? {
        let name = object.key.strip_prefix(folder).unwrap_or(&object.key).trim_start_matches('/');
        if let Some(stem) = name.strip_suffix(".pt")
            && !is_replaced(stem)
        {
            let url = to.url(&object.key);
            bail!(
                "`{url}` exists and is not one of the {count} parts to write; empty the folder or choose another one"
            );
        }
    }
    Ok(())
}
