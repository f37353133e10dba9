//! Finished runs, read from where a person says they are.
//!
//! In: a `combined_data.json` or a `<rank>.json`, ours or the study's, or the folder of a run's results; a path or a URL.
//! Out: a [`MeasuredRun`], with our report and plan where they lie beside the records and are of one run.

use accounting::measured::{MeasuredRun, Told};
use accounting::record::{self, MAX_RECORDS_BYTES, Record};
use anyhow::{Context, Result, bail};
use pipeline::plan::Plan;
use pipeline::report::{MAX_RUN_REPORT_BYTES, RunReport};
use pipeline::results::Results;
use pipeline::storage::{Bucket, Stores};

/// How the name of records ends.
const RECORDS_ENDING: &str = ".json";
/// The name of all records of a run together.
const COMBINED: &str = "combined_data.json";

/// Reads one run.
pub(crate) async fn read(stores: &Stores, url: &str, told: Told) -> Result<MeasuredRun> {
    let (bucket, key) = stores.open_url(url)?;
    if key.ends_with(RECORDS_ENDING) {
        let records = records(&bucket, &key).await?;
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let (report, plan) = match name {
            COMBINED => beside(&Results::new(bucket, folder)).await?,
            _ => (None, None),
        };
        return Ok(MeasuredRun { name: url.to_owned(), records, report, plan, told });
    }
    // What asks of a folder is an error of some stores; what fails for another reason fails again below.
    if bucket.find(&key).await.is_ok_and(|object| object.is_some()) {
        bail!(
            "`{url}`: a file of records ({COMBINED}, <rank>.json) or the folder of a run's results is expected; lines of a sweep \
             are for `cosmicai report`"
        );
    }
    let results = Results::new(bucket, &key);
    let (report, plan) = beside(&results).await?;
    let records = match results.bucket().find(&results.combined()).await? {
        Some(_) => records(results.bucket(), &results.combined()).await?,
        None => records_of_tasks(&results, plan.as_ref(), url).await?,
    };
    Ok(MeasuredRun { name: url.to_owned(), records, report, plan, told })
}

async fn records(bucket: &Bucket, key: &str) -> Result<Vec<Record>> {
    let json = bucket.read(key, MAX_RECORDS_BYTES, "the study's records").await?;
    record::parse(&json).with_context(|| format!("`{}`", bucket.url(key)))
}

/// Our report and plan of a folder, if both are of the same run.
async fn beside(results: &Results) -> Result<(Option<RunReport>, Option<Plan>)> {
    let place = |key: &str| format!("`{}`", results.bucket().url(key));
    let plan = match results.read_plan().await? {
        Some(json) => Some(Plan::parse(&json).with_context(|| place(&results.plan()))?),
        None => None,
    };
    let Some(plan) = plan else { return Ok((None, None)) };
    let json = results.bucket().read_if_there(&results.report(), MAX_RUN_REPORT_BYTES, "a run's report").await?;
    let report = match json {
        Some(json) => {
            Some(RunReport::parse(&json).map_err(anyhow::Error::msg).with_context(|| place(&results.report()))?)
        }
        None => None,
    };
    Ok((report.filter(|report| report.run_id == plan.run_id), Some(plan)))
}

/// The records of the tasks of a run that is not complete.
async fn records_of_tasks(results: &Results, plan: Option<&Plan>, url: &str) -> Result<Vec<Record>> {
    let Some(plan) = plan else {
        bail!("`{url}`: neither {COMBINED} nor plan.json is there; a file of records or a run's folder is expected")
    };
    let present = results.list().await?;
    let mut found = Vec::new();
    for task in &plan.tasks {
        let key = results.record(task.rank);
        if present.contains(&key) {
            let rank = Some(task.rank as u64);
            found.extend(records(results.bucket(), &key).await?.into_iter().map(|record| Record { rank, ..record }));
        }
    }
    Ok(found)
}
