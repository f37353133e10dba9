//! Assumptions of a forecast about the executor: beside the [`assumptions`](crate::assumptions) of a bill, how fast
//! tasks are dispatched, how many may run at a time, how many processors come with memory, and how much task times
//! vary.

use records::ExecutorKind;

use super::rates::Rate;
use crate::assumptions::{Assumption, Assumptions, Entry, MODEL, entry};

/// Source of the values that were fitted to the study's executions.
const FITTED: &str = "fitted to 7 of the CAI study's 28 configurations (experiments/forecast)";

/// Step Functions and Lambda, for cosmicai's workers and for the study's.
const CLOUD: &[Entry] = {
    use Assumption as A;
    &[
        entry(A::Orchestration, 3.26, FITTED),
        entry(A::ChildStart, 0.036, FITTED),
        entry(A::StragglerFraction, 0.048, FITTED),
        entry(A::StragglerFactor, 1.88, FITTED),
        entry(A::BetweenRuns, 0.08, "runs of one configuration in the CAI study's table of worker times"),
        entry(A::BetweenTotals, 0.14, "total times of the 7 configurations around what is fitted to them"),
        entry(A::Jitter, 0.05, "tasks of one run in the CAI study's records, without stragglers"),
        entry(A::Concurrency, 1_000.0, "the default of an account, in a region"),
        entry(A::RampBurst, 1_000.0, "environments that a function may start at once"),
        entry(A::RampPer10S, 1_000.0, "environments that it may start in every further 10 s"),
        entry(A::VcpuMb, 1_769.0, "memory that comes with one vCPU"),
        entry(A::VcpusMax, 6.0, "at 10,240 MB"),
        entry(A::Timeout, 900.0, "the longest a function may run"),
        entry(A::TimeoutShare, 0.8, "the part of it that the slowest task may be expected to take"),
        entry(A::TasksMax, 10_000.0, "limit of one Distributed Map"),
        entry(A::FilesMax, 1e6, "limit of one plan"),
        entry(A::S3GetsPerS, 5_500.0, "limit of one prefix"),
        entry(A::LambdaVcpuOverMeasuredThread, 1.0, "not measured: a vCPU is a hardware thread, like one here"),
        entry(A::Arm64OverX86, 0.8, "not measured: the ratio of the prices, which prefers neither"),
        entry(A::WorkerMemoryMb, 300.0, "of the process, and what a function needs beside it"),
    ]
};

/// A cluster, beside [`MACHINES`].
const CLUSTER: &[Entry] = {
    use Assumption as A;
    &[
        entry(A::QueueWait, 0.0, "unknown: depends on the load of the cluster"),
        entry(A::JobStart, 1.0, "start of a cluster's job, before the worker starts"),
        entry(A::ClusterThreadOverMeasuredThread, 1.0, "not measured: a processor there is like one here"),
    ]
};

/// This machine, and a cluster.
const MACHINES: &[Entry] = {
    use Assumption as A;
    &[
        entry(A::Orchestration, 0.01, "listing, plan and claim of a small run here: its time less that of its task"),
        entry(A::StragglerFraction, 0.0, "none seen on a machine that is not shared"),
        entry(A::StragglerFactor, 1.0, "none seen on a machine that is not shared"),
        entry(A::BetweenRuns, 0.08, "repeats of a setting in record/2026-11-25-zen3-2c-study.jsonl"),
        entry(A::BetweenTotals, 0.0, "no other variation was seen"),
        entry(A::Jitter, 0.05, "machines are shared, clock rates change"),
        entry(A::WorkerMemoryMb, 200.0, "of the process"),
        entry(A::TasksMax, 10_000.0, "limit of one plan"),
        entry(A::FilesMax, 1e6, "limit of one plan"),
        MODEL,
        entry(A::Import, 0.14, "from start to first redshift, model of 61 MB (README); grows with model_mb"),
        entry(A::SummarizePerTask, 0.005, "records and reports are read many at a time"),
    ]
};

/// Assumptions for a forecast of cosmicai's workers on Lambda.
pub fn of_lambda() -> Assumptions {
    let fetch = entry(Assumption::FetchHidden, 1.0, "rows are fetched while others are predicted");
    // The simulation decides how many tasks start in a new environment.
    Assumptions::of_ours().without(Assumption::ColdFraction).and(CLOUD).and(&[fetch])
}

/// Assumptions for a forecast of the study's workers on Lambda.
pub fn of_study() -> Assumptions {
    let fetch = entry(Assumption::FetchHidden, 0.0, "a partition is fetched whole, then predicted");
    Assumptions::of_study().without(Assumption::ColdFraction).and(CLOUD).and(&[fetch])
}

