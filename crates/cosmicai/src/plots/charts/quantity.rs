//! What an axis measures, and how its values are spaced.
//!
//! In: values. Out: places on an even axis (the value itself or its logarithm), the range that shows them, and its ticks.
//! Never here: a value that is not finite, a range without width.

use super::super::axis::{Range, Ticks};
use super::words::{amount, unit};
use crate::printer::grouped;

/// The largest value that is shown: twice as much is still a number. What is smaller than its inverse counts as 0.
const VALUE_MAX: f64 = 1e300;
const VALUE_MIN: f64 = 1e-290;
/// Empty space at an end, over the span.
const MARGIN: f64 = 0.05;
/// The narrowest range, over the size of its values.
const SPAN_MIN: f64 = 1e-6;
/// Width around values that are all the same, over their size.
const SPAN_OF_EQUALS: f64 = 0.2;
/// The narrowest range of logarithms: from a value to its double.
const DOUBLING: f64 = 2.0;
/// The most linear marks that are asked for: half as many again may come, with long words.
const LINEAR_WANTED: usize = 5;
/// Decades up to which 1, 2 and 5 are all marked.
const FEW_DECADES: f64 = 2.5;

/// How values lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    Linear,
    Log2,
    Log10,
}

/// What is measured: `wall time`, `s`.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    pub(crate) name: String,
    /// May be empty.
    pub(crate) unit: String,
    pub(crate) spacing: Spacing,
}

/// A value, and between what it may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    /// Low and high end.
    pub(crate) interval: Option<(f64, f64)>,
}

impl Measured {
    /// The interval's ends in their order, where it has a length.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        let (low, high) = self.interval?;
        let (low, high) = (low.min(high).min(self.value), low.max(high).max(self.value));
        (low < high).then_some((low, high))
    }
}

impl Quantity {
    pub(super) fn words(&self, value: f64) -> String {
        let unit = unit(&self.unit);
        if unit.is_empty() { amount(value) } else { format!("{} {unit}", amount(value)) }
    }

    /// The range for measured values, with the intervals that can be shown.
    pub(super) fn range<'a>(&self, measured: impl Iterator<Item = &'a Measured>, from_zero: bool) -> Option<Range> {
        let values = measured.flat_map(|measured| {
            let (low, high) = measured.ends().unwrap_or((measured.value, measured.value));
            [measured.value, low, high]
        });
        self.spacing.range(values, from_zero)
    }
}

impl Spacing {
    /// Where a value lies, if it can be shown.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        if value.is_nan() || value.abs() > VALUE_MAX {
            return None;
        }
        match self {
            Spacing::Linear => Some(if value.abs() < VALUE_MIN { 0.0 } else { value }),
            Spacing::Log2 => (value >= VALUE_MIN).then(|| value.log2()),
            Spacing::Log10 => (value >= VALUE_MIN).then(|| value.log10()),
        }
    }

    /// The value of a place.
    pub(super) fn value(self, place: f64) -> f64 {
        match self {
            Spacing::Linear => place,
            Spacing::Log2 => place.exp2(),
            Spacing::Log10 => 10_f64.powf(place),
        }
    }

    /// The places that show all values that can be shown, with some space; a linear one may have to begin at 0.
    pub(super) fn range(self, values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Range> {
        let places = values.filter_map(|value| self.place(value));
        let shown = places.map(|place| Range { low: place, high: place }).reduce(Range::and)?;
        Some(match self {
            Spacing::Linear if from_zero => padded(shown.and(Range { low: 0.0, high: 0.0 })),
            Spacing::Linear => padded(shown),
            Spacing::Log2 => stretched(shown, DOUBLING.log2()),
            Spacing::Log10 => stretched(shown, DOUBLING.log10()),
        })
    }

    /// About `wanted` marks with round words.
    pub(super) fn ticks(self, range: Range, wanted: usize) -> Ticks {
        match self {
            Spacing::Linear => range.ticks(wanted.min(LINEAR_WANTED), 0.0),
            Spacing::Log2 if range.high - range.low >= 2.0 => doublings(range, wanted),
            Spacing::Log10 if range.high - range.low >= 1.0 => decades(range, wanted),
            Spacing::Log2 | Spacing::Log10 => {
                let values = Range { low: self.value(range.low), high: self.value(range.high) }.ticks(wanted, 0.0);
                let place = |value: &f64| self.place(*value);
                let major = values.major.into_iter().filter_map(|(value, words)| Some((place(&value)?, words)));
                Ticks { major: major.collect(), minor: values.minor.iter().filter_map(place).collect() }
            }
        }
    }
}

/// With space at the ends, but none at a 0 where all values begin.
fn padded(shown: Range) -> Range {
    let Range { low, high } = shown;
    let size = low.abs().max(high.abs());
    let margin = match high - low {
        _ if size == 0.0 => return Range { low: 0.0, high: 1.0 },
        span if span < SPAN_MIN * size => SPAN_OF_EQUALS * size,
        span => MARGIN * span,
    };
    let end = |end: f64, margin: f64| if end == 0.0 { end } else { end + margin };
    let padded = Range { low: end(low, -margin), high: end(high, margin) };
    // Space never crosses 0.
    Range {
        low: if low > 0.0 { padded.low.max(0.0) } else { padded.low },
        high: if high < 0.0 { padded.high.min(0.0) } else { padded.high },
    }
}

