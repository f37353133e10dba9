//! Frame around the data: box, ticks, labels, title, scores and remarks.

use super::axis::{Scale, Ticks};
use super::colours::{Colour, GREY, INK, WHITE};
use super::figure::{Anchor, Mark, Point, Run, Stroke, Text, upright};

/// Width of a figure.
pub(super) const WIDTH: u32 = 800;
/// Minimum number of pixels left of the axes.
pub(super) const LEFT: f64 = 92.0;
/// Pixels above the axes, for the title.
pub(super) const TOP: f64 = 52.0;
/// Pixels above the axes, for the title and a line of scores.
pub(super) const TOP_WITH_SCORES: f64 = 78.0;
/// Pixels below the axes, for tick labels and the axis label.
pub(super) const BELOW: f64 = 66.0;
/// Pixels for each line of remarks.
const REMARKS_LEADING: f64 = 20.0;
/// Length of a major tick, in pixels.
const TICK: f64 = 8.0;
/// Length of a minor tick, in pixels.
const MINOR_TICK: f64 = 4.0;
/// Baseline of the title.
pub(super) const TITLE_BASELINE: f64 = 34.0;
/// Pixels between the scores and the axes below them.
const SCORES_ABOVE: f64 = 16.0;
/// Maximum number of remarks per line, so that a line fits the figure.
const REMARKS_PER_LINE: usize = 2;
/// Pixels between the baselines of two lines of text over the data.
const LEADING: f64 = 23.0;
/// Size of axis labels and of text over data.
const TEXT: f64 = 16.0;
/// Size of tick labels, legends and remarks.
pub(super) const SMALL: f64 = 14.0;

/// Pixels between the y axis and its label, which leaves space for tick labels with digits of 7.8 pixels.
fn y_label_offset(y: &Ticks) -> f64 {
    let longest = y.major.iter().map(|tick| tick.1.chars().count()).max().unwrap_or(0);
    (15.0 + 7.8 * longest as f64).max(64.0)
}

/// Pixels left of the axes, for tick labels and the axis label.
pub(super) fn left(y: &Ticks) -> f64 {
    (y_label_offset(y) + 16.0).max(LEFT)
}

/// Height of a figure whose axes end at `bottom`.
pub(super) fn height(bottom: f64, remarks: &[String]) -> u32 {
    (bottom + BELOW + REMARKS_LEADING * remarks.len().div_ceil(REMARKS_PER_LINE) as f64) as u32
}

/// Scales of the plotting area: x from left to right, y from bottom to top.
#[derive(Clone, Copy)]
pub(super) struct Axes {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Axes {
    /// Returns the part of a line between two data points that is inside the plotting area, in pixels.
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

    /// Returns the box with ticks on all sides, tick labels, axis labels and title.
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
        let label_offset = y_label_offset(&y);
        for (value, words) in x.major {
            marks.push(text((self.x.at(value), bottom + 20.0), Anchor::Middle, SMALL, vec![upright(words)]));
        }
        for (value, words) in y.major {
            marks.push(text((left - 9.0, self.y.at(value) + 5.0), Anchor::End, SMALL, vec![upright(words)]));
        }
        marks.push(Mark::Lines { lines, stroke: Stroke { colour: INK, width: 1.0, dash: None } });
        marks.push(text((f64::midpoint(left, right), bottom + 46.0), Anchor::Middle, TEXT, x_label));
        marks.push(Mark::Text(Text {
            at: (left - label_offset, f64::midpoint(top, bottom)),
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

    /// Returns lines of text in the upper left corner of the plotting area.
    pub(super) fn corner(&self, lines: Vec<Vec<Run>>) -> Vec<Mark> {
        let at = |line: usize| (self.x.from + 18.0, self.y.to + 30.0 + LEADING * line as f64);
        lines.into_iter().enumerate().map(|(line, runs)| text_over_data(at(line), Anchor::Start, INK, runs)).collect()
    }

    /// Returns the scores as one line above the plotting area.
    pub(super) fn scores(&self, words: Vec<Vec<Run>>) -> Mark {
        let gap = upright("\u{2003}");
        let runs = words.join(&gap);
        text((self.x.from, self.y.to - SCORES_ABOVE), Anchor::Start, SMALL, runs)
    }

    /// Returns the legend above the right end of the plotting area: one entry beside the title, one beside the scores.
    pub(super) fn legend(&self, entries: [(Stroke, Vec<Run>); 2]) -> Vec<Mark> {
        let right = self.x.to;
        let lines = [TITLE_BASELINE, self.y.to - SCORES_ABOVE].into_iter().zip(entries);
        let marks = lines.flat_map(|(y, (stroke, runs))| {
            let sample = Mark::Lines { lines: vec![vec![(right - 34.0, y - 5.0), (right, y - 5.0)]], stroke };
            [sample, text((right - 42.0, y), Anchor::End, SMALL, runs)]
        });
        marks.collect()
    }

    /// Returns remarks below the axes, such as the number of galaxies that are not shown.
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

/// Returns lines with a white edge, which makes them visible over any colour.
pub(super) fn with_white_edge(lines: Vec<Vec<Point>>, stroke: Stroke) -> [Mark; 2] {
    let white = Stroke { colour: WHITE, width: stroke.width + 1.6, dash: None };
    [Mark::Lines { lines: lines.clone(), stroke: white }, Mark::Lines { lines, stroke }]
}

/// Returns text with a white outline, for use over data.
pub(super) fn text_over_data(at: Point, anchor: Anchor, colour: Colour, runs: Vec<Run>) -> Mark {
    Mark::Text(Text { at, anchor, size: TEXT, colour, upwards: false, halo: true, runs })
}

/// Returns text without outline, for use beside data.
pub(super) fn text(at: Point, anchor: Anchor, size: f64, runs: Vec<Run>) -> Mark {
    Mark::Text(Text { at, anchor, size, colour: INK, upwards: false, halo: false, runs })
}
