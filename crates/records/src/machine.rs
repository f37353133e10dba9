//! Machine that a run or a benchmark used.

use serde::{Deserialize, Serialize};

/// Description of a machine in reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor architecture, as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Operating system: `linux`, `macos`.
    pub os: String,
    /// Name of the processor; absent if the system does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Number of processor cores that the process may use.
    pub cores: usize,
    /// Memory in binary MB; absent if the system does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
}
