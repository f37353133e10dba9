//! Model file: finds it, identifies it, and loads the model from it.
//!
//! A file of this machine is read one tensor at a time while the model is packed, so it is never in memory as a whole.
//! It is hashed only if the caller needs its identity. A file from another store is downloaded to memory.

mod source;
mod two_threads;

use std::sync::Arc;

use astromae::checkpoint::{Checkpoint, CheckpointError};
use astromae::{Isa, Join, Model, Precision};

use records::payload::Payload;
use records::plan::ModelIdentity;
use two_threads::TwoThreads;

use crate::storage::{Bucket, Content, StorageError, StoredObject, Stores};

/// Largest model file that is read, in bytes.
pub const MAX_MODEL_BYTES: u64 = 4 << 30;
/// Largest `config.json` beside a model that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Endings of the names of model files.
const ENDINGS: [&str; 3] = [".pt", ".pth", ".safetensors"];
/// Folder that holds the model in the bucket of the CAI study. A file of sample images beside it also ends in `.pt`.
const STUDY_FOLDER: &str = "Fine_Tune_Model";
/// Class of a partition in its pickle.
const PARTITION_CLASS: &[u8] = b"TensorDataset";
/// Number of bytes at the start of a file that hold the pickle of a partition, or the start of a longer one.
const PICKLE_START_BYTES: u64 = 4 << 10;
/// Largest number of candidates that a message lists.
const MAX_LISTED: usize = 5;

/// Error of finding or loading a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A folder holds no model file, or several.
    #[error("model: expected one model file in `{url}`, found {found}; name it with the key `model` or with `--model`")]
    Ambiguous {
        /// URL of the folder.
        url: String,
        /// Description of the candidates.
        found: String,
    },
    /// The URL is that of a folder.
    #[error("model `{url}`: this is a folder; name the file in it ({found})")]
    Folder {
        /// URL of the folder.
        url: String,
        /// Description of the model files in it.
        found: String,
    },
    /// The file changed after the run was planned.
    #[error(
        "model `{url}`: has changed since the run was planned (SHA-256 {found}, {planned} planned); plan again with \
         `--resume`"
    )]
    Changed {
        /// URL of the file.
        url: String,
        /// SHA-256 of the file and of the `config.json` beside it.
        found: String,
        /// SHA-256 in the plan.
        planned: String,
    },
    /// The file was opened but could not be read to its end, or changed in the meantime.
    #[error("model `{url}`: {error}")]
    Unreadable {
        /// URL of the file.
        url: String,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// The file is a partition.
    #[error("model `{url}`: a partition of images, not a model; pass the file of a model")]
    IsPartition {
        /// URL of the file.
        url: String,
    },
    /// The file is not a model that this program can run.
    #[error("model `{url}`: {error}")]
    Checkpoint {
        /// URL of the file.
        url: String,
        /// Error of the checkpoint.
        error: CheckpointError,
    },
}

/// Model file, open or in memory.
#[derive(Debug, Clone)]
pub struct ModelFile {
    url: String,
    content: Arc<Content>,
    /// Content of the `config.json` beside the file, for formats that do not include the configuration; `None` if there
    /// is no such file.
    config_json: Option<Arc<str>>,
    /// SHA-256 that the file must have; `None` if it was not planned.
    planned: Option<String>,
}

impl ModelFile {
    /// Opens the model of a payload, or the model that `instead` names: a URL, or a key in the payload's `bucket`.
    ///
    /// # Errors
    /// The model is missing or ambiguous, or the store fails.
    pub async fn of_payload(stores: &Stores, payload: &Payload, instead: Option<&str>) -> Result<Self, ModelFileError> {
        let (bucket, key) = location_of_payload(stores, payload, instead).await?;
        Self::read(&bucket, &key).await
    }

    /// Size in bytes of the model that [`of_payload`](Self::of_payload) would open, without opening it; `None` if the
    /// file does not exist.
    ///
    /// # Errors
    /// The model is ambiguous, or the store fails.
    pub async fn bytes_of_payload(
        stores: &Stores,
        payload: &Payload,
        instead: Option<&str>,
    ) -> Result<Option<u64>, ModelFileError> {
        let (bucket, key) = location_of_payload(stores, payload, instead).await?;
        Ok(bucket.find(&key).await?.map(|object| object.bytes))
    }

