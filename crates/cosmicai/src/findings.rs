//! Audit of one run, from its records and the files beside them.

use accounting::audit::{AuditOptions, Finding, audit};
use accounting::measured::MeasuredRun;
use anyhow::{Context, Result};
use pipeline::results::Results;
use pipeline::storage::Stores;
use records::payload::MAX_PAYLOAD_BYTES;
use serde_json::{Map, Value};

/// Audits one run.
pub(crate) async fn examine(stores: &Stores, run: &MeasuredRun, expect_files: Option<usize>) -> Result<Vec<Finding>> {
    let RunFiles { payload, predictions } = RunFiles::read(stores, &run.name, run).await?;
    Ok(audit(run, &AuditOptions { expect_files, payload, predictions }))
}

/// Files beside the records that describe the whole run.
#[derive(Default)]
struct RunFiles {
    /// Payload of a run of the CAI study, which has no plan.
    payload: Option<Map<String, Value>>,
    /// Number of tasks with predictions, for runs of this program.
    predictions: Option<usize>,
}

impl RunFiles {
    async fn read(stores: &Stores, file: &str, run: &MeasuredRun) -> Result<Self> {
        const COMBINED: &str = "combined_data.json";
        let (bucket, key) = stores.open_url(file)?;
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let folder = match name {
            COMBINED => folder,
            // Under another name, the folder may have the records of several runs, so the files beside them describe no
            // single run.
            _ if name.ends_with(".json") => return Ok(Self::default()),
            _ => &key,
        };
        let results = Results::new(bucket, folder);
        if let Some(plan) = &run.plan {
            let present = results.list().await?;
            let kept = plan.tasks.iter().filter(|task| present.contains(&results.predictions(task.rank)));
            return Ok(Self { payload: None, predictions: Some(kept.count()) });
        }
        let url = || results.bucket().url(&results.payload());
        let json = results.bucket().read_if_there(&results.payload(), MAX_PAYLOAD_BYTES, "a payload").await?;
        let payload = json.map(|json| serde_json::from_slice(&json));
        let payload = payload.transpose().with_context(|| format!("`{}` is not a payload", url()))?;
        Ok(Self { payload, predictions: None })
    }
}
