//! What changed against an earlier report or sweep: rows of the same setting, side by side.

use accounting::statistics::Estimate;
use anyhow::{Context, Result, ensure};
use pipeline::storage::Stores;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::REPORT_FORMAT;
use super::gather::{Reckoning, ToldOfInputs, gather};
use super::row::{Row, Setting, rows};

/// The largest report that is read, in bytes.
const MAX_REPORT_BYTES: u64 = 256 << 20;
/// Repeats of both from which on ranges that do not overlap are no chance: of four and four that is 1 case in 35.
const ENOUGH: usize = 4;
/// How the name of a report's facts ends.
pub(crate) const FACTS: &str = "report.json";

/// What changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Changes {
    /// The baseline, as it was named.
    pub(crate) baseline: String,
    pub(crate) changed: Vec<Change>,
    /// Rows that the baseline alone has, and that it has not.
    pub(crate) gone: Vec<String>,
    pub(crate) new: Vec<String>,
}

/// One row, before and after.
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
struct Before {
    experiment: String,
    #[serde(flatten)]
    setting: Setting,
    total_s: Option<Estimate>,
    memory_peak_mb: Option<Estimate>,
}

/// Compares rows with those of a report's `report.json`, of a sweep, or of a run.
pub(crate) async fn changes(
    stores: &Stores,
    baseline: &str,
    now: &[Row],
    reckoning: &Reckoning<'_>,
) -> Result<Changes> {
    let before = read(stores, baseline, reckoning).await.context("--baseline")?;
    let label = |row: &Row| format!("{}: {}", row.experiment, row.label());
    let mut is_matched = vec![false; before.len()];
    let (mut changed, mut new) = (Vec::new(), Vec::new());
    for row in now {
        let same = |one: &Before| one.experiment == row.experiment && one.setting == row.setting;
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
        (true, _) if fewest >= ENOUGH => "faster",
        (_, true) if fewest >= ENOUGH => "slower",
        (true, _) => "perhaps faster: few repeats",
        (_, true) => "perhaps slower: few repeats",
        _ => "no difference seen",
    }
}

async fn read(stores: &Stores, baseline: &str, reckoning: &Reckoning<'_>) -> Result<Vec<Before>> {
    #[derive(Deserialize)]
    struct Facts {
        format_version: u32,
        rows: Vec<Before>,
    }
    let (bucket, key) = stores.open_url(baseline)?;
    if key.ends_with(FACTS) {
        let json = bucket.read(&key, MAX_REPORT_BYTES, "a report").await?;
        let malformed = || format!("`{baseline}`: not a report");
        let value: Value = serde_json::from_slice(&json).with_context(malformed)?;
        // A run's own report has this name, too, and no rows; that run is meant then.
        if value.get("rows").is_some() {
            let facts: Facts = serde_json::from_value(value).with_context(malformed)?;
            ensure!(facts.format_version == REPORT_FORMAT, "`{baseline}`: a report of another version");
            return Ok(facts.rows);
        }
        let folder = baseline.strip_suffix(FACTS).unwrap_or(baseline);
        return of_inputs(stores, folder, reckoning).await;
    }
    of_inputs(stores, baseline, reckoning).await
}

/// The rows of a run, a file of records, or a sweep.
async fn of_inputs(stores: &Stores, input: &str, reckoning: &Reckoning<'_>) -> Result<Vec<Before>> {
    let of_row = |row: Row| Before {
        experiment: row.experiment,
        setting: row.setting,
        total_s: row.total_s,
        memory_peak_mb: row.memory_peak_mb,
    };
    let gathered = gather(stores, &[input.to_owned()], &ToldOfInputs::default(), reckoning).await?;
    Ok(rows(gathered.measurements).into_iter().map(of_row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen_where_intervals_do_not_overlap() {
        let of = |low: f64, high: f64, count| Some(Estimate { median: (low + high) / 2.0, low, high, count });
        assert_eq!(verdict(of(2.0, 3.0, 4), of(1.0, 1.9, 5)), "faster");
        assert_eq!(verdict(of(1.0, 1.9, 4), of(2.0, 3.0, 4)), "slower");
        assert_eq!(verdict(of(1.0, 1.9, 3), of(2.0, 3.0, 4)), "perhaps slower: few repeats");
        assert_eq!(verdict(of(1.0, 2.5, 3), of(2.0, 3.0, 3)), "no difference seen");
        assert_eq!(verdict(of(1.0, 1.0, 1), of(2.0, 3.0, 3)), "not repeated");
        assert_eq!(verdict(None, of(2.0, 3.0, 3)), "not known");
    }
}
