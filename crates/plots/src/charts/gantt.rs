//! Gantt chart of a run's tasks: when each task was queued, when it ran, and which tasks are stragglers.
//!
//! A few tasks are drawn as rows with labels and phases, hundreds as thin rows, thousands as rows of several tasks
//! each. The height of the chart is bounded, and the number of marks is proportional to the number of rows.

use records::metrics::percentile;
use records::report::PhaseSeconds;

use crate::error::{PlotError, nothing};

use super::super::axis::{Range, Scale};
use super::super::colours::{BLUE, Colour, PALE_BLUE, RULE, VERMILION};
use super::super::figure::{Cell, Figure, Mark};
use super::super::font::Font;
use super::super::frame::{SMALL, WIDTH};
use super::Chart;
use super::legend::{EDGE, Entry, Swatch, layout_legend, title, title_mark};
use super::markers::{Marker, Shape};
use super::notes::layout_notes;
use super::phases::{self, PHASES, lengths};
use super::quantity::{Quantity, Spacing};
use super::rows::{self, data_left, grid};
use super::words::{counted, for_description, listed, single_line, truncated};
use crate::numbers::grouped;

/// Maximum height of all rows together, in pixels.
const HEIGHT_MAX: f64 = 620.0;
/// Maximum height of one row, in pixels.
const ROW_MAX: f64 = 18.0;
/// Maximum number of tasks that are drawn with one row each; more tasks share rows.
const TASKS_MAX: usize = 500;
/// Maximum number of shared rows.
const SHARED_MAX: usize = 310;
/// Minimum height of a row, in pixels, at which every row has a label.
const LABELLED_MIN: f64 = 12.5;
/// Minimum height of a row, in pixels, at which phases are drawn.
const PHASED_MIN: f64 = 6.0;
/// Minimum height of a row, in pixels, at which there is space between rows.
const SPACED_MIN: f64 = 3.0;
/// Filled fraction of a row that has space to the next row.
const FILLED: f64 = 0.72;
/// Pixels right of the longest row for the marker of a straggler.
const MARKER_ROOM: f64 = 16.0;
/// Minimum distance between two straggler markers, in pixels.
const MARKERS_APART: f64 = 4.0;
/// Maximum number of stragglers listed in the note below the chart.
const NAMES_MAX: usize = 8;
/// Maximum width of a straggler's label in the note, in pixels.
const NAME_MAX: f64 = 90.0;
const STRAGGLER_MARKER: Marker = Marker { shape: Shape::TriangleLeft, colour: VERMILION, hollow: false, radius: 4.5 };

/// Gantt chart of tasks, drawn from top to bottom in the given order.
#[derive(Clone, Debug)]
pub struct Gantt {
    /// File name without extension; also the prefix of the ids within a page.
    pub name: String,
    /// Title.
    pub title: String,
    /// Tasks, with times on one common clock.
    pub tasks: Vec<TimelineTask>,
    /// Run time in seconds above which a task is a straggler. Used in text only;
    /// [`TimelineTask::is_straggler`] selects the stragglers.
    pub threshold: Option<f64>,
}

/// One task of a [`Gantt`] chart. Times are in seconds since the start of the run.
#[derive(Clone, Debug)]
pub struct TimelineTask {
    /// Label of the row: the task's rank.
    pub label: String,
    /// Time at which the task was queued.
    pub queued: f64,
    /// Time at which the task started.
    pub start: f64,
    /// Time at which the task ended.
    pub end: f64,
    /// Duration of each phase between start and end; `None` if unknown. The phases are drawn one after the other.
    pub phases: Option<PhaseSeconds>,
    /// True if the task took much longer than the other tasks.
    pub is_straggler: bool,
}

impl TimelineTask {
    /// Returns true if all times are finite and `start` ≤ `end`.
    fn is_drawable(&self) -> bool {
        let times = [self.queued, self.start, self.end];
        times.iter().all(|time| Spacing::Linear.place(*time).is_some()) && self.start <= self.end
    }

    /// Returns the run time.
    fn seconds(&self) -> f64 {
        self.end - self.start
    }
}

