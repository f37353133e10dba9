//! Bucket: lists, reads, writes, creates and deletes objects by key. Errors name an object by its full URL.
//!
//! Writes are atomic (one request, or a temporary file that is renamed): a reader sees all of an object or nothing.

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
use super::explain::cannot_create;

/// Largest number of objects in one listing.
pub const MAX_OBJECTS: usize = 1_000_000;
/// Longest time that one listing may take, over all its pages.
const LIST_TIMEOUT: Duration = Duration::from_secs(15 * 60);

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
}

impl Bucket {
    /// Makes a bucket of a store. `base` is its URL, with a slash at the end.
    pub(super) fn new(store: Arc<dyn ObjectStore>, base: String) -> Self {
        Self { store, base: base.into() }
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
    /// `100MB/…`, never `100MB-old/…`. Markers that some tools create for the folder itself are left out.
    ///
    /// # Errors
    /// The store fails, the listing takes too long, or the folder has more than [`MAX_OBJECTS`] objects.
    pub async fn list(&self, folder: &str) -> Result<Vec<StoredObject>, StorageError> {
        let prefix = self.path(folder.trim_matches('/'))?;
        let prefix = Some(&prefix).filter(|prefix| !prefix.is_root());
        let failed = |error| StorageError::Request { action: "list", url: self.url(folder), error };
        let listing = async {
            let mut objects = Vec::new();
            let mut found = self.store.list(prefix);
            while let Some(meta) = found.try_next().await.map_err(failed)? {
                if objects.len() == MAX_OBJECTS {
                    return Err(StorageError::TooMany { url: self.url(folder), limit: MAX_OBJECTS });
                }
                if Some(&meta.location) != prefix {
                    objects.push(object(meta));
                }
            }
            Ok(objects)
        };
        let timed_out = |_| {
            let source = format!("the listing took longer than {} s", LIST_TIMEOUT.as_secs()).into();
            failed(object_store::Error::Generic { store: "list", source })
        };
        let mut objects = tokio::time::timeout(LIST_TIMEOUT, listing).await.map_err(timed_out)??;
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
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
