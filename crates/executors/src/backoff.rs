//! Wait before a failed task is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Longest wait, before the random factor.
const MAX: Duration = Duration::from_secs(60);
/// Number of doublings of the wait. The limit keeps the factor from overflowing.
const MAX_DOUBLINGS: u32 = 10;

/// Wait after `failed` attempts: `first`, doubled after each further attempt, up to a minute, times a random factor
/// from 0.5 to 1.5. The factor keeps tasks that failed together from starting again together.
pub(crate) fn wait(first: Duration, failed: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failed.saturating_sub(1).min(MAX_DOUBLINGS));
    // The keys of a `RandomState` come from the operating system's random numbers.
    let random = RandomState::new().hash_one(failed) as f64 / u64::MAX as f64;
    doubled.min(MAX).mul_f64(0.5 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_with_a_random_factor() {
        let second = Duration::from_secs(1);
        for (failed, about) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (1_000, 60.0)] {
            let waits: Vec<f64> = (0..20).map(|_| wait(second, failed).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.5..=1.5).contains(&(wait / about))), "{failed}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failed}: {waits:?}");
        }
        assert_eq!(wait(Duration::ZERO, 5), Duration::ZERO);
    }
}
