//! Settings from the environment, read once: the instruction set, access to S3 and other stores, the path of this
//! program and the folder for temporary files.
//!
//! In: environment variables and the configuration files of AWS. Out: [`Settings`], from which commands take an
//! instruction set and [`Stores`]. No other module reads the environment.

#[cfg(feature = "aws")]
mod aws_chain;
#[cfg(not(feature = "aws"))]
mod environment_chain;
mod s3;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use astromae::Isa;
#[cfg(feature = "aws")]
use aws_config::SdkConfig;
use executors::CommandLine;
use pipeline::storage::{Limits, S3Options, StorageError, StorageOptions, Stores, Warnings};
use tokio::sync::OnceCell;

use crate::printer::write_message;

/// Environment variable with the instruction set to use: `avx512`, `avx2`, `neon` or `scalar`.
pub(crate) const ISA: &str = "COSMICAI_ISA";
/// Environment variables in which srun passes the number of a process and the number of processes.
pub(crate) const SLURM_RANK: [&str; 2] = ["SLURM_PROCID", "SLURM_NTASKS"];
/// Prefixes of the variables of Azure and Google, which `object_store` reads.
const OTHER_STORES: [&str; 2] = ["AZURE_", "GOOGLE_"];

/// Variables with the cluster of SLURM to submit to, in the order in which sbatch reads them.
const CLUSTERS: [&str; 2] = ["SBATCH_CLUSTERS", "SLURM_CLUSTERS"];

/// Settings from the environment.
#[derive(Debug)]
pub struct Settings {
    isa: Option<String>,
    program: Option<PathBuf>,
    temporary_folder: PathBuf,
    slurm_rank: Option<(usize, u32)>,
    s3_variables: s3::Variables,
    others: Vec<(String, String)>,
    clusters: Option<String>,
    limits: Limits,
    s3: OnceCell<S3Options>,
    warnings: Warnings,
}

impl Settings {
    /// Reads the environment. A variable that is not UTF-8 counts as not set.
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
            slurm_rank: slurm_rank(),
            s3_variables: s3::Variables::from_environment(),
            others,
            clusters: CLUSTERS.iter().find_map(|name| env::var(name).ok().filter(|name| !name.is_empty())),
            limits: Limits::default(),
            s3: OnceCell::new(),
            warnings: Warnings::new(write_message),
        }
    }

    /// Instruction set of `COSMICAI_ISA`, or the best one of this machine.
    ///
    /// # Errors
    /// The name is unknown, or this machine does not support the instruction set.
    pub fn isa(&self) -> Result<Isa> {
        match &self.isa {
            Some(name) => name.parse().with_context(|| format!("environment variable {ISA}")),
            None => Ok(Isa::detect()),
        }
    }

    /// Returns true if a listing of inputs passed over an object that cannot be read. A warning named it.
    pub(crate) fn has_passed_over(&self) -> bool {
        self.warnings.has_passed_over()
    }

    /// Path of this program; `None` if the system does not provide it.
    pub(crate) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// Cluster of SLURM to submit to; `None` for the cluster of this machine.
    pub(crate) fn clusters(&self) -> Option<&str> {
        self.clusters.as_deref()
    }

    /// Number of this process, from 0, and number of processes, if srun started this one.
    pub(crate) fn slurm_rank(&self) -> Option<(usize, u32)> {
        self.slurm_rank
    }

    /// Folder for temporary files.
    pub(crate) fn temporary_folder(&self) -> &Path {
        &self.temporary_folder
    }

    /// Sets the address of all AWS services, like the environment variable `AWS_ENDPOINT_URL`.
    pub fn with_endpoint(mut self, url: Option<String>) -> Self {
        self.s3_variables.endpoint_of_all = url;
        self
    }

    /// Starts a command line of this program, for a user or a child process, that reads the same S3 server as this
    /// process.
    pub(crate) fn command(&self, subcommand: &str) -> CommandLine {
        CommandLine::cosmicai(subcommand).option_if("endpoint-url", self.endpoint_given())
    }

    /// Address from [`with_endpoint`](Self::with_endpoint).
    pub(crate) fn endpoint_given(&self) -> Option<&str> {
        self.s3_variables.endpoint_of_all.as_deref()
    }

    /// Credentials, region and endpoint for AWS services.
    #[cfg(feature = "aws")]
    pub async fn aws(&self) -> SdkConfig {
        aws_chain::config(&self.s3_variables).await
    }

    /// Opens the stores of a location: a folder, `s3`, or a URL (see [`Stores::open`]).
    ///
    /// # Errors
    /// The location is invalid or cannot be opened.
    pub async fn stores(&self, location: &str) -> Result<Stores, StorageError> {
        self.stores_in(location, None).await
    }

    #[cfg(feature = "aws")]
    async fn s3_options(&self) -> S3Options {
        aws_chain::s3_options(&self.s3_variables).await
    }

    #[cfg(not(feature = "aws"))]
    async fn s3_options(&self) -> S3Options {
        environment_chain::s3_options(&self.s3_variables)
    }

    /// Opens the stores of a location in a region, which overrides that of the environment.
    ///
    /// # Errors
    /// The location is invalid or cannot be opened.
    pub async fn stores_in(&self, location: &str, region: Option<&str>) -> Result<Stores, StorageError> {
        let mut s3 = self.s3.get_or_init(|| self.s3_options()).await.clone();
        s3.region = region.map(str::to_owned).or(s3.region);
        let (others, limits, warnings) = (self.others.clone(), self.limits.clone(), self.warnings.clone());
        Stores::open(location, StorageOptions { s3, others, limits, warnings })
    }
}

/// Number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads the number of this process and the number of processes from the variables of srun; `None` if one is missing or
/// is not a number.
fn slurm_rank() -> Option<(usize, u32)> {
    let [rank, of] = SLURM_RANK.map(|name| env::var(name).ok());
    Some((rank?.parse().ok()?, of?.parse().ok().filter(|of| *of > 0)?))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Commands that use local files only must not wait for the network.
    #[tokio::test]
    async fn opens_a_folder_without_network_requests() {
        let begun = Instant::now();
        let stores = Settings::from_environment().stores(".").await.unwrap();
        assert!(stores.bucket("src").is_ok());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
