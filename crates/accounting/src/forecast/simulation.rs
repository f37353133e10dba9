//! Simulation of one execution: tasks are dispatched one after another, each waits for a free environment or a new one,
//! and the Map ends with its last task.
//!
//! Input and output are durations in seconds. Prices and the speed of a model are not in this module.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::statistics::Random;

/// Execution to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Usual seconds of each task without the start of its worker, in the order of dispatch.
    pub task_s: Vec<f64>,
    /// Seconds to start a new environment.
    pub start_s: f64,
    /// Seconds before the dispatch of the first task.
    pub before_s: f64,
    /// Seconds after the end of the last task.
    pub after_s: f64,
    /// Seconds between the dispatch of two tasks.
    pub child_start_s: f64,
    /// Variation of task times.
    pub variation: TaskVariation,
    /// Limits on the number of environments.
    pub limits: Limits,
}

/// Variation of task times around the usual time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskVariation {
    /// σ of the logarithm of a task's time.
    pub jitter: f64,
    /// Part of the tasks that are stragglers.
    pub straggler_fraction: f64,
    /// Time of a straggler over the usual time.
    pub straggler_factor: f64,
}

/// Limits on the number of environments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Most environments at a time.
    pub concurrency: f64,
    /// Environments that may start at once.
    pub burst: f64,
    /// Environments that may start in each second after that.
    pub ramp_per_s: f64,
}

/// Result of one simulated execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulated {
    /// Seconds from start to end of the execution.
    pub total_s: f64,
    /// Seconds from the start of the first task to the end of the last one.
    pub map_s: f64,
    /// Seconds of all workers added up, with the start of their environments.
    pub worker_s: f64,
    /// Seconds of the slowest task, with the start of its environment.
    pub slowest_s: f64,
    /// Number of environments that started.
    pub cold: usize,
}

/// Simulates one execution. The result depends on the execution and the seed only.
pub fn simulate(execution: &Execution, seed: u64) -> Simulated {
    simulate_at(execution, 1.0, seed)
}

/// Simulates one execution in which every task takes `times` as long as usual.
pub fn simulate_at(execution: &Execution, times: f64, seed: u64) -> Simulated {
    let Execution { variation, limits, .. } = *execution;
    let mut random = Random::new(seed);
    let mut free: BinaryHeap<Reverse<Moment>> = BinaryHeap::new();
    let (mut cold, mut end, mut worker_s, mut slowest_s) = (0_usize, 0.0_f64, 0.0, 0.0_f64);
    for (task, usual_s) in execution.task_s.iter().enumerate() {
        let dispatched = task as f64 * execution.child_start_s;
        let is_straggler = random.uniform() < variation.straggler_fraction;
        let factor = if is_straggler { variation.straggler_factor } else { 1.0 };
        let seconds = usual_s * times * factor * (variation.jitter * random.normal()).exp();

        // A task takes the environment that is available first: a free warm one, or a new one within the limits.
        let warm = free.peek().map(|Reverse(moment)| moment.0.max(dispatched));
        let new = ((cold as f64) < limits.concurrency).then(|| dispatched.max(limits.allowed_from(cold)));
        let (start, start_up) = match (warm, new) {
            (Some(warm), Some(new)) if warm <= new => (warm, None),
            (_, Some(new)) => (new, Some(execution.start_s)),
            (Some(warm), None) => (warm, None),
            // The limits allow no environment at all.
            (None, None) => {
                return Simulated { total_s: f64::INFINITY, map_s: f64::INFINITY, worker_s, slowest_s, cold };
            }
        };
        match start_up {
            Some(_) => cold += 1,
            None => drop(free.pop()),
        }
        let took = start_up.unwrap_or_default() + seconds;
        free.push(Reverse(Moment(start + took)));
        end = end.max(start + took);
        worker_s += took;
        slowest_s = slowest_s.max(took);
    }
    Simulated { total_s: execution.before_s + end + execution.after_s, map_s: end, worker_s, slowest_s, cold }
}

