//! A payload in a file or at a URL.

use anyhow::{Context, Result, bail};
use pipeline::storage::Stores;
use records::payload::{MAX_PAYLOAD_BYTES, Payload};

/// Reads a payload from a file or a URL.
///
/// # Errors
/// The file cannot be read, or is not a payload.
pub(crate) async fn read_payload(stores: &Stores, url: &str) -> Result<Payload> {
    let (bucket, key) = stores.open_url(url)?;
    if key.is_empty() {
        bail!("`{url}` is a folder; expected the file of a payload");
    }
    let json = bucket.read(&key, MAX_PAYLOAD_BYTES, "a payload").await?;
    Payload::parse(&json).with_context(|| format!("`{url}`"))
}
