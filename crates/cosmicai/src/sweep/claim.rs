//! Claim of a sweep on its results folder: the object `sweep.json`, which names the sweep's file of lines.
//!
//! Runs of a sweep overwrite the results of earlier attempts. A sweep therefore runs only in a folder that was empty or
//! that it took over with --overwrite. The claim is written before the first run. This module neither runs nor deletes
//! anything.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pipeline::storage::{Bucket, Stores};
use records::sweep::{SWEEP_CLAIM_FORMAT, SweepClaim};

use super::points::Sweep;

/// Name of the claim in the results folder.
const NAME: &str = "sweep.json";
/// Largest claim that is read, in bytes.
const MAX_CLAIM_BYTES: u64 = 1 << 16;

/// Claim of one sweep.
pub(crate) struct Claim {
    bucket: Bucket,
    /// Results folder in the bucket.
    folder: String,
    ours: SweepClaim,
}

impl Claim {
    /// Makes the claim of a sweep; the file `lines` must exist.
    pub(crate) fn new(sweep: &Sweep, stores: &Stores, lines: &Path) -> Result<Claim> {
        let absolute = lines.canonicalize().with_context(|| format!("find `{}`", lines.display()))?;
        let ours = SweepClaim {
            format_version: SWEEP_CLAIM_FORMAT,
            sweep: sweep.name.clone(),
            lines: absolute.display().to_string(),
        };
        Ok(Claim { bucket: stores.bucket(sweep.results_bucket())?, folder: sweep.result_path.clone(), ours })
    }

    /// Claims the folder if it is empty.
    ///
    /// # Errors
    /// The folder belongs to another sweep, or has objects but no claim.
    pub(crate) async fn take(&self) -> Result<()> {
        if !self.is_ours().await? && !self.bucket.create(&self.key(), self.json()?.into()).await? {
            // Another sweep created the claim between the two calls; this call fails if it is not ours.
            self.is_ours().await?;
        }
        Ok(())
    }

    /// Claims the folder and replaces any earlier claim.
    pub(crate) async fn take_over(&self) -> Result<()> {
        Ok(self.bucket.write(&self.key(), self.json()?.into()).await?)
    }

    /// Returns true if this sweep has claimed the folder, false if the folder is empty.
    ///
    /// # Errors
    /// The folder belongs to another sweep, or has objects but no claim.
    pub(crate) async fn is_ours(&self) -> Result<bool> {
        let Claim { bucket, folder, ours } = self;
        let (key, place) = (self.key(), bucket.url(folder));
        let advice = "give this sweep another `name` or `result_path`, or pass --overwrite to take the folder over";
        let Some(json) = bucket.read_if_there(&key, MAX_CLAIM_BYTES, "the claim of a sweep").await? else {
            let objects = bucket.list(folder).await?;
            let is_claimed_now = objects.iter().any(|object| object.key == key);
            return match objects.first() {
                Some(object) if !is_claimed_now => bail!(
                    "`{place}` has `{}`, but no sweep has claimed the folder; runs could overwrite its files: {advice}",
                    bucket.url(&object.key)
                ),
                _ => Ok(false),
            };
        };
        let claim = SweepClaim::parse(&json).map_err(anyhow::Error::msg);
        let claim = claim.with_context(|| format!("`{}` is not the claim of a sweep: {advice}", bucket.url(&key)))?;
        if claim.lines != ours.lines {
            let SweepClaim { sweep, lines, .. } = claim;
            bail!(
                "`{place}` has the results of sweep `{sweep}`, which writes its lines to `{lines}`, not to `{}`; runs \
                 would overwrite these results: {advice}",
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
