//! One version of one object as a reader that seeks, for decoders that want one: a few megabytes are held at a time.
//!
//! Waits for the store, so that only threads on which nothing else waits may read.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::runtime::Handle;

use crate::storage::{Bucket, StorageError};

/// Bytes asked for at once.
const WINDOW_BYTES: u64 = 4 << 20;

/// An object of a store, at the version that was opened.
#[derive(Debug)]
pub(super) struct Ranged {
    runtime: Handle,
    store: Arc<dyn ObjectStore>,
    path: Path,
    url: String,
    bytes: u64,
    e_tag: Option<String>,
    at: u64,
    /// Bytes that were fetched, and where they start.
    window: (u64, Bytes),
}

impl Ranged {
    /// Asks for the object's length and version.
    pub(super) fn open(runtime: &Handle, bucket: &Bucket, key: &str) -> Result<Self, StorageError> {
        let url = bucket.url(key);
        let Some(object) = runtime.block_on(bucket.find(key))? else {
            let source = "no such object".into();
            let said = object_store::Error::NotFound { path: key.to_owned(), source };
            return Err(StorageError::Request { action: "read", url, said });
        };
        Ok(Self {
            runtime: runtime.clone(),
            store: bucket.store(),
            path: bucket.path(key)?,
            url,
            bytes: object.bytes,
            e_tag: object.e_tag,
            at: 0,
            window: (0, Bytes::new()),
        })
    }

    /// Length of the object, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.bytes
    }

    fn fetch(&self, start: u64) -> io::Result<Bytes> {
        let range = start..self.bytes.min(start + WINDOW_BYTES);
        // A weak tag never matches in `If-Match` (RFC 9110, 13.1.1).
        let if_match = self.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), if_match, ..GetOptions::default() };
        let failed =
            |said| io::Error::other(StorageError::Request { action: "read", url: self.url.clone(), said }.to_string());
        let (size, bytes) = self.runtime.block_on(async {
            let answer = self.store.get_opts(&self.path, options).await.map_err(failed)?;
            Ok::<_, io::Error>((answer.meta.size, answer.bytes().await.map_err(failed)?))
        })?;
        if size != self.bytes || bytes.len() as u64 != range.end - range.start {
            return Err(io::Error::other(format!("`{}` changed while it was read", self.url)));
        }
        Ok(bytes)
    }
}

impl Read for Ranged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let (start, held) = &self.window;
        if !(*start..start + held.len() as u64).contains(&self.at) {
            self.window = (self.at, self.fetch(self.at)?);
        }
        let (start, held) = &self.window;
        let rest = &held[(self.at - start) as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Ranged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the start"))?;
        Ok(self.at)
    }
}
