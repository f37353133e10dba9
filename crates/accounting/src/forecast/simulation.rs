//! One execution, simulated: tasks are handed out one after another, each waits for a free environment or a new one, and
//! the last one to end ends the Map.
//!
//! In: durations in seconds. Out: the same. Never here: prices, and how fast a model is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::statistics::Random;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Seconds that each task usually takes, once the worker is there, in the order in which they are handed out.
    pub task_s: Vec<f64>,
    /// Seconds that a new environment takes to begin.
    pub begin_s: f64,
    /// Seconds before the first task is handed out.
    pub before_s: f64,
    /// Seconds after the last one ended.
    pub after_s: f64,
    /// Seconds between two tasks being handed out.
    pub child_start_s: f64,
    /// How far tasks stray from the usual time.
    pub straying: Straying,
    /// How many may run at a time.
    pub limits: Limits,
}

/// How far tasks stray from the usual time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Straying {
    /// σ of the logarithm of a task's time.
    pub jitter: f64,
    /// Part of the tasks that are stragglers.
    pub straggler_fraction: f64,
    /// How much longer a straggler takes.
    pub straggler_factor: f64,
}

/// How many tasks may run at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Environments at a time.
    pub concurrency: f64,
    /// Of these, those that may begin at once.
    pub burst: f64,
    /// New ones allowed in each second after that.
    pub ramp_per_s: f64,
}

/// What came of one simulated execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulated {
    /// From the start to the end of everything.
    pub total_s: f64,
    /// From the first task's start to the last one's end.
    pub map_s: f64,
    /// Seconds of all workers, what new environments took included.
    pub worker_s: f64,
    /// Of the slowest task, likewise.
    pub slowest_s: f64,
    /// New environments.
    pub cold: usize,
}

/// Simulates one execution; the same for the same seed.
pub fn simulate(execution: &Execution, seed: u64) -> Simulated {
    simulate_at(execution, 1.0, seed)
}

/// The same with every task `times` as long.
pub fn simulate_at(execution: &Execution, times: f64, seed: u64) -> Simulated {
    let Execution { straying, limits, .. } = *execution;
    let mut random = Random::new(seed);
    let mut free: BinaryHeap<Reverse<Moment>> = BinaryHeap::new();
    let (mut cold, mut end, mut worker_s, mut slowest_s) = (0_usize, 0.0_f64, 0.0, 0.0_f64);
    for (task, usual_s) in execution.task_s.iter().enumerate() {
        let handed_out = task as f64 * execution.child_start_s;
        let is_straggler = random.uniform() < straying.straggler_fraction;
        let factor = if is_straggler { straying.straggler_factor } else { 1.0 };
        let seconds = usual_s * times * factor * (straying.jitter * random.normal()).exp();

        // A warm environment that is free, else a new one as soon as the limits allow it, whichever is first.
        let warm = free.peek().map(|Reverse(moment)| moment.0.max(handed_out));
        let new = ((cold as f64) < limits.concurrency).then(|| handed_out.max(limits.allowed_from(cold)));
        let (start, begin) = match (warm, new) {
            (Some(warm), Some(new)) if warm <= new => (warm, None),
            (_, Some(new)) => (new, Some(execution.begin_s)),
            (Some(warm), None) => (warm, None),
            // No environment may ever begin: the caller asked for none.
            (None, None) => {
                return Simulated { total_s: f64::INFINITY, map_s: f64::INFINITY, worker_s, slowest_s, cold };
            }
        };
        match begin {
            Some(_) => cold += 1,
            None => drop(free.pop()),
        }
        let took = begin.unwrap_or_default() + seconds;
        free.push(Reverse(Moment(start + took)));
        end = end.max(start + took);
        worker_s += took;
        slowest_s = slowest_s.max(took);
    }
    Simulated { total_s: execution.before_s + end + execution.after_s, map_s: end, worker_s, slowest_s, cold }
}

impl Limits {
    /// The first moment at which one more environment than these may begin.
    fn allowed_from(&self, environments: usize) -> f64 {
        let beyond = environments as f64 + 1.0 - self.burst;
        if beyond <= 0.0 { 0.0 } else { beyond / self.ramp_per_s }
    }
}

