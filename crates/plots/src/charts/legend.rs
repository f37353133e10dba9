//! Title and legend above the data. The legend uses as many lines as it needs.

use super::super::colours::Colour;
use super::super::figure::{Anchor, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, TITLE_BASELINE, WIDTH, text};
use super::markers::Marker;
use super::words::{truncated, width};

/// Size of the title, as in `Axes::frame`.
const TITLE: f64 = 18.0;
/// Pixels between the edge of the figure and any text.
pub(super) const EDGE: f64 = 16.0;
/// Right end of the data, which leaves space for half of a long tick label.
pub(super) const RIGHT: f64 = 762.0;
/// Width of a line swatch, in pixels.
const LINE_WIDTH: f64 = 40.0;
/// Pixels between a swatch and its text.
const GAP: f64 = 8.0;
/// Side of a patch swatch, in pixels.
const PATCH: f64 = 14.0;
/// Pixels between two entries.
const BETWEEN: f64 = 22.0;
/// Pixels between the baselines of two lines.
const LEADING: f64 = 22.0;
/// Maximum width of the text of an entry, in pixels.
const TEXT_MAX: f64 = 300.0;
/// Pixels from the last baseline to the data.
const BELOW: f64 = 18.0;

/// Sample of a drawing style in the legend.
pub(super) enum Swatch {
    /// A line, with a marker if its points have one.
    Line(Stroke, Option<Marker>),
    /// A marker alone.
    Marker(Marker),
    /// A filled area.
    Patch(Colour),
    /// A filled area followed by a marker.
    PatchAndMarker(Colour, Marker),
}

/// One entry of the legend.
pub(super) struct Entry {
    pub(super) swatch: Swatch,
    pub(super) words: String,
}

/// Lays out the legend above data that begin at the pixel `left`. Returns its marks and the top of the data.
pub(super) fn layout_legend(entries: Vec<Entry>, font: &Font, left: f64) -> (Vec<Mark>, f64) {
    let right = f64::from(WIDTH) - EDGE;
    let mut marks = Vec::new();
    let (mut x, mut y) = (left, TITLE_BASELINE + 26.0);
    for Entry { swatch, words } in entries {
        let swatch_width = match swatch {
            Swatch::Line(..) => LINE_WIDTH,
            Swatch::Marker(_) | Swatch::Patch(_) => PATCH,
            Swatch::PatchAndMarker(..) => 2.0 * PATCH,
        };
        let words = truncated(&words, font, SMALL, TEXT_MAX);
        let whole = swatch_width + GAP + width(&words, font, SMALL);
        if x > left && x + whole > right {
            (x, y) = (left, y + LEADING);
        }
        let middle = y - 5.0;
        match swatch {
            Swatch::Line(stroke, marker) => {
                marks.push(Mark::Lines { lines: vec![vec![(x, middle), (x + LINE_WIDTH, middle)]], stroke });
                marks.extend(marker.iter().flat_map(|marker| marker.at((x + LINE_WIDTH / 2.0, middle))));
            }
            Swatch::Marker(marker) => marks.extend(marker.at((x + PATCH / 2.0, middle))),
            Swatch::Patch(fill) => marks.push(patch(x, middle, fill)),
            Swatch::PatchAndMarker(fill, marker) => {
                marks.push(patch(x, middle, fill));
                marks.extend(marker.at((x + 1.6 * PATCH, middle)));
            }
        }
        marks.push(text((x + swatch_width + GAP, y), Anchor::Start, SMALL, vec![upright(words)]));
        x += whole + BETWEEN;
    }
    let top = if marks.is_empty() { TITLE_BASELINE } else { y };
    (marks, top + BELOW)
}

fn patch(x: f64, middle: f64, fill: Colour) -> Mark {
    let (far, top, bottom) = (x + PATCH, middle - 6.0, middle + 6.0);
    Mark::Area { corners: vec![(x, top), (far, top), (far, bottom), (x, bottom)], fill }
}

/// Shortens the title to the width of the figure.
pub(super) fn title(words: &str, font: &Font, left: f64) -> String {
    truncated(words, font, TITLE, f64::from(WIDTH) - EDGE - left)
}

/// Returns the mark of the title, for charts that do not use `Axes::frame`.
pub(super) fn title_mark(words: &str, left: f64) -> Mark {
    text((left, TITLE_BASELINE), Anchor::Start, TITLE, vec![upright(words)])
}
