//! Accuracy as a function of redshift: median and NMAD of dz in bins with equal numbers of galaxies.
//!
//! Every galaxy is in exactly one bin, and galaxies with equal z_spec are in the same bin.

use super::{EvaluatedRow, NMAD_FACTOR, median_and_mad, percentile};

/// Accuracy of the galaxies in an interval of z_spec.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RedshiftBin {
    /// Number of galaxies; at least one.
    pub rows: usize,
    /// Smallest z_spec.
    pub z_spec_min: f64,
    /// Median z_spec.
    pub z_spec_median: f64,
    /// Largest z_spec.
    pub z_spec_max: f64,
    /// Median of dz.
    pub dz_median: f64,
    /// 1.48 × median of |dz − median dz|.
    pub nmad: f64,
}

/// Divides the rows, in any order, into `bins` intervals of rising z_spec with equal numbers of galaxies. Returns fewer
/// bins if values of z_spec repeat, or if there are fewer rows than bins.
pub fn bin_by_redshift(rows: &[EvaluatedRow], bins: usize) -> Vec<RedshiftBin> {
    let mut rows: Vec<(f64, f64)> = rows.iter().map(|row| (row.z_spec, row.dz())).collect();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut found = Vec::with_capacity(bins);
    let mut start = 0;
    for bin in 1..=bins {
        let mut end = rows.len() * bin / bins;
        while end > 0 && end < rows.len() && rows[end].0 == rows[end - 1].0 {
            end += 1;
        }
        if end > start {
            found.push(redshift_bin(&rows[start..end]));
            start = end;
        }
    }
    found
}

/// Computes the bin of pairs (z_spec, dz) sorted by z_spec.
fn redshift_bin(rows: &[(f64, f64)]) -> RedshiftBin {
    let z_spec: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let mut dz: Vec<f64> = rows.iter().map(|row| row.1).collect();
    dz.sort_unstable_by(f64::total_cmp);
    let (dz_median, mad) = median_and_mad(&dz);
    RedshiftBin {
        rows: rows.len(),
        z_spec_min: z_spec[0],
        z_spec_median: percentile(&z_spec, 50.0),
        z_spec_max: z_spec[z_spec.len() - 1],
        dz_median,
        nmad: NMAD_FACTOR * mad,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(z_spec: f64, dz: f64) -> EvaluatedRow {
        EvaluatedRow { z_phot: z_spec + dz * (1.0 + z_spec), z_spec, flags: 0 }
    }

    /// Expected values computed by hand: z_spec 0.0 to 0.5 in two bins; dz −0.1, 0, 0.2 and 0.1, 0.1, 0.4.
    #[test]
    fn six_galaxies_match_values_computed_by_hand() {
        let rows = [(0.4, 0.1), (0.0, -0.1), (0.5, 0.4), (0.2, 0.2), (0.1, 0.0), (0.3, 0.1)].map(|(z, dz)| row(z, dz));
        let bins = bin_by_redshift(&rows, 2);
        assert_eq!(bins.len(), 2);
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        for (bin, [min, median, max, dz, mad]) in
            bins.iter().zip([[0.0, 0.1, 0.2, 0.0, 0.1], [0.3, 0.4, 0.5, 0.1, 0.0]])
        {
            assert_eq!(bin.rows, 3);
            assert_eq!((bin.z_spec_min, bin.z_spec_median, bin.z_spec_max), (min, median, max));
            close(bin.dz_median, dz);
            close(bin.nmad, 1.48 * mad);
        }
    }

    #[test]
    fn equal_redshifts_share_a_bin() {
        let same: Vec<EvaluatedRow> = (0..10).map(|i| row(0.1, f64::from(i))).collect();
        assert_eq!(bin_by_redshift(&same, 4).iter().map(|bin| bin.rows).collect::<Vec<_>>(), [10]);
        assert_eq!(bin_by_redshift(&[row(0.1, 0.3)], 20).len(), 1);
        assert!(bin_by_redshift(&[], 3).is_empty() && bin_by_redshift(&same, 0).is_empty());
    }

    proptest! {
        #[test]
        fn every_galaxy_is_in_exactly_one_bin(z in proptest::collection::vec(0_u8..20, 1..200), bins in 1_usize..30) {
            let rows: Vec<EvaluatedRow> = z.iter().map(|&z| row(f64::from(z), 0.01 * f64::from(z))).collect();
            let bins = bin_by_redshift(&rows, bins);
            prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<usize>(), rows.len());
            for pair in bins.windows(2) {
                prop_assert!(pair[0].z_spec_max < pair[1].z_spec_min);
            }
        }
    }
}
