//! Forecast of the time and cost of one setting: many simulated executions, and the bill of what they consume.

use records::ExecutorKind;
use serde::Serialize;

use super::rates::Rate;
use super::simulation::{Execution, Limits, Simulated, TaskVariation, simulate_at};
use super::work::{Bounds, Data, Tasks, Work, WorkError};
use crate::assumptions::{Assumption, Assumptions, PUBLISHED_MODEL_MB};
use crate::bill::{Basis, Bill, BillTerms, Consumed};
use crate::prices::Architecture;
use crate::statistics::{Random, quantile, sorted};
use crate::{MB, MB_PER_GB};

/// Quantiles of the simulated executions at the ends of an interval.
const INTERVAL_90: [f64; 2] = [0.05, 0.95];
/// Mean seconds that Lambda adds to the billed time of a task by rounding up to milliseconds.
const ROUNDING_S: f64 = 0.0005;

/// Setting of a run that the user can choose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSetting {
    /// Executor of the run.
    #[serde(rename = "place")]
    pub executor: ExecutorKind,
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Number of images in a batch; `None` if the records of the measured rate differ.
    pub batch_size: Option<f64>,
    /// Precision of the model's arithmetic; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Memory of a function in MB. On other executors, memory that a worker needs.
    pub memory_mb: f64,
    /// Processor architecture.
    pub architecture: Architecture,
    /// Number of tasks that run at a time.
    pub concurrency: f64,
    /// Compute threads of a worker. On Lambda, the vCPUs that come with its memory.
    pub threads: f64,
}

/// Median of the simulated executions, and the interval that contains 90 % of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// 5 % quantile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 95 % quantile.
    pub high: f64,
}

/// Forecast of one setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Setting.
    pub setting: RunSetting,
    /// Amount of work.
    pub work: Work,
    /// Images per second of one worker.
    pub worker_images_per_s: f64,
    /// Wall seconds from the start of the run to its summary.
    pub seconds: Interval,
    /// Wall seconds from the start of the first task to the end of the last one.
    pub map_seconds: Interval,
    /// Seconds of the slowest task.
    pub slowest_task_seconds: Interval,
    /// Cost in USD.
    pub usd: Interval,
}

/// Error of [`predict`]: the setting cannot do the work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// The worker has too little memory.
    #[error("a worker with {memory_mb:.0} MB has too little memory; it needs {needed_mb:.0} MB")]
    TooLittleMemory {
        /// Memory of the setting in MB.
        memory_mb: f64,
        /// Memory that a worker needs, in MB.
        needed_mb: f64,
    },
    /// Lambda does not offer this memory.
    #[error(
        "a function cannot have {memory_mb:.0} MB; Lambda offers {} to {} MB",
        LAMBDA_MB.start(),
        LAMBDA_MB.end()
    )]
    NoSuchFunction {
        /// Memory of the setting in MB.
        memory_mb: f64,
    },
    /// The measured run says nothing about functions of another size or architecture.
    #[error(
        "`{run}` measured workers with {memory_mb:.0} MB on {architecture}, which does not determine the speed of \
         others; if it used another function, pass --assume memory_mb=N or arm64=1"
    )]
    NotMeasured {
        /// Run that was measured.
        run: String,
        /// Memory of its workers in MB.
        memory_mb: f64,
        /// Architecture of its workers.
        architecture: Architecture,
    },
    /// A task takes too long.
    #[error(transparent)]
    Work(#[from] WorkError),
}

/// Memory that Lambda offers, in MB.
const LAMBDA_MB: std::ops::RangeInclusive<f64> = 128.0..=10_240.0;

