//! Two-dimensional density of galaxies: coloured grid cells where there are several galaxies, single dots elsewhere.
//!
//! Input: any number of points. Output: marks, whose number the grid bounds, and the number of points outside the axes.
//! Every point is drawn or counted.

use super::colours::{Colour, INK, viridis};
use super::figure::{Anchor, Cell, Mark, Point, Stroke, Text, upright};
use super::frame::{Axes, with_white_edge};
use crate::numbers::grouped;

/// Minimum number of points of a filled cell; fewer points are drawn as dots.
pub(super) const FILLED_MIN: u32 = 3;
/// Number of points below which each one is a dot of the same colour: the colours of a few cells would mean nothing.
const SPARSE: usize = 2_000;
/// Minimum number of points for small cells.
const MANY: usize = 50_000;
/// Side of a cell in pixels: for few points, and for [`MANY`].
const CELL_SIDES: [f64; 2] = [6.0, 4.0];
/// Number of points below which dots are larger.
const FEW: usize = 300;
/// Radius of a dot in pixels: for fewer than [`FEW`] points, and for more.
const DOT_RADII: [f64; 2] = [2.5, 1.5];
/// Number of colours.
const LEVELS: usize = 24;
/// Upper end of the colour map: the brightest yellow would be hard to see on white.
const BRIGHTEST: f64 = 0.97;
/// Width of the colour bar, in pixels.
const BAR_WIDTH: f64 = 16.0;

/// Points, binned in a grid.
pub(super) struct Density {
    /// Marks, from cells with few points to cells with many.
    pub(super) marks: Vec<Mark>,
    /// Number of points outside the axes.
    pub(super) outside: usize,
    /// Number of points in the fullest cell; 1 if no cell is filled.
    most: u32,
}

impl Density {
    /// Bins points and draws them.
    pub(super) fn of(points: &[Point], axes: &Axes) -> Density {
        let side = CELL_SIDES[usize::from(points.len() >= MANY)];
        let radius = DOT_RADII[usize::from(points.len() >= FEW)];
        let (left, top) = (axes.x.from, axes.y.to);
        let columns = ((axes.x.to - left) / side).round() as usize;
        let rows = ((axes.y.from - top) / side).round() as usize;
        let mut counts = vec![0_u32; columns * rows];
        let mut placed = Vec::with_capacity(points.len());
        for &(x, y) in points {
            if axes.x.range.contains(x) && axes.y.range.contains(y) {
                let at = (axes.x.at(x), axes.y.at(y));
                let column = (((at.0 - left) / side) as usize).min(columns - 1);
                let row = (((at.1 - top) / side) as usize).min(rows - 1);
                counts[row * columns + column] += 1;
                placed.push((at, row * columns + column));
            }
        }
        if points.len() < SPARSE {
            counts.iter_mut().for_each(|count| *count = (*count).min(1));
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); LEVELS];
        for (row, counts) in counts.chunks_exact(columns).enumerate() {
            let y = top + row as f64 * side;
            let mut column = 0;
            // Adjacent cells of one colour are merged into one rectangle.
            for equal in counts.chunk_by(|a, b| shade(*a, most) == shade(*b, most)) {
                if let Some(level) = shade(equal[0], most) {
                    let x = left + column as f64 * side;
                    cells[level].push(Cell { x, y, width: equal.len() as f64 * side, height: side });
                }
                column += equal.len();
            }
        }
        let mut dots: Vec<Vec<Point>> = vec![Vec::new(); FILLED_MIN as usize];
        for (at, cell) in &placed {
            if counts[*cell] < FILLED_MIN {
                dots[counts[*cell] as usize].push(*at);
            }
        }
        let dots = dots.into_iter().zip(0_u32..).map(|(centres, count)| Mark::Dots {
            centres,
            radius,
            fill: colour(level(count, most)),
        });
        let cells = cells.into_iter().enumerate().map(|(level, cells)| Mark::Cells { cells, fill: colour(level) });
        let marks = dots.chain(cells).filter(|mark| match mark {
            Mark::Dots { centres, .. } => !centres.is_empty(),
            Mark::Cells { cells, .. } => !cells.is_empty(),
            _ => true,
        });
        Density { marks: marks.collect(), outside: points.len() - placed.len(), most }
    }

    /// Returns true if any cell is filled, so that a colour bar is needed.
    fn has_cells(&self) -> bool {
        self.most >= FILLED_MIN
    }

    /// Returns the marks of lines over the points. A white edge makes lines visible on filled cells; it would cut
    /// pieces out of single dots.
    pub(super) fn lines_above(&self, lines: Vec<Vec<Point>>, stroke: Stroke) -> Vec<Mark> {
        if self.has_cells() { with_white_edge(lines, stroke).into() } else { vec![Mark::Lines { lines, stroke }] }
    }

    /// Returns the colour bar right of the axes; nothing if no cell is filled.
    pub(super) fn colour_bar(&self, axes: &Axes) -> Vec<Mark> {
        if !self.has_cells() {
            return Vec::new();
        }
        let (left, top, bottom) = (axes.x.to + 18.0, axes.y.to, axes.y.from);
        let right = left + BAR_WIDTH;
        let edge = |level: usize| (bottom + (top - bottom) * level as f64 / LEVELS as f64).round();
        let mut marks: Vec<Mark> = (0..LEVELS)
            .map(|level| {
                let (y, below) = (edge(level + 1), edge(level));
                Mark::Cells {
                    cells: vec![Cell { x: left, y, width: BAR_WIDTH, height: below - y }],
                    fill: colour(level),
                }
            })
            .collect();
        let border = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        let stroke = Stroke { colour: INK, width: 1.0, dash: None };
        marks.push(Mark::Lines { lines: vec![border.to_vec()], stroke });
        let mut ticks = Vec::new();
        let mut widest = 0;
        for count in bar_ticks(self.most) {
            let y = bottom + (top - bottom) * f64::from(count).ln() / f64::from(self.most).ln();
            ticks.push(vec![(right, y), (right + 5.0, y)]);
            let words = grouped(u64::from(count));
            widest = widest.max(words.len());
            marks.push(label((right + 9.0, y + 5.0), Anchor::Start, false, words));
        }
        marks.push(Mark::Lines { lines: ticks, stroke });
        let x = right + 28.0 + 8.0 * widest as f64;
        let words = format!("galaxies per cell (single dots below {FILLED_MIN})");
        marks.push(label((x, f64::midpoint(top, bottom)), Anchor::Middle, true, words));
        marks
    }

    /// Returns a sentence about the colours for the description.
    pub(super) fn in_words(&self) -> String {
        if self.has_cells() {
            format!(
                "Colours from dark to bright show the number of galaxies per cell on a logarithmic scale from 1 to {}; \
                 in cells with fewer than {FILLED_MIN} galaxies, each galaxy is a dot.",
                grouped(u64::from(self.most))
            )
        } else {
            "Each galaxy is a dot.".to_owned()
        }
    }
}

