//! Finds the objects of file, folder and URL arguments, in natural order.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use pipeline::objects::{OBJECTS_ENDING, Objects, objects_key};
use pipeline::storage::{Bucket, StoredObject, Stores};
use records::natural_order;
use records::plan::ObjectsIdentity;
use records::plan::PARTITION_ENDING;

/// An object that the user named, or that is in a folder that the user named.
pub(crate) struct Input {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    /// Path or URL in the form of the user's argument.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// File of objects beside a partition, which names its galaxies.
    pub(crate) objects: Option<ObjectsIdentity>,
}

/// Finds the objects of each of `named`: the object itself, or the objects in a folder whose names end in one of
/// `endings`. Returns them in natural order: `2.pt` before `10.pt`.
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
        let listed = bucket.list_inputs(&key).await.with_context(|| format!("`{name}` is not a file"))?;
        let before = inputs.len();
        let beside: HashMap<&str, &StoredObject> = listed.iter().map(|object| (object.key.as_str(), object)).collect();
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
