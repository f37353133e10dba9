//! The picture of dz against `z_spec`, with its running median and NMAD: where predictions lean, and where they scatter.

use pipeline::metrics::{Bin, running};

use super::axis::{Range, Scale};
use super::colours::{INK, VERMILION};
use super::density::Density;
use super::figure::{Figure, Point, Run, Stroke, below, italic, upright};
use super::frame::{Axes, LEFT, TOP_WITH_NUMBERS as TOP, WIDTH, cased, height};
use super::sample::{Sample, number};
use super::scatter::{range_of, redshift};

/// Width and height of the box, in whole cells of 6 and of 4 pixels.
const BOX: (f64, f64) = (576.0, 360.0);
const TITLE: &str = "Redshift error against spectroscopic redshift";
/// The most bins of the running median.
const BINS_MAX: usize = 20;
/// Galaxies of a bin, where there are several bins.
const BIN_ROWS: usize = 50;
/// With fewer galaxies there is no running median.
const ROWS_MIN: usize = 10;
/// Half the length of the line of a bin whose galaxies have one redshift.
const HALF_MARK: f64 = 14.0;
const ZERO: Stroke = Stroke { colour: INK, width: 1.2, dash: None };
const MEDIAN: Stroke = Stroke { colour: VERMILION, width: 2.2, dash: None };
const SPREAD: Stroke = Stroke { colour: VERMILION, width: 1.6, dash: Some((6.0, 3.5)) };

pub(super) fn figure(sample: &Sample) -> Figure {
    let points: Vec<Point> = sample.rows.iter().map(|row| (row.z_spec, row.dz())).collect();
    let bins = match points.len() {
        rows if rows < ROWS_MIN => Vec::new(),
        rows => running(&sample.rows, (rows / BIN_ROWS).clamp(1, BINS_MAX)),
    };
    let bands = bins.iter().map(|bin| Range { low: bin.dz_median - bin.nmad, high: bin.dz_median + bin.nmad });
    let y_range = bands.fold(range_of(sample, |row| row.dz()), Range::and).and(Range { low: 0.0, high: 0.0 });
    // Errors of either sign have room, whatever the data's.
    let room = 0.3 * (y_range.high - y_range.low);
    let y_range = y_range.and(Range { low: -room, high: room });
    let axes = Axes {
        x: Scale { range: range_of(sample, |row| row.z_spec).widened(0.0), from: LEFT, to: LEFT + BOX.0 },
        y: Scale { range: y_range.widened(f64::NEG_INFINITY), from: TOP + BOX.1, to: TOP },
    };
    let density = Density::of(&points, &axes);
    let remarks = sample.remarks(density.outside);
    let description =
        format!("{} {} {} {}", sample.in_words(), in_words(&bins), density.in_words(), remarks.join("; "));

    let bar = density.bar(&axes);
    let mut marks = density.marks;
    let zero = axes.clip((axes.x.range.low, 0.0), (axes.x.range.high, 0.0));
    marks.extend(cased(zero.into_iter().collect(), ZERO));
    let through = |value: fn(&Bin) -> f64| line(&bins, value, &axes);
    let spread = [through(|bin| bin.dz_median + bin.nmad), through(|bin| bin.dz_median - bin.nmad)];
    marks.extend(cased(spread.to_vec(), SPREAD));
    marks.extend(cased(vec![through(|bin| bin.dz_median)], MEDIAN));
    let ticks = [axes.x.range.ticks(6, 0.0), axes.y.range.ticks(5, 0.0)];
    marks.extend(axes.frame(TITLE, redshift("spectroscopic redshift ", "spec"), dz_label(), ticks));
    marks.extend(bar);
    marks.push(axes.numbers(sample.numbers()));
    if !bins.is_empty() {
        let entries = [(MEDIAN, "running median"), (SPREAD, "± NMAD")];
        marks.extend(axes.legend(entries.map(|(stroke, words)| (stroke, vec![upright(words)]))));
    }
    marks.extend(axes.remarks(&remarks));
    Figure { width: WIDTH, height: height(TOP + BOX.1, &remarks), title: TITLE.to_owned(), description, marks }
}

/// What dz is, as a label.
pub(super) fn dz_label() -> Vec<Run> {
    vec![
        upright("Δ"),
        italic("z"),
        upright(" = ("),
        italic("z"),
        below("phot"),
        upright(" − "),
        italic("z"),
        below("spec"),
        upright(")/(1 + "),
        italic("z"),
        below("spec"),
        upright(")"),
    ]
}

/// A line through the middles of the bins that reaches their first and last galaxy.
fn line(bins: &[Bin], value: fn(&Bin) -> f64, axes: &Axes) -> Vec<Point> {
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

fn in_words(bins: &[Bin]) -> String {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else {
        return format!("Fewer than {ROWS_MIN} galaxies: no running median.");
    };
    let lowest = bins.iter().map(|bin| bin.dz_median).fold(f64::INFINITY, f64::min);
    let highest = bins.iter().map(|bin| bin.dz_median).fold(f64::NEG_INFINITY, f64::max);
    format!(
        "In {} bins of z_spec from {} to {} with equally many galaxies, the median Δz runs from {} to {}, and the NMAD \
         from {} in the first bin to {} in the last.",
        bins.len(),
        number(first.z_spec_min),
        number(last.z_spec_max),
        number(lowest),
        number(highest),
        number(first.nmad),
        number(last.nmad)
    )
}
