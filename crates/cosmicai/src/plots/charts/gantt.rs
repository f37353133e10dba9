//! The timeline of a run's tasks: when each waited, when it ran, and which were late.
//!
//! A few tasks are rows with names and phases, hundreds are thin rows, thousands are rows of several tasks each. The
//! picture's height is bounded, and its marks are as many as its rows.

use anyhow::{Context, Result, bail};
use pipeline::metrics::percentile;
use pipeline::report::PhaseSeconds;

use super::super::axis::{Range, Scale};
use super::super::colours::{BLUE, Colour, PALE_BLUE, RULE, VERMILION};
use super::super::figure::{Cell, Figure, Mark};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH};
use super::Chart;
use super::legend::{EDGE, Entry, Sample, above, title, title_mark};
use super::markers::{Marker, Shape};
use super::notes::below;
use super::phases::{self, PHASES, lengths};
use super::quantity::{Quantity, Spacing};
use super::rows::{self, data_left, grid};
use super::words::{clean, counted, fitted, listed, spoken};
use crate::printer::grouped;

/// Pixels of all rows together at most, and of one.
const HEIGHT_MAX: f64 = 620.0;
const ROW_MAX: f64 = 18.0;
/// Up to this many tasks, each is a row; more share rows.
const TASKS_MAX: usize = 500;
/// Rows that are shared, at most.
const SHARED_MAX: usize = 310;
/// From this many pixels of a row on, it has its name; and its phases; and space to the next one.
const NAMED: f64 = 12.5;
const PHASED: f64 = 6.0;
const SPACED: f64 = 3.0;
/// The part of a spaced row that is filled.
const FILLED: f64 = 0.72;
/// Pixels right of the longest row for the sign of a straggler.
const SIGN_ROOM: f64 = 16.0;
/// Signs stand at least this far apart where rows are thin.
const SIGNS_APART: f64 = 4.0;
/// Names of stragglers below the picture, and in its description.
const NAMES_MAX: usize = 8;
const NAME_MAX: f64 = 90.0;
const SIGN: Marker = Marker { shape: Shape::TriangleLeft, colour: VERMILION, hollow: false, radius: 4.5 };

/// Tasks on one clock, drawn from the top in this order.
#[derive(Clone, Debug)]
pub(crate) struct Gantt {
    /// Of the file; ids within a page begin with it.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) tasks: Vec<Task>,
    /// Seconds from start to end beyond which a task is late; for the words only.
    pub(crate) threshold: Option<f64>,
}

/// Seconds since the run began.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Its rank.
    pub(crate) label: String,
    pub(crate) queued: f64,
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// Where the time from start to end went, drawn one after the other.
    pub(crate) phases: Option<PhaseSeconds>,
    pub(crate) is_straggler: bool,
}

impl Task {
    fn has_place(&self) -> bool {
        let times = [self.queued, self.start, self.end];
        times.iter().all(|time| Spacing::Linear.place(*time).is_some()) && self.start <= self.end
    }

    fn seconds(&self) -> f64 {
        self.end - self.start
    }
}

