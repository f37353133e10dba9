//! `cosmicai inspect`: contents of a model or a partition.

mod model;
mod partition;

use anyhow::Result;
use astromae::Precision;
use pipeline::objects::Objects;
use pipeline::storage::Stores;

use crate::help::examples;
use crate::outcome::Outcome;
use crate::printer::Printer;
use crate::settings::Settings;

/// Check a model or a partition and show its contents.
///
/// Nothing in the file is executed. A partition is read completely: the command counts pixels that are not finite and
/// magnitudes outside 0–40. A model is prepared as for predicting: every tensor must have the right shape and finite
/// values. The classes and constants of a pickled module must be those of AstroMAE. A state dict and safetensors have no
/// classes; the command lists what it assumes instead.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples(["cosmicai inspect sky.pt", "cosmicai inspect s3://models/astromae.pt"]))]
pub(crate) struct Options {
    /// Model or partition: file or URL.
    url: String,
    /// Precision that a model is prepared for: f32, bf16 or int8.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
}

pub(crate) async fn inspect(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let isa = settings.isa()?;
    // The first class in the pickle identifies a partition. Any other file is read as a model, whose reader explains
    // best why a file is neither.
    let opened = match open_partition(&stores, &options.url).await {
        Ok(opened) => opened,
        Err(error) => return Err(folder_error(&stores, &options.url).await.unwrap_or(error)),
    };
    match opened {
        Ok(partition) => {
            let (bucket, _) = stores.open_url(&options.url)?;
            let objects = Objects::read_beside(&bucket, &partition).await?;
            let report = partition::look(&options.url, partition, objects).await?;
            printer.print(&report, partition::human)?;
        }
        Err(not_a_partition) => {
            match model::look(&stores, &options.url, options.precision, isa).await {
                Ok(report) => printer.print(&report, model::human)?,
                // A damaged partition.
                Err(error) if is_partition(&error) => return Err(not_a_partition.into()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Outcome::Done)
}

/// Error for the URL of a folder; `None` if it is not one.
async fn folder_error(stores: &Stores, url: &str) -> Option<anyhow::Error> {
    use pipeline::model_file::{ModelFile, ModelFileError::Folder};
    ModelFile::of_url(stores, url).await.err().filter(|error| matches!(error, Folder { .. })).map(Into::into)
}

/// Returns true if a file could not be read as a model because it is a partition.
fn is_partition(error: &anyhow::Error) -> bool {
    use pipeline::model_file::ModelFileError::Checkpoint;
    let error = error.downcast_ref();
    matches!(error, Some(Checkpoint { error: astromae::checkpoint::CheckpointError::IsPartition, .. }))
}

/// Opens a file as a partition. Returns `Ok(Err)` if it is not a partition, and `Err` if the store fails.
async fn open_partition(
    stores: &Stores,
    url: &str,
) -> Result<Result<pipeline::partition::Partition, pipeline::partition::PartitionError>> {
    use pipeline::partition::{Partition, PartitionError};
    let (bucket, key) = stores.open_url(url)?;
    match Partition::open(bucket.store(), bucket.path(&key)?, None).await {
        Err(error @ PartitionError::Storage { .. }) => Err(error.into()),
        other => Ok(other),
    }
}
