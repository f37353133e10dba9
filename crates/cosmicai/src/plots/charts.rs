//! The charts of a report on measurements: lines, points, a timeline of tasks, a histogram, stacked bars.
//!
//! In: plain numbers, with words for what they are. Out: a [`Chart`], the same bytes for the same numbers, as an element of
//! a page (in the page's colours, light or dark), as an SVG file and as a PNG. Shapes, dashes and words say whatever
//! colours say. What cannot be shown is counted in words, and where nothing can, there is an error. Never here: a
//! measurement, or a judgement of what is good.

mod gantt;
mod histogram;
mod legend;
mod lines;
mod markers;
mod notes;
mod phases;
mod quantity;
mod reference;
mod rows;
mod scatter;
mod stacked;
mod words;

use std::fmt::Write as _;
use std::sync::LazyLock;

use anyhow::Result;

use super::colours::{Colour, ROLES, Role};
use super::figure::Figure;
use super::{png, svg};

pub(crate) use gantt::{Gantt, Task};
pub(crate) use histogram::Histogram;
pub(crate) use lines::{Across, LinePoint, Lines, Series};
pub(crate) use quantity::{Measured, Quantity, Spacing};
pub(crate) use reference::Reference;
pub(crate) use scatter::{Compared, Scatter, ScatterPoint};
pub(crate) use stacked::{Bar, Stacked};

/// The colours of [`Chart::svg_inline`] on a light page, as CSS declarations.
pub(crate) static CSS_LIGHT: LazyLock<String> = LazyLock::new(|| declarations(|role| role.light));
/// The same on a dark page.
pub(crate) static CSS_DARK: LazyLock<String> = LazyLock::new(|| declarations(|role| role.dark));

/// A chart, laid out.
pub(crate) struct Chart {
    name: String,
    figure: Figure,
}

impl Chart {
    /// What its file is called, before its ending.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn title(&self) -> &str {
        &self.figure.title
    }

    /// What is seen, with its numbers.
    pub(crate) fn description(&self) -> &str {
        &self.figure.description
    }

    /// An element of a page that defines [`CSS_LIGHT`] or [`CSS_DARK`]; its ids begin with the chart's name.
    pub(crate) fn svg_inline(&self) -> String {
        svg::write_inline(&self.figure, &self.name)
    }

    /// A file of its own, for white paper.
    pub(crate) fn svg(&self) -> String {
        svg::write(&self.figure)
    }

    /// The same as pixels, two for each unit.
    ///
    /// # Errors
    /// Where the encoder fails.
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        png::write(&self.figure)
    }
}

fn declarations(colour: fn(&Role) -> Colour) -> String {
    let mut css = String::new();
    for role in &ROLES {
        // Writing into a String does not fail.
        let _ = write!(css, "--plot-{}: {}; ", role.name, svg::hex(colour(role)));
    }
    css.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
