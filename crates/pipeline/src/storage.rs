//! Where buckets are: a folder's subfolders, S3, or any store reached by a URL.
//!
//! In: the text a person gave (`--store DIR`, `s3`, `gs://`, a URL) and [`StorageOptions`], which the caller read from
//! its settings. Out: a [`Bucket`], the one thing through which this crate lists, reads and writes.
//! Never here: the environment, and any guess about credentials.

mod bucket;
mod explain;
#[cfg(not(feature = "everywhere"))]
mod no_others;
mod open;
mod options;
#[cfg(feature = "everywhere")]
mod others;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

pub use bucket::{Bucket, MAX_OBJECTS, Object};
pub use explain::{explain, is_transient};
pub use options::{Limits, S3Options, StorageOptions};

/// Why a store could not be opened, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The text that names a place cannot be understood or opened; nothing was asked of a store. Correct the text.
    #[error("store `{place}`: {problem}")]
    Place {
        /// What was given.
        place: String,
        /// What is wrong with it, and what to try.
        problem: String,
    },
    /// A store was asked and did not do it. The message explains what it said and what to try.
    #[error("{action} `{url}`: {}", explain(said))]
    Request {
        /// What was asked: `list`, `read`, `write`, `delete`.
        action: &'static str,
        /// The object or folder it was asked about.
        url: String,
        /// The store's answer. Not a `source`: [`explain`] already says it, once and without repetition.
        said: object_store::Error,
    },
    /// An object is larger than anything of its kind may be; it was not read.
    #[error("read `{url}`: {bytes} bytes, but {what} has {limit} at most; is it the right object?")]
    TooLarge {
        /// The object.
        url: String,
        /// What it was taken for.
        what: &'static str,
        /// Its size in bytes.
        bytes: u64,
        /// The largest size in bytes that is read.
        limit: u64,
    },
    /// A folder holds more objects than a run may have.
    #[error("list `{url}`: more than {limit} objects; give a narrower prefix")]
    TooMany {
        /// The folder.
        url: String,
        /// The largest number that is listed.
        limit: usize,
    },
}

impl StorageError {
    /// Whether the same request may succeed when it is made again (see [`is_transient`]).
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Request { said, .. } if is_transient(said))
    }

    /// Whether the store answered that the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Request { said: object_store::Error::NotFound { .. }, .. })
    }
}

/// Where buckets are. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Stores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    place: Place,
    options: StorageOptions,
    /// What `memory:` means to this set of stores.
    memory: Arc<InMemory>,
    /// One connection pool per bucket, however often it is opened.
    opened: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug)]
enum Place {
    /// Each bucket is a folder in this one.
    Folder(PathBuf),
    /// Each bucket is a bucket of this scheme (`s3`, `gs`, `az`).
    Scheme(String),
    /// Each bucket is a folder under this key of this store.
    Under(Bucket, String),
}

impl Stores {
    /// Understands `place`: `s3` (or `gs`, `az`, alone or with `://`), a URL (`s3://b/p`, `gs://…`, `az://…`,
    /// `https://…`, `file:///…`, `memory:`), or the path of a
    /// folder (`./s3` for one that is called so). Under a URL with a path and under a folder, a
    /// bucket is a folder.
    pub fn open(place: &str, options: StorageOptions) -> Result<Self, StorageError> {
        let memory = Arc::new(InMemory::new());
        let scheme = place.strip_suffix("://").unwrap_or(place);
        let place = if open::BUCKET_SCHEMES.contains(&scheme) {
            Place::Scheme(scheme.to_owned())
        } else {
            match open::place(place, &options, &memory)? {
                open::Opened::Folder(folder) => Place::Folder(folder),
                open::Opened::Bucket(bucket, key) => Place::Under(bucket, key),
            }
        };
        Ok(Self { inner: Arc::new(Inner { place, options, memory, opened: Mutex::default() }) })
    }

    /// The bucket of this name.
    ///
    /// Only the folder form is checked to exist; elsewhere the first request says so.
    pub fn bucket(&self, name: &str) -> Result<Bucket, StorageError> {
        let complain = |problem: &str| StorageError::Place { place: name.to_owned(), problem: problem.to_owned() };
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(complain("not the name of a bucket: one word, without `/`, is expected"));
        }
        let id = format!("bucket {name}");
        self.remembered(id, || match &self.inner.place {
            Place::Folder(folder) => open::folder(&folder.join(name)),
            Place::Scheme(scheme) => open::bucket(scheme, name, &self.inner.options),
            Place::Under(bucket, key) => {
                let prefix = Path::parse(key).and_then(|above| Ok(above.join(Path::parse(name)?.as_ref())));
                let prefix = prefix.map_err(|error| complain(&error.to_string()))?;
                let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(bucket.store(), prefix.clone()));
                Ok(Bucket::new(store, format!("{}/", bucket.url(prefix.as_ref()))))
            }
        })
    }

    /// The store and the key that a URL or the path of a file or folder names. The key is empty for a whole bucket or
    /// an existing folder.
    ///
    /// The text after `s3://bucket/` is the key as it is, spaces and `%` included; `http` and `file` URLs are decoded.
    pub fn open_url(&self, url: &str) -> Result<(Bucket, String), StorageError> {
        if let Some((scheme, name, key)) = open::split_bucket_url(url) {
            let bucket =
                self.remembered(format!("{scheme}://{name}"), || open::bucket(scheme, name, &self.inner.options))?;
            return Ok((bucket, open::tidy_key(url, key)?));
        }
        match open::place(url, &self.inner.options, &self.inner.memory)? {
            open::Opened::Folder(folder) => Ok((open::folder(&folder)?, String::new())),
            open::Opened::Bucket(bucket, key) => Ok((bucket, key)),
        }
    }

    /// Whether a text names its own place (`s3://b/k`, `/data/x.pt`, `./x.pt`) rather than a key in some bucket.
    pub fn is_url(text: &str) -> bool {
        text.contains("://") || open::has_scheme(text) || [".", "/", "~"].iter().any(|start| text.starts_with(start))
    }

    /// Opens what `id` names, or gives back the one opened before.
    fn remembered(
        &self,
        id: String,
        open: impl FnOnce() -> Result<Bucket, StorageError>,
    ) -> Result<Bucket, StorageError> {
        let mut opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = opened.get(&id) {
            return Ok(bucket.clone());
        }
        let bucket = open()?;
        opened.insert(id, bucket.clone());
        Ok(bucket)
    }
}