/// Forecasts one setting with `executions` simulated executions. The result depends on the arguments only.
///
/// # Errors
/// If the setting cannot do the work: a task would take too long, or a worker has too little memory, or the measured
/// run does not determine its speed.
pub fn predict(
    setting: &RunSetting,
    rate: &Rate,
    data: &Data,
    terms: BillTerms<'_>,
    executions: usize,
    seed: u64,
) -> Result<Prediction, SettingError> {
    let get = |assumption| terms.assumptions.get(assumption);
    check(setting, rate, terms.assumptions)?;
    let images_per_s = rate_of_worker(setting, rate, terms.assumptions);
    let mut bounds =
        Bounds { samples_of_task: f64::INFINITY, tasks: get(Assumption::TasksMax), files: get(Assumption::FilesMax) };
    if setting.executor == ExecutorKind::StepFunctions {
        bounds.samples_of_task = longest_task_s(setting, terms.assumptions)
            / seconds_of_samples(1.0, data.bytes_of_sample(), setting.executor, images_per_s, terms.assumptions);
    }
    let tasks = data.tasks(setting.partition_mb, &bounds)?;
    let execution = execution(setting, &tasks, images_per_s, terms.assumptions);
    let mut random = Random::new(seed);
    let simulated: Vec<Simulated> = (0..executions.max(1))
        .map(|_| {
            // The speed of workers differs between runs, as well as between tasks.
            let between = (get(Assumption::BetweenRuns) * random.normal()).exp();
            let unexplained = (get(Assumption::BetweenTotals) * random.normal()).exp();
            let one = simulate_at(&execution, between, random.bits());
            Simulated { total_s: one.total_s * unexplained, map_s: one.map_s * unexplained, ..one }
        })
        .collect();
    let work = tasks.work;
    let all = work.executions as f64;
    Ok(Prediction {
        worker_images_per_s: images_per_s,
        seconds: interval(simulated.iter().map(|one| one.total_s * all)),
        map_seconds: interval(simulated.iter().map(|one| one.map_s * all)),
        slowest_task_seconds: interval(simulated.iter().map(|one| one.slowest_s)),
        usd: interval(simulated.iter().map(|one| cost(setting, &work, one, terms))),
        setting: setting.clone(),
        work,
    })
}

/// Checks that such workers exist and that their speed is known.
fn check(setting: &RunSetting, rate: &Rate, assumptions: &Assumptions) -> Result<(), SettingError> {
    let (memory, measured) = (setting.memory_mb, assumptions.get(Assumption::WorkerMemoryMb));
    let needed = measured.max(rate.memory_mb.unwrap_or_default());
    if memory < needed {
        return Err(SettingError::TooLittleMemory { memory_mb: memory, needed_mb: needed });
    }
    if setting.executor != ExecutorKind::StepFunctions {
        return Ok(());
    }
    if !LAMBDA_MB.contains(&memory) {
        return Err(SettingError::NoSuchFunction { memory_mb: memory });
    }
    let is_as_measured =
        memory == assumptions.get(Assumption::MemoryMb) && setting.architecture == architecture(assumptions);
    if rate.threads.is_none() && !is_as_measured {
        return Err(SettingError::NotMeasured {
            run: rate.source.clone(),
            memory_mb: assumptions.get(Assumption::MemoryMb),
            architecture: architecture(assumptions),
        });
    }
    Ok(())
}

/// Architecture that the assumptions give.
pub fn architecture(assumptions: &Assumptions) -> Architecture {
    if assumptions.get(Assumption::Arm64) > 0.0 { Architecture::Arm } else { Architecture::X86 }
}

/// Images per second of a worker with this setting.
fn rate_of_worker(setting: &RunSetting, rate: &Rate, assumptions: &Assumptions) -> f64 {
    let Some(threads) = rate.threads else { return rate.images_per_s };
    let of_thread = rate.images_per_s / threads;
    match setting.executor {
        ExecutorKind::Slurm => {
            of_thread * setting.threads * assumptions.get(Assumption::ClusterThreadOverMeasuredThread)
        }
        // More threads than cores share the cores.
        ExecutorKind::Local | ExecutorKind::Workers => {
            of_thread * setting.threads.min(assumptions.get(Assumption::Cores) / setting.concurrency)
        }
        ExecutorKind::StepFunctions => {
            let arm = match setting.architecture {
                Architecture::X86 => 1.0,
                Architecture::Arm => assumptions.get(Assumption::Arm64OverX86),
            };
            of_thread
                * vcpus(setting.memory_mb, assumptions)
                * assumptions.get(Assumption::LambdaVcpuOverMeasuredThread)
                * arm
        }
    }
}

/// Number of vCPUs that come with a function's memory.
pub fn vcpus(memory_mb: f64, assumptions: &Assumptions) -> f64 {
    (memory_mb / assumptions.get(Assumption::VcpuMb)).min(assumptions.get(Assumption::VcpusMax))
}

