//! Writes partitions: a simulated sky, the parts of a larger partition, and the whole of several.

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object_store::path::Path as Key;
use pipeline::objects::{Objects, objects_key};
use pipeline::partition::{ConcatInput, Part, Partition, samples_per_part};
use pipeline::storage::{Bucket, Stores};
use records::natural_order;
use records::plan::PARTITION_ENDING;
use sources::simulate::{Sky, write_partition};

use crate::counting_bar::{counting_bar, counting_spinner};
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
        Some(part) => bail!("--out would replace the input: `{part}` is an input; choose another name or folder"),
        None => Ok(()),
    }
}

/// Joins the partitions at `inputs`, which may be folders, to one at `out`. Returns it, and the number of partitions.
pub(crate) async fn concat_into(stores: &Stores, inputs: &[String], out: &str) -> Result<(Part, usize)> {
    ensure!(out.ends_with(PARTITION_ENDING), "--out `{out}`: expected a name that ends in `{PARTITION_ENDING}`");
    let mut found = Vec::new();
    for input in inputs {
        found.extend(partitions_at(stores, input).await?);
    }
    let (to, key) = match out.rsplit_once('/') {
        _ if out.contains("://") => stores.open_url(out)?,
        folder => {
            // The folder must exist before a path in it can be opened.
            let (folder, name) = folder.unwrap_or((".", out));
            let folder = if folder.is_empty() { "/" } else { folder };
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{folder}`"))?;
            let (bucket, prefix) = stores.open_url(folder)?;
            (bucket, if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") })
        }
    };
    for input in &found {
        refuse_input(&input.bucket.url(&input.object.key), std::iter::once(to.url(&key)))?;
    }
    let bar = counting_spinner("images");
    let joined = pipeline::partition::concat(&found, &to, &key, |count| bar.inc(count as u64)).await;
    bar.finish_and_clear();
    Ok((joined?, found.len()))
}

/// The partition at `input`, or the partitions of the folder at `input` in the order of their numbers.
async fn partitions_at(stores: &Stores, input: &str) -> Result<Vec<ConcatInput>> {
    let (bucket, key) = stores.open_url(input)?;
    if key.ends_with(PARTITION_ENDING) {
        let object = bucket.find(&key).await?.with_context(|| format!("`{input}` does not exist"))?;
        return Ok(vec![ConcatInput { bucket, object }]);
    }
    let mut objects = bucket.list_inputs(key.trim_end_matches('/')).await?;
    objects.retain(|object| object.key.ends_with(PARTITION_ENDING));
    ensure!(!objects.is_empty(), "`{input}`: no partition found; expected a file or a folder of files `*.pt`");
    objects.sort_by(|a, b| natural_order(&a.key, &b.key));
    Ok(objects.into_iter().map(|object| ConcatInput { bucket: bucket.clone(), object }).collect())
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
