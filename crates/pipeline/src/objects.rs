//! Objects: identifiers and sky positions of the galaxies of a partition, in a file beside it.
//!
//! The format of a partition has no place for identifiers. The objects file `F.objects.parquet` beside `F.pt` holds
//! them, with the columns `object_id`, `ra`, `dec` and one row per sample, in the same order. Unknown values are null.
//! The file records the fingerprint of its partition, so it is never joined with another one. Never here: the list of
//! partitions that have an objects file, which a listing of the folder shows.

mod parquet;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use records::plan::ObjectsIdentity;

use crate::partition::Partition;
use crate::storage::{Bucket, StorageError, StoredObject};

pub use parquet::ObjectsEncoder;

/// Ending of the name of an objects file. It replaces the `.pt` of the partition.
pub const OBJECTS_ENDING: &str = ".objects.parquet";
/// Columns of an objects file, in the order in which files of predictions have them.
pub const COLUMNS: [&str; 3] = ["object_id", "ra", "dec"];
/// Longest identifier, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Largest objects file that is read, in bytes.
pub const MAX_OBJECTS_BYTES: u64 = 4 << 30;

/// Error of reading or writing an objects file.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file is damaged or is not an objects file. A retry cannot help.
    #[error("objects `{url}`: {problem}")]
    Malformed {
        /// URL of the objects file.
        url: String,
        /// Description of the problem.
        problem: String,
    },
    /// The file belongs to another partition, or to another version of this partition.
    #[error(
        "objects `{url}`: {problem}; make both files again (`cosmicai ingest`, `cosmicai split`), or delete the \
         objects file"
    )]
    Foreign {
        /// URL of the objects file.
        url: String,
        /// Difference to the partition.
        problem: String,
    },
    /// The file is not the version that was listed. A retry cannot help; plan the run again.
    #[error(
        "objects `{url}`: changed since they were listed ({what}); when no program writes to them, plan again with \
         `--resume`"
    )]
    Changed {
        /// URL of the objects file.
        url: String,
        /// Difference between the versions.
        what: String,
    },
}

/// Error for identifiers or positions that are not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidObjects {
    /// An identifier is longer than [`MAX_ID_BYTES`].
    #[error("an `object_id` of more than {MAX_ID_BYTES} bytes (at index {index} of the known identifiers)")]
    LongIdentifier {
        /// Index among the known identifiers.
        index: usize,
    },
    /// A position is not on the sky.
    #[error("row {row}: `{column}` is {value}; expected {expected}")]
    OutOfRange {
        /// Row of the value, starting at 0.
        row: usize,
        /// Name of the column: `ra` or `dec`.
        column: &'static str,
        /// Value found, in degrees.
        value: f64,
        /// Description of the expected range.
        expected: &'static str,
    },
}

/// Error of the Parquet encoder for an objects file, which is a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; this is a bug, please report it")]
pub struct EncodeError(String);

/// Identifiers and sky positions of n galaxies. Unknown values are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    object_id: Vec<Option<String>>,
    ra: Vec<Option<f64>>,
    dec: Vec<Option<f64>>,
}

impl From<&StoredObject> for ObjectsIdentity {
    fn from(object: &StoredObject) -> Self {
        let modified = object.e_tag.is_none().then(|| object.modified.clone());
        Self { key: object.key.clone(), bytes: object.bytes, e_tag: object.e_tag.clone(), modified }
    }
}

/// Key of the objects file of a partition: `sky/1.objects.parquet` for `sky/1.pt`.
pub fn objects_key(partition_key: &str) -> String {
    format!("{}{OBJECTS_ENDING}", partition_key.strip_suffix(".pt").unwrap_or(partition_key))
}

