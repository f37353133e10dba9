//! Bucket: lists, reads, writes, creates and deletes objects by key. Errors name an object by its full URL.
//!
//! Writes are atomic (one request, or a temporary file that is renamed): a reader sees all of an object or nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use super::content::Content;
use super::error::StorageError;
use super::explain::{cannot_create, cannot_list};
use super::listing::{ODD_KEY, is_hidden, walk};
use super::odd_keys::unmark;
use super::warnings::{OddObject, Warnings};

/// Largest number of objects in one listing.
pub const MAX_OBJECTS: usize = 1_000_000;
/// Longest time that one listing may take, over all its pages.
const LIST_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Number of objects whose properties are read at the same time.
const HEADS_AT_ONCE: usize = 16;

/// Properties of an object in a bucket, as a listing shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Key in the bucket.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Version of the object, as the store names it (its ETag); `None` if the store does not name versions.
    pub e_tag: Option<String>,
    /// Time of the last write, RFC 3339.
    pub modified: String,
}

/// Bucket, or a folder that serves as a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// URL of the bucket, with a slash at the end.
    base: Arc<str>,
    /// Folder of this machine that serves as the bucket, without links; `None` for other buckets.
    folder: Option<PathBuf>,
    warnings: Warnings,
}

impl Bucket {
    /// Makes a bucket of a store. `base` is its URL, with a slash at the end.
    pub(super) fn new(store: Arc<dyn ObjectStore>, base: String, warnings: &Warnings) -> Self {
        Self { store, base: base.into(), folder: None, warnings: warnings.clone() }
    }

    /// Makes a bucket of a folder of this machine, whose path has no links.
    pub(super) fn of_folder(store: Arc<dyn ObjectStore>, folder: PathBuf, warnings: &Warnings) -> Self {
        let base = format!("{}/", folder.display().to_string().trim_end_matches('/'));
        Self { folder: Some(folder), ..Self::new(store, base, warnings) }
    }

    /// Underlying store, for readers of byte ranges.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Full URL of a key, as messages show it and as [`Stores::open_url`](super::Stores::open_url) reads it.
    pub fn url(&self, key: &str) -> String {
        format!("{}{key}", self.base)
    }

    /// Converts a key to the path type of the underlying store.
    ///
    /// # Errors
    /// The text is not a valid key.
    pub fn path(&self, key: &str) -> Result<Path, StorageError> {
        Path::parse(key).map_err(|error| StorageError::location(&self.url(key), format!("not a valid key: {error}")))
    }

    /// Lists the objects in a folder and its subfolders in the byte order of their keys, as S3 does. `100MB` means
    /// `100MB/…`, never `100MB-old/…`. Hidden objects below the folder are left out (`.ipynb_checkpoints/1.pt`,
    /// `._1.pt`), as are markers that some tools create for the folder itself, and objects that cannot be read because
    /// of their names.
    ///
    /// # Errors
    /// The store fails, the listing takes too long, or the folder has more than [`MAX_OBJECTS`] objects.
    pub async fn list(&self, folder: &str) -> Result<Vec<StoredObject>, StorageError> {
        Ok(self.list_all(folder).await?.0)
    }

    /// Lists the objects in a folder of inputs, like [`list`](Self::list), and warns about each object that cannot be
    /// read because of its name (`d//2.pt`, a tab, a name that is not UTF-8, a link to a folder above it).
    ///
    /// # Errors
    /// See [`list`](Self::list).
    pub async fn list_inputs(&self, folder: &str) -> Result<Vec<StoredObject>, StorageError> {
        let (objects, odd) = self.list_all(folder).await?;
        self.warnings.pass_over(&self.base, &odd);
        Ok(objects)
    }

    /// Lists a folder: the objects, and what cannot be read because of its name. Neither has hidden ones.
    async fn list_all(&self, folder: &str) -> Result<(Vec<StoredObject>, Vec<OddObject>), StorageError> {
        let prefix = self.path(folder.trim_matches('/'))?;
        let prefix = Some(&prefix).filter(|prefix| !prefix.is_root());
        let failed = |error| StorageError::Request { action: "list", url: self.url(folder), error };
        let listing = async {
            let mut objects = Vec::new();
            let mut found = self.store.list(prefix);
            loop {
                let meta = match found.try_next().await {
                    Ok(Some(meta)) => meta,
                    Ok(None) => break,
                    Err(error) => match &self.folder {
                        Some(root) => return self.walk(root.clone(), folder).await,
                        None if self.base.starts_with("http") && cannot_list(&error) => {
                            return Err(StorageError::NotListed { url: self.url(folder) });
                        }
                        None => return Err(failed(error)),
                    },
                };
                if objects.len() == MAX_OBJECTS {
                    return Err(StorageError::TooMany { url: self.url(folder), limit: MAX_OBJECTS });
                }
                if Some(&meta.location) != prefix && !meta.location.is_root() {
                    objects.push(object(meta));
                }
            }
            Ok((objects, Vec::new()))
        };
        let timed_out = |_| {
            let source = format!("the listing took longer than {} s", LIST_TIMEOUT.as_secs()).into();
            failed(object_store::Error::Generic { store: "list", source })
        };
        let (mut objects, mut odd) = tokio::time::timeout(LIST_TIMEOUT, listing).await.map_err(timed_out)??;
        let folder = prefix.map_or("", Path::as_ref);
        let below = |key: &str| key.strip_prefix(folder).unwrap_or(key).trim_start_matches('/').to_owned();
        objects.retain(|object| match unmark(&object.key) {
            Some(name) => {
                odd.push(OddObject { name, problem: ODD_KEY.to_owned() });
                false
            }
            None => !is_hidden(&below(&object.key)),
        });
        odd.retain(|odd| !is_hidden(&below(&odd.name)));
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok((objects, odd))
    }

