//! Counts of flagged rows.

use serde::{Deserialize, Serialize};

use crate::flags;

/// Number of rows by [flag](flags). A row may have several flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    /// Rows with any flag.
    pub rows: u64,
    /// Rows with a pixel that is NaN or infinite.
    pub non_finite_pixel: u64,
    /// Rows with a magnitude outside 0 to 40.
    pub bad_magnitude: u64,
    /// Rows with a prediction that is not finite or outside 0 to 2.
    pub bad_prediction: u64,
    /// Rows with a band whose pixels all have one value. Reports of earlier versions do not count them.
    #[serde(default)]
    pub blank_band: u64,
}

impl FlagCounts {
    /// Counts the flags of `rows`, one entry per row.
    pub fn count(rows: &[u8]) -> Self {
        let with = |flag: u8| rows.iter().filter(|&&flags| flags & flag != 0).count() as u64;
        Self {
            rows: with(u8::MAX),
            non_finite_pixel: with(flags::NON_FINITE_PIXEL),
            bad_magnitude: with(flags::BAD_MAGNITUDE),
            bad_prediction: with(flags::BAD_PREDICTION),
            blank_band: with(flags::BLANK_BAND),
        }
    }

    /// Adds the counts of other rows.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.non_finite_pixel += other.non_finite_pixel;
        self.bad_magnitude += other.bad_magnitude;
        self.bad_prediction += other.bad_prediction;
        self.blank_band += other.blank_band;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_flag_and_adds_counts() {
        let counts = FlagCounts::count(&[0, 1, 2, 3, 4, 0, 5, 9]);
        let expected = FlagCounts { rows: 6, non_finite_pixel: 4, bad_magnitude: 2, bad_prediction: 2, blank_band: 1 };
        assert_eq!(counts, expected);
        let mut sum = counts;
        sum.add(FlagCounts::count(&[4]));
        assert_eq!((sum.rows, sum.bad_prediction, sum.blank_band), (7, 3, 1));
    }
}
