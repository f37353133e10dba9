//! Axes: the range that data need, its round ticks, and the scale from values to pixels.

use records::metrics::percentile;

use crate::numbers::grouped;

/// Percentiles that the range always includes, unless they are far from the middle half of the values.
const SHOWN_PERCENTILES: [f64; 2] = [0.5, 99.5];
/// Distance from the middle half of the values that counts as far, relative to the width of the middle half.
const FAR: f64 = 10.0;
/// Values farther outside the shown percentiles than this fraction of their span are not shown.
const REACH: f64 = 0.3;
/// Empty space at each end, relative to the span.
const MARGIN: f64 = 0.04;
/// Smallest width of a range: absolute, and relative to the largest absolute value.
const SPAN_MIN: (f64, f64) = (0.02, 1e-6);
/// Largest value that an axis shows; twice this value is still finite.
const VALUE_MAX: f64 = 1e300;
/// Maximum number of ticks on an axis.
const TICKS_MAX: usize = 64;

/// Values that an axis shows; both ends are finite and `low` < `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// Returns the range that shows sorted values. A few extreme values do not stretch it.
    ///
    /// `sorted` has at least one value.
    pub(super) fn around(sorted: &[f64]) -> Range {
        let at = |percent: f64| percentile(sorted, percent).clamp(-VALUE_MAX, VALUE_MAX);
        let median = at(50.0);
        let (quartile_1, quartile_3) = (at(25.0), at(75.0));
        let far = match (quartile_3 - quartile_1) * FAR {
            0.0 => f64::INFINITY,
            far => far,
        };
        let low = at(SHOWN_PERCENTILES[0]).max(quartile_1 - far);
        let high = at(SHOWN_PERCENTILES[1]).min(quartile_3 + far);
        let reach = (high - low) * REACH;
        // End the range at a value of the data: in a small sample, a percentile may be interpolated between a typical
        // and an extreme value.
        let first = sorted.partition_point(|value| *value < low - reach);
        let end = sorted.partition_point(|value| *value <= high + reach);
        let shown = sorted.get(first..end).unwrap_or_default();
        Range {
            low: shown.first().map_or(median, |low| low.min(median)),
            high: shown.last().map_or(median, |high| high.max(median)),
        }
    }

    /// Returns the smallest range that contains both ranges.
    pub(super) fn union(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Returns the range with space at both ends, wide enough for ticks.
    ///
    /// The space at the low end stops at `floor` if no value is below `floor`.
    pub(super) fn widened(self, floor: f64) -> Range {
        let size = self.low.abs().max(self.high.abs());
        let lacking = (SPAN_MIN.0.max(SPAN_MIN.1 * size) - (self.high - self.low)).max(0.0);
        let margin = (self.high - self.low) * MARGIN + lacking / 2.0;
        let low = if self.low >= floor { (self.low - margin).max(floor) } else { self.low - margin };
        Range { low: low.max(-VALUE_MAX), high: (self.high + margin).min(VALUE_MAX) }
    }

    /// Returns true if the range contains `value`.
    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Returns about `wanted` major ticks at round values, at least `step_min` apart, and minor ticks between them.
    pub(super) fn ticks(&self, wanted: usize, step_min: f64) -> Ticks {
        let (step, parts) = rounded_step((self.high - self.low) / wanted as f64);
        let (step, parts) = if step < step_min { (step_min, 1) } else { (step, parts) };
        let fine = step / parts as f64;
        let every = |step: f64| {
            let first = (self.low / step).ceil();
            let values = (0..TICKS_MAX).map(move |index| (first + index as f64) * step);
            values.take_while(move |value| *value <= self.high + 1e-9 * step)
        };
        Ticks { major: every(step).map(|value| (value, label(value, step))).collect(), minor: every(fine).collect() }
    }
}

/// Ticks of an axis.
pub(super) struct Ticks {
    /// Value and label of each major tick.
    pub(super) major: Vec<(f64, String)>,
    /// Values of the minor ticks, which include those of the major ticks.
    pub(super) minor: Vec<f64>,
}

/// Linear map from a range of values to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) range: Range,
    /// Pixel of the range's low end.
    pub(super) from: f64,
    /// Pixel of the range's high end.
    pub(super) to: f64,
}

impl Scale {
    /// Returns the pixel of `value`.
    pub(super) fn at(&self, value: f64) -> f64 {
        let Range { low, high } = self.range;
        self.from + (value - low) / (high - low) * (self.to - self.from)
    }
}

/// Rounds a step to the nearest of 1, 2 or 5 times a power of ten. Returns it with its number of minor steps.
fn rounded_step(step: f64) -> (f64, usize) {
    let power = 10_f64.powf(step.log10().floor());
    match step / power {
        factor if factor < 2_f64.sqrt() => (power, 5),
        factor if factor < 10_f64.sqrt() => (2.0 * power, 4),
        factor if factor < 50_f64.sqrt() => (5.0 * power, 5),
        _ => (10.0 * power, 5),
    }
}

/// Formats the label of a tick.
fn label(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let text = if value.abs() < step / 2.0 {
        // As many decimals as the other labels have, unless those have an exponent.
        if decimals > 5 { "0".to_owned() } else { format!("{:.decimals$}", 0.0) }
    } else if (1e3..1e6).contains(&value) && decimals == 0 {
        grouped(value.round() as u64)
    } else if value.abs() >= 1e5 || decimals > 5 {
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.digits$e}")
    } else {
        format!("{value:.decimals$}")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    #[test]
    fn ticks_are_at_round_values() {
        let labels = |low, high| -> Vec<String> {
            Range { low, high }.ticks(6, 0.0).major.into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(0.0, 0.46), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(-0.053, 0.05), ["−0.04", "−0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(labels(0.0, 5.3), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(labels(0.0, 2.4e6), ["0", "500,000", "1.0e6", "1.5e6", "2.0e6"]);
        assert_eq!(labels(0.0, 2.4e-9), ["0", "5e−10", "1.0e−9", "1.5e−9", "2.0e−9"]);
        let counts = Range { low: 0.0, high: 2.2 }.ticks(5, 1.0);
        assert_eq!(counts.major.into_iter().map(|tick| tick.1).collect::<Vec<_>>(), ["0", "1", "2"]);
        assert_eq!(Range { low: 0.0, high: 1.0 }.ticks(5, 0.0).minor.len(), 21);
    }

    #[test]
    fn range_excludes_a_few_extreme_values() {
        let mut values: Vec<f64> = (0..15).map(|i| 0.01 * f64::from(i)).collect();
        let near = Range::around(&sorted(values.clone()));
        assert_eq!((near.low, near.high), (0.0, values[14]));
        values.push(1e6);
        assert_eq!(Range::around(&sorted(values)).high, near.high);
        let same = Range::around(&[0.1; 7]).widened(0.0);
        assert!(same.low < 0.1 && same.high > 0.1);
    }

    proptest! {
        #[test]
        fn any_values_give_a_range_with_ticks(values in proptest::collection::vec(proptest::num::f64::NORMAL, 1..50)) {
            let range = Range::around(&sorted(values)).widened(0.0);
            prop_assert!(range.low < range.high && (range.high - range.low).is_finite(), "{:?}", range);
            let ticks = range.ticks(6, 0.0);
            prop_assert!((2..=12).contains(&ticks.major.len()), "{:?}: {:?}", range, ticks.major);
            let scale = Scale { range, from: 80.0, to: 680.0 };
            prop_assert!((80.0..=680.0).contains(&scale.at(range.low)) && (scale.at(range.high) - 680.0).abs() < 1e-6);
        }
    }
}
