//! From values to pixels: a range that the data asks for, its round ticks, and a scale.

use pipeline::metrics::percentile;

use crate::printer::grouped;

/// Percentiles that are always seen, unless they are far from the middle half.
const SEEN: [f64; 2] = [0.5, 99.5];
/// How far from the middle half of the values is far, over its width.
const FAR: f64 = 10.0;
/// What is farther out than this part of the span of the seen percentiles is left outside.
const REACH: f64 = 0.3;
/// Empty space at each end, over the span.
const MARGIN: f64 = 0.04;
/// The narrowest range: of redshifts, and over the size of the values.
const SPAN_MIN: (f64, f64) = (0.02, 1e-6);
/// The largest value that an axis shows; twice as much is still a number.
const VALUE_MAX: f64 = 1e300;
/// The most ticks of an axis.
const TICKS_MAX: usize = 64;

/// What an axis shows: finite, `low` < `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// The range that shows sorted values, of which there is one at least. A few that are far out do not stretch it.
    pub(super) fn around(sorted: &[f64]) -> Range {
        let at = |percent: f64| percentile(sorted, percent).clamp(-VALUE_MAX, VALUE_MAX);
        let median = at(50.0);
        let (quartile_1, quartile_3) = (at(25.0), at(75.0));
        let far = match (quartile_3 - quartile_1) * FAR {
            0.0 => f64::INFINITY,
            far => far,
        };
        let low = at(SEEN[0]).max(quartile_1 - far);
        let high = at(SEEN[1]).min(quartile_3 + far);
        let reach = (high - low) * REACH;
        // As far as there are values: a percentile of few lies between a near one and a far one.
        let first = sorted.partition_point(|value| *value < low - reach);
        let end = sorted.partition_point(|value| *value <= high + reach);
        let seen = sorted.get(first..end).unwrap_or_default();
        Range {
            low: seen.first().map_or(median, |low| low.min(median)),
            high: seen.last().map_or(median, |high| high.max(median)),
        }
    }

    /// The range that shows both.
    pub(super) fn and(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// With some space at the ends, wide enough for ticks; below, the space stops at a `floor` that the values respect.
    pub(super) fn widened(self, floor: f64) -> Range {
        let size = self.low.abs().max(self.high.abs());
        let lacking = (SPAN_MIN.0.max(SPAN_MIN.1 * size) - (self.high - self.low)).max(0.0);
        let margin = (self.high - self.low) * MARGIN + lacking / 2.0;
        let low = if self.low >= floor { (self.low - margin).max(floor) } else { self.low - margin };
        Range { low: low.max(-VALUE_MAX), high: (self.high + margin).min(VALUE_MAX) }
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// About `wanted` round values, `step_min` apart at least, and finer ones between them.
    pub(super) fn ticks(&self, wanted: usize, step_min: f64) -> Ticks {
        let (step, parts) = round((self.high - self.low) / wanted as f64);
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

/// Where an axis is marked.
pub(super) struct Ticks {
    /// With words.
    pub(super) major: Vec<(f64, String)>,
    /// Without; the major ones are among them.
    pub(super) minor: Vec<f64>,
}

/// A range laid over pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) range: Range,
    /// Pixel of the low end.
    pub(super) from: f64,
    /// Pixel of the high end.
    pub(super) to: f64,
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let Range { low, high } = self.range;
        self.from + (value - low) / (high - low) * (self.to - self.from)
    }
}

/// The nearest of 1, 2, 5, 10, … times a power of ten, and into how many parts it falls nicely.
fn round(step: f64) -> (f64, usize) {
    let power = 10_f64.powf(step.log10().floor());
    match step / power {
        factor if factor < 2_f64.sqrt() => (power, 5),
        factor if factor < 10_f64.sqrt() => (2.0 * power, 4),
        factor if factor < 50_f64.sqrt() => (5.0 * power, 5),
        _ => (10.0 * power, 5),
    }
}

fn label(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let text = if value.abs() < step / 2.0 {
        // As many zeros as the others have digits, unless those are written with an exponent.
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
    fn ticks_are_round() {
        let words = |low, high| -> Vec<String> {
            Range { low, high }.ticks(6, 0.0).major.into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(words(0.0, 0.46), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(words(-0.053, 0.05), ["−0.04", "−0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(words(0.0, 5.3), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(words(0.0, 2.4e6), ["0", "500,000", "1.0e6", "1.5e6", "2.0e6"]);
        assert_eq!(words(0.0, 2.4e-9), ["0", "5e−10", "1.0e−9", "1.5e−9", "2.0e−9"]);
        let counts = Range { low: 0.0, high: 2.2 }.ticks(5, 1.0);
        assert_eq!(counts.major.into_iter().map(|tick| tick.1).collect::<Vec<_>>(), ["0", "1", "2"]);
        assert_eq!(Range { low: 0.0, high: 1.0 }.ticks(5, 0.0).minor.len(), 21);
    }

    #[test]
    fn a_few_far_values_are_left_outside_and_near_ones_are_not() {
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
        fn any_values_make_an_axis(values in proptest::collection::vec(proptest::num::f64::NORMAL, 1..50)) {
            let range = Range::around(&sorted(values)).widened(0.0);
            prop_assert!(range.low < range.high && (range.high - range.low).is_finite(), "{:?}", range);
            let ticks = range.ticks(6, 0.0);
            prop_assert!((2..=12).contains(&ticks.major.len()), "{:?}: {:?}", range, ticks.major);
            let scale = Scale { range, from: 80.0, to: 680.0 };
            prop_assert!((80.0..=680.0).contains(&scale.at(range.low)) && (scale.at(range.high) - 680.0).abs() < 1e-6);
        }
    }
}