/// Returns the mark of a line of text beside the colour bar.
fn label(at: Point, anchor: Anchor, upwards: bool, words: String) -> Mark {
    Mark::Text(Text { at, anchor, size: 14.0, colour: INK, upwards, halo: false, runs: vec![upright(words)] })
}

/// Returns the colour level of a cell, or `None` if the cell is not filled.
fn shade(count: u32, most: u32) -> Option<usize> {
    (count >= FILLED_MIN).then(|| level(count, most))
}

/// Returns the colour level of a count, on a logarithmic scale from 1 to `most`.
fn level(count: u32, most: u32) -> usize {
    if most < 2 || count < 2 {
        return 0;
    }
    let part = f64::from(count).ln() / f64::from(most).ln();
    ((part * LEVELS as f64) as usize).min(LEVELS - 1)
}

/// Returns the colour of a level.
fn colour(level: usize) -> Colour {
    viridis(level as f64 / (LEVELS - 1) as f64 * BRIGHTEST)
}

/// Returns the ticks of the colour bar: 1, 10, 100, …, with 2 and 5 times these if there is space.
fn bar_ticks(most: u32) -> Vec<u32> {
    let factors: &[u32] = if most < 300 { &[1, 2, 5] } else { &[1] };
    let powers = std::iter::successors(Some(1_u32), |power| power.checked_mul(10));
    powers
        .flat_map(|power| factors.iter().filter_map(move |factor| power.checked_mul(*factor)))
        .take_while(|count| *count <= most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Range, Scale};
    use super::*;

    fn axes() -> Axes {
        let range = Range { low: 0.0, high: 1.0 };
        Axes { x: Scale { range, from: 100.0, to: 160.0 }, y: Scale { range, from: 90.0, to: 30.0 } }
    }

    fn drawn(density: &Density) -> (usize, f64) {
        density.marks.iter().fold((0, 0.0), |(dots, pixels), mark| match mark {
            Mark::Dots { centres, .. } => (dots + centres.len(), pixels),
            Mark::Cells { cells, .. } => {
                (dots, pixels + cells.iter().map(|cell| cell.width * cell.height).sum::<f64>())
            }
            _ => (dots, pixels),
        })
    }

    #[test]
    fn every_point_is_drawn_or_counted_outside() {
        let mut points = vec![(0.05, 0.05); SPARSE];
        points.extend([(0.15, 0.05), (0.95, 0.95), (0.96, 0.96), (1.0, 0.0), (1.1, 0.5), (f64::NAN, 0.5)]);
        let density = Density::of(&points, &axes());
        assert_eq!(density.outside, 2);
        assert_eq!(drawn(&density), (4, 36.0));
    }

    #[test]
    fn few_points_are_dots_of_one_colour_without_colour_bar() {
        let density = Density::of(&vec![(0.05, 0.05); SPARSE - 1], &axes());
        assert_eq!((drawn(&density), density.marks.len()), ((SPARSE - 1, 0.0), 1));
        assert!(density.colour_bar(&axes()).is_empty());
        let line = vec![vec![(0.0, 0.0), (1.0, 1.0)]];
        let stroke = Stroke { colour: INK, width: 1.0, dash: None };
        assert_eq!(density.lines_above(line.clone(), stroke).len(), 1, "no white edge over dots");
        let dense = Density::of(&vec![(0.05, 0.05); SPARSE], &axes());
        assert_eq!(dense.lines_above(line, stroke).len(), 2);
    }

    #[test]
    fn merges_adjacent_cells_of_one_colour() {
        let points: Vec<Point> = (0..3_000).map(|i| (f64::from(i % 10) / 10.0 + 0.05, 0.5)).collect();
        let density = Density::of(&points, &axes());
        let cells: Vec<usize> = density
            .marks
            .iter()
            .map(|mark| match mark {
                Mark::Cells { cells, .. } => cells.len(),
                _ => 0,
            })
            .collect();
        assert_eq!((cells, drawn(&density)), (vec![1], (0, 360.0)));
    }

    #[test]
    fn colours_rise_with_counts_and_colour_bar_ticks_are_round() {
        assert_eq!((level(1, 100), level(10, 100), level(100, 100)), (0, LEVELS / 2, LEVELS - 1));
        assert_eq!(level(1, 1), 0);
        assert_eq!(bar_ticks(60), [1, 2, 5, 10, 20, 50]);
        assert_eq!(bar_ticks(20_000), [1, 10, 100, 1_000, 10_000]);
        assert_eq!(bar_ticks(u32::MAX).len(), 10);
    }
}
