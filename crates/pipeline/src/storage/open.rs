//! From the text that names a place to the store that serves it.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

#[cfg(not(feature = "everywhere"))]
use super::no_others as others;
#[cfg(feature = "everywhere")]
use super::others;
use super::{Bucket, StorageError, StorageOptions};

/// Schemes whose first part is a bucket.
pub(super) const BUCKET_SCHEMES: [&str; 3] = ["s3", "gs", "az"];
/// The region that S3 itself takes for none.
const REGION_IF_UNKNOWN: &str = "us-east-1";

/// What a text turned out to name.
pub(super) enum Opened {
    /// A folder on this machine that exists.
    Folder(PathBuf),
    /// A key (perhaps empty) in a store.
    Bucket(Bucket, String),
}

/// Opens any text but a bare scheme.
pub(super) fn place(text: &str, options: &StorageOptions, memory: &Arc<InMemory>) -> Result<Opened, StorageError> {
    if let Some((scheme, name, key)) = split_bucket_url(text) {
        return Ok(Opened::Bucket(bucket(scheme, name, options)?, tidy_key(text, key)?));
    }
    if !has_scheme(text) || FilePath::new(text).exists() {
        return local(text, FilePath::new(text));
    }
    if let Some(key) = text.strip_prefix("memory:") {
        let bucket = Bucket::new(memory.clone(), "memory:/".to_owned());
        return Ok(Opened::Bucket(bucket, tidy_key(text, key)?));
    }
    let url = Url::parse(text).map_err(|error| complain(text, &error.to_string()))?;
    match url.scheme() {
        "file" => {
            let path = url.to_file_path().map_err(|()| complain(text, "not the URL of a file on this machine"))?;
            local(text, &path)
        }
        "http" | "https" => others::http(text, &url, options),
        _ => Err(complain(
            text,
            "not a place that is known; expected a path, `s3://…`, `gs://…`, `az://…`, `http(s)://…`, `file:///…` or \
             `memory:`",
        )),
    }
}

/// One bucket of S3, Google or Azure.
pub(super) fn bucket(scheme: &str, name: &str, options: &StorageOptions) -> Result<Bucket, StorageError> {
    let base = format!("{scheme}://{name}/");
    let built = match scheme {
        "s3" => s3(name, options),
        "gs" => others::gs(name, options),
        _ => others::az(name, options),
    };
    let store = built.map_err(|error| complain(&base, &super::explain(&error)))?;
    Ok(Bucket::new(store, base))
}

/// An existing folder of this machine.
pub(super) fn folder(path: &FilePath) -> Result<Bucket, StorageError> {
    let shown = path.display().to_string();
    let found = std::fs::canonicalize(path).map_err(|error| {
        complain(&shown, &format!("{error}; in a folder store every bucket is a folder: `mkdir -p '{shown}'`"))
    })?;
    if !found.is_dir() {
        return Err(complain(&shown, "a file, where a folder is expected"));
    }
    let store = LocalFileSystem::new_with_prefix(&found).map_err(|error| complain(&shown, &super::explain(&error)))?;
    Ok(Bucket::new(Arc::new(store), format!("{}/", found.display().to_string().trim_end_matches('/'))))
}

/// `s3://bucket/key` in three; `s3a` and friends are the same thing under another name.
pub(super) fn split_bucket_url(text: &str) -> Option<(&'static str, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = match scheme {
        "s3" | "s3a" => "s3",
        "gs" => "gs",
        "az" | "azure" | "abfs" | "abfss" => "az",
        _ => return None,
    };
    let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
    (!name.is_empty()).then_some((scheme, name, key))
}

/// Whether the text begins like a URL. A single letter is not a scheme, so that no drive is mistaken for one.
pub(super) fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// A key without leading, trailing or doubled slashes.
pub(super) fn tidy_key(text: &str, key: &str) -> Result<String, StorageError> {
    let key = Path::parse(key.trim_matches('/')).map_err(|error| complain(text, &error.to_string()))?;
    Ok(key.as_ref().to_owned())
}

/// A path of this machine: its deepest existing folder is the store, the rest is the key, so that reading a missing
/// file says which, and writing makes the folders it needs.
fn local(text: &str, path: &FilePath) -> Result<Opened, StorageError> {
    if text.is_empty() {
        return Err(complain(text, "empty, where a path or a URL is expected"));
    }
    let absolute = std::path::absolute(path).map_err(|error| complain(text, &error.to_string()))?;
    if absolute.is_dir() {
        return Ok(Opened::Folder(absolute));
    }
    let mut above = absolute.as_path();
    let mut key = Vec::new();
    while let (Some(parent), Some(name)) = (above.parent(), above.file_name()) {
        let name = name.to_str().ok_or_else(|| complain(text, "not UTF-8"))?;
        key.push(name);
        if parent.is_dir() {
            key.reverse();
            return Ok(Opened::Bucket(folder(parent)?, tidy_key(text, &key.join("/"))?));
        }
        above = parent;
    }
    Err(complain(text, "no folder on the way to it exists"))
}

fn s3(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let s3 = &options.s3;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(s3.region.as_deref().unwrap_or(REGION_IF_UNKNOWN))
        .with_skip_signature(s3.skip_signature)
        .with_client_options(options.limits.client())
        .with_retry(options.limits.retry());
    if let Some(endpoint) = &s3.endpoint {
        builder = builder
            .with_endpoint(endpoint.trim_end_matches('/'))
            .with_virtual_hosted_style_request(false)
            .with_allow_http(endpoint.starts_with("http:"));
    }
    if let Some(credentials) = &s3.credentials {
        builder = builder.with_credentials(credentials.clone());
    }
    Ok(Arc::new(builder.build()?))
}

pub(super) fn complain(place: &str, problem: &str) -> StorageError {
    StorageError::Place { place: place.to_owned(), problem: problem.to_owned() }
}
