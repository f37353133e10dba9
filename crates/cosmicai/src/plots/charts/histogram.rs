//! How the run times of tasks are distributed, with their median and the limit beyond which one is late.

use anyhow::{Context, Result, bail};
use pipeline::metrics::percentile;

use super::super::axis::{Range, Scale};
use super::super::colours::{BLUE, INK, PALE_BLUE, VERMILION};
use super::super::figure::{Anchor, Figure, Mark, Stroke, upright};
use super::super::font::Font;
use super::super::frame::{Axes, BELOW, LEFT, WIDTH, over};
use super::super::histogram::{count, outline};
use super::Chart;
use super::legend::{RIGHT, above, title};
use super::notes::below;
use super::quantity::{Quantity, Spacing};
use super::words::{apart, counted, label, spoken, width};
use crate::printer::grouped;

/// Height of the box.
const HIGH: f64 = 340.0;
const AXIS: f64 = 16.0;
/// Space above the highest bar for the words of two lines, over its height.
const HEADROOM: f64 = 0.24;
const MEDIAN: Stroke = Stroke { colour: INK, width: 2.0, dash: None };
const THRESHOLD: Stroke = Stroke { colour: VERMILION, width: 2.0, dash: Some((6.0, 3.5)) };
/// Pixels from the box's upper edge to the words of either line, and from a line to its words.
const WORDS: [f64; 2] = [24.0, 48.0];
const ASIDE: f64 = 7.0;
/// Size of the words, as the frame writes them over data.
const TEXT: f64 = 16.0;

/// Values, counted.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// Of the file; ids within a page begin with it.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What the values are; its spacing is linear whatever it says.
    pub(crate) x: Quantity,
    /// What is counted, one of them: `task`.
    pub(crate) counted: String,
    pub(crate) values: Vec<f64>,
    /// Beyond which a value is a straggler's.
    pub(crate) threshold: Option<f64>,
}

impl Histogram {
    /// # Errors
    /// Where no value is finite.
    pub(crate) fn draw(&self) -> Result<Chart> {
        let font = Font::new().context("the program's own font")?;
        let mut values: Vec<f64> = self.values.iter().filter_map(|value| Spacing::Linear.place(*value)).collect();
        values.sort_unstable_by(f64::total_cmp);
        if values.is_empty() {
            bail!("nothing to draw in `{}`: of {} values none is finite", spoken(&self.title), self.values.len());
        }
        let median = percentile(&values, 50.0);
        let threshold = self.threshold.and_then(|threshold| Spacing::Linear.place(threshold));
        let mut seen = Range::around(&values).and(Range { low: median, high: median });
        if let Some(threshold) = threshold {
            seen = seen.and(Range { low: threshold, high: threshold });
        }
        let Some(range) = Spacing::Linear.range([seen.low, seen.high].into_iter(), false) else {
            bail!("nothing to draw in `{}`: its values have no range", spoken(&self.title));
        };
        let first = values.partition_point(|value| *value < range.low);
        let end = values.partition_point(|value| *value <= range.high);
        let (under, over_it) = (first, values.len() - end);
        let bars = count(&values[first..end], range, percentile(&values, 75.0) - percentile(&values, 25.0));
        let most = bars.iter().copied().max().unwrap_or(0);

        let title = title(&self.title, &font, LEFT);
        let (_, top) = above(Vec::new(), &font, LEFT);
        let high = most.max(1) as f64 * (1.0 + HEADROOM);
        let axes = Axes {
            x: Scale { range, from: LEFT, to: RIGHT },
            y: Scale { range: Range { low: 0.0, high }, from: top + HIGH, to: top },
        };
        let outline = outline(&bars, &axes);
        let mut marks = vec![
            Mark::Area { corners: outline.clone(), fill: PALE_BLUE },
            Mark::Lines { lines: vec![outline], stroke: Stroke { colour: BLUE, width: 1.4, dash: None } },
        ];
        let lines = [(Some(median), MEDIAN, "median"), (threshold, THRESHOLD, "straggler threshold")];
        for ((value, stroke, what), down) in lines.into_iter().zip(WORDS) {
            if let Some(value) = value {
                let x = axes.x.at(value);
                marks.push(Mark::Lines { lines: vec![vec![(x, axes.y.from), (x, axes.y.to)]], stroke });
                let words = format!("{what} {}", self.x.words(value));
                let fits = x + ASIDE + width(&words, &font, TEXT) < axes.x.to - ASIDE;
                let (x, anchor) = if fits { (x + ASIDE, Anchor::Start) } else { (x - ASIDE, Anchor::End) };
                // Words in the colour of the threshold would have too little contrast.
                marks.push(over((x, top + down), anchor, INK, vec![upright(words)]));
            }
        }
        let x_label = label(&self.x.name, &self.x.unit, &font, AXIS, RIGHT - LEFT);
        let bar = self.x.words((range.high - range.low) / bars.len() as f64);
        let y_label = label(&format!("{}s per bar of {bar}", self.counted), "", &font, AXIS, HIGH);
        marks.extend(axes.frame(
            &title,
            x_label,
            y_label,
            [apart(Spacing::Linear.ticks(range, 8), &axes.x, &font), axes.y.range.ticks(5, 1.0)],
        ));

        let notes = self.notes(&values, threshold, [under, over_it], range);
        let (below, height) = below(&notes, &font, LEFT, axes.y.from + BELOW - 12.0);
        marks.extend(below);
        let description = format!(
            "{} in {} bars, the highest with {}. Lowest {}, median {}, 95th percentile {}, highest {}. {}",
            counted(values.len(), &spoken(&self.counted)),
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
            notes.push(format!("{late} of {all} beyond the straggler threshold of {}.", self.x.words(threshold)));
        }
        if under > 0 {
            notes.push(format!("{} below {}, not shown.", grouped(under as u64), self.x.words(range.low)));
        }
        if over_it > 0 {
            let (count, highest) = (grouped(over_it as u64), self.x.words(percentile(values, 100.0)));
            notes.push(format!("{count} above {}, not shown, up to {highest}.", self.x.words(range.high)));
        }
        let dropped = self.values.len() - values.len();
        if dropped > 0 {
            notes.push(format!("{} not finite, not shown.", counted(dropped, "value")));
        }
        notes
    }
}
