//! Executions on AWS: clients of the services, stores and results.

use anyhow::{Context, Result};
use aws_config::Region;
use executors::step_functions::{Cloud, Execution};
use pipeline::results::Results;
use pipeline::storage::Stores;
use records::request::ExecutionInput;

use crate::settings::Settings;

/// Clients of the AWS services for the state machine or execution of an ARN, in the region of the ARN.
pub(crate) async fn cloud(settings: &Settings, arn: &str) -> Cloud {
    let config = settings.aws().await;
    match region(arn) {
        Some(region) => Cloud::new(&config.into_builder().region(Region::new(region.to_owned())).build()),
        None => Cloud::new(&config),
    }
}

/// S3 in the region of the state machine or execution of an ARN.
pub(crate) async fn stores(settings: &Settings, arn: &str) -> Result<Stores> {
    Ok(settings.stores_in("s3", region(arn)).await?)
}

fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

/// Results folder of an execution.
pub(crate) async fn results(execution: &Execution, settings: &Settings) -> Result<Results> {
    let input = execution.input.as_deref().context("AWS returned no input of the execution")?;
    let input = serde_json::from_str(input).context("the input of the execution is not JSON")?;
    let payload = ExecutionInput::parse(&input)?.payload;
    let bucket = stores(settings, &execution.arn).await?.bucket(&payload.bucket)?;
    Ok(Results::new(bucket, payload.results_folder()))
}

/// Seconds from the start of an execution to its end, or to now if it still runs.
pub(crate) fn seconds(execution: &Execution) -> f64 {
    let end = execution.ended.clone().unwrap_or_else(pipeline::event::now);
    records::time::seconds_between(&execution.started, &end).unwrap_or_default().max(0.0)
}
