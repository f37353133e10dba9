//! Scatter plot: for example cost against time with the Pareto front, or predicted against measured values.

use std::collections::BTreeSet;

use crate::error::{PlotError, nothing};

use super::super::axis::Scale;
use super::super::colours::{BLUE, GREY, INK, VERMILION};
use super::super::figure::{Anchor, Figure, Mark, Point, Stroke, Text, upright};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, WIDTH, left};
use super::Chart;
use super::legend::{Entry, RIGHT, Swatch, layout_legend, title};
use super::markers::{Marker, Shape};
use super::notes::layout_notes;
use super::quantity::{PlottedValue, Quantity, Spacing};
use super::reference::{self, Reference};
use super::words::{amount, counted, for_description, label, listed, truncated, width, without_overlaps};

/// Height of the plotting area in pixels: with two different axes, and with two equal axes.
const BOX_HEIGHT: [f64; 2] = [420.0, 520.0];
/// Size of the axis labels, as in [`Axes::frame`].
const AXIS: f64 = 16.0;
/// Maximum number of points that all have a label. With more points, only highlighted points have one.
const LABELLED_MAX: usize = 14;
/// Size of the labels.
const LABEL: f64 = 13.0;
/// Maximum width of a label, in pixels.
const LABEL_MAX: f64 = 180.0;
/// Free space around a point, in pixels.
const CLEAR: f64 = 7.0;
/// Relative distance of the dashed lines from y = x.
const BAND: f64 = 0.2;
/// Maximum number of highlighted points that the description lists.
const NAMED_MAX: usize = 8;
/// Half the width of the caps of an interval, in pixels.
const CAP: f64 = 3.5;
const FRONT: Stroke = Stroke { colour: VERMILION, width: 1.8, dash: None };
const EQUAL: Stroke = Stroke { colour: INK, width: 1.4, dash: None };

/// Scatter plot.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// File name without extension; also the prefix of the ids within a page.
    pub name: String,
    /// Title.
    pub title: String,
    /// The x axis.
    pub x: Quantity,
    /// The y axis.
    pub y: Quantity,
    /// Points.
    pub points: Vec<ScatterPoint>,
    /// Line with which the points are compared.
    pub comparison: Comparison,
}

/// One point of a [`Scatter`] plot.
#[derive(Clone, Debug)]
pub struct ScatterPoint {
    /// Label beside the point, if there is space for it.
    pub label: String,
    /// Value on the x axis.
    pub x: PlottedValue,
    /// Value on the y axis.
    pub y: PlottedValue,
    /// True for a filled marker; with [`Comparison::Front`], the point is also on the step line of its group.
    pub highlighted: bool,
    /// Group of the point; each group has its own step line.
    pub group: usize,
}

/// Line with which the points of a [`Scatter`] plot are compared.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// A step line through the highlighted points of each group: the Pareto front.
    Front {
        /// Legend of the highlighted points.
        highlighted: String,
        /// Legend of the other points.
        others: String,
    },
    /// The line y = x and a band of ±20 %. Both axes have the range and the spacing of `x`.
    Equality,
}