    /// Opens the model at a URL or path.
    ///
    /// # Errors
    /// The file does not exist, or the store fails.
    pub async fn of_url(stores: &Stores, url: &str) -> Result<Self, ModelFileError> {
        let (bucket, key) = stores.open_url(url)?;
        Self::read(&bucket, &key).await
    }

    /// Opens the model of a plan. [`load`](Self::load) checks that it is the planned one.
    ///
    /// # Errors
    /// The file does not exist, or the store fails.
    pub async fn of_plan(stores: &Stores, planned: &ModelIdentity) -> Result<Self, ModelFileError> {
        let file = Self::of_url(stores, &planned.url).await?;
        Ok(Self { planned: Some(planned.sha256.clone()), ..file })
    }

    /// Opens and loads the model of a plan on a blocking thread. If it is not the planned one, reads it once more: a bit
    /// may have changed on the way.
    ///
    /// # Errors
    /// The errors of [`of_plan`](Self::of_plan) and [`load`](Self::load).
    pub async fn load_planned(
        stores: &Stores,
        planned: &ModelIdentity,
        precision: Precision,
        isa: Isa,
    ) -> Result<Arc<Model>, ModelFileError> {
        again_if_changed(async || {
            let file = Self::of_plan(stores, planned).await?;
            let loaded = tokio::task::spawn_blocking(move || file.load(precision, isa)).await;
            loaded.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
        })
        .await
    }

    /// Identity of the model. Reads and hashes the whole file on a blocking thread.
    ///
    /// # Errors
    /// The file cannot be read, or changed while it was read.
    pub async fn identity(&self) -> Result<ModelIdentity, ModelFileError> {
        let file = self.clone();
        let hashed = tokio::task::spawn_blocking(move || file.sha256()).await;
        let sha256 = hashed.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        Ok(ModelIdentity { url: self.url.clone(), sha256, bytes: self.content.len() })
    }

    /// Opens the checkpoint: reads the names, shapes and positions of its tensors.
    ///
    /// # Errors
    /// The file is not a checkpoint that this program can read.
    pub fn checkpoint(&self) -> Result<Checkpoint<'_>, ModelFileError> {
        Checkpoint::open(&*self.content, self.config_json.as_deref()).map_err(|error| self.checkpoint_error(error))
    }

    /// Loads the model and packs it for `isa` on two threads. For a planned model, a third thread checks its identity.
    /// Blocks for about 50 ms for the published model sizes: do not call it on a thread that serves async tasks.
    /// Consumes the file.
    ///
    /// # Errors
    /// The file is not a model, is not the planned model, or cannot be read.
    ///
    /// # Panics
    /// Panics if one of the threads panics.
    pub fn load(self, precision: Precision, isa: Isa) -> Result<Arc<Model>, ModelFileError> {
        let model = || {
            let model = Model::from_checkpoint_joined(&self.checkpoint()?, precision, isa, &TwoThreads);
            model.map_err(|error| self.checkpoint_error(error))
        };
        let model = match &self.planned {
            None => model()?,
            Some(planned) => {
                let (found, model) = TwoThreads.join(|| self.sha256(), model);
                let (found, planned) = (found?, planned.clone());
                if found != planned {
                    return Err(ModelFileError::Changed { url: self.url, found, planned });
                }
                model?
            }
        };
        self.content.check_unchanged().map_err(|error| self.unreadable(error))?;
        Ok(Arc::new(model))
    }

    async fn read(bucket: &Bucket, key: &str) -> Result<Self, ModelFileError> {
        let config_key =
            key.rsplit_once('/').map_or("config.json".to_owned(), |(folder, _)| format!("{folder}/config.json"));
        let config = async {
            // A URL with a query, such as a signed one, names one file only.
            match key.contains('?') {
                true => Ok(None),
                false => bucket.read_if_there(&config_key, MAX_CONFIG_BYTES, "a model's config.json").await,
            }
        };
        let content = bucket.read_content(key, MAX_MODEL_BYTES, "a model");
        let (content, config) = match futures::future::try_join(content, config).await {
            Ok(read) => read,
            Err(error) => return Err(folder_error(bucket, key).await.unwrap_or_else(|| error.into())),
        };
        let config_json = config.map(|config| String::from_utf8_lossy(&config).into());
        Ok(Self { url: bucket.url(key), content: Arc::new(content), config_json, planned: None })
    }

    /// SHA-256 of the file and of the `config.json` beside it.
    fn sha256(&self) -> Result<String, ModelFileError> {
        let config = self.config_json.as_deref().unwrap_or_default();
        source::sha256(&self.content, config.as_bytes()).map_err(|error| self.unreadable(error))
    }

    fn checkpoint_error(&self, error: CheckpointError) -> ModelFileError {
        let url = self.url.clone();
        match self.is_partition() {
            true => ModelFileError::IsPartition { url },
            false => ModelFileError::Checkpoint { url, error },
        }
    }

    /// Returns true if the pickle at the start of the file is that of a partition.
    fn is_partition(&self) -> bool {
        let mut buffer = Vec::new();
        let start = self.content.read_range(0..self.content.len().min(PICKLE_START_BYTES), &mut buffer);
        start.is_ok_and(|start| start.windows(PARTITION_CLASS.len()).any(|window| window == PARTITION_CLASS))
    }

    fn unreadable(&self, error: std::io::Error) -> ModelFileError {
        ModelFileError::Unreadable { url: self.url.clone(), error }
    }
}

