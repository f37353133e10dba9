//! Measured runs, read from paths and URLs.
//!
//! In: a `combined_data.json` or a `<rank>.json` of this program or of the CAI study, or the folder of a run's results;
//! a `total.json` or a `job_<N>.json` of the CAI study's runs on a cluster, or a folder with all files `job_<N>.json` of
//! a run. Out: a [`MeasuredRun`], with the report and the plan beside the records if both are of the same run.

use accounting::measured::{MeasuredRun, Stated};
use accounting::record::{self, MAX_RECORDS_BYTES, Record, WorkerRecords};
use anyhow::{Context, Result, bail};
use pipeline::results::Results;
use pipeline::storage::{Bucket, Stores};
use records::plan::Plan;
use records::report::{MAX_RUN_REPORT_BYTES, RunReport};

/// Ending of the names of records.
const RECORDS_ENDING: &str = ".json";
/// Name of the file with all records of a run.
const COMBINED: &str = "combined_data.json";

/// Reads one run.
pub(crate) async fn read(stores: &Stores, url: &str, stated: Stated) -> Result<MeasuredRun> {
    let (bucket, key) = stores.open_url(url)?;
    if key.ends_with(RECORDS_ENDING) {
        let workers = WorkerRecords::of_file(records(&bucket, &key).await?);
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let (report, plan) = match name {
            COMBINED => report_and_plan(&Results::new(bucket, folder)).await?,
            _ => (None, None),
        };
        let WorkerRecords { records, written } = workers;
        return Ok(MeasuredRun { name: url.to_owned(), records, written, report, plan, stated });
    }
    // Some stores return an error if the key is a folder. Other errors occur again below.
    if bucket.find(&key).await.is_ok_and(|object| object.is_some()) {
        bail!(
            "`{url}`: expected a file of records ({COMBINED}, <rank>.json, total.json, job_<N>.json) or the folder of a \
             run's results; for a sweep, use `cosmicai report`"
        );
    }
    let results = Results::new(bucket, &key);
    let (report, plan) = report_and_plan(&results).await?;
    let workers = match (results.bucket().find(&results.combined()).await?, &plan) {
        (Some(_), _) => WorkerRecords::of_file(records(results.bucket(), &results.combined()).await?),
        (None, Some(plan)) => records_of_tasks(&results, plan).await?,
        (None, None) => records_of_jobs(&results, url).await?,
    };
    let WorkerRecords { records, written } = workers;
    Ok(MeasuredRun { name: url.to_owned(), records, written, report, plan, stated })
}

async fn records(bucket: &Bucket, key: &str) -> Result<Vec<Record>> {
    let json = bucket.read(key, MAX_RECORDS_BYTES, "records of the CAI study").await?;
    record::parse(&json).with_context(|| format!("`{}`", bucket.url(key)))
}

/// Reads the report and the plan of a folder; the report only if it is of the same run as the plan.
async fn report_and_plan(results: &Results) -> Result<(Option<RunReport>, Option<Plan>)> {
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

/// Reads the records of the finished tasks of an incomplete run.
async fn records_of_tasks(results: &Results, plan: &Plan) -> Result<WorkerRecords> {
    let present = results.list().await?;
    let mut found = Vec::new();
    for task in &plan.tasks {
        let key = results.record(task.rank);
        if present.contains(&key) {
            let rank = Some(task.rank as u64);
            found.extend(records(results.bucket(), &key).await?.into_iter().map(|record| Record { rank, ..record }));
        }
    }
    Ok(WorkerRecords { records: found, written: Vec::new() })
}

/// Reads the records of all jobs of a run of the CAI study on a cluster: `job_<N>.json` directly in the folder.
async fn records_of_jobs(results: &Results, url: &str) -> Result<WorkerRecords> {
    let mut jobs: Vec<(u64, String)> =
        results.list().await?.into_iter().filter_map(|key| Some((job(results, &key)?, key))).collect();
    if jobs.is_empty() {
        bail!(
            "`{url}` has neither {COMBINED} nor plan.json nor files job_<N>.json; expected a file of records or the \
             folder of a run's results"
        )
    }
    jobs.sort_unstable();
    let mut all = WorkerRecords::default();
    for (_, key) in jobs {
        all.append(WorkerRecords::of_file(records(results.bucket(), &key).await?));
    }
    Ok(all)
}

/// Number of the job of a file `job_<N>.json` directly in the folder.
fn job(results: &Results, key: &str) -> Option<u64> {
    let folder = results.folder();
    let name = if folder.is_empty() { key } else { key.strip_prefix(folder)?.strip_prefix('/')? };
    name.strip_prefix("job_")?.strip_suffix(RECORDS_ENDING)?.parse().ok()
}
