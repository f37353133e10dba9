//! `cosmicai inspect`: what is in a model or a partition.

mod model;
mod partition;

use anyhow::Result;
use astromae::Precision;
use pipeline::objects::Objects;
use pipeline::storage::Stores;

use super::Outcome;
use crate::printer::Printer;
use crate::settings::Settings;

/// Show what is in a model or a partition, and whether it is sound.
///
/// Nothing in the file is executed. A partition is read to its end: pixels that are not finite and magnitudes that
/// cannot be are counted. A model is folded and packed, as for predicting.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Model or partition: file or URL.
    url: String,
    /// Arithmetic that a model is packed for.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
}

pub(crate) async fn inspect(options: Options, settings: &Settings, printer: &Printer) -> Result<Outcome> {
    let stores = settings.stores(".").await?;
    let isa = settings.isa()?;
    // A partition says by its first class that it is one; whatever is not is taken for a model, whose reader tells
    // more about a file that is neither.
    match open_partition(&stores, &options.url).await? {
        Ok(partition) => {
            let (bucket, _) = stores.open_url(&options.url)?;
            let objects = Objects::beside(&bucket, &partition).await?;
            let report = partition::look(&options.url, partition, objects).await?;
            printer.print(&report, partition::human)?;
        }
        Err(not_a_partition) => {
            let model = model::look(&stores, &options.url, options.precision, isa).await;
            match model {
                Ok(report) => printer.print(&report, model::human)?,
                Err(not_a_model) => {
                    anyhow::bail!("`{}` is neither: {not_a_partition}; {not_a_model:#}", options.url)
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// The partition, or why it is none; a store that fails is an error of its own.
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
