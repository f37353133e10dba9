//! Joins partitions into one, in the order of the inputs.
//!
//! Input: partitions of any stores. Output: one partition with all samples, and its objects file if an input has one.
//! Memory depends on neither the number nor the size of the inputs: images are copied first, then magnitudes, then
//! redshifts, a few MB at a time; only the encoded objects are kept. Never here: the order of the inputs.

use std::ops::Range;

use super::Dtype;
use super::error::PartitionError;
use super::reader::Partition;
use super::split::Part;
use super::upload::{COPY_BYTES, IN_MEMORY, Upload};
use super::writer::{Layout, Writer};
use crate::objects::{EncodeError, Objects, ObjectsEncoder, ObjectsError, objects_key};
use crate::storage::{Bucket, StorageError, StoredObject};

/// Rows of magnitudes and redshifts in memory at a time.
const VALUE_ROWS: usize = 128 * 1024;

/// Partition to join.
#[derive(Debug, Clone)]
pub struct ConcatInput {
    /// Bucket of the partition.
    pub bucket: Bucket,
    /// Partition, as a listing or a look-up found it.
    pub object: StoredObject,
}

/// Error of [`concat()`].
#[derive(Debug, thiserror::Error)]
pub enum ConcatError {
    /// A partition cannot be read or written.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// An objects file cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The objects file cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There is nothing to join.
    #[error("no partitions to join")]
    Nothing,
    /// The output exists.
    #[error("`{0}` exists; delete it or choose another name")]
    Exists(String),
    /// Two partitions have images of different sizes.
    #[error(
        "`{other}` has images of {other_size} pixels, and `{first}` of {first_size}; join only partitions with images \
         of one size"
    )]
    ImageSize {
        /// URL of the first partition.
        first: String,
        /// Height × width of its images.
        first_size: String,
        /// URL of the other partition.
        other: String,
        /// Height × width of its images.
        other_size: String,
    },
    /// One partition has redshifts, and another has none.
    #[error("`{with}` has redshifts, and `{without}` has none; join only partitions that agree in this")]
    Redshift {
        /// URL of a partition with redshifts.
        with: String,
        /// URL of a partition without.
        without: String,
    },
}

impl ConcatInput {
    async fn open(&self) -> Result<Partition, ConcatError> {
        let Self { bucket, object } = self;
        Ok(Partition::open(bucket.store(), bucket.path(&object.key)?, object.e_tag.clone()).await?)
    }

    fn url(&self) -> String {
        self.bucket.url(&self.object.key)
    }
}

/// Joins the samples of `inputs`, in order, to one partition with the key `key`. Values keep their bits: a type that
/// differs between the inputs becomes the wider one, which holds the same values. Calls `copied` with the number of
/// images after each piece.
///
/// The partition appears under its name as a whole or not at all. Its objects file is written before it, with unknown
/// values for inputs without objects; if no input has objects, an objects file under that name is deleted.
///
/// # Errors
/// There are no inputs, the output exists, the inputs do not fit together, or reading or writing fails.
pub async fn concat(
    inputs: &[ConcatInput],
    to: &Bucket,
    key: &str,
    mut copied: impl FnMut(usize),
) -> Result<Part, ConcatError> {
    let path = to.path(key)?;
    if to.find(key).await?.is_some() {
        return Err(ConcatError::Exists(to.url(key)));
    }
    let layout = layout(inputs).await?;
    let bytes = inputs.iter().map(|input| input.object.bytes).sum();
    let mut upload = Upload::start(to.store(), path, bytes);
    let joined = match join(inputs, layout, &mut upload, &mut copied).await {
        Ok((fingerprint, objects)) => write_objects(to, key, objects, &fingerprint).await,
        Err(error) => Err(error),
    };
    if let Err(error) = joined {
        upload.abort().await;
        return Err(error);
    }
    Ok(upload.finish(layout.samples).await?)
}

/// Layout of the joined partition. Opens every input.
async fn layout(inputs: &[ConcatInput]) -> Result<Layout, ConcatError> {
    let mut all: Option<Layout> = None;
    for input in inputs {
        let partition = input.open().await?;
        let one = Layout {
            samples: partition.len(),
            height: partition.height(),
            width: partition.width(),
            magnitude_dtype: partition.magnitude_dtype(),
            redshift_dtype: partition.redshift_dtype(),
        };
        all = Some(match all {
            None => one,
            Some(before) => joined_layout(before, one, &inputs[0], input)?,
        });
    }
    all.ok_or(ConcatError::Nothing)
}

