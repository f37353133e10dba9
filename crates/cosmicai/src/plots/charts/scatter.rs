//! Points of two measures: cost against time with the front that nothing beats, or predicted against measured.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::super::axis::Scale;
use super::super::colours::{BLUE, GREY, INK, VERMILION};
use super::super::figure::{Anchor, Figure, Mark, Point, Stroke, Text, upright};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, WIDTH, left};
use super::Chart;
use super::legend::{Entry, RIGHT, Sample, above, title};
use super::markers::{Marker, Shape};
use super::notes::below;
use super::quantity::{Measured, Quantity, Spacing};
use super::reference::{self, Reference};
use super::words::{amount, apart, counted, fitted, label, listed, spoken, width};

/// Height of the box, and of one whose axes are the same.
const HIGH: [f64; 2] = [420.0, 520.0];
const AXIS: f64 = 16.0;
/// Up to this many points, all have their label; the highlighted ones always, where there is room.
const LABELLED_MAX: usize = 14;
const LABEL: f64 = 13.0;
const LABEL_MAX: f64 = 180.0;
/// Pixels around a point that labels leave free.
const CLEAR: f64 = 7.0;
/// How far beside equality the dashed lines run.
const BAND: f64 = 0.2;
/// Names of the highlighted points in the description.
const NAMED_MAX: usize = 8;
const CAP: f64 = 3.5;
const FRONT: Stroke = Stroke { colour: VERMILION, width: 1.8, dash: None };
const EQUAL: Stroke = Stroke { colour: INK, width: 1.4, dash: None };

/// Points, as they are compared.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    /// Of the file; ids within a page begin with it.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: Quantity,
    pub(crate) y: Quantity,
    pub(crate) points: Vec<ScatterPoint>,
    pub(crate) compared: Compared,
}

#[derive(Clone, Debug)]
pub(crate) struct ScatterPoint {
    pub(crate) label: String,
    pub(crate) x: Measured,
    pub(crate) y: Measured,
    /// Filled instead of hollow, and on the step line of its group under [`Compared::Front`].
    pub(crate) highlighted: bool,
    /// Points of one group are compared with each other.
    pub(crate) group: usize,
}

/// What is drawn beside the points.
#[derive(Clone, Debug)]
pub(crate) enum Compared {
    /// A step line through the highlighted points of each group, with words for them and for the others.
    Front { highlighted: String, others: String },
    /// y = x and a band of ±20 %; both axes are the same, in the spacing and the unit of `x`.
    Equality,
}

