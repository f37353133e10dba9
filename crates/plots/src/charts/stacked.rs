//! Stacked bar chart: one bar of phases per run, with its sum.

use records::report::PhaseSeconds;

use crate::error::{PlotError, nothing};

use super::super::axis::Scale;
use super::super::colours::WHITE;
use super::super::figure::{Anchor, Figure, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH, text};
use super::Chart;
use super::legend::{EDGE, layout_legend, title, title_mark};
use super::notes::layout_notes;
use super::phases::{PHASES, entries, lengths};
use super::quantity::{Quantity, Spacing};
use super::rows::{self, data_left, grid};
use super::words::{counted, for_description, single_line, width};

/// Maximum number of bars.
const BARS_MAX: usize = 50;
/// Maximum height of all bars together, in pixels.
const HEIGHT_MAX: f64 = 700.0;
/// Maximum height of a row in pixels: a bar and the space around it.
const ROW: f64 = 28.0;
/// Filled fraction of a row.
const FILLED: f64 = 0.7;
/// Maximum number of bars whose phases the description lists.
const DESCRIBED_MAX: usize = 12;
/// Pixels between a bar and its sum.
const GAP: f64 = 8.0;
/// White line between two phases.
const BETWEEN: Stroke = Stroke { colour: WHITE, width: 1.4, dash: None };
/// Minimum width of a phase with a white line, in pixels; a line would hide a thinner phase.
const SEPARATED: f64 = 3.5;

/// Stacked bar chart, drawn from top to bottom in the given order.
#[derive(Clone, Debug)]
pub struct Stacked {
    /// File name without extension; also the prefix of the ids within a page.
    pub name: String,
    /// Title.
    pub title: String,
    /// Quantity of the lengths. Its spacing is ignored: the axis is linear.
    pub x: Quantity,
    /// Bars; at most fifty are drawn, and a note counts the others.
    pub bars: Vec<Bar>,
}

/// One bar of a [`Stacked`] chart: a run, or a point of a sweep.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Label of the row.
    pub label: String,
    /// Length of each phase.
    pub phases: PhaseSeconds,
}

/// A bar with the lengths and the sum of its phases.
struct Shown<'a> {
    bar: &'a Bar,
    lengths: [f64; 6],
    sum: f64,
}

