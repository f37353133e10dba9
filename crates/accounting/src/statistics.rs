//! Means, medians and confidence intervals, and a seeded random number generator.

/// Number of resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// Percentiles that bound 95 % of the resamples.
const INTERVAL_95: [f64; 2] = [2.5, 97.5];

/// Median with a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// Median.
    pub median: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Number of values.
    pub count: usize,
}

/// Mean; `None` if there are no values.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// Values in ascending order, without NaN.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Median, without NaN; `None` if there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

/// Interpolated quantile of sorted values at `part` between 0 and 1; `None` if there are no values.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    (!sorted.is_empty()).then(|| records::metrics::percentile(sorted, 100.0 * part))
}

/// Mean without outliers, as the CAI study computes it: of the values that are at most 1.5 interquartile ranges below
/// the first or above the third quartile. Ignores NaN; `None` if there are no values.
pub fn trimmed_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    const REACH: f64 = 1.5;
    let values = sorted(values);
    let (first, third) = (quantile(&values, 0.25)?, quantile(&values, 0.75)?);
    let reach = REACH * (third - first);
    mean(values.into_iter().filter(|value| (first - reach..=third + reach).contains(value)))
}

/// Median with a 95 % interval by a bootstrap with a fixed seed.
///
/// With fewer than 6 values, for which a bootstrap is too narrow, the interval is their range.
pub fn estimate(values: impl IntoIterator<Item = f64>) -> Option<Estimate> {
    const FEW: usize = 6;
    let values = sorted(values);
    let median = quantile(&values, 0.5)?;
    let count = values.len();
    if count < FEW {
        return Some(Estimate { median, low: values[0], high: values[count - 1], count });
    }
    let mut random = Random::new(0);
    let medians = sorted((0..RESAMPLES).map(|_| {
        let resample = sorted((0..count).map(|_| values[random.below(count)]));
        quantile(&resample, 0.5).unwrap_or(median)
    }));
    let at = |percent: f64| records::metrics::percentile(&medians, percent);
    Some(Estimate { median, low: at(INTERVAL_95[0]), high: at(INTERVAL_95[1]), count })
}

/// Random number generator with a seed: SplitMix64 (Steele, Lea and Flood 2014). Its numbers are the same on every
/// machine and in every version.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Makes a generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a uniform number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns an integer in 0..`count`; `count` must be above 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Returns a standard normal number, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Shuffles `values`.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_median_and_quantile_have_known_values() {
        assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(mean([]), None);
        assert_eq!(median([5.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.25), Some(1.0));
        assert_eq!(estimate([3.0, 1.0, 2.0]), Some(Estimate { median: 2.0, low: 1.0, high: 3.0, count: 3 }));
    }

    /// Quartiles as `numpy.percentile` interpolates them: 2.25 and 4.75 of 1 to 6, so values up to 8.5 stay.
    #[test]
    fn trimmed_mean_leaves_out_what_is_far_from_the_quartiles() {
        assert_eq!(trimmed_mean([1.0, 2.0, 3.0, 4.0, 5.0, 8.5]), Some(23.5 / 6.0));
        assert_eq!(trimmed_mean([1.0, 2.0, 3.0, 4.0, 5.0, 8.6]), Some(3.0));
        assert_eq!(trimmed_mean([-2.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Some(4.0));
        assert_eq!(trimmed_mean([5.0; 3]), Some(5.0));
        assert_eq!(trimmed_mean([7.0, f64::NAN]), Some(7.0));
        assert_eq!(trimmed_mean([]), None);
    }

    /// The interval of the median of a normal sample is about ±1.96 × 1.253 σ/√n.
    #[test]
    fn interval_width_agrees_with_theory() {
        let mut random = Random::new(7);
        let estimate = estimate((0..400).map(|_| random.normal())).unwrap();
        let expected = 1.96 * 1.253 / 20.0;
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((half / expected - 1.0).abs() < 0.35, "{half} {expected}");
        assert!(estimate.low < 0.0 && estimate.high > 0.0, "{estimate:?}");
    }

    /// The first numbers of the published generator with seed 1234567.
    #[test]
    fn random_numbers_equal_the_published_ones() {
        let mut random = Random::new(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut values: Vec<usize> = (0..100).collect();
        random.shuffle(&mut values);
        assert_ne!(values, (0..100).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..100).collect::<Vec<_>>());
        assert!((0..1_000).all(|_| random.below(3) < 3 && random.uniform() < 1.0));
    }
}
