//! Series of measurements over workers, sizes or time, each with its own sign, dash and colour.

use anyhow::{Context, Result, bail};

use super::super::axis::{Range, Scale, Ticks};
use super::super::figure::{Figure, Mark, Point, Stroke};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, SMALL, WIDTH, left};
use super::Chart;
use super::legend::{Entry, RIGHT, Sample, above, title};
use super::markers::{Marker, of_series};
use super::notes::below;
use super::quantity::{Measured, Quantity, Spacing};
use super::reference::{self, Reference};
use super::words::{apart, counted, fitted, label, spoken, width};

/// Height of the box.
const HIGH: f64 = 380.0;
/// Size of the axes' labels, as the frame writes them.
const AXIS: f64 = 16.0;
/// The most series.
const SERIES_MAX: usize = 12;
/// With more points than this, a line has no signs.
const SIGNS_MAX: usize = 60;
/// How far references stretch an axis beyond the data, over the data's span.
const STRETCH: f64 = 0.5;
/// Pixels between the series at one category, so that intervals stand beside each other.
const ASIDE: f64 = 7.0;
/// Half the width of an interval's ends.
const CAP: f64 = 4.0;
/// The widest name of a category, and the space between two.
const CATEGORY_MAX: f64 = 110.0;
const CATEGORY_GAP: f64 = 10.0;

/// Series over one axis.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// Of the file; ids within a page begin with it.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: Across,
    /// A linear one begins at 0.
    pub(crate) y: Quantity,
    pub(crate) series: Vec<Series>,
    pub(crate) references: Vec<Reference>,
}

