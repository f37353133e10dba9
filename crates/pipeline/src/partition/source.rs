//! Reads byte ranges of one version of one object.
//!
//! All bytes are from the version that was opened: requests name that version in `If-Match`, and the length and ETag of
//! each response are compared.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use astromae::torch::TorchError;
use astromae::torch::zip::{Entry, LOCAL_HEADER_BYTES};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::error::PartitionError;

/// Bytes fetched beyond the data of an entry, for the padding before and the headers after the data.
const HEADER_SLACK: u64 = 4 << 10;

/// Object of a store, at the version that was opened.
#[derive(Debug)]
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
    e_tag: Option<String>,
    /// Ranges fetched while the partition was opened, with their first byte.
    kept: Vec<(u64, Bytes)>,
}

impl Source {
    /// Reads the length and the ETag of the object.
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        path: Path,
        e_tag: Option<String>,
    ) -> Result<Self, PartitionError> {
        let meta = store.head(&path).await.map_err(|error| PartitionError::Storage {
            path: path.clone(),
            doing: "reading its size",
            error,
        })?;
        if let (Some(expected), Some(found)) = (&e_tag, &meta.e_tag)
            && expected != found
        {
            let what = format!("version {expected} was listed, {found} found");
            return Err(PartitionError::Changed { path, what });
        }
        Ok(Self { store, path, bytes: meta.size, e_tag: meta.e_tag.or(e_tag), kept: Vec::new() })
    }

    /// Size of the object in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Path of the object in its store.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Error for a malformed partition.
    pub(super) fn malformed(&self, what: impl Into<String>) -> PartitionError {
        PartitionError::Malformed { path: self.path.clone(), what: what.into() }
    }

    /// Error for a file that is not in PyTorch's format.
    pub(super) fn torch_error(&self, error: TorchError) -> PartitionError {
        self.malformed(error.to_string())
    }

    /// Fetches a range and keeps it, so that later reads in it need no request.
    pub(super) async fn keep(&mut self, range: Range<u64>) -> Result<(), PartitionError> {
        let bytes = self.fetch(range.clone(), &AtomicU64::new(0)).await?;
        self.kept.push((range.start, bytes));
        Ok(())
    }

    /// Returns the bytes of `range`. Adds the bytes fetched from storage to `fetched`.
    pub(super) async fn fetch(&self, range: Range<u64>, fetched: &AtomicU64) -> Result<Bytes, PartitionError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let kept = self.kept.iter().find_map(|(start, bytes)| {
            let from = range.start.checked_sub(*start)?;
            let to = range.end - start;
            (to <= bytes.len() as u64).then(|| bytes.slice(from as usize..to as usize))
        });
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        let bytes = self.request(range).await?;
        fetched.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Returns the data of a whole entry after checking its checksum.
    pub(super) async fn fetch_entry(&self, entry: &Entry, fetched: &AtomicU64) -> Result<Bytes, PartitionError> {
        let likely_end =
            entry.header_offset + LOCAL_HEADER_BYTES + entry.name.len() as u64 + entry.bytes + HEADER_SLACK;
        let likely = entry.header_offset..likely_end.min(entry.region_end);
        let region = self.fetch(likely.clone(), fetched).await?;
        let data = entry.data_range(&region).map_err(|error| self.torch_error(error))?;
        let data = if data.end <= likely.end {
            region.slice((data.start - likely.start) as usize..(data.end - likely.start) as usize)
        } else {
            self.fetch(data, fetched).await?
        };
        entry.check_crc32(crc32fast::hash(&data)).map_err(|error| self.torch_error(error))?;
        Ok(data)
    }

    /// Offset in the file of the first byte of an entry's data, computed from its local header.
    pub(super) async fn data_start(&self, entry: &Entry, fetched: &AtomicU64) -> Result<u64, PartitionError> {
        let header = entry.header_offset..entry.header_offset + LOCAL_HEADER_BYTES;
        let header = self.fetch(header, fetched).await?;
        let data = entry.data_range(&header).map_err(|error| self.torch_error(error))?;
        Ok(data.start)
    }

    async fn request(&self, range: Range<u64>) -> Result<Bytes, PartitionError> {
        // A weak ETag never matches in `If-Match` (RFC 9110, 13.1.1). The ETag of the response is compared instead.
        let strong = self.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        let options =
            GetOptions { range: Some(GetRange::Bounded(range.clone())), if_match: strong, ..GetOptions::default() };
        let answer = self.store.get_opts(&self.path, options).await.map_err(|error| self.failed(error))?;
        if answer.meta.size != self.bytes {
            return Err(self.changed(format!("{} bytes, then {}", self.bytes, answer.meta.size)));
        }
        if let (Some(opened), Some(found)) = (&self.e_tag, &answer.meta.e_tag)
            && opened != found
        {
            return Err(self.changed(format!("version {opened}, then {found}")));
        }
        let bytes = answer.bytes().await.map_err(|error| self.failed(error))?;
        let expected = range.end - range.start;
        if bytes.len() as u64 != expected {
            return Err(self.failed(object_store::Error::Generic {
                store: "partition",
                source: format!("{} bytes received, {expected} requested", bytes.len()).into(),
            }));
        }
        Ok(bytes)
    }

    fn failed(&self, error: object_store::Error) -> PartitionError {
        match error {
            object_store::Error::Precondition { .. } => self.changed("the store holds another version now".to_owned()),
            error => PartitionError::Storage { path: self.path.clone(), doing: "reading it", error },
        }
    }

    fn changed(&self, what: String) -> PartitionError {
        PartitionError::Changed { path: self.path.clone(), what }
    }
}
