//! Who the galaxies of a partition are: their identifiers and places on the sky, in a file beside it.
//!
//! A partition is PyTorch's format, which has no room for names. `F.objects.parquet` beside `F.pt` says them: columns
//! `object_id`, `ra`, `dec`, one row for each sample, in order; what is not known is null. It names the partition that
//! it was made for by the checksums of its tensors, so that it is never joined with another one. Never here: which
//! partitions have such a file; whoever lists a folder sees it.

mod parquet;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::partition::{Partition, PartitionError};
use crate::storage::{Bucket, Object, StorageError};

/// How the name of such a file ends, in place of the partition's `.pt`.
pub const OBJECTS_ENDING: &str = ".objects.parquet";
/// The columns, in the order in which predictions have them.
pub const COLUMNS: [&str; 3] = ["object_id", "ra", "dec"];
/// The longest identifier, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The largest such file that is read, in bytes.
pub const MAX_OBJECTS_BYTES: u64 = 4 << 30;

/// Why there are no identities where a file of them was promised.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// A store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The partition that they are of cannot be opened.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The file is damaged, or not of this kind. Trying again cannot help.
    #[error("objects `{url}`: {problem}")]
    Malformed {
        /// The file.
        url: String,
        /// What was found and what is expected.
        problem: String,
    },
    /// The file belongs to another partition, or to another version of this one.
    #[error("objects `{url}`: {problem}; make both anew (`cosmicai ingest`, `cosmicai split`), or move the file away")]
    Foreign {
        /// The file.
        url: String,
        /// What does not fit.
        problem: String,
    },
    /// The file is no longer the one that was listed. Opening it anew may help.
    #[error("objects `{url}`: changed since they were listed ({what}); run again once nothing writes to it")]
    Changed {
        /// The file.
        url: String,
        /// The difference.
        what: String,
    },
}

/// Identities of n galaxies; what is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    object_id: Vec<Option<String>>,
    ra: Vec<Option<f64>>,
    dec: Vec<Option<f64>>,
}

/// The file beside a partition, as it was when the run was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectsIdentity {
    /// Its key, in the bucket of the partition.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this version of it; absent where a store does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// When it was written, RFC 3339; only where there is no `e_tag` to tell versions apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

impl From<&Object> for ObjectsIdentity {
    fn from(object: &Object) -> Self {
        let modified = object.e_tag.is_none().then(|| object.modified.clone());
        Self { key: object.key.clone(), bytes: object.bytes, e_tag: object.e_tag.clone(), modified }
    }
}

/// The key of the file beside the partition of this key: `sky/1.pt` has `sky/1.objects.parquet`.
pub fn objects_key(partition_key: &str) -> String {
    format!("{}{OBJECTS_ENDING}", partition_key.strip_suffix(".pt").unwrap_or(partition_key))
}