/// What lies along the bottom.
#[derive(Clone, Debug)]
pub(crate) enum Across {
    Values(Quantity),
    /// Names in their order, of something in a unit that may be empty; a point's `x` is 0 for the first, 1 for the
    /// second, …
    Categories {
        name: String,
        unit: String,
        names: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<LinePoint>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePoint {
    pub(crate) x: f64,
    pub(crate) y: Measured,
}

impl Lines {
    /// # Errors
    /// Where no point can be shown.
    pub(crate) fn draw(&self) -> Result<Chart> {
        let font = Font::new().context("the program's own font")?;
        let shown: Vec<Shown<'_>> = self.series.iter().take(SERIES_MAX).map(|series| self.shown(series)).collect();
        let drawn = || shown.iter().flat_map(|series| &series.points);
        let places = drawn().filter_map(|point| self.place(point.x));
        let x_range = match &self.x {
            Across::Values(x) => x.spacing.range(drawn().map(|point| point.x), false),
            Across::Categories { names, .. } => {
                places.reduce(f64::max).map(|_| Range { low: -0.5, high: names.len() as f64 - 0.5 })
            }
        };
        let y_range = self.y.range(drawn().map(|point| &point.y), true);
        let (Some(x_range), Some(y_range)) = (x_range, y_range) else {
            bail!("nothing to draw in `{}`: no point has a finite value that its axes can show", spoken(&self.title));
        };
        let y_range = self.stretched(y_range);
        let y_ticks = self.y.spacing.ticks(y_range, 6);
        let left = left(&y_ticks);
        let title = title(&self.title, &font, left);
        let (legend, top) = above(self.entries(&shown), &font, left);
        let axes = Axes {
            x: Scale { range: x_range, from: left, to: RIGHT },
            y: Scale { range: y_range, from: top + HIGH, to: top },
        };
        let mut marks = Vec::new();
        for reference in &self.references {
            let spacing = [self.x_spacing(), self.y.spacing];
            marks.push(Mark::Lines { lines: reference.lines(spacing, &axes), stroke: reference::STROKE });
        }
        for (index, series) in shown.iter().enumerate() {
            let aside = self.aside(index, shown.len(), &axes);
            marks.extend(self.drawn(series, of_series(index), aside, &axes));
        }
        marks.retain(|mark| !matches!(mark, Mark::Lines { lines, .. } if lines.is_empty()));
        let (x_name, x_unit) = self.x_words();
        let x_label = label(x_name, x_unit, &font, AXIS, RIGHT - left);
        let y_label = label(&self.y.name, &self.y.unit, &font, AXIS, HIGH);
        let ticks = [self.x_ticks(&axes.x, &font), y_ticks];
        marks.extend(axes.frame(&title, x_label, y_label, ticks));
        marks.extend(legend);
        let notes = self.notes(&shown);
        let (below, height) = below(&notes, &font, left, axes.y.from + BELOW - 12.0);
        marks.extend(below);
        let description = self.description(&shown, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// The points of a series that have a place, from left to right.
    fn shown<'a>(&self, series: &'a Series) -> Shown<'a> {
        let has_place =
            |point: &&LinePoint| self.place(point.x).is_some() && self.y.spacing.place(point.y.value).is_some();
        let mut points: Vec<LinePoint> = series.points.iter().filter(has_place).copied().collect();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        let dropped = series.points.len() - points.len();
        Shown { name: &series.name, points, dropped }
    }

    fn x_spacing(&self) -> Spacing {
        match &self.x {
            Across::Values(x) => x.spacing,
            Across::Categories { .. } => Spacing::Linear,
        }
    }

    fn place(&self, x: f64) -> Option<f64> {
        match &self.x {
            Across::Values(quantity) => quantity.spacing.place(x),
            Across::Categories { names, .. } => {
                (x.fract() == 0.0 && (0.0..names.len() as f64).contains(&x)).then_some(x)
            }
        }
    }

    /// References are seen too, unless they are far from the data.
    fn stretched(&self, data: Range) -> Range {
        let reach = STRETCH * (data.high - data.low);
        let corners = self.references.iter().flat_map(|reference| &reference.points);
        let places = corners.filter_map(|corner| self.y.spacing.place(corner.1));
        let seen = places.map(|place| place.clamp(data.low - reach, data.high + reach));
        let range = seen.fold(data, |range, place| range.and(Range { low: place, high: place }));
        // What begins at 0 goes on beginning there.
        Range { low: if data.low == 0.0 { 0.0 } else { range.low }, high: range.high }
    }

    /// How far a series stands beside the middle of its category.
    fn aside(&self, index: usize, count: usize, axes: &Axes) -> f64 {
        let Across::Categories { names, .. } = &self.x else { return 0.0 };
        let room = (axes.x.to - axes.x.from) / names.len() as f64 * 0.7 / count as f64;
        (index as f64 - (count as f64 - 1.0) / 2.0) * ASIDE.min(room)
    }

    fn drawn(&self, series: &Shown<'_>, (marker, stroke): (Marker, Stroke), aside: f64, axes: &Axes) -> Vec<Mark> {
        let y = |value: f64| self.y.spacing.place(value).map_or(axes.y.from, |place| axes.y.at(place));
        let at = |point: &LinePoint| (axes.x.at(self.place(point.x).unwrap_or_default()) + aside, y(point.y.value));
        let places: Vec<Point> = series.points.iter().map(at).collect();
        let mut bars = Vec::new();
        for (point, (x, _)) in series.points.iter().zip(&places) {
            if let Some((low, high)) = point.y.ends() {
                let (low, high) = (y(low), y(high));
                bars.push(vec![(*x, low), (*x, high)]);
                bars.extend([low, high].map(|end| vec![(x - CAP, end), (x + CAP, end)]));
            }
        }
        let solid = Stroke { width: 1.3, dash: None, ..stroke };
        let mut marks = vec![Mark::Lines { lines: bars, stroke: solid }];
        if places.len() > 1 {
            marks.push(Mark::Lines { lines: vec![places.clone()], stroke });
        }
        if places.len() <= SIGNS_MAX {
            marks.extend(places.into_iter().flat_map(|place| marker.at(place)));
        }
        marks
    }

    fn entries(&self, shown: &[Shown<'_>]) -> Vec<Entry> {
        let entry = |(index, series): (usize, &Shown<'_>)| {
            let (marker, stroke) = of_series(index);
            let marker = (series.points.len() <= SIGNS_MAX).then_some(marker);
            Entry { sample: Sample::Line(stroke, marker), words: series.name.to_owned() }
        };
        let references = self
            .references
            .iter()
            .map(|reference| Entry { sample: Sample::Line(reference::STROKE, None), words: reference.name.clone() });
        shown.iter().enumerate().map(entry).chain(references).collect()
    }

    fn x_words(&self) -> (&str, &str) {
        match &self.x {
            Across::Values(x) => (&x.name, &x.unit),
            Across::Categories { name, unit, .. } => (name, unit),
        }
    }

    fn x_in_words(&self, x: f64) -> String {
        match &self.x {
            Across::Values(quantity) => quantity.words(x),
            Across::Categories { names, unit, .. } => {
                let name = names.get(x as usize).map_or("", String::as_str);
                spoken(&format!("{name} {unit}"))
            }
        }
    }

    /// Where names would touch, only every second, third, … is written.
    fn x_ticks(&self, scale: &Scale, font: &Font) -> Ticks {
        let names = match &self.x {
            Across::Values(x) => return apart(x.spacing.ticks(scale.range, 7), scale, font),
            Across::Categories { names, .. } => names,
        };
        let fitting: Vec<String> = names.iter().map(|name| fitted(name, font, SMALL, CATEGORY_MAX)).collect();
        let widest = fitting.iter().map(|name| width(name, font, SMALL)).fold(0.0, f64::max) + CATEGORY_GAP;
        let every = (widest / ((scale.to - scale.from) / names.len() as f64)).ceil().max(1.0) as usize;
        let major = fitting.into_iter().enumerate().step_by(every).map(|(index, name)| (index as f64, name));
        Ticks { major: major.collect(), minor: Vec::new() }
    }

    fn notes(&self, shown: &[Shown<'_>]) -> Vec<String> {
        let mut notes = Vec::new();
        let dropped: usize = shown.iter().map(|series| series.dropped).sum();
        if dropped > 0 {
            notes.push(format!("{} without a value that the axes can show.", counted(dropped, "point")));
        }
        let more = self.series.len() - shown.len();
        if more > 0 {
            notes.push(format!("{more} further series not shown."));
        }
        if shown.iter().flat_map(|series| &series.points).any(|point| point.y.ends().is_some()) {
            notes.push("Upright bars: the interval of a value.".to_owned());
        }
        notes
    }

    fn description(&self, shown: &[Shown<'_>], notes: &[String]) -> String {
        let (x, y) = (spoken(self.x_words().0), spoken(&self.y.name));
        let mut said = vec![format!("{y} against {x}, {} series.", shown.len())];
        said.extend(shown.iter().map(|series| {
            let by_value = |one: &&LinePoint, other: &&LinePoint| one.y.value.total_cmp(&other.y.value);
            let name = spoken(series.name);
            let points = counted(series.points.len(), "point");
            let at = |point: &LinePoint| format!("{} at {}", self.y.words(point.y.value), self.x_in_words(point.x));
            match (series.points.iter().min_by(by_value), series.points.iter().max_by(by_value)) {
                (Some(low), Some(high)) if low.y.value < high.y.value => {
                    format!("{name}: {points}, lowest {}, highest {}.", at(low), at(high))
                }
                (Some(low), _) => format!("{name}: {points}, {}.", at(low)),
                _ => format!("{name}: no points."),
            }
        }));
        let lasts = || shown.iter().filter_map(|series| Some((series.name, series.points.last()?)));
        if let Some(x) = lasts().map(|last| last.1.x).reduce(f64::max) {
            let mut ends: Vec<_> = lasts().filter(|last| last.1.x == x).collect();
            ends.sort_by(|one, other| one.1.y.value.total_cmp(&other.1.y.value));
            if let ([low, .., high], at) = (&ends[..], self.x_in_words(x)) {
                let (low, high) = ((spoken(low.0), low.1.y.value), (spoken(high.0), high.1.y.value));
                let words = |value| self.y.words(value);
                said.push(format!(
                    "At {at}: lowest {} ({}), highest {} ({}).",
                    low.0,
                    words(low.1),
                    high.0,
                    words(high.1)
                ));
            }
        }
        let references: Vec<String> = self.references.iter().map(|reference| spoken(&reference.name)).collect();
        if !references.is_empty() {
            said.push(format!("Dashed for comparison: {}.", references.join(", ")));
        }
        said.extend_from_slice(notes);
        said.join(" ")
    }
}

/// A series as it is drawn.
struct Shown<'a> {
    name: &'a str,
    points: Vec<LinePoint>,
    /// Points that have no place.
    dropped: usize,
}
