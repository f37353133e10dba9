//! Reference lines, for example an ideal speedup or y = x. They are straight in values, so they are curved if one axis
//! is logarithmic and the other is linear.

use super::super::colours::GREY;
use super::super::figure::{Point, Stroke};
use super::super::frame::Axes;
use super::quantity::Spacing;

/// Number of pieces into which the line between two points is divided.
const PIECES: usize = 48;
/// Stroke of reference lines.
pub(super) const STROKE: Stroke = Stroke { colour: GREY, width: 1.4, dash: Some((6.0, 4.0)) };

/// Reference line through values.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Name in the legend.
    pub name: String,
    /// At least two points, connected by straight lines.
    pub points: Vec<(f64, f64)>,
}

impl Reference {
    /// Returns the parts of the line that are within the axes.
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

/// Returns positions from one point to the next, evenly spaced on the x axis; `None` if an axis cannot show them.
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

/// Returns true if two points are the same to a hundredth of a pixel.
fn near(one: Point, other: Point) -> bool {
    (one.0 - other.0).abs() < 0.01 && (one.1 - other.1).abs() < 0.01
}
