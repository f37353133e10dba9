//! Memory and processor time of this process, as the operating system counts them.

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

use super::machine::proc_value;

/// Number of units per binary MB in which `getrusage` counts resident memory.
#[cfg(target_os = "macos")]
const MAXRSS_PER_MB: f64 = 1024.0 * 1024.0;
#[cfg(not(target_os = "macos"))]
const MAXRSS_PER_MB: f64 = 1024.0;

/// Returns the peak resident memory of this process in binary MB, or 0 if the system does not report it.
///
/// On Linux, `getrusage` may include the memory of the parent process. So `/proc` comes first.
pub fn memory_peak_mb() -> f64 {
    let kilobytes = proc_value("/proc/self/status", "VmHWM")
        .and_then(|kilobytes| kilobytes.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or_else(memory_peak_of_system_mb, |kilobytes| kilobytes / 1024.0)
}

fn memory_peak_of_system_mb() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| usage.max_rss() as f64 / MAXRSS_PER_MB)
}

/// Returns the processor seconds of the calling thread since its start, or 0 if the system does not report them.
pub fn thread_cpu_seconds() -> f64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak must not include the memory of the parent process.
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_peak_is_that_of_this_process() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let kilobytes: f64 = line.trim_start_matches("VmHWM:").trim().trim_end_matches(" kB").parse().unwrap();
        assert!((memory_peak_mb() * 1024.0 / kilobytes - 1.0).abs() < 0.1, "{line}");
    }

    #[test]
    fn measures_memory_and_processor_time() {
        assert!(memory_peak_mb() > 1.0);
        let before = thread_cpu_seconds();
        let sum: f64 = (0..3_000_000).map(|i| f64::from(i).sqrt()).sum();
        assert!(sum > 0.0 && thread_cpu_seconds() > before);
    }
}
