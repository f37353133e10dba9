//! Histogram of values such as run times of tasks, with their median and the straggler threshold.

use records::metrics::percentile;

use crate::error::{PlotError, nothing};

use super::super::axis::{Range, Scale};
use super::super::colours::{BLUE, INK, PALE_BLUE, VERMILION};
use super::super::figure::{Anchor, Figure, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, LEFT, WIDTH, text_over_data};
use super::super::histogram::{count_in_bins, outline};
use super::Chart;
use super::legend::{RIGHT, layout_legend, title};
use super::notes::layout_notes;
use super::quantity::{Quantity, Spacing};
use super::words::{counted, for_description, label, width, without_overlaps};
use crate::numbers::grouped;

/// Height of the plotting area, in pixels.
const BOX_HEIGHT: f64 = 340.0;
/// Size of the axis labels, as in [`Axes::frame`].
const AXIS: f64 = 16.0;
/// Space above the highest bar for the labels of the vertical lines, relative to the height of that bar.
const HEADROOM: f64 = 0.24;
const MEDIAN: Stroke = Stroke { colour: INK, width: 2.0, dash: None };
const THRESHOLD: Stroke = Stroke { colour: VERMILION, width: 2.0, dash: Some((6.0, 3.5)) };
/// Pixels from the upper edge of the plotting area to the label of each vertical line.
const LABEL_OFFSETS: [f64; 2] = [24.0, 48.0];
/// Pixels between a vertical line and its label.
const LABEL_GAP: f64 = 7.0;
/// Size of text over data, as in [`text_over_data`].
const TEXT: f64 = 16.0;

/// Histogram of values.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// File name without extension; also the prefix of the ids within a page.
    pub name: String,
    /// Title.
    pub title: String,
    /// Quantity of the values. Its spacing is ignored: the axis is linear.
    pub x: Quantity,
    /// Singular noun for what has a value: `task`.
    pub counted: String,
    /// Values; those that are not finite are counted in a note.
    pub values: Vec<f64>,
    /// Value above which a task is a straggler.
    pub threshold: Option<f64>,
}

impl Histogram {
    /// Draws the chart.
    ///
    /// # Errors
    /// Returns [`PlotError::NothingToPlot`] if no value is finite.
    pub fn draw(&self) -> Result<Chart, PlotError> {
        let font = Font::new();
        let mut values: Vec<f64> = self.values.iter().filter_map(|value| Spacing::Linear.place(*value)).collect();
        values.sort_unstable_by(f64::total_cmp);
        if values.is_empty() {
            return nothing(format!(
                "nothing to draw in `{}`: none of {} values is finite",
                for_description(&self.title),
                self.values.len()
            ));
        }
        let median = percentile(&values, 50.0);
        let threshold = self.threshold.and_then(|threshold| Spacing::Linear.place(threshold));
        let mut shown = Range::around(&values).union(Range { low: median, high: median });
        if let Some(threshold) = threshold {
            shown = shown.union(Range { low: threshold, high: threshold });
        }
        let Some(range) = Spacing::Linear.range([shown.low, shown.high].into_iter(), false) else {
            return nothing(format!(
                "nothing to draw in `{}`: its values span no range that an axis can show",
                for_description(&self.title)
            ));
        };
        let first = values.partition_point(|value| *value < range.low);
        let end = values.partition_point(|value| *value <= range.high);
        let (under, over_it) = (first, values.len() - end);
        let bars = count_in_bins(&values[first..end], range, percentile(&values, 75.0) - percentile(&values, 25.0));
        let most = bars.iter().copied().max().unwrap_or(0);

        let title = title(&self.title, &font, LEFT);
        let (_, top) = layout_legend(Vec::new(), &font, LEFT);
        let high = most.max(1) as f64 * (1.0 + HEADROOM);
        let axes = Axes {
            x: Scale { range, from: LEFT, to: RIGHT },
            y: Scale { range: Range { low: 0.0, high }, from: top + BOX_HEIGHT, to: top },
        };
        let outline = outline(&bars, &axes);
        let mut marks = vec![
            Mark::Area { corners: outline.clone(), fill: PALE_BLUE },
            Mark::Lines { lines: vec![outline], stroke: Stroke { colour: BLUE, width: 1.4, dash: None } },
        ];
        let lines = [(Some(median), MEDIAN, "median"), (threshold, THRESHOLD, "straggler threshold")];
        for ((value, stroke, what), down) in lines.into_iter().zip(LABEL_OFFSETS) {
            if let Some(value) = value {
                let x = axes.x.at(value);
                marks.push(Mark::Lines { lines: vec![vec![(x, axes.y.from), (x, axes.y.to)]], stroke });
                let words = format!("{what} {}", self.x.words(value));
                let fits = x + LABEL_GAP + width(&words, &font, TEXT) < axes.x.to - LABEL_GAP;
                let (x, anchor) = if fits { (x + LABEL_GAP, Anchor::Start) } else { (x - LABEL_GAP, Anchor::End) };
                // Text in the colour of the threshold line would have too little contrast.
                marks.push(text_over_data((x, top + down), anchor, INK, vec![upright(words)]));
            }
        }
        let x_label = label(&self.x.name, &self.x.unit, &font, AXIS, RIGHT - LEFT);
        let bar = self.x.words((range.high - range.low) / bars.len() as f64);
        let y_label = label(&format!("{}s per bin of {bar}", self.counted), "", &font, AXIS, BOX_HEIGHT);
        marks.extend(axes.frame(
            &title,
            x_label,
            y_label,
            [without_overlaps(Spacing::Linear.ticks(range, 8), &axes.x, &font), axes.y.range.ticks(5, 1.0)],
        ));

        let notes = self.notes(&values, threshold, [under, over_it], range);
        let (note_marks, height) = layout_notes(&notes, &font, LEFT, axes.y.from + BELOW - 12.0);
        marks.extend(note_marks);
        let description = format!(
            "{} in {} bins; the fullest bin has {}. Minimum {}, median {}, 95th percentile {}, maximum {}. {}",
            counted(values.len(), &for_description(&self.counted)),
            bars.len(),
            grouped(most as u64),
            self.x.words(values[0]),
            self.x.words(median),
            self.x.words(percentile(&values, 95.0)),
            self.x.words(percentile(&values, 100.0)),
            notes.join(" ")
        );
        Ok(Chart { name: self.name.clone(), figure: Figure { width: WIDTH, height, title, description, marks } })
    }

    fn notes(&self, values: &[f64], threshold: Option<f64>, [under, over_it]: [usize; 2], range: Range) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(threshold) = threshold {
            let late = values.iter().filter(|value| **value > threshold).count();
            let (late, all) = (grouped(late as u64), grouped(values.len() as u64));
            notes.push(format!("{late} of {all} above the straggler threshold of {}.", self.x.words(threshold)));
        }
        if under > 0 {
            notes.push(format!("{} below {} (not shown).", grouped(under as u64), self.x.words(range.low)));
        }
        if over_it > 0 {
            let (count, highest) = (grouped(over_it as u64), self.x.words(percentile(values, 100.0)));
            notes.push(format!("{count} above {} (not shown); the maximum is {highest}.", self.x.words(range.high)));
        }
        let dropped = self.values.len() - values.len();
        if dropped > 0 {
            notes.push(format!("{} not shown.", counted(dropped, "non-finite value")));
        }
        notes
    }
}
