//! Outcome of a command, and its exit status.

use std::process::ExitCode;

/// Outcome of a command that did not fail with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Some work failed. A message named it; other results are kept.
    Incomplete,
    /// The user interrupted the command. A message stated how to continue.
    Interrupted,
    /// `audit` found warnings at worst.
    Warned,
    /// `audit` found errors.
    Wrong,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Incomplete => ExitCode::FAILURE,
            Outcome::Interrupted => ExitCode::from(130),
            Outcome::Warned => ExitCode::from(3),
            Outcome::Wrong => ExitCode::from(4),
        }
    }
}
