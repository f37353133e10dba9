//! Pictures of how good predictions are: `z_phot` against `z_spec`, dz against `z_spec`, and how dz is distributed.
//!
//! In: a table of predictions. Out: three [`Plot`]s, each as SVG and as PNG, the same bytes for the same rows. A
//! [`figure`] is a list of marks, said once; [`svg`] and [`png`] write the same marks. No picture grows with the number
//! of rows beyond its cells, and no galaxy is left out without being counted in words. Never here: a font, a clock, or a
//! setting of the machine.

mod axis;
pub(crate) mod charts;
mod colours;
mod density;
mod figure;
mod font;
mod frame;
mod histogram;
mod png;
mod residuals;
mod sample;
mod scatter;
mod svg;

use std::path::{Path, PathBuf};

use anyhow::Result;
use pipeline::output::Table;

use crate::commands::new_file;
use sample::Sample;

/// What the files are called, before their endings.
pub(crate) const NAMES: [&str; 3] = ["z_phot_z_spec", "dz_z_spec", "dz_histogram"];

/// A picture, drawn.
pub(crate) struct Plot {
    /// One of [`NAMES`].
    pub(crate) name: &'static str,
    /// The SVG file.
    pub(crate) svg: String,
    /// The PNG file, twice as many pixels as the SVG has units.
    pub(crate) png: Vec<u8>,
}

/// Draws the rows that can be judged.
///
/// # Errors
/// Where there are none.
pub(crate) fn draw(table: &Table) -> Result<Vec<Plot>> {
    let sample = Sample::of(table)?;
    let figures = [scatter::figure(&sample), residuals::figure(&sample), histogram::figure(&sample)];
    let plots = NAMES
        .into_iter()
        .zip(figures)
        .map(|(name, figure)| Ok(Plot { name, svg: svg::write(&figure), png: png::write(&figure)? }));
    plots.collect()
}

/// Writes pictures into a folder, and says which files these are.
pub(crate) fn write(plots: &[Plot], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::with_capacity(2 * plots.len());
    for plot in plots {
        for (ending, bytes) in [("svg", plot.svg.as_bytes()), ("png", &plot.png)] {
            let path = folder.join(format!("{}.{ending}", plot.name));
            new_file::write(&path, bytes)?;
            written.push(path);
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
