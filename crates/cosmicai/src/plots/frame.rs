//! What surrounds the data: box, ticks, labels, title, the corner's numbers and the remarks below.

use super::axis::{Scale, Ticks};
use super::colours::{Colour, GREY, INK, WHITE};
use super::figure::{Anchor, Mark, Point, Run, Stroke, Text, upright};

pub(super) const WIDTH: u32 = 800;
/// Pixels left of the axes.
pub(super) const LEFT: f64 = 92.0;
/// Pixels above the axes, for a title, and for a line of numbers below it.
pub(super) const TOP: f64 = 52.0;
pub(super) const TOP_WITH_NUMBERS: f64 = 78.0;
/// Pixels below the axes for ticks and a label, and for each line of remarks.
pub(super) const BELOW: f64 = 66.0;
const REMARKS_LEADING: f64 = 20.0;
const TICK: f64 = 8.0;
const MINOR_TICK: f64 = 4.0;
pub(super) const TITLE_BASELINE: f64 = 34.0;
/// Pixels from the numbers above the axes to the axes.
const NUMBERS_ABOVE: f64 = 16.0;
/// Remarks of a line, so that it is no wider than the picture.
const REMARKS_PER_LINE: usize = 2;
/// Pixels between the baselines of two lines over the data.
const LEADING: f64 = 23.0;
const TEXT: f64 = 16.0;
pub(super) const SMALL: f64 = 14.0;

/// Pixels from the label of the y axis to the axis: never over the ticks' words, whose digits are 7.8 pixels wide.
fn aside(y: &Ticks) -> f64 {
    let longest = y.major.iter().map(|tick| tick.1.chars().count()).max().unwrap_or(0);
    (15.0 + 7.8 * longest as f64).max(64.0)
}

/// Pixels left of the axes, so that both have room.
pub(super) fn left(y: &Ticks) -> f64 {
    (aside(y) + 16.0).max(LEFT)
}

/// Height of a picture whose axes end at `bottom`.
pub(super) fn height(bottom: f64, remarks: &[String]) -> u32 {
    (bottom + BELOW + REMARKS_LEADING * remarks.len().div_ceil(REMARKS_PER_LINE) as f64) as u32
}

/// Two scales that span the box of the data: x from left to right, y from the bottom up.
#[derive(Clone, Copy)]
pub(super) struct Axes {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Axes {
    /// The part of a line between two points of the data's space that lies within the box, in pixels.
    pub(super) fn clip(&self, from: Point, to: Point) -> Option<Vec<Point>> {
        let (mut start, mut end) = (0.0_f64, 1.0_f64);
        for (scale, from, to) in [(&self.x, from.0, to.0), (&self.y, from.1, to.1)] {
            let step = to - from;
            if step == 0.0 {
                if !scale.range.contains(from) {
                    return None;
                }
                continue;
            }
            let (a, b) = ((scale.range.low - from) / step, (scale.range.high - from) / step);
            start = start.max(a.min(b));
            end = end.min(a.max(b));
        }
        let at = |part: f64| {
            let (x, y) = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            (self.x.at(x), self.y.at(y))
        };
        (start < end).then(|| vec![at(start), at(end)])
    }