    /// Lists a folder of this machine file by file, after a listing as a whole has failed.
    async fn walk(&self, root: PathBuf, folder: &str) -> Result<(Vec<StoredObject>, Vec<OddObject>), StorageError> {
        let below = folder.trim_matches('/').to_owned();
        let walked = tokio::task::spawn_blocking(move || walk(&root, &below)).await;
        let walked = walked.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        let failed = |error| StorageError::Request { action: "list", url: self.url(folder), error };
        let (keys, odd) =
            walked.map_err(|error| failed(object_store::Error::Generic { store: "list", source: error.into() }))?;
        if keys.len().max(odd.len()) > MAX_OBJECTS {
            return Err(StorageError::TooMany { url: self.url(folder), limit: MAX_OBJECTS });
        }
        let heads = keys.into_iter().map(|key| async move { self.store.head(&key).await });
        let mut heads = futures::stream::iter(heads).buffered(HEADS_AT_ONCE);
        let mut objects = Vec::new();
        while let Some(head) = heads.next().await {
            match head {
                Ok(meta) => objects.push(object(meta)),
                // It was deleted after it was listed.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok((objects, odd))
    }

    /// Properties of the object with this key, or `None` if it does not exist.
    ///
    /// # Errors
    /// The store fails.
    pub async fn find(&self, key: &str) -> Result<Option<StoredObject>, StorageError> {
        match self.store.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(object(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.request_error("read", key, error)),
        }
    }

    /// Reads a whole object of at most `limit` bytes. `kind` names it in messages, for example `a plan`.
    ///
    /// # Errors
    /// The object does not exist or is larger than `limit`, or the store fails.
    pub async fn read(&self, key: &str, limit: u64, kind: &'static str) -> Result<Bytes, StorageError> {
        Ok(self.read_object(key, limit, kind).await?.1)
    }

    /// Reads a whole object, like [`read`](Self::read), and returns it with its properties.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub async fn read_object(
        &self,
        key: &str,
        limit: u64,
        kind: &'static str,
    ) -> Result<(StoredObject, Bytes), StorageError> {
        let found = self.get(key, limit, kind).await?;
        let version = object(found.meta.clone());
        Ok((version, found.bytes().await.map_err(|error| self.request_error("read", key, error))?))
    }

    /// Reads an object, like [`read`](Self::read), but only opens a file of this machine.
    pub(crate) async fn read_content(
        &self,
        key: &str,
        limit: u64,
        kind: &'static str,
    ) -> Result<Content, StorageError> {
        let failed = |error| self.request_error("read", key, error);
        let found = self.get(key, limit, kind).await?;
        match found.payload {
            GetResultPayload::File(file, _) => Content::from_file(file)
                .map_err(|error| failed(object_store::Error::Generic { store: "file", source: error.into() })),
            GetResultPayload::Stream(_) => Ok(Content::Memory(found.bytes().await.map_err(failed)?)),
        }
    }

    /// Reads a whole object, like [`read`](Self::read), or returns `None` if it does not exist.
    ///
    /// # Errors
    /// The object is larger than `limit`, or the store fails.
    pub async fn read_if_there(
        &self,
        key: &str,
        limit: u64,
        kind: &'static str,
    ) -> Result<Option<Bytes>, StorageError> {
        match self.read(key, limit, kind).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object and replaces an existing one.
    ///
    /// # Errors
    /// The store fails.
    pub async fn write(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let put = self.store.put(&self.path(key)?, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| self.request_error("write", key, error))
    }

    /// Writes an object if it does not exist, and returns false if it does. If several clients try at the same time,
    /// exactly one gets true. This does not hold for a store without conditional writes: there, the object is looked up
    /// first.
    ///
    /// # Errors
    /// The store fails.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, StorageError> {
        let path = self.path(key)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from(bytes.clone()), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) if cannot_create(&error) => {
                if self.find(key).await?.is_some() {
                    return Ok(false);
                }
                self.write(key, bytes).await.map(|()| true)
            }
            Err(error) => Err(self.request_error("write", key, error)),
        }
    }

    /// Deletes objects. Ignores objects that do not exist.
    ///
    /// # Errors
    /// The store fails.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), StorageError> {
        let paths = keys.iter().map(|key| self.path(key)).collect::<Result<Vec<_>, _>>()?;
        let first = keys.first().cloned().unwrap_or_default();
        let mut deleted = self.store.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.request_error("delete", &first, error)),
            }
        }
        Ok(())
    }

    /// Requests an object and checks that it has at most `limit` bytes.
    async fn get(&self, key: &str, limit: u64, kind: &'static str) -> Result<GetResult, StorageError> {
        let found = self.store.get(&self.path(key)?).await.map_err(|error| self.request_error("read", key, error))?;
        let bytes = found.meta.size;
        if bytes > limit {
            return Err(StorageError::TooLarge { url: self.url(key), kind, bytes, limit });
        }
        Ok(found)
    }

    fn request_error(&self, action: &'static str, key: &str, error: object_store::Error) -> StorageError {
        StorageError::Request { action, url: self.url(key), error }
    }
}

fn object(meta: ObjectMeta) -> StoredObject {
    StoredObject {
        key: meta.location.as_ref().to_owned(),
        bytes: meta.size,
        e_tag: meta.e_tag,
        modified: meta.last_modified.to_rfc3339(),
    }
}
