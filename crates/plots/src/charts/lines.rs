//! Line chart of series of measurements, for example over workers, sizes or time. Each series has its own marker, dash
//! and colour.

use crate::error::{PlotError, nothing};

use super::super::axis::{Range, Scale, Ticks};
use super::super::figure::{Figure, Mark, Point, Stroke};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, SMALL, WIDTH, left};
use super::Chart;
use super::legend::{Entry, RIGHT, Swatch, layout_legend, title};
use super::markers::{Marker, of_series};
use super::notes::layout_notes;
use super::quantity::{PlottedValue, Quantity, Spacing};
use super::reference::{self, Reference};
use super::words::{counted, for_description, label, truncated, width, without_overlaps};

/// Height of the plotting area, in pixels.
const BOX_HEIGHT: f64 = 380.0;
/// Size of the axis labels, as in [`Axes::frame`].
const AXIS: f64 = 16.0;
/// Maximum number of series.
const SERIES_MAX: usize = 12;
/// Maximum number of points of a series with markers; longer series are a line only.
const MARKERS_MAX: usize = 60;
/// Maximum distance by which references extend an axis beyond the data, relative to the span of the data.
const STRETCH: f64 = 0.5;
/// Pixels between two series at the same category, so that their intervals do not overlap.
const DODGE: f64 = 7.0;
/// Half the width of the caps of an interval, in pixels.
const CAP: f64 = 4.0;
/// Maximum width of the name of a category, in pixels.
const CATEGORY_MAX: f64 = 110.0;
/// Pixels between the names of two categories.
const CATEGORY_GAP: f64 = 10.0;

/// Line chart of one or more series.
#[derive(Clone, Debug)]
pub struct Lines {
    /// File name without extension; also the prefix of the ids within a page.
    pub name: String,
    /// Title.
    pub title: String,
    /// The x axis.
    pub x: XAxis,
    /// The y axis. A linear y axis includes 0.
    pub y: Quantity,
    /// Series; at most twelve are drawn, and a note counts the others.
    pub series: Vec<Series>,
    /// Dashed lines for comparison.
    pub references: Vec<Reference>,
}

/// The x axis of a line chart.
#[derive(Clone, Debug)]
pub enum XAxis {
    /// Numbers.
    Values(Quantity),
    /// Named categories. The `x` of a point is the index of its category.
    Categories {
        /// Name of the axis.
        name: String,
        /// Unit of the categories; may be empty.
        unit: String,
        /// Names of the categories, from left to right.
        names: Vec<String>,
    },
}

/// One line of a [`Lines`] chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points in any order; they are drawn in the order of `x`.
    pub points: Vec<LinePoint>,
}

/// One point of a [`Series`].
#[derive(Clone, Copy, Debug)]
pub struct LinePoint {
    /// Value on the x axis, or the index of a category.
    pub x: f64,
    /// Value on the y axis, with its interval.
    pub y: PlottedValue,
}

