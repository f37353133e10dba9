//! One bucket: list, read, write, create, delete by key. Errors name the object by its full URL.
//!
//! Writes are atomic, one request or a temporary file renamed: a reader sees all of an object or none of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use super::StorageError;
use crate::model_file::Content;

/// The most objects that one listing may have.
pub const MAX_OBJECTS: usize = 1_000_000;
/// The longest that one listing may take, whatever its number of pages.
const LIST_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key in the bucket.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this version of it; absent where a store does not say.
    pub e_tag: Option<String>,
    /// When it was written, RFC 3339.
    pub modified: String,
}

/// A bucket, or a folder that serves as one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// What stands before a key in a URL, with its last slash.
    base: Arc<str>,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, base: String) -> Self {
        Self { store, base: base.into() }
    }

    /// The store behind it, for those who read by byte range.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The full URL of a key, as messages show it and as [`Stores::open_url`](super::Stores::open_url) reads it.
    pub fn url(&self, key: &str) -> String {
        format!("{}{key}", self.base)
    }

    /// A key in the form that the store's own functions take.
    pub fn path(&self, key: &str) -> Result<Path, StorageError> {
        Path::parse(key)
            .map_err(|error| StorageError::Place { place: self.url(key), problem: format!("not a key: {error}") })
    }

    /// Every object in a folder and its subfolders, in the byte order of their keys, as S3 gives them. `100MB` means
    /// `100MB/…`, never `100MB-old/…`. The markers that some tools leave for the folder itself are not objects.
    pub async fn list(&self, folder: &str) -> Result<Vec<Object>, StorageError> {
        let prefix = self.path(folder.trim_matches('/'))?;
        let prefix = Some(&prefix).filter(|prefix| !prefix.is_root());
        let failed = |said| StorageError::Request { action: "list", url: self.url(folder), said };
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
        let slow = |_| {
            let source = format!("the listing did not end within {} s", LIST_TIMEOUT.as_secs()).into();
            failed(object_store::Error::Generic { store: "list", source })
        };
        let mut objects = tokio::time::timeout(LIST_TIMEOUT, listing).await.map_err(slow)??;
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// The object of this key, or None where there is none.
    pub async fn find(&self, key: &str) -> Result<Option<Object>, StorageError> {
        match self.store.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(object(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(said) => Err(self.request("read", key, said)),
        }
    }

    /// A whole object of at most `limit` bytes; `what` names it should it be larger.
    pub async fn read(&self, key: &str, limit: u64, what: &'static str) -> Result<Bytes, StorageError> {
        Ok(self.read_object(key, limit, what).await?.1)
    }

    /// As [`read`](Self::read), and which version it was.
    pub async fn read_object(
        &self,
        key: &str,
        limit: u64,
        what: &'static str,
    ) -> Result<(Object, Bytes), StorageError> {
        let found = self.get(key, limit, what).await?;
        let version = object(found.meta.clone());
        Ok((version, found.bytes().await.map_err(|said| self.request("read", key, said))?))
    }

    /// As [`read`](Self::read), but a file of this machine is only opened.
    pub(crate) async fn read_content(
        &self,
        key: &str,
        limit: u64,
        what: &'static str,
    ) -> Result<Content, StorageError> {
        let failed = |said| self.request("read", key, said);
        let found = self.get(key, limit, what).await?;
        match found.payload {
            GetResultPayload::File(file, _) => Content::of_file(file)
                .map_err(|error| failed(object_store::Error::Generic { store: "file", source: error.into() })),
            GetResultPayload::Stream(_) => Ok(Content::Memory(found.bytes().await.map_err(failed)?)),
        }
    }

    /// As [`read`](Self::read), and None where there is no such object.
    pub async fn read_if_there(
        &self,
        key: &str,
        limit: u64,
        what: &'static str,
    ) -> Result<Option<Bytes>, StorageError> {
        match self.read(key, limit, what).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object, in place of any that was there.
    pub async fn write(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let put = self.store.put(&self.path(key)?, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|said| self.request("write", key, said))
    }

    /// Writes an object only where there is none; false where there is one. Of several who try at once, one is told
    /// true, on every store that can decide it; where a store cannot, its absence is looked up first.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, StorageError> {
        let path = self.path(key)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from(bytes.clone()), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(said) if super::explain::cannot_create(&said) => {
                if self.find(key).await?.is_some() {
                    return Ok(false);
                }
                self.write(key, bytes).await.map(|()| true)
            }
            Err(said) => Err(self.request("write", key, said)),
        }
    }

    /// Deletes these objects; those that are not there are passed over.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), StorageError> {
        let paths = keys.iter().map(|key| self.path(key)).collect::<Result<Vec<_>, _>>()?;
        let folder = keys.first().cloned().unwrap_or_default();
        let mut deleted = self.store.delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(said) => return Err(self.request("delete", &folder, said)),
            }
        }
        Ok(())
    }

    /// The store's answer for an object of at most `limit` bytes.
    async fn get(&self, key: &str, limit: u64, what: &'static str) -> Result<GetResult, StorageError> {
        let found = self.store.get(&self.path(key)?).await.map_err(|said| self.request("read", key, said))?;
        let bytes = found.meta.size;
        if bytes > limit {
            return Err(StorageError::TooLarge { url: self.url(key), what, bytes, limit });
        }
        Ok(found)
    }

    fn request(&self, action: &'static str, key: &str, said: object_store::Error) -> StorageError {
        StorageError::Request { action, url: self.url(key), said }
    }
}

fn object(meta: ObjectMeta) -> Object {
    Object {
        key: meta.location.as_ref().to_owned(),
        bytes: meta.size,
        e_tag: meta.e_tag,
        modified: meta.last_modified.to_rfc3339(),
    }
}
