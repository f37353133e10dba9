//! Inputs of a forecast: the work of a payload, the speed of a worker, and the settings to consider.
//!
//! `accounting::forecast` computes the forecast; this module reads its inputs from storage and measures this machine.

pub(crate) mod budget;
pub(crate) mod job;
pub(crate) mod rates;