/// Logarithms with space at both ends, at least `least` wide.
fn stretched(shown: Range, least: f64) -> Range {
    let span = shown.high - shown.low;
    let margin = MARGIN * span + (least - span).max(0.0) / 2.0;
    Range { low: shown.low - margin, high: shown.high + margin }
}

/// Powers of two.
fn doublings(range: Range, wanted: usize) -> Ticks {
    let every = ((range.high - range.low) / wanted as f64).ceil().max(1.0) as i32;
    let inside = |power: &i32| range.contains(f64::from(*power));
    let major = whole(range).filter(|power| power % every == 0 && inside(power));
    let minor = whole(range).filter(|power| every < 8 && inside(power));
    Ticks {
        major: major.map(|power| (f64::from(power), power_of_two(power))).collect(),
        minor: minor.map(f64::from).collect(),
    }
}

fn power_of_two(power: i32) -> String {
    match power {
        0..20 => grouped(1 << power),
        -4..0 => format!("{}", f64::from(power).exp2()),
        _ => amount(f64::from(power).exp2()),
    }
}

/// Powers of ten, and what lies between them where they are few.
fn decades(range: Range, wanted: usize) -> Ticks {
    let span = range.high - range.low;
    let every = (span / wanted as f64).ceil().max(1.0) as i32;
    let factors: &[u32] = match span {
        span if span <= FEW_DECADES => &[1, 2, 5],
        _ => &[1],
    };
    let inside = |place: &f64| range.contains(*place);
    let major = whole(range).filter(|power| power % every == 0).flat_map(|power| {
        factors.iter().map(move |factor| (f64::from(power) + f64::from(*factor).log10(), decimal(*factor, power)))
    });
    let parts = if every == 1 { 1..10_u32 } else { 1..2 };
    let minor =
        whole(range).flat_map(|power| parts.clone().map(move |part| f64::from(power) + f64::from(part).log10()));
    Ticks { major: major.filter(|tick| inside(&tick.0)).collect(), minor: minor.filter(inside).collect() }
}

/// A digit times a power of ten.
fn decimal(digit: u32, power: i32) -> String {
    match power {
        0..6 => grouped(u64::from(digit) * 10_u64.pow(power.unsigned_abs())),
        -4..0 => format!("0.{}{digit}", "0".repeat(power.unsigned_abs() as usize - 1)),
        _ => format!("{digit}e{power}").replace('-', "−"),
    }
}

/// The whole numbers in a range, and the one before.
fn whole(range: Range) -> std::ops::RangeInclusive<i32> {
    range.low.floor() as i32..=range.high.floor() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(spacing: Spacing, low: f64, high: f64) -> Vec<String> {
        let range = spacing.range([low, high].into_iter(), false).unwrap();
        let ticks = spacing.ticks(range, 7);
        assert!(ticks.major.iter().all(|tick| range.contains(tick.0)), "{:?} in {range:?}", ticks.major);
        ticks.major.into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn logarithmic_ticks_are_round() {
        assert_eq!(words(Spacing::Log2, 1.0, 64.0), ["1", "2", "4", "8", "16", "32", "64"]);
        assert_eq!(words(Spacing::Log2, 0.125, 4.0), ["0.125", "0.25", "0.5", "1", "2", "4"]);
        assert_eq!(words(Spacing::Log2, 1.0, 65_536.0), ["1", "8", "64", "512", "4,096", "32,768"]);
        assert_eq!(words(Spacing::Log10, 0.01, 1_000.0), ["0.01", "0.1", "1", "10", "100", "1,000"]);
        assert_eq!(words(Spacing::Log10, 3.0, 60.0), ["5", "10", "20", "50"]);
        assert_eq!(words(Spacing::Log10, 30.0, 50.0), ["30", "35", "40", "45", "50", "55"]);
        assert_eq!(words(Spacing::Log10, 1e-9, 1e12), ["1e−8", "0.0001", "1", "10,000", "1e8", "1e12"]);
    }

    #[test]
    fn what_has_no_logarithm_has_no_place() {
        for spacing in [Spacing::Log2, Spacing::Log10] {
            assert!([0.0, -1.0, f64::NAN, f64::INFINITY].iter().all(|value| spacing.place(*value).is_none()));
        }
        assert_eq!(Spacing::Linear.range([f64::NAN].into_iter(), true), None);
        assert_eq!(Spacing::Linear.range([5.0, 8.0].into_iter(), true).unwrap().low, 0.0);
        assert_eq!(Spacing::Linear.range([0.0].into_iter(), true), Some(Range { low: 0.0, high: 1.0 }));
    }

    proptest! {
        #[test]
        fn any_values_have_a_range_with_ticks(
            values in proptest::collection::vec(proptest::num::f64::ANY, 1..20),
            spacing in prop_oneof![Just(Spacing::Linear), Just(Spacing::Log2), Just(Spacing::Log10)],
            from_zero: bool,
        ) {
            let placed: Vec<f64> = values.iter().filter_map(|value| spacing.place(*value)).collect();
            let range = spacing.range(values.into_iter(), from_zero);
            prop_assert_eq!(range.is_some(), !placed.is_empty());
            if let Some(range) = range {
                prop_assert!(range.low < range.high && (range.high - range.low).is_finite(), "{:?}", range);
                prop_assert!(placed.iter().all(|place| range.contains(*place)), "{:?} in {:?}", placed, range);
                let ticks = spacing.ticks(range, 7);
                prop_assert!((1..=16).contains(&ticks.major.len()), "{:?}: {:?}", range, ticks.major);
            }
        }
    }
}