impl Gantt {
    /// # Errors
    /// Where no task has finite times in their order.
    pub(crate) fn draw(&self) -> Result<Chart> {
        let font = Font::new().context("the program's own font")?;
        let tasks: Vec<&Task> = self.tasks.iter().filter(|task| task.has_place()).collect();
        let ends = tasks.iter().flat_map(|task| [task.queued.min(task.start), task.start, task.end]);
        let Some(range) = Spacing::Linear.range(ends, false) else {
            let count = counted(self.tasks.len(), "task");
            bail!("nothing to draw in `{}`: of {count} none has finite times from start to end", spoken(&self.title));
        };
        let shared = if tasks.len() > TASKS_MAX { tasks.len().div_ceil(SHARED_MAX) } else { 1 };
        let bands: Vec<Band<'_>> = tasks.chunks(shared).map(Band::of).collect();
        // Whole pixels of the PNG, so that rows of one height look it.
        let row = ((2.0 * HEIGHT_MAX / bands.len() as f64).floor() / 2.0).clamp(1.0, ROW_MAX);
        let phased = row >= PHASED && shared == 1 && tasks.iter().any(|task| task.phases.is_some());
        let title = title(&self.title, &font, rows::LEFT);
        let (legend, top) = above(entries(&tasks, phased), &font, rows::LEFT);
        let bottom = top + row * bands.len() as f64;
        let names = names(&tasks, shared, row, top);
        let left = data_left(names.iter().map(|name| name.1.as_str()), &font);
        let x = Scale { range, from: left, to: f64::from(WIDTH) - EDGE - SIGN_ROOM };
        let ticks = rows::ticks(&x);
        let mut marks = vec![title_mark(&title, rows::LEFT), grid(&x, &ticks, [top, bottom])];
        marks.extend(cells(&bands, phased, row, top, &x));
        marks.extend(signs(&bands, row, top, &x));
        marks.extend(rows::words(&x, ticks, ("time since the run began", "s"), bottom, &names, &font));
        marks.extend(legend);
        let (said, notes) = self.words(&tasks, shared, &font);
        let (below, height) = below(&notes, &font, rows::LEFT, bottom + rows::BELOW);
        marks.extend(below);
        let description = said.into_iter().chain(notes).collect::<Vec<_>>().join(" ");
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// What only the description says, and what stands below the picture too.
    fn words(&self, tasks: &[&Task], shared: usize, font: &Font) -> (Vec<String>, Vec<String>) {
        let seconds = Quantity { name: String::new(), unit: "s".to_owned(), spacing: Spacing::Linear };
        let sorted = |value: fn(&Task) -> f64| {
            let mut values: Vec<f64> = tasks.iter().map(|task| value(task)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let (runs, waits) = (sorted(Task::seconds), sorted(|task| (task.start - task.queued).max(0.0)));
        let (starts, ends) = (sorted(|task| task.start), sorted(|task| task.end));
        let (median, longest) = (percentile(&runs, 50.0), percentile(&runs, 100.0));
        let said = vec![format!(
            "{}. First start at {}, last end at {}. Run time {} to {}; waiting before it {} at the median, {} at most.",
            counted(tasks.len(), "task"),
            seconds.words(starts[0]),
            seconds.words(percentile(&ends, 100.0)),
            seconds.words(runs[0]),
            seconds.words(longest),
            seconds.words(percentile(&waits, 50.0)),
            seconds.words(percentile(&waits, 100.0)),
        )];
        let late: Vec<String> = tasks
            .iter()
            .filter(|task| task.is_straggler)
            .map(|task| fitted(&task.label, font, SMALL, NAME_MAX))
            .collect();
        let mut notes = vec![format!("Median run time {}.", seconds.words(median))];
        if let Some(threshold) = self.threshold.filter(|threshold| Spacing::Linear.place(*threshold).is_some()) {
            notes[0] += &format!(" Stragglers run longer than {}.", seconds.words(threshold));
        }
        notes[0] += &match late.len() {
            0 => " No straggler.".to_owned(),
            count => {
                format!(
                    " {} of {}: {}.",
                    counted(count, "straggler"),
                    grouped(tasks.len() as u64),
                    listed(&late, NAMES_MAX)
                )
            }
        };
        if shared > 1 {
            notes.push(format!(
                "Each row is {shared} tasks that follow each other: from the first queued to the first start, and to \
                 the last end."
            ));
        }
        let dropped = self.tasks.len() - tasks.len();
        if dropped > 0 {
            notes.push(format!("{} without finite times in their order, not shown.", counted(dropped, "task")));
        }
        (said, notes)
    }
}

/// What a row shows.
struct Band<'a> {
    queued: f64,
    start: f64,
    /// End of the last task that is not late.
    in_time: f64,
    end: f64,
    late: bool,
    /// Of a row that is one task.
    phases: Option<&'a PhaseSeconds>,
}

impl<'a> Band<'a> {
    fn of(tasks: &[&'a Task]) -> Band<'a> {
        let least = |value: fn(&Task) -> f64| tasks.iter().map(|task| value(task)).fold(f64::INFINITY, f64::min);
        let last = |late: bool| {
            let ends = tasks.iter().filter(move |task| task.is_straggler == late).map(|task| task.end);
            ends.fold(f64::NEG_INFINITY, f64::max)
        };
        let start = least(|task| task.start);
        Band {
            queued: least(|task| task.queued).min(start),
            start,
            in_time: last(false).max(start),
            end: last(false).max(last(true)),
            late: tasks.iter().any(|task| task.is_straggler),
            phases: tasks.first().filter(|_| tasks.len() == 1).and_then(|task| task.phases.as_ref()),
        }
    }

    /// Its pieces, each in its colour.
    fn pieces(&self, phased: bool) -> Vec<(f64, f64, Colour)> {
        let mut pieces = vec![(self.queued, self.start, PALE_BLUE)];
        let Some(seconds) = self.phases.filter(|_| phased) else {
            let late = if self.late { self.in_time } else { self.end };
            pieces.extend([(self.start, late, BLUE), (late, self.end, VERMILION)]);
            return pieces;
        };
        let mut from = self.start;
        for (length, (_, colour)) in lengths(seconds).into_iter().zip(PHASES) {
            let to = (from + length).min(self.end);
            pieces.push((from, to, colour));
            from = to;
        }
        // What no phase claims.
        pieces.push((from, self.end, RULE));
        pieces
    }
}

fn entries(tasks: &[&Task], phased: bool) -> Vec<Entry> {
    let patch = |colour, words: &str| Entry { sample: Sample::Patch(colour), words: words.to_owned() };
    let mut entries = Vec::new();
    if phased {
        let occurs = |phase: usize| {
            tasks.iter().filter_map(|task| task.phases.as_ref()).any(|seconds| lengths(seconds)[phase] > 0.0)
        };
        entries.push(patch(PALE_BLUE, "waiting"));
        entries.extend(phases::entries(std::array::from_fn(occurs)));
        entries.push(patch(RULE, "other"));
    } else {
        entries.extend([patch(PALE_BLUE, "waiting"), patch(BLUE, "running")]);
    }
    if tasks.iter().any(|task| task.is_straggler) {
        let sample = if phased { Sample::Sign(SIGN) } else { Sample::Marked(VERMILION, SIGN) };
        entries.push(Entry { sample, words: "straggler".to_owned() });
    }
    entries
}

/// Names of rows, or of some where rows are thin.
fn names(tasks: &[&Task], shared: usize, row: f64, top: f64) -> Vec<(f64, String)> {
    let middle = |index: usize| top + row * ((index / shared) as f64 + 0.5);
    if row >= NAMED {
        return tasks.iter().enumerate().map(|(index, task)| (middle(index), clean(&task.label))).collect();
    }
    let counts = Range { low: 0.0, high: tasks.len() as f64 - 1.0 }.ticks(8, 1.0).major;
    let index = |tick: (f64, String)| tick.0 as usize;
    counts.into_iter().map(index).filter_map(|at| Some((middle(at), clean(&tasks.get(at)?.label)))).collect()
}

/// All rows, a mark for each colour.
fn cells(bands: &[Band<'_>], phased: bool, row: f64, top: f64, x: &Scale) -> Vec<Mark> {
    let filled = if row >= SPACED { (2.0 * row * FILLED).round() / 2.0 } else { row };
    let above = ((row - filled).floor()) / 2.0;
    let half = |pixel: f64| (2.0 * pixel).round() / 2.0;
    let mut by_colour: Vec<(Colour, Vec<Cell>)> = Vec::new();
    for (index, band) in bands.iter().enumerate() {
        let y = top + row * index as f64 + above;
        for (from, to, colour) in band.pieces(phased) {
            let (left, right) = (half(x.at(from)), half(x.at(to)));
            // A task that ran is seen, however short it was.
            let least = if colour == BLUE { 0.5 } else { 0.0 };
            let width = (right - left).max(least);
            if width > 0.0 {
                let cell = Cell { x: left, y, width, height: filled };
                match by_colour.iter_mut().find(|(other, _)| *other == colour) {
                    Some((_, cells)) => cells.push(cell),
                    None => by_colour.push((colour, vec![cell])),
                }
            }
        }
    }
    by_colour.into_iter().map(|(fill, cells)| Mark::Cells { cells, fill }).collect()
}

/// A sign behind the end of every row with a straggler; where rows are thin, one for neighbours.
fn signs(bands: &[Band<'_>], row: f64, top: f64, x: &Scale) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (index, band) in bands.iter().enumerate().filter(|(_, band)| band.late) {
        let y = top + row * (index as f64 + 0.5);
        if y - last >= SIGNS_APART {
            marks.extend(SIGN.at((x.at(band.end) + 8.0, y)));
            last = y;
        }
    }
    marks
}
