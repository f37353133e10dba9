//! Amount of work of a payload.

use accounting::forecast::work::{Data, ForecastJob};
use anyhow::{Context, Result};
use pipeline::finished::finished;
use pipeline::planning::{Origin, plan};
use pipeline::prepare::read_plan;
use pipeline::results::Results;
use pipeline::storage::Stores;
use records::payload::Payload;
use records::plan::ModelIdentity;

/// Finds the work of a payload: lists and plans its partitions without reading them. With `resume`, leaves out tasks
/// that an earlier execution finished.
pub(crate) async fn job_of_payload(payload: Payload, stores: &Stores, resume: bool) -> Result<ForecastJob> {
    let bucket = stores.bucket(&payload.data_bucket)?;
    let listing = bucket.list_inputs(&payload.data_prefix).await?;
    // The tasks do not depend on the model or the origin.
    let model = ModelIdentity { url: String::new(), sha256: String::new(), bytes: 0 };
    let origin = Origin { run_id: "forecast".to_owned(), created: String::new(), created_by: String::new() };
    let planned = plan(payload.clone(), listing, model, origin);
    let planned = planned.with_context(|| format!("`{}`", bucket.url(&payload.data_prefix)))?;
    let mut is_done = vec![false; planned.tasks.len()];
    if resume {
        let results = Results::new(stores.bucket(&payload.bucket)?, payload.results_folder());
        if let Some(earlier) = read_plan(&results).await? {
            for report in finished(&results, &earlier).await? {
                if let Some(done) = is_done.get_mut(report.rank) {
                    *done = true;
                }
            }
        }
    }
    let left = planned.tasks.iter().filter(|task| !is_done[task.rank] && !task.files.is_empty());
    let tasks: Vec<f64> = left.map(|task| task.bytes() as f64).collect();
    let files = planned.tasks.iter().flat_map(|task| &task.files);
    let largest = files.map(|file| file.bytes).max().unwrap_or_default();
    let partition_mb = Some(largest as f64 / f64::from(1 << 20));
    Ok(ForecastJob { payload: Some(payload), data: Data::Tasks(tasks), partition_mb })
}
