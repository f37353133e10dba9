//! The payload: the JSON that asks for a run, as the study writes it, with a few optional keys of ours.
//!
//! In: bytes that a person wrote. Out: a [`Payload`] that cannot be wrong, or one error that names the key, what was
//! found and what is expected. Never here: storage; whether the bucket exists is found out later.

mod fields;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use fields::{Fields, KEYS};

/// The largest payload that is read, in bytes. The study's, with the names of 10,000 files in it, has 400 KB.
pub const MAX_PAYLOAD_BYTES: u64 = 4 << 20;
/// The largest `batch_size`.
pub const MAX_BATCH_SIZE: usize = 1 << 20;
/// The largest `file_limit`.
pub const MAX_FILES: usize = crate::storage::MAX_OBJECTS;
/// The largest `world_size` and `max_concurrency`, and the tasks of a plan at most: as many children as a Distributed
/// Map runs at a time.
pub const MAX_TASKS: usize = 10_000;
/// The memory that Lambda offers to a worker, in MB.
const MEMORY_MB: std::ops::RangeInclusive<usize> = 128..=10_240;

/// Why a payload is refused. Nothing was read or written on its account.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON.
    #[error("payload: not JSON: {0}; one object of keys and values is expected")]
    Json(serde_json::Error),
    /// JSON, but not an object.
    #[error("payload: found {found}; one object of keys and values is expected")]
    NotAnObject {
        /// What was there instead.
        found: String,
    },
    /// Too large to be a payload.
    #[error("payload: {bytes} bytes found, at most {MAX_PAYLOAD_BYTES} expected; is it the right file?")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A key that is not one of the payload's.
    #[error("payload: unknown key `{key}`{}", fields::suggest(key))]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key that is there twice.
    #[error("payload: key `{key}` found twice; once is expected")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key that must be there is not.
    #[error("payload: key `{key}` is missing; expected {expected}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// What its value would be.
        expected: String,
    },
    /// A key whose value has the wrong type or is out of range.
    #[error("payload: key `{key}`: found {found}, expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value, shortened.
        found: String,
        /// What it should be.
        expected: String,
    },
}

/// Order in which the files of a folder are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By the bytes of their keys, as S3 lists them and as the study took them: `1.pt, 10.pt, 100.pt, 2.pt`.
    #[default]
    Lexicographic,
    /// As people count: `1.pt, 2.pt, 10.pt`.
    Natural,
}

/// What becomes of the predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PredictionsFormat {
    /// `predictions/<rank>.parquet`.
    #[default]
    Parquet,
    /// They are not kept, as in the study.
    None,
}

/// A request for a run, checked. Serialises as what was handed in, key by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Payload {
    /// Bucket of the model and of the results.
    pub bucket: String,
    /// How many files to take, the first ones in their order.
    pub file_limit: usize,
    /// Images pushed through the model together.
    pub batch_size: usize,
    /// Recorded; has no meaning here.
    pub object_type: Option<String>,
    /// Folder in `bucket` with the model's file, where `model` does not say.
    pub s3_object_name: Option<String>,
    /// Recorded; there is no script to run.
    pub script: Option<String>,
    /// Folder in `bucket` for the results, as handed in; [`results_folder`](Self::results_folder) is the place.
    pub result_path: String,
    /// Bucket of the partitions.
    pub data_bucket: String,
    /// Folder of the partitions, without slashes at its ends; empty for the whole bucket.
    pub data_prefix: String,
    /// Number of workers to spread the files over; None for one file each.
    pub world_size: Option<usize>,
    /// A URL or a key in `bucket`.
    pub model: Option<String>,
    /// Arithmetic of the model.
    pub precision: astromae::Precision,
    /// Order of the files.
    pub order: Order,
    /// Memory of a worker, for executors that ask.
    pub memory_mb: Option<usize>,
    /// Workers at a time, for executors that ask.
    pub max_concurrency: Option<usize>,
    /// Failed tasks that a run may have, in percent, for executors that ask.
    pub tolerated_failure_percentage: Option<f64>,
    /// What becomes of the predictions.
    pub predictions: PredictionsFormat,
    /// The payload as it was handed in.
    written: Map<String, Value>,
}