impl Gantt {
    /// Draws the chart.
    ///
    /// # Errors
    /// Returns [`PlotError::NothingToPlot`] if no task has finite times with `start` ≤ `end`.
    pub fn draw(&self) -> Result<Chart, PlotError> {
        let font = Font::new();
        let tasks: Vec<&TimelineTask> = self.tasks.iter().filter(|task| task.is_drawable()).collect();
        let ends = tasks.iter().flat_map(|task| [task.queued.min(task.start), task.start, task.end]);
        let Some(range) = Spacing::Linear.range(ends, false) else {
            let count = counted(self.tasks.len(), "task");
            return nothing(format!(
                "nothing to draw in `{}`: none of {count} has finite times with start before end",
                for_description(&self.title)
            ));
        };
        let shared = if tasks.len() > TASKS_MAX { tasks.len().div_ceil(SHARED_MAX) } else { 1 };
        let bands: Vec<Band<'_>> = tasks.chunks(shared).map(Band::of).collect();
        // Whole pixels of the PNG (half units), so that all rows have the same height in pixels.
        let row = ((2.0 * HEIGHT_MAX / bands.len() as f64).floor() / 2.0).clamp(1.0, ROW_MAX);
        let phased = row >= PHASED_MIN && shared == 1 && tasks.iter().any(|task| task.phases.is_some());
        let title = title(&self.title, &font, rows::LEFT);
        let (legend, top) = layout_legend(entries(&tasks, phased), &font, rows::LEFT);
        let bottom = top + row * bands.len() as f64;
        let names = labels(&tasks, shared, row, top);
        let left = data_left(names.iter().map(|name| name.1.as_str()), &font);
        let x = Scale { range, from: left, to: f64::from(WIDTH) - EDGE - MARKER_ROOM };
        let ticks = rows::ticks(&x);
        let mut marks = vec![title_mark(&title, rows::LEFT), grid(&x, &ticks, [top, bottom])];
        marks.extend(cells(&bands, phased, row, top, &x));
        marks.extend(straggler_markers(&bands, row, top, &x));
        marks.extend(rows::words(&x, ticks, ("time since the start of the run", "s"), bottom, &names, &font));
        marks.extend(legend);
        let (sentences, notes) = self.words(&tasks, shared, &font);
        let (note_marks, height) = layout_notes(&notes, &font, rows::LEFT, bottom + rows::BELOW);
        marks.extend(note_marks);
        let description = sentences.into_iter().chain(notes).collect::<Vec<_>>().join(" ");
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    /// Returns the sentences of the description, and the notes below the chart, which the description repeats.
    fn words(&self, tasks: &[&TimelineTask], shared: usize, font: &Font) -> (Vec<String>, Vec<String>) {
        let seconds = Quantity { name: String::new(), unit: "s".to_owned(), spacing: Spacing::Linear };
        let sorted = |value: fn(&TimelineTask) -> f64| {
            let mut values: Vec<f64> = tasks.iter().map(|task| value(task)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let (runs, waits) = (sorted(TimelineTask::seconds), sorted(|task| (task.start - task.queued).max(0.0)));
        let (starts, ends) = (sorted(|task| task.start), sorted(|task| task.end));
        let (median, longest) = (percentile(&runs, 50.0), percentile(&runs, 100.0));
        let sentences = vec![format!(
            "{}. First start at {}, last end at {}. Run times from {} to {}. Queue times: median {}, maximum {}.",
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
            .map(|task| truncated(&task.label, font, SMALL, NAME_MAX))
            .collect();
        let mut notes = vec![format!("Median run time {}.", seconds.words(median))];
        if let Some(threshold) = self.threshold.filter(|threshold| Spacing::Linear.place(*threshold).is_some()) {
            notes[0] += &format!(" Straggler threshold {}.", seconds.words(threshold));
        }
        notes[0] += &match late.len() {
            0 => " No stragglers.".to_owned(),
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
                "Each row shows {shared} consecutive tasks, from the earliest queue time through the earliest start \
                 to the latest end."
            ));
        }
        let dropped = self.tasks.len() - tasks.len();
        if dropped > 0 {
            notes.push(format!("{} not shown: times are not finite or not in order.", counted(dropped, "task")));
        }
        (sentences, notes)
    }
}

/// One row of the chart: one task, or several consecutive tasks.
struct Band<'a> {
    queued: f64,
    start: f64,
    /// Latest end of the tasks that are not stragglers.
    end_in_time: f64,
    end: f64,
    has_straggler: bool,
    /// Phases, if the row is one task.
    phases: Option<&'a PhaseSeconds>,
}

impl<'a> Band<'a> {
    fn of(tasks: &[&'a TimelineTask]) -> Band<'a> {
        let least =
            |value: fn(&TimelineTask) -> f64| tasks.iter().map(|task| value(task)).fold(f64::INFINITY, f64::min);
        let last = |late: bool| {
            let ends = tasks.iter().filter(move |task| task.is_straggler == late).map(|task| task.end);
            ends.fold(f64::NEG_INFINITY, f64::max)
        };
        let start = least(|task| task.start);
        Band {
            queued: least(|task| task.queued).min(start),
            start,
            end_in_time: last(false).max(start),
            end: last(false).max(last(true)),
            has_straggler: tasks.iter().any(|task| task.is_straggler),
            phases: tasks.first().filter(|_| tasks.len() == 1).and_then(|task| task.phases.as_ref()),
        }
    }

    /// Returns the segments of the row: start, end and colour of each.
    fn pieces(&self, phased: bool) -> Vec<(f64, f64, Colour)> {
        let mut pieces = vec![(self.queued, self.start, PALE_BLUE)];
        let Some(seconds) = self.phases.filter(|_| phased) else {
            let late = if self.has_straggler { self.end_in_time } else { self.end };
            pieces.extend([(self.start, late, BLUE), (late, self.end, VERMILION)]);
            return pieces;
        };
        let mut from = self.start;
        for (length, (_, colour)) in lengths(seconds).into_iter().zip(PHASES) {
            let to = (from + length).min(self.end);
            pieces.push((from, to, colour));
            from = to;
        }
        // Time that belongs to no phase.
        pieces.push((from, self.end, RULE));
        pieces
    }
}

/// Returns the entries of the legend.
fn entries(tasks: &[&TimelineTask], phased: bool) -> Vec<Entry> {
    let patch = |colour, words: &str| Entry { swatch: Swatch::Patch(colour), words: words.to_owned() };
    let mut entries = Vec::new();
    if phased {
        let occurs = |phase: usize| {
            tasks.iter().filter_map(|task| task.phases.as_ref()).any(|seconds| lengths(seconds)[phase] > 0.0)
        };
        entries.push(patch(PALE_BLUE, "queued"));
        entries.extend(phases::entries(std::array::from_fn(occurs)));
        entries.push(patch(RULE, "other"));
    } else {
        entries.extend([patch(PALE_BLUE, "queued"), patch(BLUE, "running")]);
    }
    if tasks.iter().any(|task| task.is_straggler) {
        let swatch =
            if phased { Swatch::Marker(STRAGGLER_MARKER) } else { Swatch::PatchAndMarker(VERMILION, STRAGGLER_MARKER) };
        entries.push(Entry { swatch, words: "straggler".to_owned() });
    }
    entries
}

/// Returns the position and label of every row, or of some rows if rows are thin.
fn labels(tasks: &[&TimelineTask], shared: usize, row: f64, top: f64) -> Vec<(f64, String)> {
    let middle = |index: usize| top + row * ((index / shared) as f64 + 0.5);
    if row >= LABELLED_MIN {
        return tasks.iter().enumerate().map(|(index, task)| (middle(index), single_line(&task.label))).collect();
    }
    let counts = Range { low: 0.0, high: tasks.len() as f64 - 1.0 }.ticks(8, 1.0).major;
    let index = |tick: (f64, String)| tick.0 as usize;
    counts.into_iter().map(index).filter_map(|at| Some((middle(at), single_line(&tasks.get(at)?.label)))).collect()
}

/// Returns all rows as one mark per colour.
fn cells(bands: &[Band<'_>], phased: bool, row: f64, top: f64, x: &Scale) -> Vec<Mark> {
    let filled = if row >= SPACED_MIN { (2.0 * row * FILLED).round() / 2.0 } else { row };
    let above = ((row - filled).floor()) / 2.0;
    let half = |pixel: f64| (2.0 * pixel).round() / 2.0;
    let mut by_colour: Vec<(Colour, Vec<Cell>)> = Vec::new();
    for (index, band) in bands.iter().enumerate() {
        let y = top + row * index as f64 + above;
        for (from, to, colour) in band.pieces(phased) {
            let (left, right) = (half(x.at(from)), half(x.at(to)));
            // A task that ran is always visible, even if it was short.
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

/// Returns a marker after the end of every row that has a straggler. Adjacent thin rows share a marker.
fn straggler_markers(bands: &[Band<'_>], row: f64, top: f64, x: &Scale) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (index, band) in bands.iter().enumerate().filter(|(_, band)| band.has_straggler) {
        let y = top + row * (index as f64 + 0.5);
        if y - last >= MARKERS_APART {
            marks.extend(STRAGGLER_MARKER.at((x.at(band.end) + 8.0, y)));
            last = y;
        }
    }
    marks
}
