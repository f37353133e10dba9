//! Plot of `z_phot` against `z_spec`: perfect predictions are on the diagonal.

use records::metrics::EvaluatedRow;

use super::axis::{Range, Scale};
use super::colours::INK;
use super::density::Density;
use super::figure::{Anchor, Figure, Point, Run, Stroke, italic, subscript, upright};
use super::frame::{Axes, LEFT, TOP, WIDTH, height, text_over_data, with_white_edge};
use super::sample::{Sample, number};

/// Side of the plotting area in pixels: 96 cells of 6 pixels or 144 cells of 4.
const SIDE: f64 = 576.0;
const TITLE: &str = "Photometric vs. spectroscopic redshift";
/// |dz| of the dashed lines on both sides of the diagonal.
const DZ: f64 = 0.05;
/// Line z_phot = z_spec.
const DIAGONAL: Stroke = Stroke { colour: INK, width: 1.4, dash: None };
/// Lines of constant |dz|.
const LIMIT: Stroke = Stroke { colour: INK, width: 1.2, dash: Some((5.0, 4.0)) };

/// Draws the figure.
pub(super) fn figure(sample: &Sample) -> Figure {
    let points: Vec<Point> = sample.rows.iter().map(|row| (row.z_spec, row.z_phot)).collect();
    let range = range_of(sample, |row| row.z_spec).union(range_of(sample, |row| row.z_phot)).widened(0.0);
    let axes = Axes { x: Scale { range, from: LEFT, to: LEFT + SIDE }, y: Scale { range, from: TOP + SIDE, to: TOP } };
    let density = Density::of(&points, &axes);
    let remarks = sample.remarks(density.outside);
    let description = format!(
        "{} Both axes from {} to {}, with the line z_phot = z_spec and dashed lines at |Δz| = {DZ}. {} {}",
        sample.scores_description(),
        number(range.low),
        number(range.high),
        density.in_words(),
        remarks.join("; ")
    );
    let bar = density.colour_bar(&axes);
    let line = |dz: f64| axes.clip(at_dz(range.low, dz), at_dz(range.high, dz));
    let limits = density.lines_above([-DZ, DZ].into_iter().filter_map(line).collect(), LIMIT);
    let diagonal = density.lines_above(line(0.0).into_iter().collect(), DIAGONAL);
    let mut marks = density.marks;
    marks.extend(limits.into_iter().chain(diagonal));
    marks.extend(axes.frame(
        TITLE,
        redshift("spectroscopic redshift ", "spec"),
        redshift("photometric redshift ", "phot"),
        [range.ticks(6, 0.0), range.ticks(6, 0.0)],
    ));
    marks.extend(bar);
    marks.extend(axes.corner(sample.scores_text()));
    let equal = vec![italic("z"), subscript("phot"), upright(" = "), italic("z"), subscript("spec")];
    let limit = vec![upright("|Δ"), italic("z"), upright(format!("| = {DZ}"))];
    for (line, (stroke, runs)) in [(DIAGONAL, equal), (LIMIT, limit)].into_iter().enumerate() {
        let (right, y) = (axes.x.to - 18.0, axes.y.from - 46.0 + 23.0 * line as f64);
        marks.extend(with_white_edge(vec![vec![(right - 34.0, y - 5.0), (right, y - 5.0)]], stroke));
        marks.push(text_over_data((right - 43.0, y), Anchor::End, INK, runs));
    }
    marks.extend(axes.remarks(&remarks));
    Figure { width: WIDTH, height: height(TOP + SIDE, &remarks), title: TITLE.to_owned(), description, marks }
}

/// Returns the point (z_spec, z_phot) of a galaxy with this z_spec and dz.
fn at_dz(z_spec: f64, dz: f64) -> Point {
    (z_spec, z_spec + dz * (1.0 + z_spec))
}

/// Returns an axis label: `words`, then z with the subscript `which`.
pub(super) fn redshift(words: &str, which: &str) -> Vec<Run> {
    vec![upright(words), italic("z"), subscript(which)]
}

/// Returns the range that shows one value of every row.
pub(super) fn range_of(sample: &Sample, value: impl Fn(&EvaluatedRow) -> f64) -> Range {
    let mut values: Vec<f64> = sample.rows.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    Range::around(&values)
}
