//! Markers of data points: shapes that can be distinguished without colours, filled or hollow.

use super::super::colours::{BLUE, Colour, GREEN, INK, PURPLE, VERMILION, WHITE};
use super::super::figure::{Mark, Point, Stroke};

/// Width of the white edge around a marker, in pixels.
const EDGE: f64 = 1.6;
/// Size of the hole of a hollow marker, relative to the marker.
const HOLE: f64 = 0.58;
const COLOURS: [Colour; 5] = [BLUE, VERMILION, GREEN, PURPLE, INK];
const SHAPES: [Shape; 6] =
    [Shape::Disc, Shape::Square, Shape::Triangle, Shape::Diamond, Shape::Plus, Shape::TriangleDown];
const DASHES: [Option<(f64, f64)>; 6] =
    [None, Some((9.0, 4.0)), Some((2.5, 3.0)), Some((15.0, 5.0)), Some((5.0, 2.5)), Some((1.5, 5.0))];

/// Shape of a marker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Disc,
    Square,
    Triangle,
    Diamond,
    Plus,
    TriangleDown,
    /// Points to the left.
    TriangleLeft,
}

/// A marker without a position.
#[derive(Clone, Copy)]
pub(super) struct Marker {
    pub(super) shape: Shape,
    pub(super) colour: Colour,
    pub(super) hollow: bool,
    pub(super) radius: f64,
}

/// Returns the marker and the stroke of the series `index`. The pairs of shape and colour repeat after thirty series.
pub(super) fn of_series(index: usize) -> (Marker, Stroke) {
    let colour = COLOURS[index % COLOURS.len()];
    let marker = Marker { shape: SHAPES[index % SHAPES.len()], colour, hollow: false, radius: 5.0 };
    (marker, Stroke { colour, width: 2.0, dash: DASHES[index % DASHES.len()] })
}

impl Marker {
    /// Returns the marks of the marker at `centre`, with a white edge that separates it from lines and other markers.
    pub(super) fn at(&self, centre: Point) -> Vec<Mark> {
        let mut marks = vec![self.part(centre, self.radius + EDGE, WHITE), self.part(centre, self.radius, self.colour)];
        if self.hollow {
            marks.push(self.part(centre, self.radius * HOLE, WHITE));
        }
        marks
    }

    fn part(&self, centre: Point, radius: f64, fill: Colour) -> Mark {
        let corners = match self.shape {
            Shape::Disc => return Mark::Dots { centres: vec![centre], radius, fill },
            Shape::Square => vec![(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
            Shape::Triangle => vec![(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Shape::TriangleDown => vec![(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
            Shape::TriangleLeft => vec![(-1.2, 0.0), (0.8, 1.1), (0.8, -1.1)],
            Shape::Diamond => vec![(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)],
            Shape::Plus => {
                let (arm, half) = (1.15, 0.4);
                vec![
                    (-half, -arm),
                    (half, -arm),
                    (half, -half),
                    (arm, -half),
                    (arm, half),
                    (half, half),
                    (half, arm),
                    (-half, arm),
                    (-half, half),
                    (-arm, half),
                    (-arm, -half),
                    (-half, -half),
                ]
            }
        };
        let corners = corners.into_iter().map(|(x, y)| (centre.0 + radius * x, centre.1 + radius * y)).collect();
        Mark::Area { corners, fill }
    }
}