/// Seconds to fetch and compute `samples` images of `bytes_of_sample` bytes each.
fn seconds_of_samples(
    samples: f64,
    bytes_of_sample: f64,
    executor: ExecutorKind,
    images_per_s: f64,
    assumptions: &Assumptions,
) -> f64 {
    let compute = samples / images_per_s;
    if executor != ExecutorKind::StepFunctions {
        return compute;
    }
    let fetch = samples * bytes_of_sample / MB / assumptions.get(Assumption::FetchMbPerS);
    if assumptions.get(Assumption::FetchHidden) == 0.0 { compute + fetch } else { compute.max(fetch) }
}

/// Longest time of a task at usual speed with which the slowest task of an execution, in a slow run, stays within its
/// share of the timeout.
fn longest_task_s(setting: &RunSetting, assumptions: &Assumptions) -> f64 {
    /// Mean of the largest of ten thousand normal values, in σ.
    const LARGEST: f64 = 3.85;
    /// 95 % quantile of normal values, in σ.
    const UPPER: f64 = 1.645;
    let get = |assumption| assumptions.get(assumption);
    let straggler = if get(Assumption::StragglerFraction) > 0.0 { get(Assumption::StragglerFactor) } else { 1.0 };
    let slow = (LARGEST * get(Assumption::Jitter) + UPPER * get(Assumption::BetweenRuns)).exp();
    get(Assumption::Timeout) * get(Assumption::TimeoutShare) / (straggler * slow) - start_s(setting, assumptions)
}

/// Seconds from the start of a new worker to the start of its first task.
fn start_s(setting: &RunSetting, assumptions: &Assumptions) -> f64 {
    let get = |assumption| assumptions.get(assumption);
    match setting.executor {
        ExecutorKind::StepFunctions => {
            get(Assumption::ColdStart)
                + get(Assumption::Import)
                + get(Assumption::ModelMb) / get(Assumption::FetchMbPerS)
        }
        ExecutorKind::Slurm => get(Assumption::JobStart) + reading_s(assumptions),
        ExecutorKind::Local | ExecutorKind::Workers => 0.0,
    }
}

/// Seconds to read and pack the model on executors other than Lambda. `import_s` was measured with the published model.
fn reading_s(assumptions: &Assumptions) -> f64 {
    assumptions.get(Assumption::Import) * assumptions.get(Assumption::ModelMb) / PUBLISHED_MODEL_MB
}

fn execution(setting: &RunSetting, tasks: &Tasks, images_per_s: f64, assumptions: &Assumptions) -> Execution {
    let get = |assumption| assumptions.get(assumption);
    let is_cloud = setting.executor == ExecutorKind::StepFunctions;
    let bytes_of_sample = tasks.work.bytes / tasks.work.samples;
    let seconds_of =
        |samples: f64| seconds_of_samples(samples, bytes_of_sample, setting.executor, images_per_s, assumptions);
    let count = tasks.samples.len() as f64;
    let before = get(Assumption::Orchestration)
        + match setting.executor {
            ExecutorKind::StepFunctions => get(Assumption::Initialize),
            ExecutorKind::Slurm => get(Assumption::QueueWait),
            ExecutorKind::Local | ExecutorKind::Workers => reading_s(assumptions),
        };
    let child_start = if is_cloud {
        get(Assumption::ChildStart).max(get(Assumption::GetsPerTask) / get(Assumption::S3GetsPerS))
    } else {
        0.0
    };
    let limits = if is_cloud {
        let concurrency = setting.concurrency.min(get(Assumption::Concurrency));
        Limits { concurrency, burst: get(Assumption::RampBurst), ramp_per_s: get(Assumption::RampPer10S) / 10.0 }
    } else {
        Limits { concurrency: setting.concurrency, burst: setting.concurrency, ramp_per_s: 1.0 }
    };
    Execution {
        task_s: tasks.samples.iter().map(|samples| seconds_of(*samples)).collect(),
        start_s: start_s(setting, assumptions),
        before_s: before,
        after_s: get(Assumption::SummarizePerTask) * count,
        child_start_s: child_start,
        variation: TaskVariation {
            jitter: get(Assumption::Jitter),
            straggler_fraction: get(Assumption::StragglerFraction),
            straggler_factor: get(Assumption::StragglerFactor),
        },
        limits,
    }
}

