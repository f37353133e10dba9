//! Median of measurements.

/// Median of at least one value.
///
/// # Panics
/// There are no values.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    accounting::statistics::median(values).expect("every measurement has at least one value")
}