impl Scatter {
    /// Draws the chart.
    ///
    /// # Errors
    /// Returns [`PlotError::NothingToPlot`] if no point can be shown.
    pub fn draw(&self) -> Result<Chart, PlotError> {
        let font = Font::new();
        let equal = matches!(self.comparison, Comparison::Equality);
        let spacing = [self.x.spacing, if equal { self.x.spacing } else { self.y.spacing }];
        let is_drawable = |point: &&ScatterPoint| {
            spacing[0].place(point.x.value).is_some() && spacing[1].place(point.y.value).is_some()
        };
        let points: Vec<&ScatterPoint> = self.points.iter().filter(is_drawable).collect();
        let y = Quantity { spacing: spacing[1], ..self.y.clone() };
        let ranges = (
            self.x.range(points.iter().map(|point| &point.x), true),
            y.range(points.iter().map(|point| &point.y), true),
        );
        let (Some(mut x_range), Some(mut y_range)) = ranges else {
            return nothing(format!(
                "nothing to draw in `{}`: no point has two finite values that the axes can show",
                for_description(&self.title)
            ));
        };
        if equal {
            x_range = x_range.union(y_range);
            y_range = x_range;
        }
        let high = BOX_HEIGHT[usize::from(equal)];
        let ticks = [spacing[0].ticks(x_range, 6), spacing[1].ticks(y_range, 6)];
        let left = left(&ticks[1]);
        let title = title(&self.title, &font, left);
        let (legend, top) = layout_legend(self.entries(&points), &font, left);
        let axes = Axes {
            x: Scale { range: x_range, from: left, to: RIGHT },
            y: Scale { range: y_range, from: top + high, to: top },
        };
        let at = |value: Point| {
            let place = |spacing: Spacing, scale: &Scale, value| {
                // An interval may extend to values without a logarithm.
                scale.at(spacing.place(value).unwrap_or(scale.range.low))
            };
            (place(spacing[0], &axes.x, value.0), place(spacing[1], &axes.y, value.1))
        };

        let mut marks = self.behind(&points, at, spacing, &axes);
        marks.push(Mark::Lines {
            lines: intervals(&points, at),
            stroke: Stroke { colour: GREY, width: 1.0, dash: None },
        });
        marks.retain(|mark| !matches!(mark, Mark::Lines { lines, .. } if lines.is_empty()));
        let places: Vec<Point> = points.iter().map(|point| at((point.x.value, point.y.value))).collect();
        // Highlighted points are drawn last, above the others.
        for highlighted in [false, true] {
            let of_kind = points.iter().zip(&places).filter(|(point, _)| point.highlighted == highlighted);
            marks.extend(of_kind.flat_map(|(_, place)| marker(highlighted).at(*place)));
        }
        let (labels, unlabelled) = labels(&points, &places, &axes, &font);
        let (x_label, y_label) = (
            label(&self.x.name, &self.x.unit, &font, AXIS, RIGHT - left),
            label(&self.y.name, &self.y.unit, &font, AXIS, high),
        );
        let [x_ticks, y_ticks] = ticks;
        let ticks = [without_overlaps(x_ticks, &axes.x, &font), y_ticks];
        marks.extend(axes.frame(&title, x_label, y_label, ticks));
        marks.extend(labels);
        marks.extend(legend);
        let notes = notes(self.points.len() - points.len(), unlabelled);
        let (note_marks, height) = layout_notes(&notes, &font, left, axes.y.from + BELOW - 12.0);
        marks.extend(note_marks);
        let description = self.description(&points, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// Returns the marks behind the points: the step lines of the fronts, or y = x and its band.
    fn behind(
        &self,
        points: &[&ScatterPoint],
        at: impl Fn(Point) -> Point,
        spacing: [Spacing; 2],
        axes: &Axes,
    ) -> Vec<Mark> {
        match self.comparison {
            Comparison::Front { .. } => {
                let groups: BTreeSet<usize> = points.iter().map(|point| point.group).collect();
                let line = |group: usize| {
                    let front = points.iter().filter(|point| point.highlighted && point.group == group);
                    let mut front: Vec<Point> = front.map(|point| at((point.x.value, point.y.value))).collect();
                    front.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
                    let steps = front.windows(2).flat_map(|pair| [(pair[1].0, pair[0].1), pair[1]]);
                    front.first().copied().into_iter().chain(steps).collect::<Vec<Point>>()
                };
                let lines = groups.into_iter().map(line).filter(|line| line.len() > 1).collect();
                vec![Mark::Lines { lines, stroke: FRONT }]
            }
            Comparison::Equality => {
                let ends = [axes.x.range.low, axes.x.range.high].map(|place| spacing[0].value(place));
                let line = |factor: f64| {
                    let points = ends.map(|end| (end, factor * end)).to_vec();
                    Reference { name: String::new(), points }.lines(spacing, axes)
                };
                let band = [1.0 - BAND, 1.0 + BAND].into_iter().flat_map(line).collect();
                let equal = Mark::Lines { lines: line(1.0), stroke: EQUAL };
                vec![Mark::Lines { lines: band, stroke: reference::STROKE }, equal]
            }
        }
    }

    fn entries(&self, points: &[&ScatterPoint]) -> Vec<Entry> {
        let sign =
            |highlighted, words: &str| Entry { swatch: Swatch::Marker(marker(highlighted)), words: words.to_owned() };
        let line = |stroke, words: &str| Entry { swatch: Swatch::Line(stroke, None), words: words.to_owned() };
        let has = |highlighted| points.iter().any(|point| point.highlighted == highlighted);
        match &self.comparison {
            Comparison::Front { highlighted, others } => {
                let front = Entry { swatch: Swatch::Line(FRONT, Some(marker(true))), words: highlighted.clone() };
                let entries = [(true, front), (false, sign(false, others))];
                entries.into_iter().filter(|(highlighted, _)| has(*highlighted)).map(|(_, entry)| entry).collect()
            }
            Comparison::Equality => {
                vec![line(EQUAL, "y = x"), line(reference::STROKE, &format!("±{:.0} %", 100.0 * BAND))]
            }
        }
    }

    fn description(&self, points: &[&ScatterPoint], notes: &[String]) -> String {
        let (x, y) = (for_description(&self.x.name), for_description(&self.y.name));
        let mut sentences = vec![format!("{y} against {x}, {}.", counted(points.len(), "point"))];
        let least = |value: fn(&ScatterPoint) -> f64| {
            points.iter().min_by(move |one, other| value(one).total_cmp(&value(other))).copied()
        };
        let described = |point: &ScatterPoint| {
            let label = for_description(&point.label);
            format!("{label} ({}, {})", self.x.words(point.x.value), self.y.words(point.y.value))
        };
        match &self.comparison {
            Comparison::Front { highlighted, .. } => {
                if let (Some(by_x), Some(by_y)) = (least(|point| point.x.value), least(|point| point.y.value)) {
                    sentences.push(format!("Lowest {x}: {}; lowest {y}: {}.", described(by_x), described(by_y)));
                }
                let mut front: Vec<&ScatterPoint> = points.iter().filter(|point| point.highlighted).copied().collect();
                front.sort_by(|one, other| one.x.value.total_cmp(&other.x.value));
                let names: Vec<String> = front.into_iter().map(described).collect();
                sentences.push(format!("{}: {}.", for_description(highlighted), counted(names.len(), "point")));
                if !names.is_empty() {
                    sentences.push(format!("In order of {x}: {}.", listed(&names, NAMED_MAX)));
                }
            }
            Comparison::Equality => {
                let difference = |point: &ScatterPoint| (point.y.value - point.x.value).abs();
                let relative = |point: &ScatterPoint| difference(point) / point.x.value.abs();
                let within = points.iter().filter(|point| difference(point) <= BAND * point.x.value.abs()).count();
                sentences.push(format!(
                    "{within} of {} are within ±{:.0} % of y = x.",
                    counted(points.len(), "point"),
                    100.0 * BAND
                ));
                let worst = points.iter().filter(|point| relative(point).is_finite());
                if let Some(worst) = worst.max_by(|one, other| relative(one).total_cmp(&relative(other))) {
                    sentences.push(format!(
                        "Largest difference: {}, {} %.",
                        described(worst),
                        amount(100.0 * relative(worst))
                    ));
                }
            }
        }
        sentences.extend_from_slice(notes);
        sentences.join(" ")
    }
}

/// Returns the marker of highlighted or of other points.
fn marker(highlighted: bool) -> Marker {
    if highlighted {
        Marker { shape: Shape::Diamond, colour: VERMILION, hollow: false, radius: 6.0 }
    } else {
        Marker { shape: Shape::Disc, colour: BLUE, hollow: true, radius: 5.0 }
    }
}

/// Returns the lines of the intervals of both values of every point.
fn intervals(points: &[&ScatterPoint], at: impl Fn(Point) -> Point) -> Vec<Vec<Point>> {
    let mut lines = Vec::new();
    for point in points {
        let (x, y) = (point.x.value, point.y.value);
        if let Some((low, high)) = point.x.ends() {
            let (low, high) = (at((low, y)), at((high, y)));
            lines.push(vec![low, high]);
            lines.extend([low, high].map(|(x, y)| vec![(x, y - CAP), (x, y + CAP)]));
        }
        if let Some((low, high)) = point.y.ends() {
            let (low, high) = (at((x, low)), at((x, high)));
            lines.push(vec![low, high]);
            lines.extend([low, high].map(|(x, y)| vec![(x - CAP, y), (x + CAP, y)]));
        }
    }
    lines
}

/// Left, top, right and bottom of a rectangle, in pixels.
type Space = [f64; 4];

/// Places labels beside their points without overlaps. Returns their marks and the number of labels without space.
fn labels(points: &[&ScatterPoint], places: &[Point], axes: &Axes, font: &Font) -> (Vec<Mark>, usize) {
    let mut taken: Vec<Space> = places.iter().map(|(x, y)| [x - CLEAR, y - CLEAR, x + CLEAR, y + CLEAR]).collect();
    let wanted = |highlighted: bool| {
        let of_kind = points.iter().zip(places).filter(move |(point, _)| point.highlighted == highlighted);
        of_kind.filter(move |_| highlighted || points.len() <= LABELLED_MAX)
    };
    let mut marks = Vec::new();
    let mut unlabelled = 0;
    for (point, (x, y)) in wanted(true).chain(wanted(false)) {
        let words = truncated(&point.label, font, LABEL, LABEL_MAX);
        let wide = width(&words, font, LABEL);
        let (right, left, middle) = (x + CLEAR + 2.0, x - CLEAR - 2.0 - wide, x - wide / 2.0);
        let beginnings = [
            (right, y - 3.0),
            (right, y + 13.0),
            (left, y - 3.0),
            (left, y + 13.0),
            (middle, y - CLEAR - 6.0),
            (middle, y + CLEAR + 14.0),
        ];
        let space = |(x, y): Point| [x - 1.0, y - 11.0, x + wide + 1.0, y + 3.0];
        let inside = |[left, top, right, bottom]: Space| {
            left > axes.x.from + 3.0 && right < axes.x.to - 3.0 && top > axes.y.to + 3.0 && bottom < axes.y.from - 3.0
        };
        let free = |space: Space| inside(space) && !taken.iter().any(|other| touch(space, *other));
        match beginnings.into_iter().find(|begin| free(space(*begin))) {
            Some(begin) => {
                taken.push(space(begin));
                marks.push(Mark::Text(Text {
                    at: begin,
                    anchor: Anchor::Start,
                    size: LABEL,
                    colour: INK,
                    upwards: false,
                    halo: true,
                    runs: vec![upright(words)],
                }));
            }
            None => unlabelled += 1,
        }
    }
    (marks, unlabelled)
}

/// Returns true if two rectangles overlap.
fn touch(one: Space, other: Space) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

fn notes(dropped: usize, unlabelled: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if dropped > 0 {
        notes.push(format!(
            "{} not shown: not finite, or not positive on a logarithmic axis.",
            counted(dropped, "point")
        ));
    }
    if unlabelled > 0 {
        notes.push(format!("{} omitted for lack of space.", counted(unlabelled, "label")));
    }
    notes
}
