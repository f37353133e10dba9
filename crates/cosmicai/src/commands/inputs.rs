//! From what a person names (files, folders, URLs) to the objects meant, in natural order.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use pipeline::natural_order;
use pipeline::objects::{OBJECTS_ENDING, Objects, ObjectsIdentity, objects_key};
use pipeline::plan::PARTITION_ENDING;
use pipeline::storage::{Bucket, Object, Stores};

/// An object that a person named, or that lies in a folder they named.
pub(crate) struct Input {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    /// As the person would name it.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// The file beside it that says who its galaxies are.
    pub(crate) objects: Option<ObjectsIdentity>,
}

/// Finds what each of `named` means: itself, or the files in it whose names end in one of `endings`. Sorted as people
/// count: `2.pt` before `10.pt`.
pub(crate) async fn find(stores: &Stores, named: &[String], endings: &[&str]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for name in named {
        let (bucket, key) = stores.open_url(name)?;
        if !key.is_empty()
            && let Some(object) = bucket.find(&key).await?
        {
            let objects = if key.ends_with(PARTITION_ENDING) { Objects::find(&bucket, &key).await? } else { None };
            inputs.push(Input { bucket, key, name: name.clone(), bytes: object.bytes, objects });
            continue;
        }
        let listed = bucket.list(&key).await.with_context(|| format!("`{name}` is no file"))?;
        let before = inputs.len();
        let beside: HashMap<&str, &Object> = listed.iter().map(|object| (object.key.as_str(), object)).collect();
        for object in &listed {
            let is_one = endings.iter().any(|ending| object.key.ends_with(ending));
            if is_one && !object.key.ends_with(OBJECTS_ENDING) {
                let below = object.key.strip_prefix(&key).unwrap_or(&object.key).trim_start_matches('/');
                let name = format!("{}/{below}", name.trim_end_matches('/'));
                let objects =
                    beside.get(objects_key(&object.key).as_str()).map(|&object| ObjectsIdentity::from(object));
                let (bucket, key) = (bucket.clone(), object.key.clone());
                inputs.push(Input { bucket, key, name, bytes: object.bytes, objects });
            }
        }
        if inputs.len() == before {
            bail!("`{name}`: no such file, and no folder with files ending in {}", endings.join(" or "));
        }
    }
    inputs.sort_by(|a, b| natural_order(&a.name, &b.name));
    inputs.dedup_by(|a, b| a.name == b.name);
    Ok(inputs)
}
