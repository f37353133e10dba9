//! The model's file: which one it is, its identity, and the model made from it.
//!
//! A file of this machine is read a tensor at a time while the model is made: its bytes are never in memory together,
//! and hashed only for those who ask which model it is. What came from elsewhere lies in memory.

mod content;
mod two_threads;

use std::sync::Arc;

use astromae::checkpoint::{Checkpoint, CheckpointError};
use astromae::{Isa, Join, Model, Precision};

pub(crate) use content::Content;
use two_threads::TwoThreads;

use crate::payload::Payload;
use crate::plan::ModelIdentity;
use crate::storage::{Bucket, Object, StorageError, Stores};

/// The largest model that is read, in bytes.
pub const MAX_MODEL_BYTES: u64 = 4 << 30;
/// The largest `config.json` beside a model.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// How the names of models end.
const ENDINGS: [&str; 3] = [".pt", ".pth", ".safetensors"];
/// The folder that holds the model in the study's bucket, beside a file of sample images that ends in `.pt` as well.
const STUDY_FOLDER: &str = "Fine_Tune_Model";
/// The most candidates that a message lists.
const MAX_LISTED: usize = 5;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Not exactly one file could be the model.
    #[error("model: {found} in `{url}` could be it; name one with the key `model`, or with `--model`")]
    NotOne {
        /// The folder.
        url: String,
        /// What is there.
        found: String,
    },
    /// The file is not the one that was planned.
    #[error(
        "model `{url}`: it has changed since the run was planned (SHA-256 {found}, {planned} planned); `--resume` plans anew"
    )]
    Changed {
        /// The file.
        url: String,
        /// SHA-256 of what is there.
        found: String,
        /// SHA-256 in the plan.
        planned: String,
    },
    /// The file could be opened but not read to its end, or was changed meanwhile.
    #[error("model `{url}`: {said}")]
    Unreadable {
        /// The file.
        url: String,
        /// What the system said.
        said: std::io::Error,
    },
    /// The file is not a model that can be run.
    #[error("model `{url}`: {fault}")]
    Checkpoint {
        /// The file.
        url: String,
        /// What is wrong with it.
        fault: CheckpointError,
    },
}

/// A model's file, open or in memory.
#[derive(Debug, Clone)]
pub struct ModelFile {
    url: String,
    content: Arc<Content>,
    /// The `config.json` beside it, for forms that do not carry everything.
    config_json: Option<Arc<str>>,
    /// SHA-256 that it must have.
    planned: Option<String>,
}

impl ModelFile {
    /// Reads the model that a payload asks for, or the one that `instead` names: a URL, or a key in the payload's
    /// bucket.
    pub async fn of_payload(stores: &Stores, payload: &Payload, instead: Option<&str>) -> Result<Self, ModelFileError> {
        let (bucket, key) = place_of_payload(stores, payload, instead).await?;
        Self::read(&bucket, &key).await
    }

    /// Bytes of that model, which is not read; None where it is not there.
    pub async fn bytes_of_payload(
        stores: &Stores,
        payload: &Payload,
        instead: Option<&str>,
    ) -> Result<Option<u64>, ModelFileError> {
        let (bucket, key) = place_of_payload(stores, payload, instead).await?;
        Ok(bucket.find(&key).await?.map(|object| object.bytes))
    }

    /// Reads the model that a URL or a path names.
    pub async fn of_url(stores: &Stores, url: &str) -> Result<Self, ModelFileError> {
        let (bucket, key) = stores.open_url(url)?;
        Self::read(&bucket, &key).await
    }

    /// Opens the model of a plan; [`load`](Self::load) makes sure that it is that one.
    pub async fn of_plan(stores: &Stores, planned: &ModelIdentity) -> Result<Self, ModelFileError> {
        let file = Self::of_url(stores, &planned.url).await?;
        Ok(Self { planned: Some(planned.sha256.clone()), ..file })
    }

    /// Which model it is. Reads the whole file, away from the threads that wait for others.
    pub async fn identity(&self) -> Result<ModelIdentity, ModelFileError> {
        let file = self.clone();
        let hashed = tokio::task::spawn_blocking(move || file.sha256()).await;
        let sha256 = hashed.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        Ok(ModelIdentity { url: self.url.clone(), sha256, bytes: self.content.len() })
    }

    /// Where its tensors lie.
    pub fn checkpoint(&self) -> Result<Checkpoint<'_>, ModelFileError> {
        Checkpoint::open(&*self.content, self.config_json.as_deref()).map_err(|fault| self.fault(fault))
    }

    /// Makes the model, packed for `isa`, on two threads, while a third compares its identity where it was planned. Takes
    /// some 50 ms for the published sizes, and does not wait for others: call it where nothing waits. The file is given
    /// up.
    pub fn load(self, precision: Precision, isa: Isa) -> Result<Arc<Model>, ModelFileError> {
        let model = || {
            let model = Model::from_checkpoint_joined(&self.checkpoint()?, precision, isa, &TwoThreads);
            model.map_err(|fault| self.fault(fault))
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
        self.content.check_unchanged().map_err(|said| self.unreadable(said))?;
        Ok(Arc::new(model))
    }

    async fn read(bucket: &Bucket, key: &str) -> Result<Self, ModelFileError> {
        let beside =
            key.rsplit_once('/').map_or("config.json".to_owned(), |(folder, _)| format!("{folder}/config.json"));
        let (content, config) = futures::future::try_join(
            bucket.read_content(key, MAX_MODEL_BYTES, "a model"),
            bucket.read_if_there(&beside, MAX_CONFIG_BYTES, "a model's config.json"),
        )
        .await?;
        let config_json = config.map(|config| String::from_utf8_lossy(&config).into());
        Ok(Self { url: bucket.url(key), content: Arc::new(content), config_json, planned: None })
    }

    /// SHA-256 of the file and of the `config.json` beside it.
    fn sha256(&self) -> Result<String, ModelFileError> {
        let config = self.config_json.as_deref().unwrap_or_default();
        self.content.sha256(config.as_bytes()).map_err(|said| self.unreadable(said))
    }

    fn fault(&self, fault: CheckpointError) -> ModelFileError {
        ModelFileError::Checkpoint { url: self.url.clone(), fault }
    }

    fn unreadable(&self, said: std::io::Error) -> ModelFileError {
        ModelFileError::Unreadable { url: self.url.clone(), said }
    }
}

/// Where the model lies that a payload asks for, or the one that `instead` names.
async fn place_of_payload(
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

/// The single model under a folder; of several, the single one in the study's own folder for it.
async fn only_model(bucket: &Bucket, folder: &str) -> Result<String, ModelFileError> {
    let is_model = |object: &Object| ENDINGS.iter().any(|ending| object.key.ends_with(ending));
    let found: Vec<String> = bucket.list(folder).await?.into_iter().filter(is_model).map(|object| object.key).collect();
    let in_its_folder = |key: &&String| key.split('/').rev().nth(1) == Some(STUDY_FOLDER);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        many => match many.iter().filter(in_its_folder).collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).clone()),
            _ => {
                let listed: Vec<&str> = many.iter().take(MAX_LISTED).map(String::as_str).collect();
                let found = match many.len() {
                    0 => format!("none of its files (expected is a name ending in {})", ENDINGS.join(", ")),
                    count if count > MAX_LISTED => format!("{count} files ({}, …)", listed.join(", ")),
                    count => format!("{count} files ({})", listed.join(", ")),
                };
                Err(ModelFileError::NotOne { url: bucket.url(folder), found })
            }
        },
    }
}