impl Scatter {
    /// # Errors
    /// Where no point can be shown.
    pub(crate) fn draw(&self) -> Result<Chart> {
        let font = Font::new().context("the program's own font")?;
        let equal = matches!(self.compared, Compared::Equality);
        let spacing = [self.x.spacing, if equal { self.x.spacing } else { self.y.spacing }];
        let has_place = |point: &&ScatterPoint| {
            spacing[0].place(point.x.value).is_some() && spacing[1].place(point.y.value).is_some()
        };
        let points: Vec<&ScatterPoint> = self.points.iter().filter(has_place).collect();
        let y = Quantity { spacing: spacing[1], ..self.y.clone() };
        let ranges = (
            self.x.range(points.iter().map(|point| &point.x), true),
            y.range(points.iter().map(|point| &point.y), true),
        );
        let (Some(mut x_range), Some(mut y_range)) = ranges else {
            bail!(
                "nothing to draw in `{}`: no point has two finite values that its axes can show",
                spoken(&self.title)
            );
        };
        if equal {
            x_range = x_range.and(y_range);
            y_range = x_range;
        }
        let high = HIGH[usize::from(equal)];
        let ticks = [spacing[0].ticks(x_range, 6), spacing[1].ticks(y_range, 6)];
        let left = left(&ticks[1]);
        let title = title(&self.title, &font, left);
        let (legend, top) = above(self.entries(&points), &font, left);
        let axes = Axes {
            x: Scale { range: x_range, from: left, to: RIGHT },
            y: Scale { range: y_range, from: top + high, to: top },
        };
        let at = |value: Point| {
            let place = |spacing: Spacing, scale: &Scale, value| {
                // An interval may reach where a logarithm does not.
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
        // Highlighted ones lie on top.
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
        let ticks = [apart(x_ticks, &axes.x, &font), y_ticks];
        marks.extend(axes.frame(&title, x_label, y_label, ticks));
        marks.extend(labels);
        marks.extend(legend);
        let notes = notes(self.points.len() - points.len(), unlabelled);
        let (below, height) = below(&notes, &font, left, axes.y.from + BELOW - 12.0);
        marks.extend(below);
        let description = self.description(&points, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// The front's steps, or the lines of equality.
    fn behind(
        &self,
        points: &[&ScatterPoint],
        at: impl Fn(Point) -> Point,
        spacing: [Spacing; 2],
        axes: &Axes,
    ) -> Vec<Mark> {
        match self.compared {
            Compared::Front { .. } => {
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
            Compared::Equality => {
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
            |highlighted, words: &str| Entry { sample: Sample::Sign(marker(highlighted)), words: words.to_owned() };
        let line = |stroke, words: &str| Entry { sample: Sample::Line(stroke, None), words: words.to_owned() };
        let has = |highlighted| points.iter().any(|point| point.highlighted == highlighted);
        match &self.compared {
            Compared::Front { highlighted, others } => {
                let front = Entry { sample: Sample::Line(FRONT, Some(marker(true))), words: highlighted.clone() };
                let entries = [(true, front), (false, sign(false, others))];
                entries.into_iter().filter(|(highlighted, _)| has(*highlighted)).map(|(_, entry)| entry).collect()
            }
            Compared::Equality => {
                vec![line(EQUAL, "equal"), line(reference::STROKE, &format!("±{:.0} %", 100.0 * BAND))]
            }
        }
    }

    fn description(&self, points: &[&ScatterPoint], notes: &[String]) -> String {
        let (x, y) = (spoken(&self.x.name), spoken(&self.y.name));
        let mut said = vec![format!("{y} against {x}, {}.", counted(points.len(), "point"))];
        let least = |value: fn(&ScatterPoint) -> f64| {
            points.iter().min_by(move |one, other| value(one).total_cmp(&value(other))).copied()
        };
        let told = |point: &ScatterPoint| {
            let label = spoken(&point.label);
            format!("{label} ({}, {})", self.x.words(point.x.value), self.y.words(point.y.value))
        };
        match &self.compared {
            Compared::Front { highlighted, .. } => {
                if let (Some(by_x), Some(by_y)) = (least(|point| point.x.value), least(|point| point.y.value)) {
                    said.push(format!("Lowest {x}: {}; lowest {y}: {}.", told(by_x), told(by_y)));
                }
                let mut front: Vec<&ScatterPoint> = points.iter().filter(|point| point.highlighted).copied().collect();
                front.sort_by(|one, other| one.x.value.total_cmp(&other.x.value));
                let names: Vec<String> = front.into_iter().map(told).collect();
                said.push(format!("{}: {}.", spoken(highlighted), names.len()));
                if !names.is_empty() {
                    said.push(format!("From left to right {}.", listed(&names, NAMED_MAX)));
                }
            }
            Compared::Equality => {
                let apart = |point: &ScatterPoint| (point.y.value - point.x.value).abs();
                let off = |point: &ScatterPoint| apart(point) / point.x.value.abs();
                let within = points.iter().filter(|point| apart(point) <= BAND * point.x.value.abs()).count();
                said.push(format!("{within} of {} lie within ±{:.0} % of equality.", points.len(), 100.0 * BAND));
                let worst = points.iter().filter(|point| off(point).is_finite());
                if let Some(worst) = worst.max_by(|one, other| off(one).total_cmp(&off(other))) {
                    said.push(format!("Farthest off is {}, by {} %.", told(worst), amount(100.0 * off(worst))));
                }
            }
        }
        said.extend_from_slice(notes);
        said.join(" ")
    }
}

fn marker(highlighted: bool) -> Marker {
    if highlighted {
        Marker { shape: Shape::Diamond, colour: VERMILION, hollow: false, radius: 6.0 }
    } else {
        Marker { shape: Shape::Disc, colour: BLUE, hollow: true, radius: 5.0 }
    }
}

/// Bars of both measures' intervals.
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

/// Left, top, right, bottom.
type Space = [f64; 4];

/// Labels beside their points where they touch nothing, and how many found no such place.
fn labels(points: &[&ScatterPoint], places: &[Point], axes: &Axes, font: &Font) -> (Vec<Mark>, usize) {
    let mut taken: Vec<Space> = places.iter().map(|(x, y)| [x - CLEAR, y - CLEAR, x + CLEAR, y + CLEAR]).collect();
    let wanted = |highlighted: bool| {
        let of_kind = points.iter().zip(places).filter(move |(point, _)| point.highlighted == highlighted);
        of_kind.filter(move |_| highlighted || points.len() <= LABELLED_MAX)
    };
    let mut marks = Vec::new();
    let mut unlabelled = 0;
    for (point, (x, y)) in wanted(true).chain(wanted(false)) {
        let words = fitted(&point.label, font, LABEL, LABEL_MAX);
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

fn touch(one: Space, other: Space) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

fn notes(dropped: usize, unlabelled: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if dropped > 0 {
        notes.push(format!("{} without values that the axes can show.", counted(dropped, "point")));
    }
    if unlabelled > 0 {
        notes.push(format!("{} without a label for want of room.", counted(unlabelled, "point")));
    }
    notes
}
