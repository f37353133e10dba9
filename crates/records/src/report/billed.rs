//! Invocations of AWS Lambda that a run is billed for.

use serde::{Deserialize, Serialize};

/// Totals over the REPORT lines that Lambda logs for the invocations of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Billed {
    /// Number of invocations, including those that failed.
    pub invocations: u64,
    /// Number of invocations that started a new environment (cold starts).
    pub cold: u64,
    /// Run time of the handlers, in milliseconds.
    pub duration_ms: f64,
    /// Time that Lambda charges for, in milliseconds.
    pub billed_ms: f64,
    /// Start-up time of new environments, in milliseconds.
    pub init_ms: f64,
    /// Configured memory × charged time, in GB·s of 1,024 MB.
    pub gb_s: f64,
    /// Configured memory of the largest function, in MB.
    pub memory_mb: f64,
    /// Largest memory that any invocation used, in MB.
    pub memory_used_mb_max: f64,
}

impl Billed {
    /// Combines the totals of two executions: sums counts and times, takes the larger memory.
    pub(super) fn plus(&self, other: &Billed) -> Billed {
        Billed {
            invocations: self.invocations + other.invocations,
            cold: self.cold + other.cold,
            duration_ms: self.duration_ms + other.duration_ms,
            billed_ms: self.billed_ms + other.billed_ms,
            init_ms: self.init_ms + other.init_ms,
            gb_s: self.gb_s + other.gb_s,
            memory_mb: self.memory_mb.max(other.memory_mb),
            memory_used_mb_max: self.memory_used_mb_max.max(other.memory_used_mb_max),
        }
    }
}
