//! What stands above the data: the title, and below it what is drawn how, in as many lines as that takes.

use super::super::colours::Colour;
use super::super::figure::{Anchor, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, TITLE_BASELINE, WIDTH, text};
use super::markers::Marker;
use super::words::{fitted, width};

/// Size of the title, as the frame writes it.
const TITLE: f64 = 18.0;
/// Pixels between the picture's edge and any words.
pub(super) const EDGE: f64 = 16.0;
/// Where data end, so that half of a long number has room beside them.
pub(super) const RIGHT: f64 = 762.0;
/// Pixels of a sample of a line, and of the gap to its words.
const SAMPLE: f64 = 40.0;
const GAP: f64 = 8.0;
/// Side of a sample of an area.
const PATCH: f64 = 14.0;
/// Pixels between an entry and the next one, and between lines.
const BETWEEN: f64 = 22.0;
const LEADING: f64 = 22.0;
/// The widest words of an entry.
const WORDS_MAX: f64 = 300.0;
/// Pixels from the last baseline to the data.
const BELOW: f64 = 18.0;

/// What a sample of the drawing looks like.
pub(super) enum Sample {
    Line(Stroke, Option<Marker>),
    Sign(Marker),
    Patch(Colour),
    /// With a sign behind it.
    Marked(Colour, Marker),
}

pub(super) struct Entry {
    pub(super) sample: Sample,
    pub(super) words: String,
}

/// Above data that begin at `left`; the words, and where the data may begin.
pub(super) fn above(entries: Vec<Entry>, font: &Font, left: f64) -> (Vec<Mark>, f64) {
    let right = f64::from(WIDTH) - EDGE;
    let mut marks = Vec::new();
    let (mut x, mut y) = (left, TITLE_BASELINE + 26.0);
    for Entry { sample, words } in entries {
        let sample_width = match sample {
            Sample::Line(..) => SAMPLE,
            Sample::Sign(_) | Sample::Patch(_) => PATCH,
            Sample::Marked(..) => 2.0 * PATCH,
        };
        let words = fitted(&words, font, SMALL, WORDS_MAX);
        let whole = sample_width + GAP + width(&words, font, SMALL);
        if x > left && x + whole > right {
            (x, y) = (left, y + LEADING);
        }
        let middle = y - 5.0;
        match sample {
            Sample::Line(stroke, marker) => {
                marks.push(Mark::Lines { lines: vec![vec![(x, middle), (x + SAMPLE, middle)]], stroke });
                marks.extend(marker.iter().flat_map(|marker| marker.at((x + SAMPLE / 2.0, middle))));
            }
            Sample::Sign(marker) => marks.extend(marker.at((x + PATCH / 2.0, middle))),
            Sample::Patch(fill) => marks.push(patch(x, middle, fill)),
            Sample::Marked(fill, marker) => {
                marks.push(patch(x, middle, fill));
                marks.extend(marker.at((x + 1.6 * PATCH, middle)));
            }
        }
        marks.push(text((x + sample_width + GAP, y), Anchor::Start, SMALL, vec![upright(words)]));
        x += whole + BETWEEN;
    }
    let top = if marks.is_empty() { TITLE_BASELINE } else { y };
    (marks, top + BELOW)
}

fn patch(x: f64, middle: f64, fill: Colour) -> Mark {
    let (far, top, bottom) = (x + PATCH, middle - 6.0, middle + 6.0);
    Mark::Area { corners: vec![(x, top), (far, top), (far, bottom), (x, bottom)], fill }
}

/// The title, as much of it as fits.
pub(super) fn title(words: &str, font: &Font, left: f64) -> String {
    fitted(words, font, TITLE, f64::from(WIDTH) - EDGE - left)
}

/// The title where no frame writes it.
pub(super) fn title_mark(words: &str, left: f64) -> Mark {
    text((left, TITLE_BASELINE), Anchor::Start, TITLE, vec![upright(words)])
}
