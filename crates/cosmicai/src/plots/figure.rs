//! A picture as a list of marks in units of a pixel at 800 pixels' width, y downwards; what SVG and PNG both write.

use super::colours::Colour;

pub(super) type Point = (f64, f64);

/// A picture.
pub(super) struct Figure {
    pub(super) width: u32,
    pub(super) height: u32,
    /// What it is, in a line.
    pub(super) title: String,
    /// What is seen, with numbers, for those who do not see it.
    pub(super) description: String,
    /// In the order of drawing.
    pub(super) marks: Vec<Mark>,
}

pub(super) enum Mark {
    /// Rectangles whose edges lie on whole pixels.
    Cells { cells: Vec<Cell>, fill: Colour },
    /// A closed polygon.
    Area { corners: Vec<Point>, fill: Colour },
    /// Open lines through points.
    Lines { lines: Vec<Vec<Point>>, stroke: Stroke },
    /// Discs.
    Dots { centres: Vec<Point>, radius: f64, fill: Colour },
    /// A line of words.
    Text(Text),
}

#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    /// Lengths of a dash and of the gap after it.
    pub(super) dash: Option<(f64, f64)>,
}

pub(super) struct Text {
    /// Where the baseline begins, has its middle, or ends.
    pub(super) at: Point,
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    pub(super) colour: Colour,
    /// Whether it runs upwards.
    pub(super) upwards: bool,
    /// Whether white surrounds it, so that it can be read over other marks.
    pub(super) halo: bool,
    pub(super) runs: Vec<Run>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Words of one style.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) words: String,
    pub(super) style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Upright,
    Italic,
    /// A subscript.
    Below,
}

/// Size of a subscript over that of its line.
pub(super) const BELOW_SIZE: f64 = 0.72;
/// How far it is lowered, over the size of its line.
pub(super) const BELOW_SHIFT: f64 = 0.22;
/// Width of the white around words.
pub(super) const HALO_WIDTH: f64 = 4.0;

pub(super) fn upright(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Upright }
}

pub(super) fn italic(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Italic }
}

pub(super) fn below(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Below }
}