impl Objects {
    /// Makes objects from columns of the same length. Spaces around identifiers are removed, and empty identifiers
    /// become unknown. Positions are in degrees, and NaN becomes unknown.
    ///
    /// # Errors
    /// An identifier is too long, or a position is not on the sky. The error names the first such row.
    ///
    /// # Panics
    /// Panics if the lengths differ.
    pub fn new(
        object_id: Vec<Option<String>>,
        ra: Vec<Option<f64>>,
        dec: Vec<Option<f64>>,
    ) -> Result<Self, InvalidObjects> {
        assert!(object_id.len() == ra.len() && ra.len() == dec.len(), "one entry per row is required in each column");
        let known = |value: Option<f64>| value.filter(|value| !value.is_nan());
        let objects = Self {
            object_id: object_id.into_iter().map(trimmed).collect(),
            ra: ra.into_iter().map(known).collect(),
            dec: dec.into_iter().map(known).collect(),
        };
        if let Some(index) = objects.object_id.iter().flatten().position(|id| id.len() > MAX_ID_BYTES) {
            return Err(InvalidObjects::LongIdentifier { index });
        }
        check_range(&objects.ra, "ra", |ra| (0.0..360.0).contains(&ra), "at least 0 and less than 360 degrees")?;
        check_range(&objects.dec, "dec", |dec| (-90.0..=90.0).contains(&dec), "−90 to 90 degrees")?;
        Ok(objects)
    }

    /// Describes why the identifier or position of one galaxy is not valid; None if it is.
    pub fn problem(object_id: Option<&str>, ra: Option<f64>, dec: Option<f64>) -> Option<String> {
        match Self::new(vec![object_id.map(str::to_owned)], vec![ra], vec![dec]) {
            Ok(_) => None,
            Err(InvalidObjects::OutOfRange { column, value, expected, .. }) => {
                Some(format!("`{column}` is {value}; expected {expected}"))
            }
            Err(InvalidObjects::LongIdentifier { .. }) => {
                Some(format!("an `object_id` of more than {MAX_ID_BYTES} bytes"))
            }
        }
    }

    /// Number of galaxies.
    pub fn len(&self) -> usize {
        self.object_id.len()
    }

    /// Returns true if there are no galaxies.
    pub fn is_empty(&self) -> bool {
        self.object_id.is_empty()
    }

    /// Identifiers, with `None` for unknown ones.
    pub fn object_id(&self) -> &[Option<String>] {
        &self.object_id
    }

    /// Right ascensions in degrees, with `None` for unknown ones.
    pub fn ra(&self) -> &[Option<f64>] {
        &self.ra
    }

    /// Declinations in degrees, with `None` for unknown ones.
    pub fn dec(&self) -> &[Option<f64>] {
        &self.dec
    }