/// Cost of all executions in USD if each is like this one. They are charged together, because a month has each tier and
/// the free tier once.
fn cost(setting: &RunSetting, work: &Work, simulated: &Simulated, terms: BillTerms<'_>) -> f64 {
    let get = |assumption| terms.assumptions.get(assumption);
    let (tasks, executions) = (work.tasks as f64, work.executions as f64);
    match setting.executor {
        ExecutorKind::Local | ExecutorKind::Workers => {
            Bill::of_machine_seconds(simulated.total_s * executions, terms).total_usd
        }
        ExecutorKind::Slurm => {
            let core_s = simulated.worker_s * executions * setting.threads;
            Bill::of_core_seconds(core_s, "forecast".to_owned(), terms).total_usd
        }
        ExecutorKind::StepFunctions => {
            let billed_s = simulated.worker_s * executions + ROUNDING_S * tasks;
            let control_s = get(Assumption::Initialize) * executions + get(Assumption::SummarizePerTask) * tasks;
            let gb_s = (setting.memory_mb * billed_s + get(Assumption::ControlMemoryMb) * control_s) / MB_PER_GB;
            let ephemeral_gb = (get(Assumption::EphemeralMb) - crate::bill::EPHEMERAL_FREE_MB).max(0.0) / MB_PER_GB;
            let consumed = Consumed {
                s3_requests: None,
                gb_s,
                gb_s_calculation: (Basis::Assumed, String::new()),
                ephemeral_gb_s: ephemeral_gb * billed_s,
                requests: (Basis::Assumed, tasks + 2.0 * executions),
                tasks,
                files: work.files as f64,
                executions,
                architecture: setting.architecture,
            };
            Bill::of_lambda(&consumed, terms).total_usd
        }
    }
}

fn interval(values: impl Iterator<Item = f64>) -> Interval {
    let values = sorted(values);
    let at = |part| quantile(&values, part).unwrap_or_default();
    Interval { low: at(INTERVAL_90[0]), median: at(0.5), high: at(INTERVAL_90[1]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::conditions;
    use crate::prices::Prices;

    fn setting(memory_mb: f64) -> RunSetting {
        RunSetting {
            executor: ExecutorKind::StepFunctions,
            partition_mb: 25.0,
            batch_size: None,
            precision: None,
            memory_mb,
            architecture: Architecture::X86,
            concurrency: 10.0,
            threads: 1.0,
        }
    }

    fn rate(threads: Option<f64>) -> Rate {
        Rate {
            batch_size: None,
            precision: None,
            images_per_s: 200.0,
            threads,
            memory_mb: Some(400.0),
            jitter: None,
            straggler_fraction: None,
            straggler_factor: None,
            tasks: 1,
            source: "run".into(),
        }
    }

    fn predicted(setting: &RunSetting, rate: &Rate, assumptions: &Assumptions) -> Result<Prediction, SettingError> {
        let terms = BillTerms { prices: &Prices::default(), assumptions, free_tier: false };
        predict(setting, rate, &Data::Size(100.0 * MB), terms, 3, 0)
    }

    #[test]
    fn same_arguments_give_the_same_forecast() {
        let forecast = || predicted(&setting(1_769.0), &rate(Some(1.0)), &conditions::of_lambda()).unwrap();
        assert_eq!(forecast(), forecast());
        assert!(forecast().seconds.median > forecast().map_seconds.median && forecast().usd.median > 0.0);
    }

    #[test]
    fn rejects_functions_that_do_not_exist_or_are_too_small() {
        let error = |memory_mb| {
            predicted(&setting(memory_mb), &rate(Some(1.0)), &conditions::of_lambda()).unwrap_err().to_string()
        };
        assert_eq!(error(399.0), "a worker with 399 MB has too little memory; it needs 400 MB");
        assert_eq!(error(20_000.0), "a function cannot have 20000 MB; Lambda offers 128 to 10240 MB");
    }

    #[test]
    fn rejects_functions_whose_speed_was_not_measured() {
        let study = conditions::of_study();
        assert!(predicted(&setting(10_240.0), &rate(None), &study).is_ok());
        let error = predicted(&setting(1_769.0), &rate(None), &study).unwrap_err();
        assert!(matches!(error, SettingError::NotMeasured { memory_mb: 10_240.0, .. }), "{error}");
    }

    #[test]
    fn rejects_partitions_that_exceed_the_timeout() {
        let slow = Rate { images_per_s: 0.5, ..rate(Some(1.0)) };
        let error = predicted(&setting(1_769.0), &slow, &conditions::of_lambda()).unwrap_err();
        assert_eq!(error, SettingError::Work(WorkError::PartitionTooLarge { partition_mb: 25.0 }));
    }
}
