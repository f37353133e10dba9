//! Reads a baseline: the `comparison.json` of an earlier report, a sweep, a run or a file of records.

use accounting::comparison::changes::{BaselineRow, COMPARISON_FILE, MAX_COMPARISON_BYTES, parse_baseline};
use accounting::comparison::row::rows;
use anyhow::{Context, Result};
use pipeline::storage::Stores;

use super::gather::{CostTerms, StatedByUser, gather};

pub(crate) async fn read_baseline(
    stores: &Stores,
    baseline: &str,
    cost_terms: &CostTerms<'_>,
) -> Result<Vec<BaselineRow>> {
    let (bucket, key) = stores.open_url(baseline)?;
    if key.ends_with(COMPARISON_FILE) {
        let json = bucket.read(&key, MAX_COMPARISON_BYTES, "the comparison of a report").await?;
        return parse_baseline(&json)
            .with_context(|| format!("`{baseline}`: expected the comparison.json of a report"));
    }
    let gathered = gather(stores, &[baseline.to_owned()], &StatedByUser::default(), cost_terms).await?;
    Ok(rows(gathered.measurements).into_iter().map(BaselineRow::from).collect())
}
