//! Where the time of each run went: a bar of phases for each, and its sum.

use anyhow::{Context, Result, bail};
use pipeline::report::PhaseSeconds;

use super::super::axis::Scale;
use super::super::colours::WHITE;
use super::super::figure::{Anchor, Figure, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH, text};
use super::Chart;
use super::legend::{EDGE, above, title, title_mark};
use super::notes::below;
use super::phases::{PHASES, entries, lengths};
use super::quantity::{Quantity, Spacing};
use super::rows::{self, data_left, grid};
use super::words::{clean, counted, spoken, width};

/// The most bars, and pixels of all together and of one with the space around it.
const BARS_MAX: usize = 50;
const HEIGHT_MAX: f64 = 700.0;
const ROW: f64 = 28.0;
/// The part of a row that is filled.
const FILLED: f64 = 0.7;
/// Bars whose phases are read out in the description.
const SPOKEN_MAX: usize = 12;
/// Pixels between a bar and its sum.
const GAP: f64 = 8.0;
/// Between phases; thinner ones go without, so that they are seen.
const BETWEEN: Stroke = Stroke { colour: WHITE, width: 1.4, dash: None };
const SEPARATED: f64 = 3.5;

/// Bars from the top in this order.
#[derive(Clone, Debug)]
pub(crate) struct Stacked {
    /// Of the file; ids within a page begin with it.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What the lengths are; its spacing is linear whatever it says.
    pub(crate) x: Quantity,
    pub(crate) bars: Vec<Bar>,
}

/// A run, or a point of an experiment.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) phases: PhaseSeconds,
}

/// A bar as it is drawn.
struct Shown<'a> {
    bar: &'a Bar,
    lengths: [f64; 6],
    sum: f64,
}

impl Stacked {
    /// # Errors
    /// Where no bar has a finite length.
    pub(crate) fn draw(&self) -> Result<Chart> {
        let font = Font::new().context("the program's own font")?;
        let measured = self.bars.iter().map(|bar| {
            let lengths = lengths(&bar.phases);
            Shown { bar, lengths, sum: lengths.iter().sum() }
        });
        let measured: Vec<Shown<'_>> = measured.filter(|shown| Spacing::Linear.place(shown.sum).is_some()).collect();
        let shown = &measured[..measured.len().min(BARS_MAX)];
        let Some(range) = Spacing::Linear.range(shown.iter().map(|shown| shown.sum), true) else {
            bail!("nothing to draw in `{}`: of {} bars none has a finite sum", spoken(&self.title), self.bars.len());
        };
        let title = title(&self.title, &font, rows::LEFT);
        let occurs = std::array::from_fn(|phase| shown.iter().any(|shown| shown.lengths[phase] > 0.0));
        let (legend, top) = above(entries(occurs), &font, rows::LEFT);
        let row = (HEIGHT_MAX / shown.len() as f64).floor().min(ROW);
        let bottom = top + row * shown.len() as f64;
        let middle = |index: usize| top + row * (index as f64 + 0.5);
        let names: Vec<(f64, String)> =
            shown.iter().enumerate().map(|(index, shown)| (middle(index), clean(&shown.bar.label))).collect();
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
        let (below, height) = below(&notes, &font, rows::LEFT, bottom + rows::BELOW);
        marks.extend(below);
        let description = self.description(shown, &notes);
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    fn notes(&self, measured: usize, shown: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if measured > shown {
            notes
                .push(format!("{} not shown: there is room for {BARS_MAX}.", counted(measured - shown, "further bar")));
        }
        if self.bars.len() > measured {
            notes.push(format!("{} without a finite sum.", counted(self.bars.len() - measured, "bar")));
        }
        notes
    }

    fn description(&self, shown: &[Shown<'_>], notes: &[String]) -> String {
        let mut said = vec![format!("{} by phase, {}.", spoken(&self.x.name), counted(shown.len(), "bar"))];
        let by_sum = |one: &&Shown<'_>, other: &&Shown<'_>| one.sum.total_cmp(&other.sum);
        if let (Some(low), Some(high)) = (shown.iter().min_by(by_sum), shown.iter().max_by(by_sum)) {
            let told = |shown: &Shown<'_>| format!("{} ({})", spoken(&shown.bar.label), self.x.words(shown.sum));
            said.push(format!("Shortest: {}; longest: {}.", told(low), told(high)));
        }
        said.extend(shown.iter().take(SPOKEN_MAX).map(|shown| {
            let phases = shown.lengths.iter().zip(PHASES).filter(|(length, _)| **length > 0.0);
            let phases: Vec<String> =
                phases.map(|(length, (name, _))| format!("{name} {}", self.x.words(*length))).collect();
            format!("{}: {}.", spoken(&shown.bar.label), phases.join(", "))
        }));
        if shown.len() > SPOKEN_MAX {
            said.push(format!("{} not read out.", counted(shown.len() - SPOKEN_MAX, "further bar")));
        }
        said.extend_from_slice(notes);
        said.join(" ")
    }
}

/// The phases of a bar, white between them.
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
