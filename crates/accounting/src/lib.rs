//! The accounts of runs: what they took, what they cost, what is wrong with their records, and what a run will take.
//!
//! In: the study's records and our reports ([`measured`]), prices ([`prices`]), assumptions where nothing was measured
//! ([`circumstances`]). Out: the study's figures by its own formulas ([`study`]), the itemised bill ([`bill`]),
//! throughput three ways ([`throughput`]), what is wrong with the records ([`audit`](mod@audit)), and what a run will take
//! ([`forecast`]). Every sum is a pure function of what is handed in.
//!
//! Never here: storage, a terminal, the clock, random numbers without a seed, a cloud's SDK.

pub mod audit;
pub mod bill;
pub mod circumstances;
pub mod forecast;
pub mod measured;
pub mod prices;
pub mod record;
pub mod statistics;
pub mod study;
pub mod throughput;

/// Bytes of an image of the study's and its magnitudes: 5×32×32 float32 and 5 float64.
pub const SAMPLE_BYTES: f64 = 20_520.0;
/// Bytes of a binary MB.
pub(crate) const MB: f64 = 1_048_576.0;
/// Binary MB of a binary GB.
pub const MB_PER_GB: f64 = 1_024.0;
