//! Whose a sweep's folder of results is: an object in it, written before the first run, names the file with the lines of
//! the sweep that has it.
//!
//! Runs of a sweep overwrite what lies at their places, so a sweep runs only in a folder that it found empty, or that
//! --overwrite gave it. Never here: a run, or the deleting of one.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pipeline::storage::{Bucket, Stores};
use pipeline::sweep::{SWEEP_CLAIM_FORMAT, SweepClaim};

use super::points::Sweep;

/// Name of the object in the folder of the results.
const NAME: &str = "sweep.json";
/// The largest claim that is read, in bytes.
const MAX_CLAIM_BYTES: u64 = 1 << 16;

/// What a sweep writes to have its folder.
pub(super) struct Claim {
    bucket: Bucket,
    /// Folder of the results in the bucket.
    folder: String,
    ours: SweepClaim,
}

impl Claim {
    /// Of the sweep whose lines are in this file, which is there.
    pub(super) fn new(sweep: &Sweep, stores: &Stores, lines: &Path) -> Result<Claim> {
        let absolute = lines.canonicalize().with_context(|| format!("find `{}`", lines.display()))?;
        let ours = SweepClaim {
            format_version: SWEEP_CLAIM_FORMAT,
            sweep: sweep.name.clone(),
            lines: absolute.display().to_string(),
        };
        Ok(Claim { bucket: stores.bucket(sweep.results_bucket())?, folder: sweep.result_path.clone(), ours })
    }

    /// Has the folder from now on: an empty one is claimed, one of another sweep or of nobody is refused.
    pub(super) async fn take(&self) -> Result<()> {
        if !self.is_ours().await? && !self.bucket.create(&self.key(), self.json()?.into()).await? {
            // Of two sweeps that found it empty at once, the other one was told that it has it.
            self.is_ours().await?;
        }
        Ok(())
    }

    /// Has the folder from now on, whosever it was.
    pub(super) async fn take_over(&self) -> Result<()> {
        Ok(self.bucket.write(&self.key(), self.json()?.into()).await?)
    }

    /// Whether the folder is claimed by this sweep; false where it is empty. All else is refused.
    pub(super) async fn is_ours(&self) -> Result<bool> {
        let Claim { bucket, folder, ours } = self;
        let (key, place) = (self.key(), bucket.url(folder));
        let advice = "give this sweep another `name` or `result_path`, or --overwrite takes the folder over";
        let Some(json) = bucket.read_if_there(&key, MAX_CLAIM_BYTES, "the claim of a sweep").await? else {
            let objects = bucket.list(folder).await?;
            let is_claimed_now = objects.iter().any(|object| object.key == key);
            return match objects.first() {
                Some(object) if !is_claimed_now => bail!(
                    "`{place}`: `{}` lies there, and no sweep says that the folder is its own; runs would overwrite what \
                     they meet: {advice}",
                    bucket.url(&object.key)
                ),
                _ => Ok(false),
            };
        };
        let claim = SweepClaim::parse(&json).map_err(anyhow::Error::msg);
        let claim = claim.with_context(|| format!("`{}` is no claim of a sweep: {advice}", bucket.url(&key)))?;
        if claim.lines != ours.lines {
            let SweepClaim { sweep, lines, .. } = claim;
            bail!(
                "`{place}`: results of sweep `{sweep}` lie there, whose lines are in `{lines}`, not in `{}`; runs would \
                 overwrite them: {advice}",
                ours.lines
            );
        }
        Ok(true)
    }

    fn key(&self) -> String {
        format!("{}/{NAME}", self.folder)
    }

    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.ours)? + "\n")
    }
}
