//! What the environment says, read once: the instruction set, how to reach S3 and other stores, where this program and
//! temporary files lie.
//!
//! In: environment variables and the usual AWS files. Out: [`Settings`], from which commands take an instruction set and
//! [`Stores`]. Nowhere else in this program is the environment read.

mod aws;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use astromae::Isa;
use aws_config::SdkConfig;
use pipeline::storage::{Limits, S3Options, StorageError, StorageOptions, Stores};
use tokio::sync::OnceCell;

/// The instruction set to use: `avx512`, `avx2`, `neon` or `scalar`.
pub(crate) const ISA: &str = "COSMICAI_ISA";
/// How the variables of Azure and Google begin; `object_store` knows what they mean.
const OTHER_STORES: [&str; 2] = ["AZURE_", "GOOGLE_"];

/// The environment, as far as it matters.
#[derive(Debug)]
pub struct Settings {
    isa: Option<String>,
    program: Option<PathBuf>,
    temporary_folder: PathBuf,
    aws: aws::Variables,
    others: Vec<(String, String)>,
    limits: Limits,
    s3: OnceCell<S3Options>,
}

impl Settings {
    /// Reads the environment. A variable that is not UTF-8 is as one that is not set.
    pub fn from_environment() -> Self {
        let others = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| OTHER_STORES.iter().any(|start| name.starts_with(start)))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        Self {
            isa: env::var(ISA).ok().filter(|isa| !isa.is_empty()),
            program: env::current_exe().ok(),
            temporary_folder: env::temp_dir(),
            aws: aws::Variables::from_environment(),
            others,
            limits: Limits::default(),
            s3: OnceCell::new(),
        }
    }

    /// The instruction set that `COSMICAI_ISA` names, or the best one of this machine.
    ///
    /// # Errors
    /// Where the name is unknown, or this machine has no such instructions.
    pub fn isa(&self) -> Result<Isa> {
        match &self.isa {
            Some(name) => name.parse().with_context(|| format!("environment variable {ISA}")),
            None => Ok(Isa::detect()),
        }
    }

    /// The file of this program; None where the system does not say.
    pub(crate) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// Where files lie that nobody keeps.
    pub(crate) fn temporary_folder(&self) -> &Path {
        &self.temporary_folder
    }

    /// As if the environment named this address for AWS and for all its services.
    pub fn with_endpoint(mut self, url: Option<String>) -> Self {
        self.aws.endpoint_of_all = url;
        self
    }

    /// The address that [`with_endpoint`](Self::with_endpoint) was given.
    pub(crate) fn endpoint_given(&self) -> Option<&str> {
        self.aws.endpoint_of_all.as_deref()
    }

    /// Who this is on AWS, where, and how to reach its services.
    pub async fn aws(&self) -> SdkConfig {
        self.aws.config().await
    }

    /// The stores of a place: a folder, `s3`, or a URL (see [`Stores::open`]).
    ///
    /// # Errors
    /// Where the place cannot be understood or opened.
    pub async fn stores(&self, place: &str) -> Result<Stores, StorageError> {
        self.stores_in(place, None).await
    }

    /// As [`stores`](Self::stores), in a region that is known better than the environment knows it.
    ///
    /// # Errors
    /// As there.
    pub async fn stores_in(&self, place: &str, region: Option<&str>) -> Result<Stores, StorageError> {
        let mut s3 = self.s3.get_or_init(|| self.aws.s3_options()).await.clone();
        s3.region = region.map(str::to_owned).or(s3.region);
        Stores::open(place, StorageOptions { s3, others: self.others.clone(), limits: self.limits.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A command that touches nothing but files must not wait for a cloud that is not there.
    #[tokio::test]
    async fn a_folder_is_opened_without_asking_the_network() {
        let begun = Instant::now();
        let stores = Settings::from_environment().stores(".").await.unwrap();
        assert!(stores.bucket("src").is_ok());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
