//! How long to wait before a failed task is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest wait.
const MAX: Duration = Duration::from_secs(60);
/// Attempts after which the wait no longer doubles, so that doubling cannot overflow.
const MAX_DOUBLINGS: u32 = 10;

/// The wait after this many failed attempts: `first`, doubled each time, up to a minute; half to one and a half of it
/// by chance, so that tasks that failed together do not come back together.
pub(super) fn wait(first: Duration, failed: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failed.saturating_sub(1).min(MAX_DOUBLINGS));
    // The keys of a `RandomState` come from the operating system's random numbers.
    let chance = RandomState::new().hash_one(failed) as f64 / u64::MAX as f64;
    doubled.min(MAX).mul_f64(0.5 + chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_differ() {
        let second = Duration::from_secs(1);
        for (failed, about) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (1_000, 60.0)] {
            let waits: Vec<f64> = (0..20).map(|_| wait(second, failed).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.5..=1.5).contains(&(wait / about))), "{failed}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failed}: {waits:?}");
        }
        assert_eq!(wait(Duration::ZERO, 5), Duration::ZERO);
    }
}
