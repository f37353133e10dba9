//! Lines to compare with: what would be ideal, or equal. Straight in values, so curved where an axis is logarithmic.

use super::super::colours::GREY;
use super::super::figure::{Point, Stroke};
use super::super::frame::Axes;
use super::quantity::Spacing;

/// Pieces of a part between two corners.
const PIECES: usize = 48;
pub(super) const STROKE: Stroke = Stroke { colour: GREY, width: 1.4, dash: Some((6.0, 4.0)) };

/// A line through values.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    /// At least two; straight between one and the next.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Reference {
    /// As far as the axes show it.
    pub(super) fn lines(&self, spacing: [Spacing; 2], axes: &Axes) -> Vec<Vec<Point>> {
        let mut lines: Vec<Vec<Point>> = Vec::new();
        let corners = self.points.windows(2).flat_map(|ends| pieces(ends[0], ends[1], spacing));
        let places: Vec<Option<Point>> = corners.collect();
        for pair in places.windows(2) {
            let (Some(from), Some(to)) = (pair[0], pair[1]) else { continue };
            let Some(piece) = axes.clip(from, to) else { continue };
            let goes_on = |line: &&mut Vec<Point>| line.last().is_some_and(|last| near(*last, piece[0]));
            match lines.last_mut().filter(goes_on) {
                Some(line) => line.push(piece[1]),
                None => lines.push(piece),
            }
        }
        lines
    }
}

/// Places from one corner to the next, even on the x axis.
fn pieces(from: Point, to: Point, [x, y]: [Spacing; 2]) -> Vec<Option<Point>> {
    let (Some(first), Some(last)) = (x.place(from.0), x.place(to.0)) else { return vec![None] };
    let span = to.0 - from.0;
    let place = |index: usize| {
        let part = index as f64 / PIECES as f64;
        let at = first + (last - first) * part;
        let along = if span == 0.0 { part } else { (x.value(at) - from.0) / span };
        Some((at, y.place(from.1 + (to.1 - from.1) * along)?))
    };
    (0..=PIECES).map(place).collect()
}

fn near(one: Point, other: Point) -> bool {
    (one.0 - other.0).abs() < 0.01 && (one.1 - other.1).abs() < 0.01
}