impl Payload {
    /// Reads and checks a payload.
    pub fn parse(json: &[u8]) -> Result<Self, PayloadError> {
        if json.len() as u64 > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLarge { bytes: json.len() });
        }
        // An editor's byte order mark is not a mistake of the person.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let written = match serde_json::from_slice(json) {
            Ok(Value::Object(_)) => {
                serde_json::from_slice::<fields::Pairs>(json).map_err(PayloadError::Json)?.unique()?
            }
            Ok(other) => return Err(PayloadError::NotAnObject { found: fields::show(&other) }),
            Err(error) => return Err(PayloadError::Json(error)),
        };
        Self::try_from(written)
    }

    /// The folder of the results: `result_path` without slashes at its ends, so that both ways to write it are one.
    pub fn results_folder(&self) -> &str {
        self.result_path.trim_matches('/')
    }

    /// The keys in which another payload asks for something else, each with both values. Two ways to write the same
    /// (`"11"` and `11`, `a/` and `a`, a default and its absence) are no difference.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.meaning(), other.meaning());
        KEYS.iter()
            .zip(ours.iter().zip(&theirs))
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(key, (ours, theirs))| format!("`{key}`: {ours}, not {theirs}"))
            .collect()
    }

    /// This payload as if it had asked for `precision`.
    pub fn with_precision(mut self, precision: astromae::Precision) -> Self {
        self.written.insert("precision".to_owned(), precision.to_string().into());
        Self { precision, ..self }
    }

    /// The payload as it was handed in.
    pub fn written(&self) -> &Map<String, Value> {
        &self.written
    }

    /// What each key means, in the order of [`KEYS`].
    fn meaning(&self) -> [String; KEYS.len()] {
        let text = |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
        let number = |value: &Option<usize>| value.map_or("none".to_owned(), |number| number.to_string());
        [
            format!("`{}`", self.bucket),
            self.file_limit.to_string(),
            self.batch_size.to_string(),
            text(&self.object_type),
            text(&self.s3_object_name),
            text(&self.script),
            format!("`{}`", self.results_folder()),
            format!("`{}`", self.data_bucket),
            format!("`{}`", self.data_prefix),
            number(&self.world_size),
            text(&self.model),
            self.precision.to_string(),
            format!("{:?}", self.order).to_lowercase(),
            number(&self.memory_mb),
            number(&self.max_concurrency),
            self.tolerated_failure_percentage.map_or("none".to_owned(), |percent| percent.to_string()),
            format!("{:?}", self.predictions).to_lowercase(),
        ]
    }
}

impl TryFrom<Map<String, Value>> for Payload {
    type Error = PayloadError;

    fn try_from(written: Map<String, Value>) -> Result<Self, PayloadError> {
        let fields = Fields::new(&written)?;
        let model = fields.text("model", "a URL or a key in `bucket`")?;
        let payload = Self {
            bucket: fields.bucket("bucket")?,
            file_limit: fields.required("file_limit", fields.number("file_limit", 1..=MAX_FILES), Fields::NUMBER)?,
            batch_size: fields.required(
                "batch_size",
                fields.number("batch_size", 1..=MAX_BATCH_SIZE),
                Fields::NUMBER,
            )?,
            object_type: fields.text("object_type", "a text")?,
            s3_object_name: match &model {
                Some(_) => fields.text("S3_object_name", "a folder in `bucket`")?,
                None => Some(fields.required(
                    "S3_object_name",
                    fields.text("S3_object_name", "a folder in `bucket`"),
                    "the folder in `bucket` with the model's file, or the key `model`",
                )?),
            },
            script: fields.text("script", "a text")?,
            result_path: fields.folder("result_path", false)?,
            data_bucket: fields.bucket("data_bucket")?,
            data_prefix: fields.folder("data_prefix", true)?.trim_matches('/').to_owned(),
            world_size: fields.number("world_size", 1..=MAX_TASKS)?,
            model,
            precision: fields
                .choice("precision", &precisions(), |text| text.parse().ok())?
                .unwrap_or(astromae::Precision::F32),
            order: fields
                .choice("order", "`lexicographic` or `natural`", |text| match text {
                    "lexicographic" => Some(Order::Lexicographic),
                    "natural" => Some(Order::Natural),
                    _ => None,
                })?
                .unwrap_or_default(),
            memory_mb: fields.number("memory_mb", MEMORY_MB)?,
            max_concurrency: fields.number("max_concurrency", 1..=MAX_TASKS)?,
            tolerated_failure_percentage: fields.percentage("tolerated_failure_percentage")?,
            predictions: fields
                .choice("predictions", "`parquet` or `none`", |text| match text {
                    "parquet" => Some(PredictionsFormat::Parquet),
                    "none" => Some(PredictionsFormat::None),
                    _ => None,
                })?
                .unwrap_or_default(),
            written: Map::new(),
        };
        Ok(Self { written, ..payload })
    }
}

impl From<Payload> for Map<String, Value> {
    fn from(payload: Payload) -> Self {
        payload.written
    }
}

/// The precisions there are, for a message.
fn precisions() -> String {
    astromae::Precision::ALL.map(|precision| format!("`{precision}`")).join(" or ")
}

#[cfg(test)]
mod tests;
