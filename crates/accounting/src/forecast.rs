//! Forecasts of the time and cost of a run: a seeded simulation of how its tasks are dispatched and computed, many
//! times for every setting.
//!
//! Input: the amount of data ([`work`]), the speed of a worker ([`rates`]), and assumptions about the executor
//! ([`conditions`]). Output: times and costs with intervals ([`prediction`]), and the Pareto-optimal settings
//! ([`search`]) among those to consider ([`choices`](mod@choices)). [`replay`] validates the forecast on measured executions of the study; it fits a few assumptions to
//! some of them ([`fit`]).

pub mod choices;
pub mod conditions;
pub mod fit;
pub mod prediction;
pub mod rates;
pub mod replay;
pub mod search;
pub mod simulation;
pub mod work;
