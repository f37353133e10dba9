//! Error type of this crate.

/// Error of drawing a figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlotError {
    /// The data have no value that the axes can show.
    #[error("{0}")]
    NothingToPlot(String),
    /// The PNG encoder failed.
    #[error("cannot encode a PNG: {0}")]
    Encode(String),
}

/// Returns the error for data without a value that can be shown.
pub(crate) fn nothing<T>(why: String) -> Result<T, PlotError> {
    Err(PlotError::NothingToPlot(why))
}
