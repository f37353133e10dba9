//! Figure as a list of marks, which both the SVG and the PNG writer draw. The unit is one pixel of a figure that is 800
//! pixels wide; y points down.

use super::colours::Colour;

/// x and y.
pub(super) type Point = (f64, f64);

/// A figure: size, texts and marks.
pub(super) struct Figure {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Title, one line.
    pub(super) title: String,
    /// Text description with numbers, for readers who cannot see the figure.
    pub(super) description: String,
    /// Marks in drawing order.
    pub(super) marks: Vec<Mark>,
}

/// A graphical element.
pub(super) enum Mark {
    /// Rectangles with edges on whole pixels.
    Cells { cells: Vec<Cell>, fill: Colour },
    /// A closed polygon.
    Area { corners: Vec<Point>, fill: Colour },
    /// Open lines through points.
    Lines { lines: Vec<Vec<Point>>, stroke: Stroke },
    /// Discs.
    Dots { centres: Vec<Point>, radius: f64, fill: Colour },
    /// A line of text.
    Text(Text),
}

/// A rectangle.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Style of a line.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    /// Lengths of a dash and of the gap after it; `None` for a solid line.
    pub(super) dash: Option<(f64, f64)>,
}

/// A line of text.
pub(super) struct Text {
    /// Start, middle or end of the baseline, as `anchor` says.
    pub(super) at: Point,
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    pub(super) colour: Colour,
    /// True if the text runs upwards (rotated by 90°).
    pub(super) upwards: bool,
    /// True if the text has a white outline, which makes it readable over other marks.
    pub(super) halo: bool,
    pub(super) runs: Vec<Run>,
}

/// Part of a text that is at its position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A piece of text in one style.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) words: String,
    pub(super) style: Style,
}

/// Style of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Upright,
    Italic,
    Subscript,
}

/// Size of a subscript, relative to the size of its line.
pub(super) const SUBSCRIPT_SIZE: f64 = 0.72;
/// Distance by which a subscript is lowered, relative to the size of its line.
pub(super) const SUBSCRIPT_SHIFT: f64 = 0.22;
/// Width of the white outline of text, in pixels.
pub(super) const HALO_WIDTH: f64 = 4.0;

/// Returns upright text.
pub(super) fn upright(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Upright }
}

/// Returns italic text.
pub(super) fn italic(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Italic }
}

/// Returns a subscript.
pub(super) fn subscript(words: impl Into<String>) -> Run {
    Run { words: words.into(), style: Style::Subscript }
}
