//! The settings that a forecast looks at.

use accounting::circumstances::Circumstances;
use accounting::forecast::prediction::{Place, Setting, architecture, vcpus};
use accounting::forecast::rates::Rate;
use accounting::forecast::search::Choices;
use accounting::prices::Architecture;
use pipeline::payload::Payload;

use super::{Job, Options};
use crate::commands::cores;

/// Simulated executions of the setting that a payload asks for.
pub(super) const EXECUTIONS: usize = 100;
/// Sizes of partitions in binary MB: the study's.
const PARTITIONS_MB: [f64; 5] = [10.0, 25.0, 50.0, 75.0, 100.0];
/// Larger ones, for data beyond [`LARGE_BYTES`].
const PARTITIONS_LARGE_MB: [f64; 3] = [250.0, 500.0, 1_000.0];
const LARGE_BYTES: f64 = 1e11;
/// Memory of a function in MB: about where a vCPU, or a part of one, is added.
const MEMORIES_MB: [f64; 9] = [512.0, 1_024.0, 1_769.0, 3_008.0, 3_538.0, 5_307.0, 7_076.0, 8_845.0, 10_240.0];
const CONCURRENCIES: [f64; 8] = [10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0];
/// Jobs at a time, and threads of each, on a cluster.
const JOBS: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 1_024.0];
const THREADS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];

/// What is looked at, as far as the options do not say.
pub(super) fn choices(
    options: &Options,
    place: Place,
    job: &Job,
    rates: Vec<Rate>,
    conditions: &Circumstances,
) -> Choices {
    let or = |given: Vec<f64>, otherwise: Vec<f64>| if given.is_empty() { otherwise } else { given };
    let threads: Vec<f64> = options.threads.iter().map(|threads| f64::from(*threads)).collect();
    let concurrency: Vec<f64> = options.concurrency.iter().map(|tasks| f64::from(*tasks)).collect();
    let large = if job.data.bytes() > LARGE_BYTES { &PARTITIONS_LARGE_MB[..] } else { &[] };
    let partitions_mb = match job.partition_mb {
        Some(mb) => vec![mb],
        None => or(options.partition_mb.clone(), [&PARTITIONS_MB, large].concat()),
    };
    let powers_of_two = |max: usize| (0..).map(|power| 1_usize << power).take_while(move |count| *count <= max);
    let up_to_cores: Vec<f64> = powers_of_two(cores()).map(|count| count as f64).collect();
    // Of functions alone.
    let limit = |limits: &[f64]| {
        let most = conditions.get("concurrency");
        let within: Vec<f64> = limits.iter().copied().filter(|tasks| *tasks < most).chain([most]).collect();
        within
    };
    // Workers that were measured as they are on Lambda are foretold with the memory that they had.
    let is_as_measured = rates.iter().all(|rate| rate.threads.is_none());
    match place {
        Place::StepFunctions => Choices {
            place,
            partitions_mb,
            memories_mb: or(
                options.memory_mb.clone(),
                if is_as_measured { vec![conditions.get("memory_mb")] } else { MEMORIES_MB.to_vec() },
            ),
            architectures: match &options.architecture[..] {
                [] if is_as_measured => vec![architecture(conditions)],
                [] => vec![Architecture::X86, Architecture::Arm],
                given => given.to_vec(),
            },
            concurrencies: or(concurrency, limit(&CONCURRENCIES)),
            threads: vec![1.0],
            rates,
        },
        Place::Slurm => Choices {
            place,
            partitions_mb,
            memories_mb: memory_elsewhere(options, conditions, &rates),
            architectures: vec![Architecture::X86],
            concurrencies: or(concurrency, JOBS.to_vec()),
            threads: or(threads, THREADS.to_vec()),
            rates,
        },
        Place::Local => Choices {
            place,
            partitions_mb,
            memories_mb: memory_elsewhere(options, conditions, &rates),
            architectures: vec![Architecture::X86],
            concurrencies: or(concurrency, up_to_cores.clone()),
            threads: or(threads, up_to_cores),
            rates,
        },
    }
}

/// Where memory is not what is paid for: what a worker needs.
fn memory_elsewhere(options: &Options, conditions: &Circumstances, rates: &[Rate]) -> Vec<f64> {
    match &options.memory_mb[..] {
        [] => vec![needed_mb(conditions, rates)],
        given => given.to_vec(),
    }
}

fn needed_mb(conditions: &Circumstances, rates: &[Rate]) -> f64 {
    rates.iter().filter_map(|rate| rate.memory_mb).fold(conditions.get("worker_memory_mb"), f64::max)
}

/// The setting that a payload asks for; where it does not say, what its deployment has by default.
pub(crate) fn asked(payload: &Payload, job: &Job, place: Place, conditions: &Circumstances, rates: &[Rate]) -> Setting {
    let asked = |value: Option<usize>| value.map(|value| value as f64);
    let (memory_mb, concurrency, threads) = match place {
        Place::StepFunctions => (
            asked(payload.memory_mb).unwrap_or_else(|| conditions.get("memory_mb")),
            asked(payload.max_concurrency).unwrap_or_else(|| conditions.get("concurrency")),
            vcpus(asked(payload.memory_mb).unwrap_or_else(|| conditions.get("memory_mb")), conditions),
        ),
        Place::Slurm => {
            (needed_mb(conditions, rates), asked(payload.max_concurrency).unwrap_or(JOBS[JOBS.len() - 1]), 1.0)
        }
        Place::Local => (needed_mb(conditions, rates), 1.0, cores() as f64),
    };
    Setting {
        place,
        partition_mb: job.partition_mb.unwrap_or(PARTITIONS_MB[0]),
        batch_size: Some(payload.batch_size as f64),
        memory_mb,
        architecture: if place == Place::StepFunctions { architecture(conditions) } else { Architecture::X86 },
        concurrency,
        threads,
    }
}
