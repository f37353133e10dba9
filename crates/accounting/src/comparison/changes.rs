//! Changes since an earlier report, sweep or run: rows of the same setting, side by side.

use records::format::{FormatError, check_format};
use serde::{Deserialize, Serialize};

use super::row::{Row, RowSetting};
use crate::statistics::Estimate;

/// Largest `comparison.json` that is read, in bytes.
pub const MAX_COMPARISON_BYTES: u64 = 256 << 20;
/// Version of `comparison.json`.
pub const COMPARISON_FORMAT: u32 = 1;
/// Name of a report's file of numbers, for programs and for a later comparison.
pub const COMPARISON_FILE: &str = "comparison.json";
/// Repeats on both sides from which ranges that do not overlap count as a difference: if both have four repeats and the
/// same distribution, that happens in 1 of 35 cases.
const ENOUGH_REPEATS: usize = 4;

/// Changes since a baseline.
#[derive(Debug, Clone, Serialize)]
pub struct Changes {
    /// Baseline, as the user named it.
    pub baseline: String,
    /// Rows that both have.
    pub changed: Vec<Change>,
    /// Rows that only the baseline has.
    pub gone: Vec<String>,
    /// Rows that the baseline does not have.
    pub new: Vec<String>,
}

/// One row before and after.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Experiment and setting of the row.
    pub row: String,
    /// Wall seconds of the whole run before.
    pub total_s_baseline: Option<Estimate>,
    /// Wall seconds of the whole run now.
    pub total_s: Option<Estimate>,
    /// Largest resident memory of any worker in MB before.
    pub memory_mb_baseline: Option<Estimate>,
    /// Largest resident memory of any worker in MB now.
    pub memory_mb: Option<Estimate>,
    /// `faster`, `slower`, `perhaps faster: few repeats`, …, `no difference seen`, `not repeated`, `not known`.
    pub verdict: &'static str,
}

/// A row of a baseline.
#[derive(Debug, Clone, Deserialize)]
pub struct BaselineRow {
    experiment: String,
    #[serde(flatten)]
    setting: RowSetting,
    total_s: Option<Estimate>,
    memory_peak_mb: Option<Estimate>,
}

impl From<Row> for BaselineRow {
    fn from(row: Row) -> Self {
        Self {
            experiment: row.experiment,
            setting: row.setting,
            total_s: row.total_s,
            memory_peak_mb: row.memory_peak_mb,
        }
    }
}

/// Reads the rows of a `comparison.json`.
///
/// # Errors
/// The bytes are not a comparison of this version.
pub fn parse_baseline(json: &[u8]) -> Result<Vec<BaselineRow>, FormatError> {
    #[derive(Deserialize)]
    struct Comparison {
        rows: Vec<BaselineRow>,
    }
    check_format(json, COMPARISON_FORMAT)?;
    Ok(serde_json::from_slice::<Comparison>(json)?.rows)
}

/// Compares rows with those of a baseline.
pub fn changes(baseline: &str, before: &[BaselineRow], now: &[Row]) -> Changes {
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
    Changes { baseline: baseline.to_owned(), changed, gone, new }
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
