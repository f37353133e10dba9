//! Histogram of dz, with its median and NMAD.

use records::metrics::percentile;

use super::axis::{Range, Scale};
use super::colours::{BLUE, PALE_BLUE, VERMILION};
use super::figure::{Anchor, Figure, Mark, Point, Stroke, upright};
use super::frame::{Axes, LEFT, TOP_WITH_SCORES as TOP, WIDTH, height, text_over_data};
use super::residuals::dz_label;
use super::sample::{Sample, number};
use crate::numbers::grouped;

/// Width and height of the plotting area, in pixels.
const BOX: (f64, f64) = (672.0, 360.0);
const TITLE: &str = "Distribution of redshift errors";
/// Minimum and maximum number of bins.
const BINS: (f64, f64) = (10.0, 96.0);
/// Space above the highest bar, relative to its height.
const HEADROOM: f64 = 0.08;
/// Line of the median.
const MEDIAN: Stroke = Stroke { colour: VERMILION, width: 2.2, dash: None };
/// Lines of median ± NMAD.
const SPREAD: Stroke = Stroke { colour: VERMILION, width: 1.6, dash: Some((6.0, 3.5)) };

/// Draws the figure.
pub(super) fn figure(sample: &Sample) -> Figure {
    let mut dz: Vec<f64> = sample.rows.iter().map(records::metrics::EvaluatedRow::dz).collect();
    dz.sort_unstable_by(f64::total_cmp);
    let (median, nmad) = (sample.scores.rail.bias, sample.scores.authors.nmad);
    let marked = Range { low: (median - nmad).min(0.0), high: (median + nmad).max(0.0) };
    let range = Range::around(&dz).union(marked).widened(f64::NEG_INFINITY);
    let (low, high) = (dz.partition_point(|dz| *dz < range.low), dz.partition_point(|dz| *dz <= range.high));
    let (below, above) = (low, dz.len() - high);
    let bars = count_in_bins(&dz[low..high], range, percentile(&dz, 75.0) - percentile(&dz, 25.0));
    let most = bars.iter().copied().max().unwrap_or(0) as f64;
    let axes = Axes {
        x: Scale { range, from: LEFT, to: LEFT + BOX.0 },
        y: Scale { range: Range { low: 0.0, high: most * (1.0 + HEADROOM) }, from: TOP + BOX.1, to: TOP },
    };

    let outline = outline(&bars, &axes);
    let mut marks = vec![
        Mark::Area { corners: outline.clone(), fill: PALE_BLUE },
        Mark::Lines { lines: vec![outline], stroke: Stroke { colour: BLUE, width: 1.4, dash: None } },
    ];
    let vertical_line = |dz: f64| axes.clip((dz, 0.0), (dz, axes.y.range.high));
    let spread = [median - nmad, median + nmad].into_iter().filter_map(vertical_line).collect();
    marks.push(Mark::Lines { lines: spread, stroke: SPREAD });
    marks.push(Mark::Lines { lines: vertical_line(median).into_iter().collect(), stroke: MEDIAN });
    let bin_width = number((range.high - range.low) / bars.len() as f64);
    let y_label = vec![upright(format!("galaxies per bin (bin width {bin_width})"))];
    let ticks = [axes.x.range.ticks(8, 0.0), axes.y.range.ticks(5, 1.0)];
    marks.extend(axes.frame(TITLE, dz_label(), y_label, ticks));
    marks.push(axes.scores(sample.scores_text()));
    let entries = [(MEDIAN, format!("median {}", number(median))), (SPREAD, "± NMAD".to_owned())];
    marks.extend(axes.legend(entries.map(|(stroke, words)| (stroke, vec![upright(words)]))));
    let y = axes.y.from - 14.0;
    if below > 0 {
        let words = format!("← {} below {}", grouped(below as u64), number(range.low));
        marks.push(text_over_data((axes.x.from + 12.0, y), Anchor::Start, VERMILION, vec![upright(words)]));
    }
    if above > 0 {
        let words = format!("{} above {} →", grouped(above as u64), number(range.high));
        marks.push(text_over_data((axes.x.to - 12.0, y), Anchor::End, VERMILION, vec![upright(words)]));
    }
    let remarks = sample.remarks(below + above);
    marks.extend(axes.remarks(&remarks));
    let description = format!(
        "{} {} bins from Δz = {} to {}; the fullest bin has {} galaxies. {} galaxies are below this range and {} above. \
         {}",
        sample.scores_description(),
        bars.len(),
        number(range.low),
        number(range.high),
        grouped(most as u64),
        grouped(below as u64),
        grouped(above as u64),
        remarks.join("; ")
    );
    Figure { width: WIDTH, height: height(TOP + BOX.1, &remarks), title: TITLE.to_owned(), description, marks }
}

/// Counts sorted values within a range in bins of equal width, by the rule of Freedman and Diaconis.
pub(super) fn count_in_bins(sorted: &[f64], range: Range, quartiles_apart: f64) -> Vec<usize> {
    let span = range.high - range.low;
    let root = (sorted.len() as f64).cbrt();
    // If most values are equal, the quartiles are too, and the Rice rule gives the number of bins.
    let ideal = if quartiles_apart > 0.0 { span / (2.0 * quartiles_apart / root) } else { 2.0 * root };
    let number = ideal.ceil().clamp(BINS.0, BINS.1);
    let mut bars = vec![0; number as usize];
    let last = bars.len() - 1;
    for value in sorted {
        bars[(((value - range.low) / span * number) as usize).min(last)] += 1;
    }
    bars
}

/// Returns the outline of the bars from the left end of the x axis to the right end.
pub(super) fn outline(bars: &[usize], axes: &Axes) -> Vec<Point> {
    let width = (axes.x.to - axes.x.from) / bars.len() as f64;
    let mut points = vec![(axes.x.from, axes.y.from)];
    for (index, count) in bars.iter().enumerate() {
        let (left, y) = (axes.x.from + index as f64 * width, axes.y.at(*count as f64));
        points.extend([(left, y), (left + width, y)]);
    }
    points.push((axes.x.to, axes.y.from));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bin() {
        let range = Range { low: -1.0, high: 1.0 };
        let values: Vec<f64> = (0..=200).map(|i| f64::from(i) / 100.0 - 1.0).collect();
        let bars = count_in_bins(&values, range, 1.0);
        assert_eq!((bars.len(), bars.iter().sum::<usize>()), (10, 201));
        assert_eq!(count_in_bins(&[0.0], range, 0.0).iter().sum::<usize>(), 1);
        assert_eq!(count_in_bins(&values, range, 1e-9).len(), 96);
    }
}