impl Limits {
    /// First moment at which one more environment may start beside `environments`.
    fn allowed_from(&self, environments: usize) -> f64 {
        let beyond = environments as f64 + 1.0 - self.burst;
        if beyond <= 0.0 { 0.0 } else { beyond / self.ramp_per_s }
    }
}

/// Time with a total order, for the heap.
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

    const STEADY: TaskVariation = TaskVariation { jitter: 0.0, straggler_fraction: 0.0, straggler_factor: 1.0 };

    fn execution(tasks: usize, concurrency: f64) -> Execution {
        Execution {
            task_s: vec![10.0; tasks],
            start_s: 1.0,
            before_s: 2.0,
            after_s: 3.0,
            child_start_s: 0.0,
            variation: STEADY,
            limits: Limits { concurrency, burst: 1_000.0, ramp_per_s: 100.0 },
        }
    }

    #[test]
    fn tasks_without_variation_take_the_time_computed_by_hand() {
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
        // Dispatched one second apart.
        let slowly = simulate(&Execution { child_start_s: 1.0, ..execution(7, 100.0) }, 0);
        assert_eq!(slowly.map_s, 17.0);
    }

    /// Beyond the burst, 100 more environments may start each second.
    #[test]
    fn environments_start_within_the_ramp() {
        let ramp = simulate(&execution(1_500, 10_000.0), 0);
        assert_eq!((ramp.cold, ramp.map_s), (1_500, 5.0 + 11.0));
    }

    /// The longest task is a straggler in 1 − (1 − p)^n of the executions.
    #[test]
    fn stragglers_have_the_given_frequency() {
        let variation = TaskVariation { jitter: 0.0, straggler_fraction: 0.02, straggler_factor: 3.0 };
        let execution = Execution { variation, ..execution(30, 100.0) };
        let with = (0..4_000).filter(|seed| simulate(&execution, *seed).map_s > 20.0).count();
        let expected = 1.0 - 0.98_f64.powi(30);
        assert!((with as f64 / 4_000.0 - expected).abs() < 0.03, "{with} {expected}");
    }

    /// Simple version of the simulation: a list of the moments at which each of `concurrency` environments is free.
    fn simulate_with_list(execution: &Execution, seed: u64) -> f64 {
        let mut random = Random::new(seed);
        let mut free: Vec<Option<f64>> = vec![None; execution.limits.concurrency as usize];
        let mut end = 0.0_f64;
        for (task, size) in execution.task_s.iter().enumerate() {
            let dispatched = task as f64 * execution.child_start_s;
            let is_straggler = random.uniform() < execution.variation.straggler_fraction;
            let factor = if is_straggler { execution.variation.straggler_factor } else { 1.0 };
            let seconds = size * factor * (execution.variation.jitter * random.normal()).exp();
            let started = free.iter().flatten().count();
            let when = |environment: &Option<f64>| match environment {
                Some(moment) => moment.max(dispatched),
                None => dispatched.max(execution.limits.allowed_from(started)) + 1e-12,
            };
            let (index, _) = free.iter().enumerate().min_by(|a, b| when(a.1).total_cmp(&when(b.1))).unwrap();
            let start_up = if free[index].is_none() { execution.start_s } else { 0.0 };
            let done = when(&free[index]) + start_up + seconds;
            free[index] = Some(done);
            end = end.max(done);
        }
        end
    }

    proptest! {
        #[test]
        fn heap_agrees_with_list(
            tasks in 1_usize..60, concurrency in 1_usize..20, burst in 0_usize..10, start in 0.0..2.0_f64, seed: u64,
        ) {
            let mut execution = Execution {
                child_start_s: start,
                variation: TaskVariation { jitter: 0.3, straggler_fraction: 0.1, straggler_factor: 3.0 },
                limits: Limits { concurrency: concurrency as f64, burst: burst as f64, ramp_per_s: 0.7 },
                ..execution(tasks, 0.0)
            };
            execution.task_s[tasks - 1] = 3.0;
            let simulated = simulate(&execution, seed);
            prop_assert!((simulated.map_s - simulate_with_list(&execution, seed)).abs() < 1e-6);
            prop_assert!(simulated.cold <= concurrency && simulated.worker_s >= simulated.slowest_s);
        }
    }
}
