//! Describes the machine of a run, for its report.

use records::Machine;

/// Maximum number of bytes that are read from a file in `/proc`.
const MAX_PROC_BYTES: u64 = 1 << 20;

/// Describes the machine that this process runs on.
pub fn this_machine() -> Machine {
    Machine {
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        cpu: proc_value("/proc/cpuinfo", "model name").map(|name| name.trim().to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mb: proc_value("/proc/meminfo", "MemTotal")
            .and_then(|kilobytes| Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)),
    }
}

/// Lists the features of the processor that affect the speed of the model, by the names of the Rust standard library
/// (`avx2`, `avx512vnni`, `neon`, …).
pub fn cpu_features() -> Vec<String> {
    macro_rules! detect {
        ($detected:ident, $($name:tt)*) => {
            [$(($name, std::arch::$detected!($name))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    let features = detect!(is_x86_feature_detected, "avx" "avx2" "fma" "f16c" "avxvnni" "avx512f" "avx512bw"
        "avx512vl" "avx512dq" "avx512vnni" "avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let features = detect!(is_aarch64_feature_detected, "neon" "dotprod" "i8mm" "bf16" "sve" "sve2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter(|(_, present)| *present).map(|(name, _)| name.to_owned()).collect()
}

/// Returns the text after `key:` in a file of `/proc`.
pub(super) fn proc_value(path: &str, key: &str) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    // With many cores the file is longer than the limit. The first entry is enough.
    let _ = std::fs::File::open(path).ok()?.take(MAX_PROC_BYTES).read_to_string(&mut text);
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.to_owned())
}
