//! The model's file: which one it is, its bytes, its identity, and the model made from it.

use std::sync::Arc;

use astromae::checkpoint::CheckpointError;
use astromae::{Isa, Model, Precision};
use bytes::Bytes;
use sha2::{Digest, Sha256};

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
    /// The file is not a model that can be run.
    #[error("model `{url}`: {fault}")]
    Checkpoint {
        /// The file.
        url: String,
        /// What is wrong with it.
        fault: CheckpointError,
    },
}

/// A model's file in memory.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// What it is.
    pub identity: ModelIdentity,
    /// Its bytes.
    pub bytes: Bytes,
    /// The `config.json` beside it, for forms that do not carry everything.
    pub config_json: Option<String>,
}

impl ModelFile {
    /// Reads the model that a payload asks for, or the one that `instead` names: a URL, or a key in the payload's
    /// bucket.
    pub async fn of_payload(stores: &Stores, payload: &Payload, instead: Option<&str>) -> Result<Self, ModelFileError> {
        let (bucket, key) = match (instead.or(payload.model.as_deref()), &payload.s3_object_name) {
            (Some(url), _) if Stores::is_url(url) => stores.open_url(url)?,
            (Some(key), _) => (stores.bucket(&payload.bucket)?, key.trim_matches('/').to_owned()),
            (None, folder) => {
                let bucket = stores.bucket(&payload.bucket)?;
                let key = only_model(&bucket, folder.as_deref().unwrap_or_default()).await?;
                (bucket, key)
            }
        };
        Self::read(&bucket, &key).await
    }

    /// Reads the model that a URL or a path names.
    pub async fn of_url(stores: &Stores, url: &str) -> Result<Self, ModelFileError> {
        let (bucket, key) = stores.open_url(url)?;
        Self::read(&bucket, &key).await
    }

    /// Reads the model of a plan, and makes sure that it is that one.
    pub async fn of_plan(stores: &Stores, planned: &ModelIdentity) -> Result<Self, ModelFileError> {
        let file = Self::of_url(stores, &planned.url).await?;
        if file.identity.sha256 == planned.sha256 {
            return Ok(file);
        }
        let (found, planned) = (file.identity.sha256, planned.sha256.clone());
        Err(ModelFileError::Changed { url: file.identity.url, found, planned })
    }

    /// Makes the model, packed for `isa`. Takes seconds; call it where nothing waits. The bytes are given up.
    pub fn load(self, precision: Precision, isa: Isa) -> Result<Arc<Model>, ModelFileError> {
        let url = self.identity.url;
        Model::from_bytes(&self.bytes, self.config_json.as_deref(), precision, isa)
            .map(Arc::new)
            .map_err(|fault| ModelFileError::Checkpoint { url, fault })
    }

    async fn read(bucket: &Bucket, key: &str) -> Result<Self, ModelFileError> {
        let bytes = bucket.read(key, MAX_MODEL_BYTES, "a model").await?;
        let beside =
            key.rsplit_once('/').map_or("config.json".to_owned(), |(folder, _)| format!("{folder}/config.json"));
        let config = bucket.read_if_there(&beside, MAX_CONFIG_BYTES, "a model's config.json").await?;
        let hash = Sha256::new().chain_update(&bytes).chain_update(config.as_deref().unwrap_or_default()).finalize();
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let identity = ModelIdentity { url: bucket.url(key), sha256, bytes: bytes.len() as u64 };
        let config_json = config.map(|config| String::from_utf8_lossy(&config).into_owned());
        Ok(Self { identity, bytes, config_json })
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
