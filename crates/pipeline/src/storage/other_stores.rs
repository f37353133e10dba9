//! Stores other than folders, memory and S3: Google Cloud Storage, Azure Blob Storage, and web servers.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use url::Url;

use super::bucket::Bucket;
use super::error::StorageError;
use super::explain::explain;
use super::odd_keys::MarkOddKeys;
use super::options::StorageOptions;
use super::web::WebConnector;

/// Opens a bucket of Google Cloud Storage.
pub(super) fn gs(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let known = options.others.iter().filter_map(|(key, value)| Some((key.parse::<GoogleConfigKey>().ok()?, value)));
    let builder = known.fold(GoogleCloudStorageBuilder::new(), |builder, (key, value)| builder.with_config(key, value));
    let builder =
        builder.with_bucket_name(name).with_client_options(options.limits.client()).with_retry(options.limits.retry());
    let builder = builder.with_http_connector(MarkOddKeys);
    Ok(Arc::new(builder.build()?))
}

/// Opens a container of Azure Blob Storage.
pub(super) fn az(name: &str, options: &StorageOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let known = options.others.iter().filter_map(|(key, value)| Some((key.parse::<AzureConfigKey>().ok()?, value)));
    let builder = known.fold(MicrosoftAzureBuilder::new(), |builder, (key, value)| builder.with_config(key, value));
    let builder = builder
        .with_http_connector(MarkOddKeys)
        .with_container_name(name)
        .with_client_options(options.limits.client())
        .with_retry(options.limits.retry());
    Ok(Arc::new(builder.build()?))
}

/// Opens the web server of an `http` or `https` URL, and returns it with the key. A query (`?ra=1&dec=2`) is a part of
/// the key.
pub(super) fn http(text: &str, url: &Url, options: &StorageOptions) -> Result<(Bucket, String), StorageError> {
    let is_ambiguous = url.path().to_ascii_lowercase().contains("%3f");
    if is_ambiguous || url.fragment().is_some() {
        return Err(StorageError::location(
            text,
            "a URL with `#` or an encoded `?` cannot be read; download the file and give its path",
        ));
    }
    let host = &url[..url::Position::BeforePath];
    let store = HttpBuilder::new()
        .with_url(host)
        .with_http_connector(WebConnector(options.warnings.clone()))
        .with_client_options(options.limits.client().with_allow_http(url.scheme() == "http"))
        .with_retry(options.limits.retry())
        .build()
        .map_err(|error| StorageError::location(text, explain(&error)))?;
    let key = Path::from_url_path(url.path().trim_matches('/')).map_err(|error| StorageError::location(text, error))?;
    // A query is the end of the key. `//` cannot be in a key, and means the same with one slash encoded.
    let query = url.query().map_or_else(String::new, |query| format!("?{}", query.replace("//", "/%2F")));
    let key = format!("{key}{query}");
    Path::parse(&key).map_err(|error| StorageError::location(text, error))?;
    Ok((Bucket::new(Arc::new(store), format!("{host}/"), &options.warnings), key))
}