    /// The box with ticks on all sides and the words around it.
    pub(super) fn frame(&self, title: &str, x_label: Vec<Run>, y_label: Vec<Run>, [x, y]: [Ticks; 2]) -> Vec<Mark> {
        let (left, right, top, bottom) = (self.x.from, self.x.to, self.y.to, self.y.from);
        let mut lines =
            vec![vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)]];
        let mut marks = Vec::new();
        let lengths = |ticks: &Ticks| -> Vec<(f64, f64)> {
            let minor = ticks.minor.iter().map(|value| (*value, MINOR_TICK));
            minor.chain(ticks.major.iter().map(|tick| (tick.0, TICK))).collect()
        };
        for (value, length) in lengths(&x) {
            let x = self.x.at(value);
            lines.push(vec![(x, bottom), (x, bottom - length)]);
            lines.push(vec![(x, top), (x, top + length)]);
        }
        for (value, length) in lengths(&y) {
            let y = self.y.at(value);
            lines.push(vec![(left, y), (left + length, y)]);
            lines.push(vec![(right, y), (right - length, y)]);
        }
        let aside = aside(&y);
        for (value, words) in x.major {
            marks.push(text((self.x.at(value), bottom + 20.0), Anchor::Middle, SMALL, vec![upright(words)]));
        }
        for (value, words) in y.major {
            marks.push(text((left - 9.0, self.y.at(value) + 5.0), Anchor::End, SMALL, vec![upright(words)]));
        }
        marks.push(Mark::Lines { lines, stroke: Stroke { colour: INK, width: 1.0, dash: None } });
        marks.push(text((f64::midpoint(left, right), bottom + 46.0), Anchor::Middle, TEXT, x_label));
        marks.push(Mark::Text(Text {
            at: (left - aside, f64::midpoint(top, bottom)),
            anchor: Anchor::Middle,
            size: TEXT,
            colour: INK,
            upwards: true,
            halo: false,
            runs: y_label,
        }));
        marks.push(text((left, TITLE_BASELINE), Anchor::Start, 18.0, vec![upright(title)]));
        marks
    }

    /// Lines of words in the upper left corner of the box.
    pub(super) fn corner(&self, lines: Vec<Vec<Run>>) -> Vec<Mark> {
        let at = |line: usize| (self.x.from + 18.0, self.y.to + 30.0 + LEADING * line as f64);
        lines.into_iter().enumerate().map(|(line, runs)| over(at(line), Anchor::Start, INK, runs)).collect()
    }

    /// The same words in one line above the box.
    pub(super) fn numbers(&self, words: Vec<Vec<Run>>) -> Mark {
        let gap = upright("\u{2003}");
        let runs = words.join(&gap);
        text((self.x.from, self.y.to - NUMBERS_ABOVE), Anchor::Start, SMALL, runs)
    }

    /// What is drawn how, above the right end of the box: beside the title, and beside the numbers.
    pub(super) fn legend(&self, entries: [(Stroke, Vec<Run>); 2]) -> Vec<Mark> {
        let right = self.x.to;
        let lines = [TITLE_BASELINE, self.y.to - NUMBERS_ABOVE].into_iter().zip(entries);
        let marks = lines.flat_map(|(y, (stroke, runs))| {
            let sample = Mark::Lines { lines: vec![vec![(right - 34.0, y - 5.0), (right, y - 5.0)]], stroke };
            [sample, text((right - 42.0, y), Anchor::End, SMALL, runs)]
        });
        marks.collect()
    }

    /// Remarks below everything.
    pub(super) fn remarks(&self, remarks: &[String]) -> Vec<Mark> {
        let remarks_end = remarks.len();
        let lines = remarks.chunks(REMARKS_PER_LINE).enumerate();
        let mark = |(line, remarks): (usize, &[String])| {
            let begin = if line == 0 { "Galaxies: " } else { "" };
            let end = if (line + 1) * REMARKS_PER_LINE < remarks_end { ";" } else { "." };
            let runs = vec![upright(format!("{begin}{}{end}", remarks.join("; ")))];
            let at = (self.x.from, self.y.from + 74.0 + REMARKS_LEADING * line as f64);
            Mark::Text(Text { at, anchor: Anchor::Start, size: SMALL, colour: GREY, upwards: false, halo: false, runs })
        };
        lines.map(mark).collect()
    }
}

/// A line with white beside it, so that it is seen over any colour.
pub(super) fn cased(lines: Vec<Vec<Point>>, stroke: Stroke) -> [Mark; 2] {
    let white = Stroke { colour: WHITE, width: stroke.width + 1.6, dash: None };
    [Mark::Lines { lines: lines.clone(), stroke: white }, Mark::Lines { lines, stroke }]
}

/// Words over data.
pub(super) fn over(at: Point, anchor: Anchor, colour: Colour, runs: Vec<Run>) -> Mark {
    Mark::Text(Text { at, anchor, size: TEXT, colour, upwards: false, halo: true, runs })
}

/// Words beside data.
pub(super) fn text(at: Point, anchor: Anchor, size: f64, runs: Vec<Run>) -> Mark {
    Mark::Text(Text { at, anchor, size, colour: INK, upwards: false, halo: false, runs })
}
