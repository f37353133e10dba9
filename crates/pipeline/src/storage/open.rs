//! Opens the store that a text names.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use super::bucket::Bucket;
use super::error::StorageError;
use super::explain::explain;
#[cfg(not(feature = "everywhere"))]
use super::no_other_stores as other_stores;
use super::odd_keys::MarkOddKeys;
use super::options::StorageOptions;
#[cfg(feature = "everywhere")]
use super::other_stores;
use super::requests::CountRequests;
use super::warnings::Warnings;

/// URL schemes that name a bucket: `SCHEME://BUCKET/KEY`.
pub(super) const BUCKET_SCHEMES: [&str; 3] = ["s3", "gs", "az"];
/// Default region. S3 itself uses it when no region is given.
const DEFAULT_REGION: &str = "us-east-1";

/// Location that a text names.
pub(super) enum Opened {
    /// Existing folder on this machine.
    Folder(PathBuf),
    /// Key, possibly empty, in a bucket.
    Bucket(Bucket, String),
}

/// Opens the location that a text names. The text must not be a scheme alone.
pub(super) fn location(text: &str, options: &StorageOptions, memory: &Arc<InMemory>) -> Result<Opened, StorageError> {
    if let Some((scheme, name, key)) = split_bucket_url(text) {
        return Ok(Opened::Bucket(bucket(scheme, name, options)?, tidy_key(text, key)?));
    }
    if !has_scheme(text) || FilePath::new(text).exists() {
        return local_path(text, FilePath::new(text), &options.warnings);
    }
    if let Some(key) = text.strip_prefix("memory:") {
        let bucket = Bucket::new(memory.clone(), "memory:/".to_owned(), &options.warnings);
        return Ok(Opened::Bucket(bucket, tidy_key(text, key)?));
    }
    reject_password(text)?;
    let url = Url::parse(text).map_err(|error| StorageError::location(text, error))?;
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| StorageError::location(text, "not the URL of a file on this machine"))?;
            local_path(text, &path, &options.warnings)
        }
        "http" | "https" => other_stores::http(text, &url, options).map(|(bucket, key)| Opened::Bucket(bucket, key)),
        _ => Err(StorageError::location(
            text,
            "unknown scheme; expected a path, `s3://…`, `gs://…`, `az://…`, `http(s)://…`, `file:///…` or \
             `memory:`",
        )),
    }
}

/// Rejects an address with a name or a password before its host: plans, reports, job scripts and messages contain
/// addresses, and other people read them.
///
/// # Errors
/// The address has a name or a password. The message does not contain them.
pub fn reject_password(text: &str) -> Result<(), StorageError> {
    let Ok(mut url) = Url::parse(text) else { return Ok(()) };
    if !url.has_host() || (url.username().is_empty() && url.password().is_none()) {
        return Ok(());
    }
    // Neither fails for a URL with a host.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Err(StorageError::location(
        url.as_str(),
        "the address contains a name or password, which plans, reports and job scripts would show; leave it out, and set \
         credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or in a profile",
    ))
}

/// Opens a bucket of S3, Google Cloud Storage or Azure Blob Storage.
pub(super) fn bucket(scheme: &str, name: &str, options: &StorageOptions) -> Result<Bucket, StorageError> {
    let base = format!("{scheme}://{name}/");
    let built = match scheme {
        "s3" => s3(name, options),
        "gs" => other_stores::gs(name, options),
        _ => other_stores::az(name, options),
    };
    let store = built.map_err(|error| StorageError::location(&base, explain(&error)))?;
    Ok(Bucket::new(store, base, &options.warnings))
}

/// Opens an existing folder of this machine as a bucket.
pub(super) fn folder(path: &FilePath, warnings: &Warnings) -> Result<Bucket, StorageError> {
    let shown = path.display().to_string();
    let found = std::fs::canonicalize(path).map_err(|error| {
        StorageError::location(
            &shown,
            format!("{error}; in a folder store each bucket is a folder: `mkdir -p '{shown}'`"),
        )
    })?;
    if !found.is_dir() {
        return Err(StorageError::location(&shown, "found a file, expected a folder"));
    }
    let store =
        LocalFileSystem::new_with_prefix(&found).map_err(|error| StorageError::location(&shown, explain(&error)))?;
    Ok(Bucket::of_folder(Arc::new(store), found, warnings))
}

/// Splits `s3://bucket/key` into scheme, bucket and key. Aliases of schemes (`s3a`, `azure`, `abfs`, …) are replaced.
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

/// Returns true if the text starts with a URL scheme. A single letter is not a scheme, because it may name a drive.
pub(super) fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Removes leading and trailing slashes from a key. Fails if the rest is not a key.
pub(super) fn tidy_key(text: &str, key: &str) -> Result<String, StorageError> {
    let key = Path::parse(key.trim_matches('/')).map_err(|error| StorageError::location(text, error))?;
    Ok(key.as_ref().to_owned())
}

/// Opens a path of this machine: the deepest existing folder is the store, and the rest of the path is the key. Reading
/// a missing file then reports its full path, and writing creates the missing folders.
fn local_path(text: &str, path: &FilePath, warnings: &Warnings) -> Result<Opened, StorageError> {
    if text.is_empty() {
        return Err(StorageError::location(text, "empty; expected a path or a URL"));
    }
    let absolute = std::path::absolute(path).map_err(|error| StorageError::location(text, error))?;
    if absolute.is_dir() {
        return Ok(Opened::Folder(absolute));
    }
    let mut ancestor = absolute.as_path();
    let mut key = Vec::new();
    while let (Some(parent), Some(name)) = (ancestor.parent(), ancestor.file_name()) {
        let name = name.to_str().ok_or_else(|| StorageError::location(text, "the path is not UTF-8"))?;
        key.push(name);
        if parent.is_dir() {
            key.reverse();
            return Ok(Opened::Bucket(folder(parent, warnings)?, tidy_key(text, &key.join("/"))?));
        }
        ancestor = parent;
    }
    Err(StorageError::location(text, "none of its parent folders exists"))
}

/// Opens a bucket of S3.
fn s3(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let s3 = &options.s3;
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(CountRequests(MarkOddKeys))
        .with_bucket_name(name)
        .with_region(s3.region.as_deref().unwrap_or(DEFAULT_REGION))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_addresses_with_a_name_or_password_and_does_not_repeat_them() {
        for text in ["http://user:PassW0rdX@127.0.0.1:9000/a", "https://PassW0rdX@h/", "http://:PassW0rdX@h:1/x?y=z"] {
            let error = reject_password(text).unwrap_err().to_string();
            assert!(error.contains("contains a name or password") && !error.contains("PassW0rdX"), "{error}");
        }
        for text in ["http://127.0.0.1:9000", "s3://bucket/a@b", "mail@home", "./a@b:c", "memory:a@b", "https://h/a@b"]
        {
            assert!(reject_password(text).is_ok(), "{text}");
        }
    }
}