/// A time that can be ordered; none of these is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment(f64);

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEADY: Straying = Straying { jitter: 0.0, straggler_fraction: 0.0, straggler_factor: 1.0 };

    fn execution(tasks: usize, concurrency: f64) -> Execution {
        Execution {
            task_s: vec![10.0; tasks],
            begin_s: 1.0,
            before_s: 2.0,
            after_s: 3.0,
            child_start_s: 0.0,
            straying: STEADY,
            limits: Limits { concurrency, burst: 1_000.0, ramp_per_s: 100.0 },
        }
    }

    #[test]
    fn steady_tasks_take_what_a_hand_reckons() {
        let all_at_once = simulate(&execution(7, 100.0), 0);
        assert_eq!((all_at_once.total_s, all_at_once.map_s, all_at_once.cold), (16.0, 11.0, 7));
        assert_eq!(all_at_once.worker_s, 77.0);
        // Three at a time: a cold round of 11 s, then two warm ones of 10 s.
        let three = simulate(&execution(7, 3.0), 0);
        assert_eq!((three.map_s, three.cold, three.worker_s), (31.0, 3, 73.0));
        let mut short = execution(7, 3.0);
        short.task_s[6] = 2.0;
        let short_last = simulate(&short, 0);
        assert_eq!(short_last.map_s, 23.0);
        // Handed out a second apart.
        let slowly = simulate(&Execution { child_start_s: 1.0, ..execution(7, 100.0) }, 0);
        assert_eq!(slowly.map_s, 17.0);
    }

    /// Beyond the burst, 100 more may begin each second.
    #[test]
    fn environments_come_as_the_ramp_allows() {
        let ramp = simulate(&execution(1_500, 10_000.0), 0);
        assert_eq!((ramp.cold, ramp.map_s), (1_500, 5.0 + 11.0));
    }

    /// Of 1 − (1 − p)^n of the executions the longest task is a straggler.
    #[test]
    fn stragglers_come_as_often_as_asked_for() {
        let straying = Straying { jitter: 0.0, straggler_fraction: 0.02, straggler_factor: 3.0 };
        let execution = Execution { straying, ..execution(30, 100.0) };
        let with = (0..4_000).filter(|seed| simulate(&execution, *seed).map_s > 20.0).count();
        let expected = 1.0 - 0.98_f64.powi(30);
        assert!((with as f64 / 4_000.0 - expected).abs() < 0.03, "{with} {expected}");
    }

    /// An obvious version: a list of the moments at which each of `concurrency` environments is free.
    fn by_hand(execution: &Execution, seed: u64) -> f64 {
        let mut random = Random::new(seed);
        let mut free: Vec<Option<f64>> = vec![None; execution.limits.concurrency as usize];
        let mut end = 0.0_f64;
        for (task, size) in execution.task_s.iter().enumerate() {
            let handed_out = task as f64 * execution.child_start_s;
            let is_straggler = random.uniform() < execution.straying.straggler_fraction;
            let factor = if is_straggler { execution.straying.straggler_factor } else { 1.0 };
            let seconds = size * factor * (execution.straying.jitter * random.normal()).exp();
            let begun = free.iter().flatten().count();
            let when = |environment: &Option<f64>| match environment {
                Some(moment) => moment.max(handed_out),
                None => handed_out.max(execution.limits.allowed_from(begun)) + 1e-12,
            };
            let (index, _) = free.iter().enumerate().min_by(|a, b| when(a.1).total_cmp(&when(b.1))).unwrap();
            let begin = if free[index].is_none() { execution.begin_s } else { 0.0 };
            let done = when(&free[index]) + begin + seconds;
            free[index] = Some(done);
            end = end.max(done);
        }
        end
    }

    proptest! {
        #[test]
        fn the_heap_agrees_with_a_list(
            tasks in 1_usize..60, concurrency in 1_usize..20, burst in 0_usize..10, start in 0.0..2.0_f64, seed: u64,
        ) {
            let mut execution = Execution {
                child_start_s: start,
                straying: Straying { jitter: 0.3, straggler_fraction: 0.1, straggler_factor: 3.0 },
                limits: Limits { concurrency: concurrency as f64, burst: burst as f64, ramp_per_s: 0.7 },
                ..execution(tasks, 0.0)
            };
            execution.task_s[tasks - 1] = 3.0;
            let simulated = simulate(&execution, seed);
            prop_assert!((simulated.map_s - by_hand(&execution, seed)).abs() < 1e-6);
            prop_assert!(simulated.cold <= concurrency && simulated.worker_s >= simulated.slowest_s);
        }
    }
}
