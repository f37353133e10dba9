//! Charts for a report on measured runs: lines, scatter plots, a timeline of tasks, histograms, stacked bars.
//!
//! Input: plain numbers with names and units. Output: a [`Chart`], which can be written as an SVG element for an HTML
//! page (in the page's colours, light or dark), as an SVG file and as a PNG. Equal input gives equal bytes. Shapes,
//! dashes and text carry all information that colours carry. A note below the chart counts the data that cannot be
//! shown; if no data can be shown, drawing fails with [`PlotError::NothingToPlot`]. This module measures nothing and
//! judges nothing.

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

use crate::error::PlotError;

use super::colours::{Colour, ROLES, Role};
use super::figure::Figure;
use super::{png, svg};

pub use gantt::{Gantt, TimelineTask};
pub use histogram::Histogram;
pub use lines::{LinePoint, Lines, Series, XAxis};
pub use quantity::{PlottedValue, Quantity, Spacing};
pub use reference::Reference;
pub use scatter::{Comparison, Scatter, ScatterPoint};
pub use stacked::{Bar, Stacked};

/// CSS declarations of the colours of [`Chart::svg_inline`] on a light page.
pub static CSS_LIGHT: LazyLock<String> = LazyLock::new(|| declarations(|role| role.light));
/// CSS declarations of the colours of [`Chart::svg_inline`] on a dark page.
pub static CSS_DARK: LazyLock<String> = LazyLock::new(|| declarations(|role| role.dark));

/// A chart with its final layout, ready to be written.
pub struct Chart {
    name: String,
    figure: Figure,
}

impl Chart {
    /// File name without extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Title, shortened to fit the chart.
    pub fn title(&self) -> &str {
        &self.figure.title
    }

    /// Text description of the chart and its most important numbers, for readers who cannot see it.
    pub fn description(&self) -> &str {
        &self.figure.description
    }

    /// Writes an SVG element for a page that defines [`CSS_LIGHT`] or [`CSS_DARK`]. Its ids begin with the chart's
    /// name.
    pub fn svg_inline(&self) -> String {
        svg::write_inline(&self.figure, &self.name)
    }

    /// Writes a stand-alone SVG file with a white background.
    pub fn svg(&self) -> String {
        svg::write(&self.figure)
    }

    /// Writes a PNG file with two pixels per SVG unit.
    ///
    /// # Errors
    /// Returns [`PlotError::Encode`] if the PNG encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        png::write(&self.figure)
    }
}

fn declarations(colour: fn(&Role) -> Colour) -> String {
    let mut css = String::new();
    for role in &ROLES {
        // Writing to a String never fails.
        let _ = write!(css, "--plot-{}: {}; ", role.name, svg::hex(colour(role)));
    }
    css.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
