//! The machine a run was executed on, for its report.

use serde::{Deserialize, Serialize};

/// The largest `/proc` file that is read, in bytes.
const MAX_PROC_BYTES: u64 = 1 << 20;

/// What a reader of a report needs to know about the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Architecture, as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Operating system: `linux`, `macos`.
    pub os: String,
    /// The processor's own name; absent where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Processor cores that this process may use.
    pub cores: usize,
    /// Memory of the machine in binary MB; absent where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
}

impl Machine {
    /// The machine that this runs on.
    pub fn detect() -> Self {
        Self {
            arch: std::env::consts::ARCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
            cpu: proc_value("/proc/cpuinfo", "model name").map(|name| name.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: proc_value("/proc/meminfo", "MemTotal")
                .and_then(|kilobytes| Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)),
        }
    }
}

/// The text behind `key:` in a file of `/proc`.
pub(super) fn proc_value(path: &str, key: &str) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    // A machine of many cores has a longer list than the limit; its first entry is enough.
    let _ = std::fs::File::open(path).ok()?.take(MAX_PROC_BYTES).read_to_string(&mut text);
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.to_owned())
}
