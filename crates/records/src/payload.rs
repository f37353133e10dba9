//! Payload: the JSON that requests a run, with the keys of the CAI study and some optional keys of cosmicai.
//!
//! [`Payload::parse`] returns a valid [`Payload`], or an error that names the key, the value found and the value
//! expected. Never here: storage. Planning reports a bucket that does not exist.

mod fields;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use fields::{Fields, KEYS};

/// Largest payload that is read, in bytes. A payload of the CAI study with the names of 10,000 files has 400 KB.
pub const MAX_PAYLOAD_BYTES: u64 = 4 << 20;
/// Largest `batch_size`.
pub const MAX_BATCH_SIZE: usize = 1 << 20;
/// Largest `file_limit`.
pub const MAX_FILES: usize = 1_000_000;
/// Largest `world_size` and `max_concurrency`, and largest number of tasks in a plan: the number of child executions
/// that a Step Functions Distributed Map runs at a time.
pub const MAX_TASKS: usize = 10_000;
/// Memory sizes that Lambda offers for a worker, in MB.
const MEMORY_MB: std::ops::RangeInclusive<usize> = 128..=10_240;

/// Error for an invalid payload. Nothing was read from or written to storage.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The bytes are not JSON.
    #[error("payload: not JSON: {0}; expected one object of keys and values")]
    Json(serde_json::Error),
    /// The JSON is not an object.
    #[error("payload: found {found}; expected one object of keys and values")]
    NotAnObject {
        /// Value found instead, shortened.
        found: String,
    },
    /// The file is too large to be a payload.
    #[error("payload: {bytes} bytes found, at most {MAX_PAYLOAD_BYTES} expected; is it the right file?")]
    TooLarge {
        /// Size of the file in bytes.
        bytes: usize,
    },
    /// The payload has an unknown key.
    #[error("payload: unknown key `{key}`{}", fields::suggest(key))]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key appears twice.
    #[error("payload: key `{key}` found twice; expected once")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A required key is missing.
    #[error("payload: key `{key}` is missing; expected {expected}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// Description of the expected value.
        expected: String,
    },
    /// A value has the wrong type or is out of range.
    #[error("payload: key `{key}`: found {found}, expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// Value found, shortened.
        found: String,
        /// Description of the expected value.
        expected: String,
    },
}

/// Order of the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Byte order of the keys, as in S3 listings and in the CAI study: `1.pt, 10.pt, 100.pt, 2.pt`.
    #[default]
    Lexicographic,
    /// Natural order: `1.pt, 2.pt, 10.pt`.
    Natural,
}

/// Format in which predictions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PredictionsFormat {
    /// One file per task, `predictions/<rank>.parquet`.
    #[default]
    Parquet,
    /// Predictions are not kept, as in the CAI study.
    None,
}

/// Valid request for a run. Serializes to the JSON that was submitted, key by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Payload {
    /// Bucket of the model and of the results.
    pub bucket: String,
    /// Number of files to predict: the first ones in their `order`.
    pub file_limit: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// Key of the CAI study; recorded but not used. Absent if the payload does not have it.
    pub object_type: Option<String>,
    /// Folder in `bucket` with the model file. Required without `model`, and then used to find it.
    pub s3_object_name: Option<String>,
    /// Key of the CAI study; recorded but not used, because there is no script to run. Absent if the payload does not
    /// have it.
    pub script: Option<String>,
    /// Folder in `bucket` for the results, as submitted. Use [`results_folder`](Self::results_folder) for the folder
    /// itself.
    pub result_path: String,
    /// Bucket of the partitions.
    pub data_bucket: String,
    /// Folder of the partitions, without leading and trailing slashes; empty for the whole bucket.
    pub data_prefix: String,
    /// Number of tasks to distribute the files over; `None` for one file per task.
    pub world_size: Option<usize>,
    /// URL of the model file, or its key in `bucket`; `None` to search the folder `s3_object_name`.
    pub model: Option<String>,
    /// Precision of the model's arithmetic.
    pub precision: astromae::Precision,
    /// Order of the files.
    pub order: Order,
    /// Memory of a worker in MB, for executors that can set it; `None` for the executor's default.
    pub memory_mb: Option<usize>,
    /// Number of workers at a time, for executors that can set it; `None` for the executor's default.
    pub max_concurrency: Option<usize>,
    /// Failed tasks that a run tolerates, in percent, for executors that can set it; `None` for the executor's default.
    pub tolerated_failure_percentage: Option<f64>,
    /// Format in which predictions are kept.
    pub predictions: PredictionsFormat,
    /// Number of times that the run reads the files, one round after the other, to measure more data than there is.
    pub repeat: usize,
    /// Payload as submitted.
    submitted: Map<String, Value>,
}

impl Payload {
    /// Reads and checks a payload.
    ///
    /// # Errors
    /// The bytes are not a JSON object, a key is unknown, missing or repeated, or a value is invalid.
    pub fn parse(json: &[u8]) -> Result<Self, PayloadError> {
        if json.len() as u64 > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLarge { bytes: json.len() });
        }
        // Some editors add a byte order mark.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let submitted = match serde_json::from_slice(json) {
            Ok(Value::Object(_)) => {
                serde_json::from_slice::<fields::Pairs>(json).map_err(PayloadError::Json)?.unique()?
            }
            Ok(other) => return Err(PayloadError::NotAnObject { found: fields::show(&other) }),
            Err(error) => return Err(PayloadError::Json(error)),
        };
        Self::try_from(submitted)
    }

    /// Folder of the results: `result_path` without leading and trailing slashes.
    pub fn results_folder(&self) -> &str {
        self.result_path.trim_matches('/')
    }

    /// Lists the keys whose values differ from those of `other`, with both values. Compares meanings: `"11"` equals
    /// `11`, `a/` equals `a`, and a missing key equals its default.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.normalized(), other.normalized());
        KEYS.iter()
            .zip(ours.iter().zip(&theirs))
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(key, (ours, theirs))| format!("`{key}`: {ours}, not {theirs}"))
            .collect()
    }

    /// Replaces the precision, as if the payload had been submitted with it.
    pub fn with_precision(mut self, precision: astromae::Precision) -> Self {
        self.submitted.insert("precision".to_owned(), precision.to_string().into());
        Self { precision, ..self }
    }

    /// Payload as submitted, key by key.
    pub fn submitted(&self) -> &Map<String, Value> {
        &self.submitted
    }

    /// Normalized value of each key for messages, in the order of [`KEYS`].
    fn normalized(&self) -> [String; KEYS.len()] {
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
            self.repeat.to_string(),
        ]
    }
}

impl TryFrom<Map<String, Value>> for Payload {
    type Error = PayloadError;

    fn try_from(submitted: Map<String, Value>) -> Result<Self, PayloadError> {
        let fields = Fields::new(&submitted)?;
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
                    "the folder in `bucket` with the model file, or the key `model`",
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
            repeat: fields.number("repeat", 1..=MAX_FILES)?.unwrap_or(1),
            submitted: Map::new(),
        };
        Ok(Self { submitted, ..payload })
    }
}

impl From<Payload> for Map<String, Value> {
    fn from(payload: Payload) -> Self {
        payload.submitted
    }
}

/// Lists the supported precisions for a message.
fn precisions() -> String {
    astromae::Precision::ALL.map(|precision| format!("`{precision}`")).join(" or ")
}

#[cfg(test)]
mod tests;
