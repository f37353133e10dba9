//! Quantity and spacing of an axis.
//!
//! Input: values. Output: positions on a linear axis (the value itself or its logarithm), the range that shows them,
//! and its ticks. Positions are always finite, and ranges always have a width.

use super::super::axis::{Range, Ticks};
use super::words::{amount, unit};
use crate::numbers::grouped;

/// Largest value that is shown; twice this value is still finite.
const VALUE_MAX: f64 = 1e300;
/// Smallest positive value that is shown; smaller values count as 0.
const VALUE_MIN: f64 = 1e-290;
/// Empty space at each end, relative to the span.
const MARGIN: f64 = 0.05;
/// Smallest width of a range, relative to its largest absolute value.
const SPAN_MIN: f64 = 1e-6;
/// Space on each side of equal values, relative to their absolute value.
const SPAN_OF_EQUALS: f64 = 0.2;
/// Smallest ratio of the ends of a logarithmic range.
const DOUBLING: f64 = 2.0;
/// Maximum number of linear ticks to ask for. There may be half as many more, with long labels.
const LINEAR_WANTED: usize = 5;
/// Number of decades up to which 1, 2 and 5 all have a label.
const FEW_DECADES: f64 = 2.5;

/// Spacing of the values on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Linear.
    Linear,
    /// Logarithmic, with ticks at powers of two.
    Log2,
    /// Logarithmic, with ticks at powers of ten.
    Log10,
}

/// Name, unit and spacing of an axis: `wall time`, `s`, linear.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// Name.
    pub name: String,
    /// Unit; may be empty.
    pub unit: String,
    /// Spacing of the axis.
    pub spacing: Spacing,
}

/// A value with an optional interval, such as a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlottedValue {
    /// Value.
    pub value: f64,
    /// Low and high end of the interval; `None` if unknown.
    pub interval: Option<(f64, f64)>,
}

impl PlottedValue {
    /// Returns the ends of the interval in ascending order, or `None` if the interval has no length.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        let (low, high) = self.interval?;
        let (low, high) = (low.min(high).min(self.value), low.max(high).max(self.value));
        (low < high).then_some((low, high))
    }
}

impl Quantity {
    /// Formats a value with its unit.
    pub(super) fn words(&self, value: f64) -> String {
        let unit = unit(&self.unit);
        if unit.is_empty() { amount(value) } else { format!("{} {unit}", amount(value)) }
    }

    /// Returns the range that shows the values and their intervals, or `None` if no value can be shown.
    pub(super) fn range<'a>(&self, measured: impl Iterator<Item = &'a PlottedValue>, from_zero: bool) -> Option<Range> {
        let values = measured.flat_map(|measured| {
            let (low, high) = measured.ends().unwrap_or((measured.value, measured.value));
            [measured.value, low, high]
        });
        self.spacing.range(values, from_zero)
    }
}

impl Spacing {
    /// Returns the position of a value on the axis, or `None` if the axis cannot show it.
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

    /// Returns the value at a position.
    pub(super) fn value(self, place: f64) -> f64 {
        match self {
            Spacing::Linear => place,
            Spacing::Log2 => place.exp2(),
            Spacing::Log10 => 10_f64.powf(place),
        }
    }

    /// Returns the range of positions that shows all values that the axis can show, with space at the ends.
    ///
    /// `from_zero` makes a linear range include 0. Returns `None` if the axis can show no value.
    pub(super) fn range(self, values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Range> {
        let places = values.filter_map(|value| self.place(value));
        let shown = places.map(|place| Range { low: place, high: place }).reduce(Range::union)?;
        Some(match self {
            Spacing::Linear if from_zero => padded(shown.union(Range { low: 0.0, high: 0.0 })),
            Spacing::Linear => padded(shown),
            Spacing::Log2 => stretched(shown, DOUBLING.log2()),
            Spacing::Log10 => stretched(shown, DOUBLING.log10()),
        })
    }

    /// Returns about `wanted` ticks with round labels.
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

/// Adds space at the ends of a linear range, but none at an end that is 0.
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

/// Adds space at both ends of a logarithmic range, and makes it at least `least` wide.
fn stretched(shown: Range, least: f64) -> Range {
    let span = shown.high - shown.low;
    let margin = MARGIN * span + (least - span).max(0.0) / 2.0;
    Range { low: shown.low - margin, high: shown.high + margin }
}

/// Returns ticks at powers of two.
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

/// Returns ticks at powers of ten, and between them if there are few.
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

/// Formats a digit times a power of ten.
fn decimal(digit: u32, power: i32) -> String {
    match power {
        0..6 => grouped(u64::from(digit) * 10_u64.pow(power.unsigned_abs())),
        -4..0 => format!("0.{}{digit}", "0".repeat(power.unsigned_abs() as usize - 1)),
        _ => format!("{digit}e{power}").replace('-', "−"),
    }
}

/// Returns the integers from the one below the range to the last in it.
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
    fn logarithmic_ticks_are_at_round_values() {
        assert_eq!(words(Spacing::Log2, 1.0, 64.0), ["1", "2", "4", "8", "16", "32", "64"]);
        assert_eq!(words(Spacing::Log2, 0.125, 4.0), ["0.125", "0.25", "0.5", "1", "2", "4"]);
        assert_eq!(words(Spacing::Log2, 1.0, 65_536.0), ["1", "8", "64", "512", "4,096", "32,768"]);
        assert_eq!(words(Spacing::Log10, 0.01, 1_000.0), ["0.01", "0.1", "1", "10", "100", "1,000"]);
        assert_eq!(words(Spacing::Log10, 3.0, 60.0), ["5", "10", "20", "50"]);
        assert_eq!(words(Spacing::Log10, 30.0, 50.0), ["30", "35", "40", "45", "50", "55"]);
        assert_eq!(words(Spacing::Log10, 1e-9, 1e12), ["1e−8", "0.0001", "1", "10,000", "1e8", "1e12"]);
    }

    #[test]
    fn logarithmic_axes_reject_values_without_logarithm() {
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
