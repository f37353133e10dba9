//! What a run will take and cost, before it is started: a seeded simulation of how its tasks are handed out and done,
//! many times over, for every setting that is worth a thought.
//!
//! In: how much data there is ([`work`]), what a worker does in a second ([`rates`]), what is assumed of the place where
//! it will run ([`conditions`]). Out: times and costs with intervals ([`prediction`]), and of all settings those that no
//! other beats in both ([`search`]). How well that foretells is tried on executions that were measured ([`replay`]), on a
//! few of which a few assumptions are fitted ([`fit`]).

pub mod conditions;
pub mod fit;
pub mod prediction;
pub mod rates;
pub mod replay;
pub mod search;
pub mod simulation;
pub mod work;
