//! Replacement for `other_stores` in a program built without the feature `everywhere`: rejects every store by name.

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use super::bucket::Bucket;
use super::error::StorageError;
use super::options::StorageOptions;

/// Advice to the user.
const ADVICE: &str = "this program supports only S3 and folders; copy the object to S3";

/// Rejects a bucket of Google Cloud Storage.
pub(super) fn gs(_name: &str, _options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    Err(object_store::Error::NotSupported { source: ADVICE.into() })
}

/// Rejects a container of Azure Blob Storage.
pub(super) fn az(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    gs(name, options)
}

/// Rejects a URL of a web server.
pub(super) fn http(text: &str, _url: &Url, _options: &StorageOptions) -> Result<(Bucket, String), StorageError> {
    Err(StorageError::location(text, ADVICE))
}