impl Objects {
    /// Identities of equally many galaxies. Identifiers lose the blanks around them, and empty ones are not known;
    /// positions are degrees, NaN where not known.
    ///
    /// # Errors
    /// Names the first row whose identifier is too long, or whose place is not on the sky.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn new(object_id: Vec<Option<String>>, ra: Vec<Option<f64>>, dec: Vec<Option<f64>>) -> Result<Self, String> {
        assert!(object_id.len() == ra.len() && ra.len() == dec.len(), "one identity for each row");
        let known = |value: Option<f64>| value.filter(|value| !value.is_nan());
        let objects = Self {
            object_id: object_id.into_iter().map(tidy).collect(),
            ra: ra.into_iter().map(known).collect(),
            dec: dec.into_iter().map(known).collect(),
        };
        if let Some(row) = objects.object_id.iter().flatten().position(|id| id.len() > MAX_ID_BYTES) {
            return Err(format!(
                "an `object_id` of more than {MAX_ID_BYTES} bytes (the one at index {row} of those known)"
            ));
        }
        outside(&objects.ra, "ra", |ra| (0.0..360.0).contains(&ra), "at least 0 and less than 360 degrees")?;
        outside(&objects.dec, "dec", |dec| (-90.0..=90.0).contains(&dec), "−90 to 90 degrees")?;
        Ok(objects)
    }

    /// Number of galaxies.
    pub fn len(&self) -> usize {
        self.object_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.object_id.is_empty()
    }

    /// Identifiers.
    pub fn object_id(&self) -> &[Option<String>] {
        &self.object_id
    }

    /// Right ascensions in degrees.
    pub fn ra(&self) -> &[Option<f64>] {
        &self.ra
    }

    /// Declinations in degrees.
    pub fn dec(&self) -> &[Option<f64>] {
        &self.dec
    }

    /// The identities of some consecutive galaxies.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let Self { object_id, ra, dec } = self;
        Self { object_id: object_id[rows.clone()].to_vec(), ra: ra[rows.clone()].to_vec(), dec: dec[rows].to_vec() }
    }

    /// The identities of these galaxies alone.
    pub(crate) fn keep(&self, rows: &[usize]) -> Self {
        Self {
            object_id: rows.iter().map(|&row| self.object_id[row].clone()).collect(),
            ra: rows.iter().map(|&row| self.ra[row]).collect(),
            dec: rows.iter().map(|&row| self.dec[row]).collect(),
        }
    }

    /// The file beside the partition of this key, or None where there is none.
    ///
    /// S3 answers a question for a missing object with a refusal where listing is not allowed; that is taken for none.
    pub async fn find(bucket: &Bucket, partition_key: &str) -> Result<Option<ObjectsIdentity>, StorageError> {
        match bucket.find(&objects_key(partition_key)).await {
            Ok(found) => Ok(found.as_ref().map(ObjectsIdentity::from)),
            Err(StorageError::Request { said: object_store::Error::PermissionDenied { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those of a partition that lies in `bucket`, or None where no file lies beside it.
    pub async fn beside(bucket: &Bucket, partition: &Partition) -> Result<Option<Self>, ObjectsError> {
        match Self::find(bucket, partition.path().as_ref()).await? {
            Some(listed) => Self::read(bucket, &listed, partition).await.map(Some),
            None => Ok(None),
        }
    }

    /// Writes them beside the place of a partition, which is there already or still lies elsewhere.
    ///
    /// # Errors
    /// Also where there are not as many of them as samples.
    pub async fn write(&self, bucket: &Bucket, place: &str, partition: &Partition) -> Result<(), ObjectsError> {
        let key = objects_key(place);
        let malformed = |problem| ObjectsError::Malformed { url: bucket.url(&key), problem };
        if self.len() != partition.len() {
            return Err(malformed(format!("{} rows for a partition of {} samples", self.len(), partition.len())));
        }
        let bytes = self.encode(partition.fingerprint().as_deref()).map_err(malformed)?;
        Ok(bucket.write(&key, bytes).await?)
    }

    /// The bytes of the file beside the partition of this [fingerprint](Partition::fingerprint), which has one sample for
    /// each of them.
    ///
    /// # Errors
    /// The encoder's, which are ours to mend.
    pub fn encode(&self, fingerprint: Option<&str>) -> Result<Bytes, String> {
        parquet::encode(self, fingerprint)
    }

    /// Reads the file beside `partition` and makes sure that it is that partition's, at the version that was listed.
    pub async fn read(bucket: &Bucket, listed: &ObjectsIdentity, partition: &Partition) -> Result<Self, ObjectsError> {
        let url = bucket.url(&listed.key);
        let limit = MAX_OBJECTS_BYTES;
        let (object, bytes) = bucket.read_object(&listed.key, limit, "a partition's file of objects").await?;
        let is_other = listed.e_tag.as_ref().zip(object.e_tag.as_ref()).is_some_and(|(listed, found)| listed != found);
        if listed.bytes != object.bytes || is_other {
            let what = format!("{} bytes, then {}, or another version of as many", listed.bytes, object.bytes);
            return Err(ObjectsError::Changed { url, what });
        }
        let (objects, fingerprint) = match parquet::decode(bytes, partition.len()) {
            Ok(said) => said,
            Err(parquet::Fault::Malformed(problem)) => return Err(ObjectsError::Malformed { url, problem }),
            Err(parquet::Fault::Rows(rows)) => {
                let problem = format!("{rows} rows, but the partition has {} samples", partition.len());
                return Err(ObjectsError::Foreign { url, problem });
            }
        };
        match (fingerprint, partition.fingerprint()) {
            (Some(expected), Some(found)) if expected != found => {
                let problem = "made for a partition with other images or magnitudes than this one's".to_owned();
                Err(ObjectsError::Foreign { url, problem })
            }
            _ => Ok(objects),
        }
    }
}

/// The fields of [`COLUMNS`] in a table.
pub(crate) fn fields() -> [Field; 3] {
    let [object_id, ra, dec] = COLUMNS;
    [
        Field::new(object_id, DataType::Utf8, true),
        Field::new(ra, DataType::Float64, true),
        Field::new(dec, DataType::Float64, true),
    ]
}

/// The columns of some rows, all null where there are no identities.
pub(crate) fn columns(objects: Option<&Objects>, rows: Range<usize>) -> [ArrayRef; 3] {
    match objects {
        Some(Objects { object_id, ra, dec }) => [
            Arc::new(StringArray::from_iter(object_id[rows.clone()].iter())),
            Arc::new(Float64Array::from(ra[rows.clone()].to_vec())),
            Arc::new(Float64Array::from(dec[rows].to_vec())),
        ],
        None => [
            Arc::new(StringArray::new_null(rows.len())),
            Arc::new(Float64Array::new_null(rows.len())),
            Arc::new(Float64Array::new_null(rows.len())),
        ],
    }
}

fn tidy(id: Option<String>) -> Option<String> {
    id.map(|id| if id.trim().len() == id.len() { id } else { id.trim().to_owned() }).filter(|id| !id.is_empty())
}

fn outside(values: &[Option<f64>], name: &str, is_inside: impl Fn(f64) -> bool, expected: &str) -> Result<(), String> {
    match values.iter().enumerate().find_map(|(row, value)| value.filter(|&value| !is_inside(value)).map(|v| (row, v)))
    {
        Some((row, value)) => Err(format!("row {row}: `{name}` is {value}, {expected} expected")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
