//! Search for the Pareto-optimal settings in time and cost.

use records::ExecutorKind;
use serde::Serialize;

use super::prediction::{Prediction, RunSetting, predict, vcpus};
use super::rates::Rate;
use super::work::Data;
use crate::assumptions::{Assumption, Assumptions};
use crate::bill::BillTerms;
use crate::prices::Architecture;

/// Approximate number of simulated tasks of all settings together.
const TASKS_SIMULATED: f64 = 2e7;
/// Number of simulated executions of a setting in the first pass.
const EXECUTIONS: std::ops::RangeInclusive<usize> = 3..=16;
/// Number of simulated executions of a Pareto-optimal setting.
const EXECUTIONS_FRONT: usize = 100;

/// Values of each setting to combine.
#[derive(Debug, Clone)]
pub struct Choices {
    /// Executor of the run.
    pub executor: ExecutorKind,
    /// Nominal sizes of partitions in binary MB.
    pub partitions_mb: Vec<f64>,
    /// Measured speeds of workers, one for each batch size and precision.
    pub rates: Vec<Rate>,
    /// Memory of a function in MB.
    pub memories_mb: Vec<f64>,
    /// Processor architectures.
    pub architectures: Vec<Architecture>,
    /// Numbers of tasks that run at a time.
    pub concurrencies: Vec<f64>,
    /// Numbers of compute threads of a worker.
    pub threads: Vec<f64>,
}

/// Result of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResult {
    /// Number of settings.
    pub settings: usize,
    /// Pareto-optimal settings in time and cost, the fastest first.
    pub front: Vec<Prediction>,
    /// All other settings that can do the work, in no order.
    #[serde(skip)]
    pub others: Vec<Prediction>,
    /// Reasons why settings cannot do the work, with the number of settings.
    pub refused: Vec<(String, usize)>,
}

/// Forecasts every combination of the choices.
pub fn search(choices: &Choices, data: &Data, terms: BillTerms<'_>, seed: u64) -> SearchResult {
    let settings: Vec<(RunSetting, &Rate)> = settings(choices, terms.assumptions);
    let tasks_max = terms.assumptions.get(Assumption::TasksMax);
    let about = |setting: &RunSetting| data.tasks_about(setting.partition_mb, tasks_max);
    let all_tasks: f64 = settings.iter().map(|(setting, _)| about(setting)).sum();
    let executions = ((TASKS_SIMULATED / all_tasks) as usize).clamp(*EXECUTIONS.start(), *EXECUTIONS.end());
    let (mut predictions, mut refused) = (Vec::new(), Vec::<(String, usize)>::new());
    for (setting, rate) in &settings {
        match predict(setting, rate, data, terms, executions, seed) {
            Ok(prediction) => predictions.push((prediction, *rate)),
            Err(error) => {
                let reason = error.to_string();
                match refused.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, count)) => *count += 1,
                    None => refused.push((reason, 1)),
                }
            }
        }
    }
    let is_dominated =
        dominated(predictions.iter().map(|(prediction, _)| (prediction.seconds.median, prediction.usd.median)));
    let (mut near, mut others) = (Vec::new(), Vec::new());
    for ((prediction, rate), is_dominated) in predictions.into_iter().zip(is_dominated) {
        if is_dominated {
            others.push(prediction);
        } else {
            let again = predict(&prediction.setting, rate, data, terms, EXECUTIONS_FRONT, seed);
            near.push(again.unwrap_or(prediction));
        }
    }
    // With more simulations, some of them dominate others.
    let is_dominated = dominated(near.iter().map(|prediction| (prediction.seconds.median, prediction.usd.median)));
    let mut front = Vec::new();
    for (prediction, is_dominated) in near.into_iter().zip(is_dominated) {
        if is_dominated { &mut others } else { &mut front }.push(prediction);
    }
    front.sort_by(|a, b| a.seconds.median.total_cmp(&b.seconds.median).then(a.usd.median.total_cmp(&b.usd.median)));
    SearchResult { settings: settings.len(), front, others, refused }
}

fn settings<'a>(choices: &'a Choices, assumptions: &Assumptions) -> Vec<(RunSetting, &'a Rate)> {
    let mut settings = Vec::new();
    for &partition_mb in &choices.partitions_mb {
        for rate in &choices.rates {
            for &memory_mb in &choices.memories_mb {
                for &architecture in &choices.architectures {
                    for &concurrency in &choices.concurrencies {
                        for &threads in &choices.threads {
                            let (executor, batch_size) = (choices.executor, rate.batch_size);
                            let setting = RunSetting {
                                executor,
                                partition_mb,
                                batch_size,
                                precision: rate.precision.clone(),
                                memory_mb,
                                architecture,
                                concurrency,
                                threads: if executor == ExecutorKind::StepFunctions {
                                    vcpus(memory_mb, assumptions)
                                } else {
                                    threads
                                },
                            };
                            settings.push((setting, rate));
                        }
                    }
                }
            }
        }
    }
    settings
}

/// Returns true for each point that another one dominates: it is smaller in one coordinate and no larger in the other.
/// Of equal points, the first dominates the others.
pub fn dominated(points: impl Iterator<Item = (f64, f64)>) -> Vec<bool> {
    let points: Vec<(f64, f64)> = points.collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        points[a].0.total_cmp(&points[b].0).then(points[a].1.total_cmp(&points[b].1)).then(a.cmp(&b))
    });
    let (mut is_dominated, mut least) = (vec![true; points.len()], f64::INFINITY);
    for index in order {
        if points[index].1 < least {
            (is_dominated[index], least) = (false, points[index].1);
        }
    }
    is_dominated
}

impl SearchResult {
    /// Best Pareto-optimal setting that keeps a deadline in seconds and a budget in USD in 95 % of the executions.
    ///
    /// With a deadline it is the cheapest, with a budget alone the fastest. Without either it is the one with the
    /// smallest product of time and cost, which is the fastest if all are free.
    pub fn best(&self, deadline: Option<f64>, budget: Option<f64>) -> Option<&Prediction> {
        let keeps = |prediction: &&Prediction| {
            deadline.is_none_or(|seconds| prediction.seconds.high <= seconds)
                && budget.is_none_or(|usd| prediction.usd.high <= usd)
        };
        let kept = self.front.iter().filter(keeps);
        let (seconds, usd) = (|one: &Prediction| one.seconds.median, |one: &Prediction| one.usd.median);
        match (deadline, budget) {
            (Some(_), _) => kept.min_by(|a, b| usd(a).total_cmp(&usd(b)).then(seconds(a).total_cmp(&seconds(b)))),
            (None, Some(_)) => kept.min_by(|a, b| seconds(a).total_cmp(&seconds(b))),
            (None, None) => kept.min_by(|a, b| (usd(a) * seconds(a)).total_cmp(&(usd(b) * seconds(b)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dominated_points_equal_those_of_pairwise_comparison(
            points in proptest::collection::vec((0_u8..8, 0_u8..8), 0..40),
        ) {
            let points: Vec<(f64, f64)> = points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let found = dominated(points.iter().copied());
            for (index, a) in points.iter().enumerate() {
                let by_another = points.iter().enumerate().any(|(other, b)| {
                    b.0 <= a.0 && b.1 <= a.1 && (b.0 < a.0 || b.1 < a.1 || other < index)
                });
                prop_assert_eq!(found[index], by_another, "{} of {:?}", index, &points);
            }
        }
    }
}
