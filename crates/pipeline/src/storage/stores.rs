//! Set of buckets in one location.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::bucket::Bucket;
use super::error::StorageError;
use super::open;
use super::options::StorageOptions;

/// Set of buckets in one location. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Stores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    options: StorageOptions,
    /// Store behind `memory:` URLs.
    memory: Arc<InMemory>,
    /// Opened buckets by name or URL. A bucket that is opened again shares its connection pool.
    opened: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug)]
enum Location {
    /// Each bucket is a subfolder of this folder.
    Folder(PathBuf),
    /// Each bucket is a bucket of this scheme (`s3`, `gs`, `az`).
    Scheme(String),
    /// Each bucket is a folder under this key of this bucket.
    Prefix(Bucket, String),
}

impl Stores {
    /// Opens the location that a text names: `s3` (or `gs`, `az`, alone or with `://`), a URL (`s3://b/p`, `gs://…`,
    /// `az://…`, `https://…`, `file:///…`, `memory:`), or the path of a folder (`./s3` for a folder with the name
    /// `s3`). Under a folder, and under a URL with a path, each bucket is a folder.
    ///
    /// # Errors
    /// The text does not name a location, or the location cannot be opened.
    pub fn open(location: &str, options: StorageOptions) -> Result<Self, StorageError> {
        super::tls::choose_tls();
        if let Some(endpoint) = &options.s3.endpoint {
            open::reject_password(endpoint)?;
        }
        let memory = Arc::new(InMemory::new());
        let scheme = location.strip_suffix("://").unwrap_or(location);
        let location = if open::BUCKET_SCHEMES.contains(&scheme) {
            Location::Scheme(scheme.to_owned())
        } else {
            match open::location(location, &options, &memory)? {
                open::Opened::Folder(folder) => Location::Folder(folder),
                open::Opened::Bucket(bucket, key) => Location::Prefix(bucket, key),
            }
        };
        Ok(Self { inner: Arc::new(Inner { location, options, memory, opened: Mutex::default() }) })
    }

    /// Opens the bucket of this name.
    ///
    /// A bucket that is a folder of this machine must exist. For other buckets, the first request reports whether they
    /// exist.
    ///
    /// # Errors
    /// The name is not a bucket name, or the folder does not exist.
    pub fn bucket(&self, name: &str) -> Result<Bucket, StorageError> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(StorageError::location(name, "not the name of a bucket; expected one word without `/`"));
        }
        let id = format!("bucket {name}");
        self.open_once(id, || match &self.inner.location {
            Location::Folder(folder) => open::folder(&folder.join(name), &self.inner.options.warnings),
            Location::Scheme(scheme) => open::bucket(scheme, name, &self.inner.options),
            Location::Prefix(bucket, key) => {
                let prefix = Path::parse(key).and_then(|parent| Ok(parent.join(Path::parse(name)?.as_ref())));
                let prefix = prefix.map_err(|error| StorageError::location(name, error))?;
                let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(bucket.store(), prefix.clone()));
                Ok(Bucket::new(store, format!("{}/", bucket.url(prefix.as_ref())), &self.inner.options.warnings))
            }
        })
    }

    /// Opens the bucket that a URL or the path of a file or folder names, and returns it with the key. The key is empty
    /// for a whole bucket or an existing folder.
    ///
    /// The text after `s3://bucket/` is the key as written, including spaces and `%`; `http` and `file` URLs are
    /// decoded.
    ///
    /// # Errors
    /// The text is neither a URL nor a path, or the store cannot be opened.
    pub fn open_url(&self, url: &str) -> Result<(Bucket, String), StorageError> {
        if let Some((scheme, name, key)) = open::split_bucket_url(url) {
            let bucket =
                self.open_once(format!("{scheme}://{name}"), || open::bucket(scheme, name, &self.inner.options))?;
            return Ok((bucket, open::tidy_key(url, key)?));
        }
        match open::location(url, &self.inner.options, &self.inner.memory)? {
            open::Opened::Folder(folder) => Ok((open::folder(&folder, &self.inner.options.warnings)?, String::new())),
            open::Opened::Bucket(bucket, key) => Ok((bucket, key)),
        }
    }

    /// Returns true if a text is a URL or a path (`s3://b/k`, `/data/x.pt`, `./x.pt`) and not a key in some bucket.
    pub fn is_url(text: &str) -> bool {
        text.contains("://") || open::has_scheme(text) || [".", "/", "~"].iter().any(|start| text.starts_with(start))
    }

    /// Returns the bucket opened before under `id`, or opens it.
    fn open_once(
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