fn joined_layout(before: Layout, one: Layout, first: &ConcatInput, input: &ConcatInput) -> Result<Layout, ConcatError> {
    let size = |layout: Layout| format!("{}×{}", layout.height, layout.width);
    if (before.height, before.width) != (one.height, one.width) {
        return Err(ConcatError::ImageSize {
            first: first.url(),
            first_size: size(before),
            other: input.url(),
            other_size: size(one),
        });
    }
    let wider = |a: Dtype, b: Dtype| if a.bytes() >= b.bytes() { a } else { b };
    let redshift_dtype = match (before.redshift_dtype, one.redshift_dtype) {
        (Some(a), Some(b)) => Some(wider(a, b)),
        (None, None) => None,
        (Some(_), None) => return Err(ConcatError::Redshift { with: first.url(), without: input.url() }),
        (None, Some(_)) => return Err(ConcatError::Redshift { with: input.url(), without: first.url() }),
    };
    Ok(Layout {
        samples: before.samples + one.samples,
        magnitude_dtype: wider(before.magnitude_dtype, one.magnitude_dtype),
        redshift_dtype,
        ..before
    })
}

/// Writes all values. Returns the fingerprint of the partition, and its objects if an input has some.
async fn join(
    inputs: &[ConcatInput],
    layout: Layout,
    upload: &mut Upload,
    copied: &mut impl FnMut(usize),
) -> Result<(String, Option<ObjectsEncoder>), ConcatError> {
    let mut writer = Writer::new(Vec::new(), layout).expect(IN_MEMORY);
    let mut objects: Option<ObjectsEncoder> = None;
    let mut rows_before = 0;
    for input in inputs {
        let partition = input.open().await?;
        let found = Objects::read_beside(&input.bucket, &partition).await?;
        if found.is_some() && objects.is_none() {
            let mut encoder = ObjectsEncoder::new()?;
            encoder.append_unknown(rows_before)?;
            objects = Some(encoder);
        }
        match (&mut objects, found) {
            (Some(encoder), Some(found)) => encoder.append(&found)?,
            (Some(encoder), None) => encoder.append_unknown(partition.len())?,
            (None, _) => {}
        }
        rows_before += partition.len();
        let rows_at_once = (COPY_BYTES / partition.bytes_per_sample()).max(1);
        for rows in pieces(partition.len(), rows_at_once) {
            let count = rows.len();
            writer.write_images(&partition.read_images(rows).await?).expect(IN_MEMORY);
            upload.put(std::mem::take(writer.get_mut())).await?;
            copied(count);
        }
    }
    writer.start_magnitudes().expect(IN_MEMORY);
    for input in inputs {
        let partition = input.open().await?;
        for rows in pieces(partition.len(), VALUE_ROWS) {
            writer.write_magnitudes(&partition.read_magnitudes(rows).await?).expect(IN_MEMORY);
            upload.put(std::mem::take(writer.get_mut())).await?;
        }
    }
    if layout.redshift_dtype.is_some() {
        writer.start_redshift().expect(IN_MEMORY);
        for input in inputs {
            let partition = input.open().await?;
            for rows in pieces(partition.len(), VALUE_ROWS) {
                writer.write_redshift(&partition.read_redshift(rows).await?).expect(IN_MEMORY);
                upload.put(std::mem::take(writer.get_mut())).await?;
            }
        }
    }
    let (rest, fingerprint) = writer.close().expect(IN_MEMORY);
    upload.put(rest).await?;
    Ok((fingerprint, objects))
}

/// Consecutive ranges of at most `at_once` rows.
fn pieces(rows: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(at_once).map(move |start| start..(start + at_once).min(rows))
}

/// Writes the objects file of the joined partition, or deletes an old one if there are no objects.
async fn write_objects(
    to: &Bucket,
    key: &str,
    objects: Option<ObjectsEncoder>,
    fingerprint: &str,
) -> Result<(), ConcatError> {
    match objects {
        Some(objects) => to.write(&objects_key(key), objects.finish(Some(fingerprint))?).await?,
        None => to.delete(vec![objects_key(key)]).await?,
    }
    Ok(())
}
