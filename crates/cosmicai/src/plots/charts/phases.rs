//! The phases of a task in their order, each with its name and its colour: neighbours differ in lightness too.

use pipeline::report::PhaseSeconds;

use super::super::colours::{BLUE, Colour, GREY, INK, ORANGE, SKY, VERMILION};
use super::legend::{Entry, Sample};

pub(super) const PHASES: [(&str, Colour); 6] =
    [("init", GREY), ("list", ORANGE), ("read", BLUE), ("decode", SKY), ("infer", VERMILION), ("write", INK)];

/// Seconds in the order of [`PHASES`]; what is not a length counts as 0.
pub(super) fn lengths(seconds: &PhaseSeconds) -> [f64; 6] {
    let PhaseSeconds { init, list, read, decode, infer, write } = *seconds;
    [init, list, read, decode, infer, write].map(|length| if length.is_finite() { length.max(0.0) } else { 0.0 })
}

/// The phases that occur, as a legend has them.
pub(super) fn entries(occurs: [bool; 6]) -> Vec<Entry> {
    let phases = PHASES.into_iter().zip(occurs).filter(|(_, occurs)| *occurs);
    phases.map(|((name, colour), _)| Entry { sample: Sample::Patch(colour), words: name.to_owned() }).collect()
}