impl Lines {
    /// Draws the chart.
    ///
    /// # Errors
    /// Returns [`PlotError::NothingToPlot`] if no point can be shown.
    pub fn draw(&self) -> Result<Chart, PlotError> {
        let font = Font::new();
        let shown: Vec<Shown<'_>> = self.series.iter().take(SERIES_MAX).map(|series| self.shown(series)).collect();
        let drawn = || shown.iter().flat_map(|series| &series.points);
        let places = drawn().filter_map(|point| self.place(point.x));
        let x_range = match &self.x {
            XAxis::Values(x) => x.spacing.range(drawn().map(|point| point.x), false),
            XAxis::Categories { names, .. } => {
                places.reduce(f64::max).map(|_| Range { low: -0.5, high: names.len() as f64 - 0.5 })
            }
        };
        let y_range = self.y.range(drawn().map(|point| &point.y), true);
        let (Some(x_range), Some(y_range)) = (x_range, y_range) else {
            return nothing(format!(
                "nothing to draw in `{}`: no point has a finite value that the axes can show",
                for_description(&self.title)
            ));
        };
        let y_range = self.stretched(y_range);
        let y_ticks = self.y.spacing.ticks(y_range, 6);
        let left = left(&y_ticks);
        let title = title(&self.title, &font, left);
        let (legend, top) = layout_legend(self.entries(&shown), &font, left);
        let axes = Axes {
            x: Scale { range: x_range, from: left, to: RIGHT },
            y: Scale { range: y_range, from: top + BOX_HEIGHT, to: top },
        };
        let mut marks = Vec::new();
        for reference in &self.references {
            let spacing = [self.x_spacing(), self.y.spacing];
            marks.push(Mark::Lines { lines: reference.lines(spacing, &axes), stroke: reference::STROKE });
        }
        for (index, series) in shown.iter().enumerate() {
            let offset = self.dodge(index, shown.len(), &axes);
            marks.extend(self.drawn(series, of_series(index), offset, &axes));
        }
        marks.retain(|mark| !matches!(mark, Mark::Lines { lines, .. } if lines.is_empty()));
        let (x_name, x_unit) = self.x_words();
        let x_label = label(x_name, x_unit, &font, AXIS, RIGHT - left);
        let y_label = label(&self.y.name, &self.y.unit, &font, AXIS, BOX_HEIGHT);
        let ticks = [self.x_ticks(&axes.x, &font), y_ticks];
        marks.extend(axes.frame(&title, x_label, y_label, ticks));
        marks.extend(legend);
        let notes = self.notes(&shown);
        let (note_marks, height) = layout_notes(&notes, &font, left, axes.y.from + BELOW - 12.0);
        marks.extend(note_marks);
        let description = self.description(&shown, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// Returns the points of a series that can be shown, from left to right.
    fn shown<'a>(&self, series: &'a Series) -> Shown<'a> {
        let is_drawable =
            |point: &&LinePoint| self.place(point.x).is_some() && self.y.spacing.place(point.y.value).is_some();
        let mut points: Vec<LinePoint> = series.points.iter().filter(is_drawable).copied().collect();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        let dropped = series.points.len() - points.len();
        Shown { name: &series.name, points, dropped }
    }

    fn x_spacing(&self) -> Spacing {
        match &self.x {
            XAxis::Values(x) => x.spacing,
            XAxis::Categories { .. } => Spacing::Linear,
        }
    }

    fn place(&self, x: f64) -> Option<f64> {
        match &self.x {
            XAxis::Values(quantity) => quantity.spacing.place(x),
            XAxis::Categories { names, .. } => {
                (x.fract() == 0.0 && (0.0..names.len() as f64).contains(&x)).then_some(x)
            }
        }
    }

    /// Extends the range of the data to the reference lines, unless these are far from the data.
    fn stretched(&self, data: Range) -> Range {
        let reach = STRETCH * (data.high - data.low);
        let corners = self.references.iter().flat_map(|reference| &reference.points);
        let places = corners.filter_map(|corner| self.y.spacing.place(corner.1));
        let shown = places.map(|place| place.clamp(data.low - reach, data.high + reach));
        let range = shown.fold(data, |range, place| range.union(Range { low: place, high: place }));
        // A range that begins at 0 keeps its beginning.
        Range { low: if data.low == 0.0 { 0.0 } else { range.low }, high: range.high }
    }

    /// Returns the horizontal offset of a series from the centre of its category, in pixels.
    fn dodge(&self, index: usize, count: usize, axes: &Axes) -> f64 {
        let XAxis::Categories { names, .. } = &self.x else { return 0.0 };
        let room = (axes.x.to - axes.x.from) / names.len() as f64 * 0.7 / count as f64;
        (index as f64 - (count as f64 - 1.0) / 2.0) * DODGE.min(room)
    }

    fn drawn(&self, series: &Shown<'_>, (marker, stroke): (Marker, Stroke), offset: f64, axes: &Axes) -> Vec<Mark> {
        let y = |value: f64| self.y.spacing.place(value).map_or(axes.y.from, |place| axes.y.at(place));
        let at = |point: &LinePoint| (axes.x.at(self.place(point.x).unwrap_or_default()) + offset, y(point.y.value));
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
        if places.len() <= MARKERS_MAX {
            marks.extend(places.into_iter().flat_map(|place| marker.at(place)));
        }
        marks
    }