/// Assumptions for a forecast of cosmicai's workers on this machine, which has this number of cores.
pub fn of_local(cores: usize) -> Assumptions {
    let cores = entry(Assumption::Cores, cores as f64, "of this machine");
    Assumptions::from_entries(MACHINES).and(&[cores])
}

/// Assumptions for a forecast of cosmicai's workers on a cluster.
pub fn of_cluster() -> Assumptions {
    Assumptions::from_entries(MACHINES).and(CLUSTER)
}

/// Assumptions for a forecast of an executor, with the values that measured runs and the size of the model replace.
///
/// `cores` are those of this machine. `model_mb` is the size of the payload's model in binary MB, if it is known. If no
/// rate has a number of threads, all rates come from the study's workers.
pub fn conditions_for(executor: ExecutorKind, cores: usize, rates: &[Rate], model_mb: Option<f64>) -> Assumptions {
    let mut assumptions = match executor {
        ExecutorKind::StepFunctions if rates.iter().all(|rate| rate.threads.is_none()) => of_study(),
        ExecutorKind::StepFunctions => of_lambda(),
        ExecutorKind::Slurm => of_cluster(),
        ExecutorKind::Local | ExecutorKind::Workers => of_local(cores),
    };
    if let Some(mb) = model_mb {
        assumptions.replace(Assumption::ModelMb, mb, "the payload's model");
    }
    // Variation comes from the run with most tasks.
    if let Some(rate) = rates.iter().max_by_key(|rate| rate.tasks) {
        for (assumption, value) in [
            (Assumption::Jitter, rate.jitter),
            (Assumption::StragglerFraction, rate.straggler_fraction),
            (Assumption::StragglerFactor, rate.straggler_factor),
        ] {
            if let Some(value) = value {
                assumptions.replace(assumption, value, "the measured run");
            }
        }
    }
    assumptions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(tasks: usize, threads: Option<f64>, jitter: Option<f64>) -> Rate {
        Rate {
            batch_size: None,
            precision: None,
            images_per_s: 100.0,
            threads,
            memory_mb: None,
            jitter,
            straggler_fraction: None,
            straggler_factor: None,
            tasks,
            source: "run".into(),
        }
    }

    #[test]
    fn each_executor_has_its_own_assumptions() {
        let measured = [rate(1, Some(1.0), None)];
        let of = |executor, rates: &[Rate]| conditions_for(executor, 6, rates, None);
        assert_eq!(of(ExecutorKind::StepFunctions, &measured), of_lambda());
        assert_eq!(of(ExecutorKind::StepFunctions, &[rate(1, None, None)]), of_study());
        assert_eq!(of(ExecutorKind::StepFunctions, &[rate(1, None, None), measured[0].clone()]), of_lambda());
        assert_eq!(of(ExecutorKind::Slurm, &measured), of_cluster());
        assert_eq!(of(ExecutorKind::Local, &measured), of_local(6));
        assert_eq!(of(ExecutorKind::Workers, &measured), of_local(6));
        assert_eq!(of_local(6).get(Assumption::Cores), 6.0);
    }

    #[test]
    fn measurements_replace_defaults() {
        let few = Rate { straggler_fraction: Some(0.5), ..rate(3, Some(1.0), Some(0.9)) };
        let many = Rate { straggler_factor: Some(2.5), ..rate(30, Some(1.0), Some(0.2)) };
        let assumptions = conditions_for(ExecutorKind::Slurm, 1, &[few, many], Some(12.0));
        assert_eq!(assumptions.get(Assumption::ModelMb), 12.0);
        assert_eq!(assumptions.get(Assumption::Jitter), 0.2);
        assert_eq!(assumptions.get(Assumption::StragglerFactor), 2.5);
        assert_eq!(assumptions.get(Assumption::StragglerFraction), 0.0, "the run with most tasks does not have it");
        let listed = assumptions.list();
        let source = |name: &str| listed.iter().find(|listed| listed.name == name).unwrap().source;
        assert_eq!((source("model_mb"), source("jitter")), ("the payload's model", "the measured run"));
    }

    /// The constructors fill in every assumption that a forecast or a bill of the executor reads, so that none is
    /// neutral by mistake.
    #[test]
    fn constructors_list_what_their_executor_needs() {
        let count = |assumptions: Assumptions| assumptions.list().len();
        assert_eq!([of_lambda(), of_study(), of_cluster(), of_local(1)].map(count), [35, 35, 15, 13]);
    }
}
