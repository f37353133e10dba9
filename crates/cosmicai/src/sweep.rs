//! Sweeps: runs over a grid of settings, each measured in its own process.
//!
//! In: a definition in TOML ([`Sweep::new`](points::Sweep::new)). Out: a line of JSON for each run
//! ([`records::sweep`]). A sweep that starts again reads the lines and runs only what is missing.

pub(crate) mod axes;
pub(crate) mod child;
pub(crate) mod claim;
pub(crate) mod data;
pub(crate) mod definition;
pub(crate) mod lines;
pub(crate) mod points;
pub(crate) mod progress;
pub(crate) mod staging;
pub(crate) mod table;
