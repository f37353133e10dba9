//! Phases of a task in their order, with names and colours. Adjacent phases also differ in lightness.

use records::report::PhaseSeconds;

use super::super::colours::{BLUE, Colour, GREY, INK, ORANGE, SKY, VERMILION};
use super::legend::{Entry, Swatch};

/// Name and colour of each phase.
pub(super) const PHASES: [(&str, Colour); 6] =
    [("init", GREY), ("list", ORANGE), ("read", BLUE), ("decode", SKY), ("infer", VERMILION), ("write", INK)];

/// Returns seconds in the order of [`PHASES`]; negative and non-finite values become 0.
pub(super) fn lengths(seconds: &PhaseSeconds) -> [f64; 6] {
    let PhaseSeconds { init, list, read, decode, infer, write } = *seconds;
    [init, list, read, decode, infer, write].map(|length| if length.is_finite() { length.max(0.0) } else { 0.0 })
}

/// Returns the legend entries of the phases that occur.
pub(super) fn entries(occurs: [bool; 6]) -> Vec<Entry> {
    let phases = PHASES.into_iter().zip(occurs).filter(|(_, occurs)| *occurs);
    phases.map(|((name, colour), _)| Entry { swatch: Swatch::Patch(colour), words: name.to_owned() }).collect()
}
