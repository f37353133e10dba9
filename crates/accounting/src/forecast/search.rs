//! Of all settings, those that no other beats in both time and cost.

use serde::Serialize;

use super::prediction::{Grounds, Place, Prediction, Setting, predict, vcpus};
use super::rates::Rate;
use super::work::Data;
use crate::circumstances::Circumstances;
use crate::prices::Architecture;

/// Simulated tasks of all settings together, about.
const TASKS_SIMULATED: f64 = 2e7;
/// Simulated executions of a setting, while all are looked at.
const EXECUTIONS: std::ops::RangeInclusive<usize> = 3..=16;
/// Simulated executions of a setting that nothing beats.
const EXECUTIONS_FRONT: usize = 100;

/// What may be chosen from.
#[derive(Debug, Clone)]
pub struct Choices {
    /// Where it runs.
    pub place: Place,
    /// Nominal sizes of partitions in binary MB.
    pub partitions_mb: Vec<f64>,
    /// Workers as they were measured, one a batch size.
    pub rates: Vec<Rate>,
    /// Memory of a function in MB.
    pub memories_mb: Vec<f64>,
    /// Processors.
    pub architectures: Vec<Architecture>,
    /// Tasks at a time.
    pub concurrencies: Vec<f64>,
    /// Compute threads of a worker.
    pub threads: Vec<f64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Settings that were looked at.
    pub settings: usize,
    /// Of these, the ones that nothing else beats in both time and cost, the fastest first.
    pub front: Vec<Prediction>,
    /// All others, without an order.
    #[serde(skip)]
    pub others: Vec<Prediction>,
    /// Settings that cannot do it, by reason.
    pub refused: Vec<(String, usize)>,
}

/// Looks at every combination.
pub fn search(choices: &Choices, data: &Data, grounds: Grounds<'_>, seed: u64) -> Found {
    let settings: Vec<(Setting, &Rate)> = settings(choices, grounds.conditions);
    let tasks_max = grounds.conditions.get("tasks_max");
    let about = |setting: &Setting| data.tasks_about(setting.partition_mb, tasks_max);
    let all_tasks: f64 = settings.iter().map(|(setting, _)| about(setting)).sum();
    let executions = ((TASKS_SIMULATED / all_tasks) as usize).clamp(*EXECUTIONS.start(), *EXECUTIONS.end());
    let (mut predictions, mut refused) = (Vec::new(), Vec::<(String, usize)>::new());
    for (setting, rate) in &settings {
        match predict(setting, rate, data, grounds, executions, seed) {
            Ok(prediction) => predictions.push((prediction, *rate)),
            Err(reason) => match refused.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => refused.push((reason, 1)),
            },
        }
    }
    let is_beaten =
        beaten(predictions.iter().map(|(prediction, _)| (prediction.seconds.median, prediction.usd.median)));
    let (mut near, mut others) = (Vec::new(), Vec::new());
    for ((prediction, rate), is_beaten) in predictions.into_iter().zip(is_beaten) {
        if is_beaten {
            others.push(prediction);
        } else {
            let again = predict(&prediction.setting, rate, data, grounds, EXECUTIONS_FRONT, seed);
            near.push(again.unwrap_or(prediction));
        }
    }
    // Looked at more closely, some beat others after all.
    let is_beaten = beaten(near.iter().map(|prediction| (prediction.seconds.median, prediction.usd.median)));
    let mut front = Vec::new();
    for (prediction, is_beaten) in near.into_iter().zip(is_beaten) {
        if is_beaten { &mut others } else { &mut front }.push(prediction);
    }
    front.sort_by(|a, b| a.seconds.median.total_cmp(&b.seconds.median).then(a.usd.median.total_cmp(&b.usd.median)));
    Found { settings: settings.len(), front, others, refused }
}

fn settings<'a>(choices: &'a Choices, conditions: &Circumstances) -> Vec<(Setting, &'a Rate)> {
    let mut settings = Vec::new();
    for &partition_mb in &choices.partitions_mb {
        for rate in &choices.rates {
            for &memory_mb in &choices.memories_mb {
                for &architecture in &choices.architectures {
                    for &concurrency in &choices.concurrencies {
                        for &threads in &choices.threads {
                            let (place, batch_size) = (choices.place, rate.batch_size);
                            let setting = Setting {
                                place,
                                partition_mb,
                                batch_size,
                                memory_mb,
                                architecture,
                                concurrency,
                                threads: if place == Place::StepFunctions {
                                    vcpus(memory_mb, conditions)
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

/// Of points in two coordinates of which less is better, whether another one is better in one and no worse in the
/// other. Of equal points the first stays.
pub fn beaten(points: impl Iterator<Item = (f64, f64)>) -> Vec<bool> {
    let points: Vec<(f64, f64)> = points.collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        points[a].0.total_cmp(&points[b].0).then(points[a].1.total_cmp(&points[b].1)).then(a.cmp(&b))
    });
    let (mut is_beaten, mut least) = (vec![true; points.len()], f64::INFINITY);
    for index in order {
        if points[index].1 < least {
            (is_beaten[index], least) = (false, points[index].1);
        }
    }
    is_beaten
}

impl Found {
    /// The cheapest that keeps a deadline in seconds and a budget in USD, in 95 of 100 executions; without either, the
    /// one with the least product of time and cost, or the fastest where nothing costs anything.
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
        fn the_front_is_what_comparing_all_with_all_finds(
            points in proptest::collection::vec((0_u8..8, 0_u8..8), 0..40),
        ) {
            let points: Vec<(f64, f64)> = points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let found = beaten(points.iter().copied());
            for (index, a) in points.iter().enumerate() {
                let by_another = points.iter().enumerate().any(|(other, b)| {
                    b.0 <= a.0 && b.1 <= a.1 && (b.0 < a.0 || b.1 < a.1 || other < index)
                });
                prop_assert_eq!(found[index], by_another, "{} of {:?}", index, &points);
            }
        }
    }
}
