//! In place of `others` in a program that was built without it: each place is refused by name.

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use super::open::{Opened, complain};
use super::{StorageError, StorageOptions};

/// What a person could do about it.
const ADVICE: &str = "this program knows S3 and folders alone; copy the object to S3";

pub(super) fn gs(_name: &str, _options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    Err(object_store::Error::NotSupported { source: ADVICE.into() })
}

pub(super) fn az(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    gs(name, options)
}

pub(super) fn http(text: &str, _url: &Url, _options: &StorageOptions) -> Result<Opened, StorageError> {
    Err(complain(text, ADVICE))
}
