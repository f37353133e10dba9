//! Changes since an earlier report, sweep or run: rows of the same setting, side by side.

use accounting::statistics::Estimate;
use anyhow::{Context, Result, ensure};
use pipeline::storage::Stores;
use serde::{Deserialize, Serialize};

use super::gather::{CostTerms, StatedByUser, gather};
use super::row::{Row, RowSetting, rows};

/// Largest `comparison.json` that is read, in bytes.
const MAX_COMPARISON_BYTES: u64 = 256 << 20;
/// Repeats on both sides from which ranges that do not overlap count as a difference: if both have four repeats and the
/// same distribution, that happens in 1 of 35 cases.
const ENOUGH_REPEATS: usize = 4;
/// Version of `comparison.json`.
pub(crate) const COMPARISON_FORMAT: u32 = 1;
/// Name of a report's file of numbers, for programs and for a later `--baseline`.
pub(crate) const COMPARISON_FILE: &str = "comparison.json";

/// Changes since a baseline.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Changes {
    /// Baseline, as the user named it.
    pub(crate) baseline: String,
    pub(crate) changed: Vec<Change>,
    /// Rows that only the baseline has.
    pub(crate) gone: Vec<String>,
    /// Rows that the baseline does not have.
    pub(crate) new: Vec<String>,
}

/// One row before and after.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    pub(crate) row: String,
    pub(crate) total_s_baseline: Option<Estimate>,
    pub(crate) total_s: Option<Estimate>,
    pub(crate) memory_mb_baseline: Option<Estimate>,
    pub(crate) memory_mb: Option<Estimate>,
    /// `faster`, `slower`, `perhaps faster: few repeats`, …, `no difference seen`, `not repeated`, `not known`.
    pub(crate) verdict: &'static str,
}

/// A row of a baseline.
#[derive(Debug, Clone, Deserialize)]
struct BaselineRow {
    experiment: String,
    #[serde(flatten)]
    setting: RowSetting,
    total_s: Option<Estimate>,
    memory_peak_mb: Option<Estimate>,
}

/// Compares rows with those of a report's `comparison.json`, a sweep or a run.
pub(crate) async fn changes(
    stores: &Stores,
    baseline: &str,
    now: &[Row],
    cost_terms: &CostTerms<'_>,
) -> Result<Changes> {
    let before = read(stores, baseline, cost_terms).await.context("--baseline")?;
    let label = |row: &Row| format!("{}: {}", row.experiment, row.label());
    let mut is_matched = vec![false; before.len()];
    let (mut changed, mut new) = (Vec::new(), Vec::new());
    for row in now {
        let same = |one: &BaselineRow| one.experiment == row.experiment && one.setting == row.setting;
        match before.iter().position(same) {
            Some(index) => {
                is_matched[index] = true;
                let before = &before[index];
                changed.push(Change {
                    row: label(row),
                    total_s_baseline: before.total_s,
                    total_s: row.total_s,
                    memory_mb_baseline: before.memory_peak_mb,
                    memory_mb: row.memory_peak_mb,
                    verdict: verdict(before.total_s, row.total_s),
                });
            }
            None => new.push(label(row)),
        }
    }
    let left = before.iter().zip(is_matched).filter(|(_, is_matched)| !is_matched);
    let gone = left.map(|(one, _)| format!("{}: {}", one.experiment, one.setting.label())).collect();
    Ok(Changes { baseline: baseline.to_owned(), changed, gone, new })
}

fn verdict(before: Option<Estimate>, after: Option<Estimate>) -> &'static str {
    let Some((before, after)) = before.zip(after) else { return "not known" };
    let fewest = before.count.min(after.count);
    match (after.high < before.low, after.low > before.high) {
        _ if fewest < 2 => "not repeated",
        (true, _) if fewest >= ENOUGH_REPEATS => "faster",
        (_, true) if fewest >= ENOUGH_REPEATS => "slower",
        (true, _) => "perhaps faster: few repeats",
        (_, true) => "perhaps slower: few repeats",
        _ => "no difference seen",
    }
}

async fn read(stores: &Stores, baseline: &str, cost_terms: &CostTerms<'_>) -> Result<Vec<BaselineRow>> {
    #[derive(Deserialize)]
    struct Facts {
        format_version: u32,
        rows: Vec<BaselineRow>,
    }
    let (bucket, key) = stores.open_url(baseline)?;
    if key.ends_with(COMPARISON_FILE) {
        let json = bucket.read(&key, MAX_COMPARISON_BYTES, "the comparison of a report").await?;
        let facts: Facts = serde_json::from_slice(&json)
            .with_context(|| format!("`{baseline}` is not the comparison.json of a report"))?;
        ensure!(facts.format_version == COMPARISON_FORMAT, "`{baseline}`: a report of another format version");
        return Ok(facts.rows);
    }
    rows_of_input(stores, baseline, cost_terms).await
}

/// Rows of a run, a file of records or a sweep.
async fn rows_of_input(stores: &Stores, input: &str, cost_terms: &CostTerms<'_>) -> Result<Vec<BaselineRow>> {
    let of_row = |row: Row| BaselineRow {
        experiment: row.experiment,
        setting: row.setting,
        total_s: row.total_s,
        memory_peak_mb: row.memory_peak_mb,
    };
    let gathered = gather(stores, &[input.to_owned()], &StatedByUser::default(), cost_terms).await?;
    Ok(rows(gathered.measurements).into_iter().map(of_row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_needs_separate_intervals_and_enough_repeats() {
        let of = |low: f64, high: f64, count| Some(Estimate { median: (low + high) / 2.0, low, high, count });
        assert_eq!(verdict(of(2.0, 3.0, 4), of(1.0, 1.9, 5)), "faster");
        assert_eq!(verdict(of(1.0, 1.9, 4), of(2.0, 3.0, 4)), "slower");
        assert_eq!(verdict(of(1.0, 1.9, 3), of(2.0, 3.0, 4)), "perhaps slower: few repeats");
        assert_eq!(verdict(of(1.0, 2.5, 3), of(2.0, 3.0, 3)), "no difference seen");
        assert_eq!(verdict(of(1.0, 1.0, 1), of(2.0, 3.0, 3)), "not repeated");
        assert_eq!(verdict(None, of(2.0, 3.0, 3)), "not known");
    }
}
