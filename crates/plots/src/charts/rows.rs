//! Frame of charts with rows: labels on the left, vertical grid lines, and ticks along the bottom.

use super::super::axis::{Scale, Ticks};
use super::super::colours::{INK, RULE};
use super::super::figure::{Anchor, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, text};
use super::quantity::Spacing;
use super::words::{label, truncated, width, without_overlaps};

/// Pixels left of all text.
pub(super) const LEFT: f64 = 24.0;
/// Minimum number of pixels left of the data, which leaves space for half of a long tick label.
const LEFT_MIN: f64 = 44.0;
/// Pixels between a label and the data.
const GAP: f64 = 10.0;
/// Maximum width of a label, in pixels.
const NAME_MAX: f64 = 190.0;
/// Size of the labels.
const NAME: f64 = 13.0;
/// Pixels of the axis for each tick.
const TICK_ROOM: f64 = 120.0;
/// Size of the axis label.
const AXIS: f64 = 16.0;
/// Pixels below the data for tick labels and the axis label.
pub(super) const BELOW: f64 = 48.0;

/// Returns the left end of the data, which leaves space for the labels.
pub(super) fn data_left<'a>(names: impl Iterator<Item = &'a str>, font: &Font) -> f64 {
    let widest = names.map(|name| width(name, font, NAME).min(NAME_MAX)).fold(0.0, f64::max);
    (LEFT + widest + GAP).max(LEFT_MIN)
}

/// Returns as many ticks as fit along the bottom.
pub(super) fn ticks(x: &Scale) -> Ticks {
    let wanted = (x.to - x.from) / TICK_ROOM;
    Spacing::Linear.ticks(x.range, wanted.max(2.0) as usize)
}

/// Returns the grid lines behind the data.
pub(super) fn grid(x: &Scale, ticks: &Ticks, [top, bottom]: [f64; 2]) -> Mark {
    let lines = ticks.major.iter().map(|tick| vec![(x.at(tick.0), top), (x.at(tick.0), bottom)]).collect();
    Mark::Lines { lines, stroke: Stroke { colour: RULE, width: 1.0, dash: None } }
}

/// Returns the ticks and the axis label below the data, and the label of each row.
pub(super) fn words(
    x: &Scale,
    ticks: Ticks,
    (name, unit): (&str, &str),
    bottom: f64,
    names: &[(f64, String)],
    font: &Font,
) -> Vec<Mark> {
    let base = vec![(x.from, bottom), (x.to, bottom)];
    let stubs = ticks.major.iter().map(|tick| vec![(x.at(tick.0), bottom), (x.at(tick.0), bottom + 5.0)]);
    let lines = stubs.chain([base]).collect();
    let mut marks = vec![Mark::Lines { lines, stroke: Stroke { colour: INK, width: 1.0, dash: None } }];
    for (value, words) in without_overlaps(ticks, x, font).major {
        marks.push(text((x.at(value), bottom + 19.0), Anchor::Middle, SMALL, vec![upright(words)]));
    }
    let label = label(name, unit, font, AXIS, x.to - x.from);
    marks.push(text((f64::midpoint(x.from, x.to), bottom + 41.0), Anchor::Middle, AXIS, label));
    for (middle, name) in names {
        let name = truncated(name, font, NAME, NAME_MAX);
        marks.push(text((x.from - GAP, middle + 4.5), Anchor::End, NAME, vec![upright(name)]));
    }
    marks
}