impl Stacked {
    /// Draws the chart.
    ///
    /// # Errors
    /// Returns [`PlotError::NothingToPlot`] if no bar has a finite length.
    pub fn draw(&self) -> Result<Chart, PlotError> {
        let font = Font::new();
        let measured = self.bars.iter().map(|bar| {
            let lengths = lengths(&bar.phases);
            Shown { bar, lengths, sum: lengths.iter().sum() }
        });
        let measured: Vec<Shown<'_>> = measured.filter(|shown| Spacing::Linear.place(shown.sum).is_some()).collect();
        let shown = &measured[..measured.len().min(BARS_MAX)];
        let Some(range) = Spacing::Linear.range(shown.iter().map(|shown| shown.sum), true) else {
            return nothing(format!(
                "nothing to draw in `{}`: none of {} bars has a finite sum",
                for_description(&self.title),
                self.bars.len()
            ));
        };
        let title = title(&self.title, &font, rows::LEFT);
        let occurs = std::array::from_fn(|phase| shown.iter().any(|shown| shown.lengths[phase] > 0.0));
        let (legend, top) = layout_legend(entries(occurs), &font, rows::LEFT);
        let row = (HEIGHT_MAX / shown.len() as f64).floor().min(ROW);
        let bottom = top + row * shown.len() as f64;
        let middle = |index: usize| top + row * (index as f64 + 0.5);
        let names: Vec<(f64, String)> =
            shown.iter().enumerate().map(|(index, shown)| (middle(index), single_line(&shown.bar.label))).collect();
        let left = data_left(names.iter().map(|name| name.1.as_str()), &font);
        let sums: Vec<String> = shown.iter().map(|shown| self.x.words(shown.sum)).collect();
        let room = sums.iter().map(|words| width(words, &font, SMALL)).fold(0.0, f64::max);
        let x = Scale { range, from: left, to: f64::from(WIDTH) - EDGE - (room - GAP).max(0.0) };
        let ticks = rows::ticks(&x);
        let mut marks = vec![title_mark(&title, rows::LEFT), grid(&x, &ticks, [top, bottom])];
        for (index, (shown, sum)) in shown.iter().zip(&sums).enumerate() {
            marks.extend(bar(shown, middle(index), row * FILLED, &x));
            let at = (x.at(shown.sum) + GAP, middle(index) + 5.0);
            marks.push(text(at, Anchor::Start, SMALL, vec![upright(sum.clone())]));
        }
        marks.extend(rows::words(&x, ticks, (&self.x.name, &self.x.unit), bottom, &names, &font));
        marks.extend(legend);
        let notes = self.notes(measured.len(), shown.len());
        let (note_marks, height) = layout_notes(&notes, &font, rows::LEFT, bottom + rows::BELOW);
        marks.extend(note_marks);
        let description = self.description(shown, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    fn notes(&self, measured: usize, shown: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if measured > shown {
            notes.push(format!("{} not shown; the limit is {BARS_MAX}.", counted(measured - shown, "more bar")));
        }
        if self.bars.len() > measured {
            notes.push(format!("{} not shown: sum not finite.", counted(self.bars.len() - measured, "bar")));
        }
        notes
    }

    fn description(&self, shown: &[Shown<'_>], notes: &[String]) -> String {
        let mut sentences =
            vec![format!("{} by phase, {}.", for_description(&self.x.name), counted(shown.len(), "bar"))];
        let by_sum = |one: &&Shown<'_>, other: &&Shown<'_>| one.sum.total_cmp(&other.sum);
        if let (Some(low), Some(high)) = (shown.iter().min_by(by_sum), shown.iter().max_by(by_sum)) {
            let described =
                |shown: &Shown<'_>| format!("{} ({})", for_description(&shown.bar.label), self.x.words(shown.sum));
            sentences.push(format!("Shortest: {}; longest: {}.", described(low), described(high)));
        }
        sentences.extend(shown.iter().take(DESCRIBED_MAX).map(|shown| {
            let phases = shown.lengths.iter().zip(PHASES).filter(|(length, _)| **length > 0.0);
            let phases: Vec<String> =
                phases.map(|(length, (name, _))| format!("{name} {}", self.x.words(*length))).collect();
            format!("{}: {}.", for_description(&shown.bar.label), phases.join(", "))
        }));
        if shown.len() > DESCRIBED_MAX {
            sentences.push(format!("{} not listed.", counted(shown.len() - DESCRIBED_MAX, "more bar")));
        }
        sentences.extend_from_slice(notes);
        sentences.join(" ")
    }
}

/// Returns the phases of a bar, separated by white lines.
fn bar(shown: &Shown<'_>, middle: f64, height: f64, x: &Scale) -> Vec<Mark> {
    let (top, bottom) = (middle - height / 2.0, middle + height / 2.0);
    let mut marks = Vec::new();
    let mut gaps = Vec::new();
    let (mut from, mut wide_before) = (0.0, false);
    for (length, (_, fill)) in shown.lengths.iter().zip(PHASES).filter(|(length, _)| **length > 0.0) {
        let (left, right) = (x.at(from), x.at(from + length));
        marks.push(Mark::Area { corners: vec![(left, top), (right, top), (right, bottom), (left, bottom)], fill });
        let wide = right - left >= SEPARATED;
        if wide && wide_before {
            gaps.push(vec![(left, top), (left, bottom)]);
        }
        (from, wide_before) = (from + length, wide);
    }
    if !gaps.is_empty() {
        marks.push(Mark::Lines { lines: gaps, stroke: BETWEEN });
    }
    marks
}
