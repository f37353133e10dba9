//! Plots of the accuracy of photometric redshifts, and [`charts`] of measured runs, written as SVG and PNG bytes.
//!
//! [`draw`] takes predictions as three arrays and returns three figures: `z_phot` against `z_spec`, the redshift error
//! dz against `z_spec`, and the distribution of dz.
//!
//! ```
//! use records::metrics::Predictions;
//!
//! let z_phot = [0.11, 0.24, 0.31];
//! let z_spec = [Some(0.10), Some(0.25), None];
//! let flags = [0, 0, 0];
//! let plots = plots::draw(Predictions { z_phot: &z_phot, z_spec: &z_spec, flags: &flags })?;
//! for plot in &plots {
//!     println!("{}.png: {} bytes", plot.name, plot.png.len());
//! }
//! assert!(plots[0].svg.starts_with("<svg"));
//! # Ok::<(), plots::PlotError>(())
//! ```
//!
//! Equal input gives equal bytes: the crate has its own fonts and reads no clock and no settings of the machine. It
//! writes no files. The size of a figure does not grow with the number of galaxies, and every galaxy is drawn or
//! counted in a remark below the axes. A figure is a list of marks, which the SVG and the PNG writer share.

mod axis;
pub mod charts;
mod colours;
mod density;
mod error;
mod figure;
mod font;
mod frame;
mod histogram;
mod numbers;
mod png;
mod residuals;
mod sample;
mod scatter;
mod svg;

use records::metrics::Predictions;

pub use error::PlotError;
pub use numbers::grouped;
use sample::Sample;

/// Names of the figures that [`draw`] returns, in the same order: file names without extension.
pub const NAMES: [&str; 3] = ["z_phot_z_spec", "dz_z_spec", "dz_histogram"];

/// A figure, written as SVG and PNG.
#[derive(Debug, Clone)]
pub struct Plot {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// Text of the SVG file.
    pub svg: String,
    /// Bytes of the PNG file, with two pixels per SVG unit.
    pub png: Vec<u8>,
}

/// Draws `z_phot` against `z_spec`, dz against `z_spec`, and the distribution of dz, for all rows with known redshift.
///
/// # Errors
/// Returns [`PlotError::NothingToPlot`] if no row has a known and finite redshift, and [`PlotError::Encode`] if the PNG
/// encoder fails.
pub fn draw(predictions: Predictions<'_>) -> Result<Vec<Plot>, PlotError> {
    let sample = Sample::of(predictions)?;
    let figures = [scatter::figure(&sample), residuals::figure(&sample), histogram::figure(&sample)];
    let plots = NAMES
        .into_iter()
        .zip(figures)
        .map(|(name, figure)| Ok(Plot { name, svg: svg::write(&figure), png: png::write(&figure)? }));
    plots.collect()
}

#[cfg(test)]
mod tests;
