//! What surrounds data in rows: names on the left, upright lines and round numbers along the bottom.

use super::super::axis::{Scale, Ticks};
use super::super::colours::{INK, RULE};
use super::super::figure::{Anchor, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, text};
use super::quantity::Spacing;
use super::words::{apart, fitted, label, width};

/// Pixels left of everything.
pub(super) const LEFT: f64 = 24.0;
/// Half of a long number has room left of the data.
const LEFT_MIN: f64 = 44.0;
/// Pixels between a name and the data.
const GAP: f64 = 10.0;
/// The widest name.
const NAME_MAX: f64 = 190.0;
const NAME: f64 = 13.0;
/// Pixels for each mark that is asked for.
const TICK_ROOM: f64 = 120.0;
const AXIS: f64 = 16.0;
/// Pixels below the data for numbers and a label.
pub(super) const BELOW: f64 = 48.0;

/// Where the data begin, so that the names have room.
pub(super) fn data_left<'a>(names: impl Iterator<Item = &'a str>, font: &Font) -> f64 {
    let widest = names.map(|name| width(name, font, NAME).min(NAME_MAX)).fold(0.0, f64::max);
    (LEFT + widest + GAP).max(LEFT_MIN)
}

/// As many marks along the bottom as have room, whatever their words.
pub(super) fn ticks(x: &Scale) -> Ticks {
    let wanted = (x.to - x.from) / TICK_ROOM;
    Spacing::Linear.ticks(x.range, wanted.max(2.0) as usize)
}

/// Lines behind the data.
pub(super) fn grid(x: &Scale, ticks: &Ticks, [top, bottom]: [f64; 2]) -> Mark {
    let lines = ticks.major.iter().map(|tick| vec![(x.at(tick.0), top), (x.at(tick.0), bottom)]).collect();
    Mark::Lines { lines, stroke: Stroke { colour: RULE, width: 1.0, dash: None } }
}

/// The numbers and the label below the data, and the names, each at the middle of its row.
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
    for (value, words) in apart(ticks, x, font).major {
        marks.push(text((x.at(value), bottom + 19.0), Anchor::Middle, SMALL, vec![upright(words)]));
    }
    let label = label(name, unit, font, AXIS, x.to - x.from);
    marks.push(text((f64::midpoint(x.from, x.to), bottom + 41.0), Anchor::Middle, AXIS, label));
    for (middle, name) in names {
        let name = fitted(name, font, NAME, NAME_MAX);
        marks.push(text((x.from - GAP, middle + 4.5), Anchor::End, NAME, vec![upright(name)]));
    }
    marks
}
