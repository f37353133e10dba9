//! The picture of `z_phot` against `z_spec`: a good prediction lies on the diagonal.

use pipeline::metrics::Judged;

use super::axis::{Range, Scale};
use super::colours::INK;
use super::density::Density;
use super::figure::{Anchor, Figure, Point, Run, Stroke, below, italic, upright};
use super::frame::{Axes, LEFT, TOP, WIDTH, cased, height, over};
use super::sample::{Sample, number};

/// Side of the box: 96 cells of 6 pixels, 144 of 4.
const SIDE: f64 = 576.0;
const TITLE: &str = "Photometric against spectroscopic redshift";
/// Where |dz| is this, a dashed line runs on each side of the diagonal.
const DZ: f64 = 0.05;
const DIAGONAL: Stroke = Stroke { colour: INK, width: 1.4, dash: None };
const LIMIT: Stroke = Stroke { colour: INK, width: 1.2, dash: Some((5.0, 4.0)) };

pub(super) fn figure(sample: &Sample) -> Figure {
    let points: Vec<Point> = sample.rows.iter().map(|row| (row.z_spec, row.z_phot)).collect();
    let range = range_of(sample, |row| row.z_spec).and(range_of(sample, |row| row.z_phot)).widened(0.0);
    let axes = Axes { x: Scale { range, from: LEFT, to: LEFT + SIDE }, y: Scale { range, from: TOP + SIDE, to: TOP } };
    let density = Density::of(&points, &axes);
    let remarks = sample.remarks(density.outside);
    let description = format!(
        "{} Both axes from {} to {}, with the line z_phot = z_spec and dashed lines at |Δz| = {DZ}. {} {}",
        sample.in_words(),
        number(range.low),
        number(range.high),
        density.in_words(),
        remarks.join("; ")
    );
    let bar = density.bar(&axes);
    let mut marks = density.marks;
    let line = |dz: f64| axes.clip(at_dz(range.low, dz), at_dz(range.high, dz));
    marks.extend(cased([-DZ, DZ].into_iter().filter_map(line).collect(), LIMIT));
    marks.extend(cased(line(0.0).into_iter().collect(), DIAGONAL));
    marks.extend(axes.frame(
        TITLE,
        redshift("spectroscopic redshift ", "spec"),
        redshift("photometric redshift ", "phot"),
        [range.ticks(6, 0.0), range.ticks(6, 0.0)],
    ));
    marks.extend(bar);
    marks.extend(axes.corner(sample.numbers()));
    let equal = vec![italic("z"), below("phot"), upright(" = "), italic("z"), below("spec")];
    let limit = vec![upright("|Δ"), italic("z"), upright(format!("| = {DZ}"))];
    for (line, (stroke, runs)) in [(DIAGONAL, equal), (LIMIT, limit)].into_iter().enumerate() {
        let (right, y) = (axes.x.to - 18.0, axes.y.from - 46.0 + 23.0 * line as f64);
        marks.extend(cased(vec![vec![(right - 34.0, y - 5.0), (right, y - 5.0)]], stroke));
        marks.push(over((right - 43.0, y), Anchor::End, INK, runs));
    }
    marks.extend(axes.remarks(&remarks));
    Figure { width: WIDTH, height: height(TOP + SIDE, &remarks), title: TITLE.to_owned(), description, marks }
}

/// The z_phot of a galaxy of this z_spec and this dz, as a point.
fn at_dz(z_spec: f64, dz: f64) -> Point {
    (z_spec, z_spec + dz * (1.0 + z_spec))
}

/// `words z_which`, as a label.
pub(super) fn redshift(words: &str, which: &str) -> Vec<Run> {
    vec![upright(words), italic("z"), below(which)]
}

/// What shows one value of every row.
pub(super) fn range_of(sample: &Sample, value: impl Fn(&Judged) -> f64) -> Range {
    let mut values: Vec<f64> = sample.rows.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    Range::around(&values)
}