/// Calls `load`, and once more if the model was not the planned one.
async fn again_if_changed<T>(load: impl AsyncFn() -> Result<T, ModelFileError>) -> Result<T, ModelFileError> {
    match load().await {
        Err(ModelFileError::Changed { .. }) => load().await,
        other => other,
    }
}

/// Bucket and key of the model of a payload, or of the model that `instead` names.
async fn location_of_payload(
    stores: &Stores,
    payload: &Payload,
    instead: Option<&str>,
) -> Result<(Bucket, String), ModelFileError> {
    match (instead.or(payload.model.as_deref()), &payload.s3_object_name) {
        (Some(url), _) if Stores::is_url(url) => Ok(stores.open_url(url)?),
        (Some(key), _) => Ok((stores.bucket(&payload.bucket)?, key.trim_matches('/').to_owned())),
        (None, folder) => {
            let bucket = stores.bucket(&payload.bucket)?;
            let key = only_model(&bucket, folder.as_deref().unwrap_or_default()).await?;
            Ok((bucket, key))
        }
    }
}

/// Error for a key that is a folder; `None` if it is not.
async fn folder_error(bucket: &Bucket, key: &str) -> Option<ModelFileError> {
    // A store that cannot list gives its first error, which says more.
    let objects = bucket.list(key).await.ok().filter(|objects| !objects.is_empty())?;
    let models: Vec<String> =
        objects.iter().filter(|object| is_model(object)).map(|object| bucket.url(&object.key)).collect();
    Some(ModelFileError::Folder { url: bucket.url(key), found: described(&models) })
}

fn is_model(object: &StoredObject) -> bool {
    ENDINGS.iter().any(|ending| object.key.ends_with(ending))
}

/// Describes the model files in a folder.
fn described(models: &[String]) -> String {
    let listed = models.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match models.len() {
        0 => format!("none (expected a name ending in {})", ENDINGS.join(", ")),
        1 => listed,
        count if count > MAX_LISTED => format!("{count} files ({listed}, …)"),
        count => format!("{count} files ({listed})"),
    }
}

/// Finds the only model file in a folder. If there are several, the only one in [`STUDY_FOLDER`] is used.
async fn only_model(bucket: &Bucket, folder: &str) -> Result<String, ModelFileError> {
    let found: Vec<String> = bucket.list(folder).await?.into_iter().filter(is_model).map(|object| object.key).collect();
    let in_study_folder = |key: &&String| key.split('/').rev().nth(1) == Some(STUDY_FOLDER);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        many => match many.iter().filter(in_study_folder).collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).clone()),
            _ => Err(ModelFileError::Ambiguous { url: bucket.url(folder), found: described(many) }),
        },
    }
}

#[cfg(test)]
mod tests;
