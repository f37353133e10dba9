//! Settings that a forecast considers.

use records::ExecutorKind;
use records::payload::Payload;

use super::prediction::{RunSetting, architecture, vcpus};
use super::rates::Rate;
use super::search::Choices;
use super::work::ForecastJob;
use crate::assumptions::{Assumption, Assumptions};
use crate::prices::Architecture;

/// Number of simulated executions for the setting of a payload.
pub const EXECUTIONS: usize = 100;
/// Sizes of partitions in the CAI study, in binary MB.
const PARTITIONS_MB: [f64; 5] = [10.0, 25.0, 50.0, 75.0, 100.0];
/// Further sizes for data above [`LARGE_BYTES`], in binary MB.
const PARTITIONS_LARGE_MB: [f64; 3] = [250.0, 500.0, 1_000.0];
/// Bytes of data above which large partitions are considered.
const LARGE_BYTES: f64 = 1e11;
/// Memory of a Lambda function in MB, near the values at which it gets more vCPUs.
const MEMORIES_MB: [f64; 9] = [512.0, 1_024.0, 1_769.0, 3_008.0, 3_538.0, 5_307.0, 7_076.0, 8_845.0, 10_240.0];
/// Numbers of Lambda workers at a time.
const CONCURRENCIES: [f64; 8] = [10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0];
/// Numbers of tasks at a time on a cluster.
const CLUSTER_TASKS: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 1_024.0];
/// Numbers of threads of a task on a cluster.
const THREADS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

/// Settings that the user wants to consider. For an empty list, the forecast chooses.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Sizes of partitions in binary MB.
    pub partition_mb: Vec<f64>,
    /// Memory of a worker in MB.
    pub memory_mb: Vec<f64>,
    /// Numbers of tasks at a time.
    pub concurrency: Vec<u32>,
    /// Numbers of threads of a worker.
    pub threads: Vec<u16>,
    /// Processor architectures.
    pub architecture: Vec<Architecture>,
}

/// Settings to consider: those that the user wants, otherwise common ones. `cores` is the number of cores of this
/// machine, for runs on it.
pub fn choices(
    wanted: &Wanted,
    executor: ExecutorKind,
    job: &ForecastJob,
    rates: Vec<Rate>,
    assumptions: &Assumptions,
    cores: usize,
) -> Choices {
    let or = |given: Vec<f64>, otherwise: Vec<f64>| if given.is_empty() { otherwise } else { given };
    let threads: Vec<f64> = wanted.threads.iter().map(|threads| f64::from(*threads)).collect();
    let concurrency: Vec<f64> = wanted.concurrency.iter().map(|tasks| f64::from(*tasks)).collect();
    let large = if job.data.bytes() > LARGE_BYTES { &PARTITIONS_LARGE_MB[..] } else { &[] };
    let partitions_mb = match job.partition_mb {
        Some(mb) => vec![mb],
        None => or(wanted.partition_mb.clone(), [&PARTITIONS_MB, large].concat()),
    };
    let powers_of_two = |max: usize| (0..).map(|power| 1_usize << power).take_while(move |count| *count <= max);
    let up_to_cores: Vec<f64> = powers_of_two(cores).map(|count| count as f64).collect();
    // For Lambda only.
    let limit = |limits: &[f64]| {
        let most = assumptions.get(Assumption::Concurrency);
        let within: Vec<f64> = limits.iter().copied().filter(|tasks| *tasks < most).chain([most]).collect();
        within
    };
    // Rates measured on Lambda have no number of threads and are valid only for the memory of that run.
    let is_as_measured = rates.iter().all(|rate| rate.threads.is_none());
    match executor {
        ExecutorKind::StepFunctions => Choices {
            executor,
            partitions_mb,
            memories_mb: or(
                wanted.memory_mb.clone(),
                if is_as_measured { vec![assumptions.get(Assumption::MemoryMb)] } else { MEMORIES_MB.to_vec() },
            ),
            architectures: match &wanted.architecture[..] {
                [] if is_as_measured => vec![architecture(assumptions)],
                [] => vec![Architecture::X86, Architecture::Arm],
                given => given.to_vec(),
            },
            concurrencies: or(concurrency, limit(&CONCURRENCIES)),
            threads: vec![1.0],
            rates,
        },
        ExecutorKind::Slurm => Choices {
            executor,
            partitions_mb,
            memories_mb: memory_outside_lambda(wanted, assumptions, &rates),
            architectures: vec![Architecture::X86],
            concurrencies: or(concurrency, CLUSTER_TASKS.to_vec()),
            threads: or(threads, THREADS.to_vec()),
            rates,
        },
        ExecutorKind::Local | ExecutorKind::Workers => Choices {
            executor,
            partitions_mb,
            memories_mb: memory_outside_lambda(wanted, assumptions, &rates),
            architectures: vec![Architecture::X86],
            concurrencies: or(concurrency, up_to_cores.clone()),
            threads: or(threads, up_to_cores),
            rates,
        },
    }
}

/// Memory to consider if memory does not affect the cost: the amount that a worker needs.
fn memory_outside_lambda(wanted: &Wanted, assumptions: &Assumptions, rates: &[Rate]) -> Vec<f64> {
    match &wanted.memory_mb[..] {
        [] => vec![needed_mb(assumptions, rates)],
        given => given.to_vec(),
    }
}

/// Memory that a worker needs in MB: the largest measured or assumed value.
fn needed_mb(assumptions: &Assumptions, rates: &[Rate]) -> f64 {
    rates.iter().filter_map(|rate| rate.memory_mb).fold(assumptions.get(Assumption::WorkerMemoryMb), f64::max)
}

/// Setting of a payload, with the defaults of the executor for missing values. `cores` is the number of cores of this
/// machine, for runs on it.
pub fn payload_setting(
    payload: &Payload,
    job: &ForecastJob,
    executor: ExecutorKind,
    assumptions: &Assumptions,
    rates: &[Rate],
    cores: usize,
) -> RunSetting {
    let number = |value: Option<usize>| value.map(|value| value as f64);
    let (memory_mb, concurrency, threads) = match executor {
        ExecutorKind::StepFunctions => (
            number(payload.memory_mb).unwrap_or_else(|| assumptions.get(Assumption::MemoryMb)),
            number(payload.max_concurrency).unwrap_or_else(|| assumptions.get(Assumption::Concurrency)),
            vcpus(number(payload.memory_mb).unwrap_or_else(|| assumptions.get(Assumption::MemoryMb)), assumptions),
        ),
        ExecutorKind::Slurm => (
            needed_mb(assumptions, rates),
            number(payload.max_concurrency).unwrap_or(CLUSTER_TASKS[CLUSTER_TASKS.len() - 1]),
            1.0,
        ),
        ExecutorKind::Local | ExecutorKind::Workers => (needed_mb(assumptions, rates), 1.0, cores as f64),
    };
    RunSetting {
        executor,
        partition_mb: job.partition_mb.unwrap_or(PARTITIONS_MB[0]),
        batch_size: Some(payload.batch_size as f64),
        precision: Some(payload.precision.to_string()),
        memory_mb,
        architecture: if executor == ExecutorKind::StepFunctions {
            architecture(assumptions)
        } else {
            Architecture::X86
        },
        concurrency,
        threads,
    }
}
