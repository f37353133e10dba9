//! Bill of a run that is still going, to stop it before it exceeds its budget.

use records::ExecutorKind;

use crate::MB_PER_GB;
use crate::assumptions::Assumption;
use crate::bill::{BillTerms, SECONDS_PER_HOUR};
use crate::forecast::prediction::Prediction;
use crate::prices::FreeTier;

/// Consumption of a run from its start until now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumption {
    /// Wall seconds since the start.
    pub elapsed_s: f64,
    /// Seconds of all workers added up.
    pub worker_s: f64,
    /// Number of tasks that are running.
    pub running: usize,
    /// Number of tasks that are finished.
    pub finished: usize,
}

/// Computes the cost of a run until now, in USD.
///
/// Finished tasks cost at least as much as forecast, because the number of running tasks may be unknown. A run on one
/// machine costs its time only.
pub fn running_bill(prediction: &Prediction, terms: BillTerms<'_>, consumption: &Consumption) -> f64 {
    let BillTerms { prices, assumptions, free_tier } = terms;
    let Consumption { elapsed_s, worker_s, running, finished } = *consumption;
    let setting = &prediction.setting;
    let of_finished = prediction.usd.median * finished as f64 / prediction.work.tasks as f64;
    match setting.executor {
        ExecutorKind::Local | ExecutorKind::Workers => prices.local_hour.of(elapsed_s / SECONDS_PER_HOUR),
        ExecutorKind::Slurm => {
            prices.slurm_core_hour.of(worker_s * setting.threads / SECONDS_PER_HOUR).max(of_finished)
        }
        ExecutorKind::StepFunctions => {
            let tasks = (finished + running) as f64;
            let transitions =
                assumptions.get(Assumption::Transitions) + assumptions.get(Assumption::TransitionsPerTask) * tasks;
            let gb_s = setting.memory_mb / MB_PER_GB * worker_s;
            let free = if free_tier { prices.free_tier } else { FreeTier::default() };
            let lambda = prices.lambda(setting.architecture);
            let beyond = |quantity: f64, free: f64| (quantity - free).max(0.0);
            let counted = lambda.of(beyond(gb_s, free.lambda_gb_s))
                + prices.lambda_request.of(beyond(tasks, free.lambda_request))
                + prices.state_transition.of(beyond(transitions, free.state_transition));
            counted.max(of_finished)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::conditions;
    use crate::forecast::prediction::{Interval, RunSetting};
    use crate::forecast::work::Work;
    use crate::prices::{Architecture, Prices};

    fn prediction(executor: ExecutorKind, usd: f64) -> Prediction {
        let interval = |median| Interval { low: 0.0, median, high: 2.0 * median };
        Prediction {
            setting: RunSetting {
                executor,
                partition_mb: 25.0,
                batch_size: Some(256.0),
                precision: None,
                memory_mb: 2_048.0,
                architecture: Architecture::Arm,
                concurrency: 10.0,
                threads: 4.0,
            },
            work: Work { samples: 1_000.0, bytes: 2e7, partition_mb: 25.0, files: 20, tasks: 20, executions: 1 },
            worker_images_per_s: 100.0,
            seconds: interval(60.0),
            map_seconds: interval(50.0),
            slowest_task_seconds: interval(10.0),
            usd: interval(usd),
        }
    }

    /// Prices of 2 USD for an hour of this machine and 3 USD for an hour of a core.
    fn prices() -> Prices {
        let mut prices = Prices::default();
        (prices.local_hour.tiers[0].usd, prices.slurm_core_hour.tiers[0].usd) = (2.0, 3.0);
        prices
    }

    fn bill(executor: ExecutorKind, usd: f64, free_tier: bool, consumption: Consumption) -> f64 {
        let (prices, assumptions) = (prices(), conditions::of_lambda());
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier };
        running_bill(&prediction(executor, usd), terms, &consumption)
    }

    const SOME: Consumption = Consumption { elapsed_s: 1_800.0, worker_s: 900.0, running: 3, finished: 5 };

    #[test]
    fn one_machine_costs_its_time() {
        for executor in [ExecutorKind::Local, ExecutorKind::Workers] {
            assert_eq!(bill(executor, 1_000.0, false, SOME), 1.0);
        }
    }

    #[test]
    fn cluster_costs_the_cores_of_its_workers() {
        assert_eq!(bill(ExecutorKind::Slurm, 0.0, false, SOME), 3.0);
    }

    #[test]
    fn finished_tasks_cost_at_least_their_forecast() {
        for executor in [ExecutorKind::Slurm, ExecutorKind::StepFunctions] {
            assert_eq!(bill(executor, 100.0, false, SOME), 25.0, "5 of 20 tasks");
        }
    }

    #[test]
    fn lambda_costs_memory_requests_and_transitions() {
        // 1,800 GB·s on arm64, 8 requests, 6 + 2 × 8 transitions.
        let expected = 1_800.0 * 0.0000133334 + 8.0 * 0.0000002 + 22.0 * 0.000025;
        assert!((bill(ExecutorKind::StepFunctions, 0.0, false, SOME) - expected).abs() < 1e-12);
        assert_eq!(bill(ExecutorKind::StepFunctions, 0.0, true, SOME), 0.0, "all of it is free");
    }

    #[test]
    fn free_tier_is_subtracted_from_each_quantity() {
        let much = Consumption { elapsed_s: 0.0, worker_s: 300_000.0, running: 1_000_000, finished: 1_000_000 };
        // 600,000 GB·s, 2,000,000 requests, 4,000,006 transitions.
        let expected = 200_000.0 * 0.0000133334 + 1_000_000.0 * 0.0000002 + 3_996_006.0 * 0.000025;
        let found = bill(ExecutorKind::StepFunctions, 0.0, true, much);
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn nothing_consumed_costs_the_transitions_of_the_start() {
        let found = bill(ExecutorKind::StepFunctions, 100.0, false, Consumption::default());
        assert!((found - 6.0 * 0.000025).abs() < 1e-12, "{found}");
        assert_eq!(bill(ExecutorKind::Slurm, 100.0, false, Consumption::default()), 0.0);
    }
}
