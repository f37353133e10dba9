//! Reads one version of an object through `Read` and `Seek`, which some decoders need. Holds a few megabytes at a time.
//!
//! Reading blocks the thread until the store answers, so do not read on a thread that runs async tasks.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::runtime::Handle;

use pipeline::storage::{Bucket, StorageError};

/// Number of bytes in one request.
const WINDOW_BYTES: u64 = 4 << 20;

/// Object in a store, at the version that was opened.
#[derive(Debug)]
pub(super) struct Ranged {
    runtime: Handle,
    store: Arc<dyn ObjectStore>,
    path: Path,
    url: String,
    bytes: u64,
    e_tag: Option<String>,
    at: u64,
    /// Offset in the object of the fetched bytes, and the bytes.
    window: (u64, Bytes),
}

impl Ranged {
    /// Requests the length and version of the object.
    pub(super) fn open(runtime: &Handle, bucket: &Bucket, key: &str) -> Result<Self, StorageError> {
        let url = bucket.url(key);
        let Some(object) = runtime.block_on(bucket.find(key))? else {
            let source = "no such object".into();
            let error = object_store::Error::NotFound { path: key.to_owned(), source };
            return Err(StorageError::Request { action: "read", url, error });
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

    /// Length of the object in bytes.
    pub(super) fn length(&self) -> u64 {
        self.bytes
    }

    fn fetch(&self, start: u64) -> io::Result<Bytes> {
        let range = start..self.bytes.min(start + WINDOW_BYTES);
        // A weak tag never matches in `If-Match` (RFC 9110, 13.1.1).
        let if_match = self.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), if_match, ..GetOptions::default() };
        let failed = |error| {
            io::Error::other(StorageError::Request { action: "read", url: self.url.clone(), error }.to_string())
        };
        let (size, bytes) = self.runtime.block_on(async {
            let answer = self.store.get_opts(&self.path, options).await.map_err(failed)?;
            Ok::<_, io::Error>((answer.meta.size, answer.bytes().await.map_err(failed)?))
        })?;
        if size != self.bytes || bytes.len() as u64 != range.end - range.start {
            return Err(io::Error::other(format!("`{}` changed while it was being read", self.url)));
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
        self.at =
            at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek to a position before the start"))?;
        Ok(self.at)
    }
}
