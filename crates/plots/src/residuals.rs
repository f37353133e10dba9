//! Plot of dz against `z_spec`, with running median and NMAD: bias and scatter as functions of redshift.

use records::metrics::{RedshiftBin, bin_by_redshift};

use super::axis::{Range, Scale};
use super::colours::{INK, VERMILION};
use super::density::Density;
use super::figure::{Figure, Point, Run, Stroke, italic, subscript, upright};
use super::frame::{Axes, LEFT, TOP_WITH_SCORES as TOP, WIDTH, height};
use super::sample::{Sample, number};
use super::scatter::{range_of, redshift};

/// Width and height of the plotting area in pixels, multiples of the cell sides 6 and 4.
const BOX: (f64, f64) = (576.0, 360.0);
const TITLE: &str = "Redshift error vs. spectroscopic redshift";
/// Maximum number of bins of the running median.
const BINS_MAX: usize = 20;
/// Minimum number of galaxies per bin, if there are several bins.
const BIN_ROWS: usize = 50;
/// Minimum number of galaxies for a running median.
const ROWS_MIN: usize = 10;
/// Half the length, in pixels, of the median line if all galaxies have the same redshift.
const HALF_MARK: f64 = 14.0;
/// Line dz = 0.
const ZERO: Stroke = Stroke { colour: INK, width: 1.2, dash: None };
/// Line of the running median.
const MEDIAN: Stroke = Stroke { colour: VERMILION, width: 2.2, dash: None };
/// Lines of running median ± NMAD.
const SPREAD: Stroke = Stroke { colour: VERMILION, width: 1.6, dash: Some((6.0, 3.5)) };

/// Draws the figure.
pub(super) fn figure(sample: &Sample) -> Figure {
    let points: Vec<Point> = sample.rows.iter().map(|row| (row.z_spec, row.dz())).collect();
    let bins = match points.len() {
        rows if rows < ROWS_MIN => Vec::new(),
        rows => bin_by_redshift(&sample.rows, (rows / BIN_ROWS).clamp(1, BINS_MAX)),
    };
    let bands = bins.iter().map(|bin| Range { low: bin.dz_median - bin.nmad, high: bin.dz_median + bin.nmad });
    let y_range = bands.fold(range_of(sample, |row| row.dz()), Range::union).union(Range { low: 0.0, high: 0.0 });
    // Leave space for errors of both signs, even if the data have only one.
    let room = 0.3 * (y_range.high - y_range.low);
    let y_range = y_range.union(Range { low: -room, high: room });
    let axes = Axes {
        x: Scale { range: range_of(sample, |row| row.z_spec).widened(0.0), from: LEFT, to: LEFT + BOX.0 },
        y: Scale { range: y_range.widened(f64::NEG_INFINITY), from: TOP + BOX.1, to: TOP },
    };
    let density = Density::of(&points, &axes);
    let remarks = sample.remarks(density.outside);
    let description = format!(
        "{} {} {} {}",
        sample.scores_description(),
        running_median_text(&bins),
        density.in_words(),
        remarks.join("; ")
    );

    let bar = density.colour_bar(&axes);
    let zero = axes.clip((axes.x.range.low, 0.0), (axes.x.range.high, 0.0));
    let zero = density.lines_above(zero.into_iter().collect(), ZERO);
    let through = |value: fn(&RedshiftBin) -> f64| line(&bins, value, &axes);
    let spread = [through(|bin| bin.dz_median + bin.nmad), through(|bin| bin.dz_median - bin.nmad)];
    let spread = density.lines_above(spread.to_vec(), SPREAD);
    let median = density.lines_above(vec![through(|bin| bin.dz_median)], MEDIAN);
    let mut marks = density.marks;
    marks.extend(zero.into_iter().chain(spread).chain(median));
    let ticks = [axes.x.range.ticks(6, 0.0), axes.y.range.ticks(5, 0.0)];
    marks.extend(axes.frame(TITLE, redshift("spectroscopic redshift ", "spec"), dz_label(), ticks));
    marks.extend(bar);
    marks.push(axes.scores(sample.scores_text()));
    if !bins.is_empty() {
        let entries = [(MEDIAN, "running median"), (SPREAD, "± NMAD")];
        marks.extend(axes.legend(entries.map(|(stroke, words)| (stroke, vec![upright(words)]))));
    }
    marks.extend(axes.remarks(&remarks));
    Figure { width: WIDTH, height: height(TOP + BOX.1, &remarks), title: TITLE.to_owned(), description, marks }
}

/// Returns the axis label Δz = (z_phot − z_spec)/(1 + z_spec).
pub(super) fn dz_label() -> Vec<Run> {
    vec![
        upright("Δ"),
        italic("z"),
        upright(" = ("),
        italic("z"),
        subscript("phot"),
        upright(" − "),
        italic("z"),
        subscript("spec"),
        upright(")/(1 + "),
        italic("z"),
        subscript("spec"),
        upright(")"),
    ]
}

/// Returns a line through the centres of the bins, extended to the first and the last galaxy.
fn line(bins: &[RedshiftBin], value: fn(&RedshiftBin) -> f64, axes: &Axes) -> Vec<Point> {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return Vec::new() };
    let within = |x: f64| axes.x.at(x.clamp(axes.x.range.low, axes.x.range.high));
    let mut points: Vec<Point> = bins.iter().map(|bin| (within(bin.z_spec_median), axes.y.at(value(bin)))).collect();
    points.insert(0, (within(first.z_spec_min), axes.y.at(value(first))));
    points.push((within(last.z_spec_max), axes.y.at(value(last))));
    if first.z_spec_min == last.z_spec_max {
        let (x, y) = points[0];
        return vec![(x - HALF_MARK, y), (x + HALF_MARK, y)];
    }
    points
}

/// Returns a sentence about the running median for the description.
fn running_median_text(bins: &[RedshiftBin]) -> String {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else {
        return format!("Fewer than {ROWS_MIN} galaxies: no running median.");
    };
    let lowest = bins.iter().map(|bin| bin.dz_median).fold(f64::INFINITY, f64::min);
    let highest = bins.iter().map(|bin| bin.dz_median).fold(f64::NEG_INFINITY, f64::max);
    format!(
        "In {} bins of z_spec from {} to {} with equal numbers of galaxies, the median Δz ranges from {} to {}; the NMAD \
         is {} in the first bin and {} in the last.",
        bins.len(),
        number(first.z_spec_min),
        number(last.z_spec_max),
        number(lowest),
        number(highest),
        number(first.nmad),
        number(last.nmad)
    )
}
