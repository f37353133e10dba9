//! Compares a partition of an earlier ingest with the arrays that it was made from.

use std::sync::Arc;

use crc32fast::Hasher;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use pipeline::objects::Objects;
use pipeline::partition::{Dtype, Partition, Rows};
use pipeline::storage::Bucket;
use tokio::runtime::Handle;

use super::super::partition_sink::{Columns, Sink};
use super::super::{IngestError, IngestRequest, input};
use super::elements::Elements;
use super::images::Images;

/// Samples that a partition should have.
pub(super) struct Part<'a> {
    pub(super) images: &'a Images,
    pub(super) columns: &'a Columns,
    pub(super) request: &'a IngestRequest,
    /// Name of the array of images in messages.
    pub(super) shown: &'a str,
}

impl Part<'_> {
    /// Returns true if the partition at `key` has these samples, and passes over their images. Returns false, before
    /// the first image, if its objects file is missing.
    ///
    /// All magnitudes and objects are compared, and the first and the last image and redshift. A partition appears
    /// under its name only when it is complete, so this detects another input and other options.
    ///
    /// # Errors
    /// The partition has other samples, or cannot be read.
    pub(super) fn is_finished(
        &self,
        runtime: &Handle,
        (bucket, key): (&Bucket, &str),
        elements: &mut Elements<'_>,
    ) -> Result<bool, IngestError> {
        let url = bucket.url(key);
        let fail = |problem: String| input(&url, format!("{problem}; delete the file, or choose another folder"));
        let other = || fail("was made from another input, or with other options".to_owned());
        let open = |store: Arc<dyn ObjectStore>, path: Path| {
            runtime.block_on(Partition::open(store, path, None)).map_err(|error| fail(error.to_string()))
        };
        let partition = open(bucket.store(), bucket.path(key)?)?;
        let objects = runtime.block_on(Objects::read_beside(bucket, &partition));
        let objects = objects.map_err(|error| fail(error.to_string()))?;
        if objects.is_none() && self.columns.objects.is_some() {
            return Ok(false);
        }
        let samples = self.columns.len();
        let magnitudes = format!(" magnitudes {:08x}+0", crc32(&self.columns.magnitudes, self.columns.magnitude_dtype));
        let has_magnitudes = partition.fingerprint().is_some_and(|fingerprint| fingerprint.ends_with(&magnitudes));
        if partition.len() != samples || !has_magnitudes || objects != self.columns.objects {
            return Err(other());
        }
        let ends = if samples == 1 { vec![0] } else { vec![0, samples - 1] };
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("expected.pt");
        let bytes = self.expected(&ends, elements)?;
        let stored = runtime.block_on(store.put(&path, bytes.into()));
        stored.map_err(|error| fail(error.to_string()))?;
        let expected = open(store, path)?;
        if (partition.height(), partition.width()) != (expected.height(), expected.width())
            || partition.magnitude_dtype() != expected.magnitude_dtype()
            || partition.redshift_dtype() != expected.redshift_dtype()
        {
            return Err(other());
        }
        for (at, &row) in ends.iter().enumerate() {
            let read = |partition: &Partition, row: usize| {
                runtime.block_on(partition.read(row..row + 1)).map_err(|error| fail(error.to_string()))
            };
            if !is_same(&read(&partition, row)?, &read(&expected, at)?) {
                return Err(other());
            }
        }
        Ok(true)
    }

    /// Makes a partition of the first and the last sample, and passes over the images between them.
    fn expected(&self, ends: &[usize], elements: &mut Elements<'_>) -> Result<Vec<u8>, IngestError> {
        let complain = |problem: String| input(self.shown, problem);
        let columns = self.columns.keep(ends);
        let size = (self.images.height, self.images.width);
        let mut sink = Sink::new(Vec::new(), &columns, size, self.request)?;
        let mut bytes = Vec::new();
        let mut done = 0;
        for (at, &row) in ends.iter().enumerate() {
            self.images.skip(elements, row - done).map_err(complain)?;
            sink.put(self.images.read(elements, 1, &mut bytes).map_err(complain)?, size, at)?;
            done = row + 1;
        }
        sink.finish().map(|(_, bytes)| bytes)
    }
}

/// CRC-32 of numbers as a partition stores them.
fn crc32(numbers: &[f64], dtype: Dtype) -> u32 {
    let mut hasher = Hasher::new();
    for &number in numbers {
        match dtype {
            Dtype::F32 => hasher.update(&(number as f32).to_le_bytes()),
            _ => hasher.update(&number.to_le_bytes()),
        }
    }
    hasher.finalize()
}

/// Compares every bit, so that NaN is equal to itself.
fn is_same(found: &Rows, expected: &Rows) -> bool {
    let redshift = |rows: &Rows| rows.redshift.as_ref().map(|values| bits(values));
    found.images.iter().map(|pixel| pixel.to_bits()).eq(expected.images.iter().map(|pixel| pixel.to_bits()))
        && bits(&found.magnitudes) == bits(&expected.magnitudes)
        && redshift(found) == redshift(expected)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}