    fn entries(&self, shown: &[Shown<'_>]) -> Vec<Entry> {
        let entry = |(index, series): (usize, &Shown<'_>)| {
            let (marker, stroke) = of_series(index);
            let marker = (series.points.len() <= MARKERS_MAX).then_some(marker);
            Entry { swatch: Swatch::Line(stroke, marker), words: series.name.to_owned() }
        };
        let references = self
            .references
            .iter()
            .map(|reference| Entry { swatch: Swatch::Line(reference::STROKE, None), words: reference.name.clone() });
        shown.iter().enumerate().map(entry).chain(references).collect()
    }

    fn x_words(&self) -> (&str, &str) {
        match &self.x {
            XAxis::Values(x) => (&x.name, &x.unit),
            XAxis::Categories { name, unit, .. } => (name, unit),
        }
    }

    fn x_in_words(&self, x: f64) -> String {
        match &self.x {
            XAxis::Values(quantity) => quantity.words(x),
            XAxis::Categories { names, unit, .. } => {
                let name = names.get(x as usize).map_or("", String::as_str);
                for_description(&format!("{name} {unit}"))
            }
        }
    }

    /// Returns the ticks of the x axis. If the names of categories would overlap, writes every second, third, … only.
    fn x_ticks(&self, scale: &Scale, font: &Font) -> Ticks {
        let names = match &self.x {
            XAxis::Values(x) => return without_overlaps(x.spacing.ticks(scale.range, 7), scale, font),
            XAxis::Categories { names, .. } => names,
        };
        let fitting: Vec<String> = names.iter().map(|name| truncated(name, font, SMALL, CATEGORY_MAX)).collect();
        let widest = fitting.iter().map(|name| width(name, font, SMALL)).fold(0.0, f64::max) + CATEGORY_GAP;
        let every = (widest / ((scale.to - scale.from) / names.len() as f64)).ceil().max(1.0) as usize;
        let major = fitting.into_iter().enumerate().step_by(every).map(|(index, name)| (index as f64, name));
        Ticks { major: major.collect(), minor: Vec::new() }
    }

    fn notes(&self, shown: &[Shown<'_>]) -> Vec<String> {
        let mut notes = Vec::new();
        let dropped: usize = shown.iter().map(|series| series.dropped).sum();
        if dropped > 0 {
            notes.push(format!(
                "{} not shown: not finite, or not positive on a logarithmic axis.",
                counted(dropped, "point")
            ));
        }
        let more = self.series.len() - shown.len();
        if more > 0 {
            notes.push(format!("{more} more series not shown."));
        }
        if shown.iter().flat_map(|series| &series.points).any(|point| point.y.ends().is_some()) {
            notes.push("Vertical bars show the interval of each value.".to_owned());
        }
        notes
    }

    fn description(&self, shown: &[Shown<'_>], notes: &[String]) -> String {
        let (x, y) = (for_description(self.x_words().0), for_description(&self.y.name));
        let mut sentences = vec![format!("{y} against {x}, {} series.", shown.len())];
        sentences.extend(shown.iter().map(|series| {
            let by_value = |one: &&LinePoint, other: &&LinePoint| one.y.value.total_cmp(&other.y.value);
            let name = for_description(series.name);
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
                let (low, high) = ((for_description(low.0), low.1.y.value), (for_description(high.0), high.1.y.value));
                let words = |value| self.y.words(value);
                sentences.push(format!(
                    "At {at}: lowest {} ({}), highest {} ({}).",
                    low.0,
                    words(low.1),
                    high.0,
                    words(high.1)
                ));
            }
        }
        let references: Vec<String> =
            self.references.iter().map(|reference| for_description(&reference.name)).collect();
        if !references.is_empty() {
            sentences.push(format!("Dashed reference lines: {}.", references.join(", ")));
        }
        sentences.extend_from_slice(notes);
        sentences.join(" ")
    }
}

/// Points of a series that are drawn.
struct Shown<'a> {
    name: &'a str,
    points: Vec<LinePoint>,
    /// Number of points that cannot be shown.
    dropped: usize,
}