    /// Copies the objects in a range of rows.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let Self { object_id, ra, dec } = self;
        Self { object_id: object_id[rows.clone()].to_vec(), ra: ra[rows.clone()].to_vec(), dec: dec[rows].to_vec() }
    }

    /// Copies the objects in these rows.
    pub fn keep(&self, rows: &[usize]) -> Self {
        Self {
            object_id: rows.iter().map(|&row| self.object_id[row].clone()).collect(),
            ra: rows.iter().map(|&row| self.ra[row]).collect(),
            dec: rows.iter().map(|&row| self.dec[row]).collect(),
        }
    }

    /// Finds the objects file of the partition with this key; `None` if there is none.
    ///
    /// S3 denies access to a missing object if the caller may not list the bucket. This counts as no file.
    ///
    /// # Errors
    /// The store fails.
    pub async fn find(bucket: &Bucket, partition_key: &str) -> Result<Option<ObjectsIdentity>, StorageError> {
        match bucket.find(&objects_key(partition_key)).await {
            Ok(found) => Ok(found.as_ref().map(ObjectsIdentity::from)),
            Err(StorageError::Request { error: object_store::Error::PermissionDenied { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the objects file of a partition in `bucket`; `None` if there is none.
    ///
    /// # Errors
    /// The file is malformed or belongs to another partition, or the store fails.
    pub async fn read_beside(bucket: &Bucket, partition: &Partition) -> Result<Option<Self>, ObjectsError> {
        match Self::find(bucket, partition.path().as_ref()).await? {
            Some(listed) => Self::read(bucket, &listed, partition).await.map(Some),
            None => Ok(None),
        }
    }

    /// Writes the objects file of `partition`, which has or will have the key `partition_key` in `bucket`.
    ///
    /// # Errors
    /// The number of objects is not the number of samples, or the store fails.
    pub async fn write(&self, bucket: &Bucket, partition_key: &str, partition: &Partition) -> Result<(), ObjectsError> {
        let key = objects_key(partition_key);
        let malformed = |problem| ObjectsError::Malformed { url: bucket.url(&key), problem };
        if self.len() != partition.len() {
            return Err(malformed(format!("{} rows for a partition of {} samples", self.len(), partition.len())));
        }
        let bytes = self.encode(partition.fingerprint().as_deref()).map_err(|error| malformed(error.to_string()))?;
        Ok(bucket.write(&key, bytes).await?)
    }

    /// Encodes the objects file of the partition with this [fingerprint](Partition::fingerprint), which must have the
    /// same number of samples.
    ///
    /// # Errors
    /// The encoder fails, which is a bug.
    pub fn encode(&self, fingerprint: Option<&str>) -> Result<Bytes, EncodeError> {
        parquet::encode(self, fingerprint)
    }

    /// Reads the objects file of `partition`. Checks that it is the version that was listed and belongs to the
    /// partition.
    ///
    /// # Errors
    /// The file changed, is malformed or belongs to another partition, or the store fails.
    pub async fn read(bucket: &Bucket, listed: &ObjectsIdentity, partition: &Partition) -> Result<Self, ObjectsError> {
        let url = bucket.url(&listed.key);
        let limit = MAX_OBJECTS_BYTES;
        let (object, bytes) = bucket.read_object(&listed.key, limit, "an objects file").await?;
        let other_version =
            listed.e_tag.as_ref().zip(object.e_tag.as_ref()).is_some_and(|(listed, found)| listed != found);
        if listed.bytes != object.bytes || other_version {
            let what = match listed.bytes == object.bytes {
                true => "another version of the same size".to_owned(),
                false => format!("{} bytes listed, {} bytes found", listed.bytes, object.bytes),
            };
            return Err(ObjectsError::Changed { url, what });
        }
        let (objects, fingerprint) = match parquet::decode(bytes, partition.len()) {
            Ok(decoded) => decoded,
            Err(parquet::DecodeError::Malformed(problem)) => return Err(ObjectsError::Malformed { url, problem }),
            Err(parquet::DecodeError::Rows(rows)) => {
                let problem = format!("{rows} rows, but the partition has {} samples", partition.len());
                return Err(ObjectsError::Foreign { url, problem });
            }
        };
        match (fingerprint, partition.fingerprint()) {
            (Some(expected), Some(found)) if expected != found => {
                let problem = "made for a partition with other images or magnitudes".to_owned();
                Err(ObjectsError::Foreign { url, problem })
            }
            _ => Ok(objects),
        }
    }
}

/// Arrow fields of [`COLUMNS`].
pub(crate) fn fields() -> [Field; 3] {
    let [object_id, ra, dec] = COLUMNS;
    [
        Field::new(object_id, DataType::Utf8, true),
        Field::new(ra, DataType::Float64, true),
        Field::new(dec, DataType::Float64, true),
    ]
}

/// Arrow columns of a range of rows; all values are null if there are no objects.
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

/// Removes the spaces around an identifier; returns `None` for an empty one.
fn trimmed(id: Option<String>) -> Option<String> {
    id.map(|id| if id.trim().len() == id.len() { id } else { id.trim().to_owned() }).filter(|id| !id.is_empty())
}

/// Checks that all known values of a column are in its range.
fn check_range(
    values: &[Option<f64>],
    column: &'static str,
    is_inside: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<(), InvalidObjects> {
    match values.iter().enumerate().find_map(|(row, value)| value.filter(|&value| !is_inside(value)).map(|v| (row, v)))
    {
        Some((row, value)) => Err(InvalidObjects::OutOfRange { row, column, value, expected }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
