//! Time, cost and memory of one setting: many simulated executions, and the bill of what they consume.

use serde::Serialize;

use super::rates::Rate;
use super::simulation::{Execution, Limits, Simulated, Straying, simulate_at};
use super::work::{Bounds, Data, Tasks, Work};
use crate::bill::{Basis, Bill, Consumed, Terms};
use crate::circumstances::{Circumstances, PUBLISHED_MODEL_MB};
use crate::prices::{Architecture, Prices};
use crate::statistics::{Random, quantile, sorted};
use crate::{MB, MB_PER_GB};

/// Parts of the simulated executions that lie below the ends of an interval.
const INTERVAL_90: [f64; 2] = [0.05, 0.95];
/// What Lambda's whole milliseconds add to a task's billed time, on average.
const ROUNDING_S: f64 = 0.0005;

/// Where a run will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Lambda, under a state machine.
    StepFunctions,
    /// A cluster.
    Slurm,
    /// This machine.
    Local,
}

/// What can be chosen before a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Where it runs.
    pub place: Place,
    /// Nominal size of a partition in binary MB.
    pub partition_mb: f64,
    /// Images in a batch; None where the rate does not depend on it as far as was measured.
    pub batch_size: Option<f64>,
    /// Memory of a function in MB; of a worker elsewhere what it needs.
    pub memory_mb: f64,
    /// Whose processors.
    pub architecture: Architecture,
    /// Tasks at a time.
    pub concurrency: f64,
    /// Compute threads of a worker; on Lambda the vCPUs that come with its memory.
    pub threads: f64,
}

/// A middle value and the interval in which 90 % of the simulated executions lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// 5 % lie below.
    pub low: f64,
    /// Half lie below.
    pub median: f64,
    /// 95 % lie below.
    pub high: f64,
}

/// What a setting will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The setting.
    pub setting: Setting,
    /// Its tasks.
    pub work: Work,
    /// Images per second of one worker.
    pub worker_images_per_s: f64,
    /// Wall seconds from the start of the run to its summary.
    pub seconds: Interval,
    /// Of these, from the first task's start to the last one's end.
    pub map_seconds: Interval,
    /// Of the slowest task.
    pub slowest_task_seconds: Interval,
    /// USD.
    pub usd: Interval,
}

/// What predictions rest on.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// What things cost.
    pub prices: &'a Prices,
    /// What is assumed.
    pub conditions: &'a Circumstances,
    /// Whether to take off what a month begins with at no charge.
    pub free_tier: bool,
}

/// Predicts one setting by `executions` simulated ones; the same for the same seed.
///
/// # Errors
/// Where the setting cannot do the work: a task would take too long, or a worker has too little memory.
pub fn predict(
    setting: &Setting,
    rate: &Rate,
    data: &Data,
    grounds: Grounds<'_>,
    executions: usize,
    seed: u64,
) -> Result<Prediction, String> {
    let get = |name| grounds.conditions.get(name);
    check(setting, rate, grounds.conditions)?;
    let images_per_s = rate_of_worker(setting, rate, grounds.conditions);
    let mut bounds = Bounds { samples_of_task: f64::INFINITY, tasks: get("tasks_max"), files: get("files_max") };
    if setting.place == Place::StepFunctions {
        bounds.samples_of_task = longest_task_s(setting, grounds.conditions)
            / seconds_of_samples(1.0, data.bytes_of_sample(), setting.place, images_per_s, grounds.conditions);
    }
    let tasks = data.tasks(setting.partition_mb, &bounds)?;
    let execution = execution(setting, &tasks, images_per_s, grounds.conditions);
    let mut random = Random::new(seed);
    let simulated: Vec<Simulated> = (0..executions.max(1))
        .map(|_| {
            // How fast workers are differs from run to run, as well as from task to task.
            let between = (get("between_runs") * random.normal()).exp();
            let unexplained = (get("between_totals") * random.normal()).exp();
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
        usd: interval(simulated.iter().map(|one| cost(setting, &work, one, grounds))),
        setting: setting.clone(),
        work,
    })
}

/// Whether there can be such workers, and anything is known of them.
fn check(setting: &Setting, rate: &Rate, conditions: &Circumstances) -> Result<(), String> {
    const LAMBDA_MB: std::ops::RangeInclusive<f64> = 128.0..=10_240.0;
    let (memory, measured) = (setting.memory_mb, conditions.get("worker_memory_mb"));
    let needed = measured.max(rate.memory_mb.unwrap_or_default());
    if memory < needed {
        return Err(format!("a worker of {memory:.0} MB has less memory than it needs, {needed:.0} MB"));
    }
    if setting.place != Place::StepFunctions {
        return Ok(());
    }
    if !LAMBDA_MB.contains(&memory) {
        return Err(format!("no function has {memory:.0} MB: Lambda has {} to {}", LAMBDA_MB.start(), LAMBDA_MB.end()));
    }
    let is_as_measured = memory == conditions.get("memory_mb") && setting.architecture == architecture(conditions);
    if rate.threads.is_none() && !is_as_measured {
        return Err(format!(
            "`{}` says how fast its workers were with {:.0} MB on {}, and nothing of others; --assume memory_mb=N or arm64=1 \
             says that it was measured so",
            rate.source,
            conditions.get("memory_mb"),
            architecture(conditions)
        ));
    }
    Ok(())
}

/// The processors that are assumed.
pub fn architecture(conditions: &Circumstances) -> Architecture {
    if conditions.get("arm64") > 0.0 { Architecture::Arm } else { Architecture::X86 }
}

/// Images per second of a worker of this setting.
fn rate_of_worker(setting: &Setting, rate: &Rate, conditions: &Circumstances) -> f64 {
    let Some(threads) = rate.threads else { return rate.images_per_s };
    let of_thread = rate.images_per_s / threads;
    match setting.place {
        Place::Slurm => of_thread * setting.threads * conditions.get("cluster_thread_over_measured_thread"),
        // Threads beyond the cores share them.
        Place::Local => of_thread * setting.threads.min(conditions.get("cores") / setting.concurrency),
        Place::StepFunctions => {
            let arm = match setting.architecture {
                Architecture::X86 => 1.0,
                Architecture::Arm => conditions.get("arm64_over_x86_64"),
            };
            of_thread * vcpus(setting.memory_mb, conditions) * conditions.get("lambda_vcpu_over_measured_thread") * arm
        }
    }
}

/// Processors that come with a function's memory.
pub fn vcpus(memory_mb: f64, conditions: &Circumstances) -> f64 {
    (memory_mb / conditions.get("vcpu_mb")).min(conditions.get("vcpus_max"))
}

/// Seconds of so many images, of so many bytes each, from the first one's fetching to the last one's redshift.
fn seconds_of_samples(
    samples: f64,
    bytes_of_sample: f64,
    place: Place,
    images_per_s: f64,
    conditions: &Circumstances,
) -> f64 {
    let compute = samples / images_per_s;
    if place != Place::StepFunctions {
        return compute;
    }
    let fetch = samples * bytes_of_sample / MB / conditions.get("fetch_mb_per_s");
    if conditions.get("fetch_hidden") == 0.0 { compute + fetch } else { compute.max(fetch) }
}

/// The longest that a task of usual speed may take, so that the slowest of an execution, in a slow run, stays within its
/// share of the timeout.
fn longest_task_s(setting: &Setting, conditions: &Circumstances) -> f64 {
    /// Of ten thousand normal values the largest lies here, in σ, on average; and 95 of 100 values lie below that.
    const LARGEST: f64 = 3.85;
    const UPPER: f64 = 1.645;
    let get = |name| conditions.get(name);
    let straggler = if get("straggler_fraction") > 0.0 { get("straggler_factor") } else { 1.0 };
    let slow = (LARGEST * get("jitter") + UPPER * get("between_runs")).exp();
    get("timeout_s") * get("timeout_share") / (straggler * slow) - begin_s(setting, conditions)
}

/// Seconds that a new worker takes until it begins its first task.
fn begin_s(setting: &Setting, conditions: &Circumstances) -> f64 {
    let get = |name| conditions.get(name);
    match setting.place {
        Place::StepFunctions => get("cold_start_s") + get("import_s") + get("model_mb") / get("fetch_mb_per_s"),
        Place::Slurm => get("job_start_s") + reading_s(conditions),
        Place::Local => 0.0,
    }
}

/// Seconds to read and pack the model, elsewhere than on Lambda; `import_s` was measured with the published one.
fn reading_s(conditions: &Circumstances) -> f64 {
    conditions.get("import_s") * conditions.get("model_mb") / PUBLISHED_MODEL_MB
}

fn execution(setting: &Setting, tasks: &Tasks, images_per_s: f64, conditions: &Circumstances) -> Execution {
    let get = |name| conditions.get(name);
    let is_cloud = setting.place == Place::StepFunctions;
    let bytes_of_sample = tasks.work.bytes / tasks.work.samples;
    let seconds_of =
        |samples: f64| seconds_of_samples(samples, bytes_of_sample, setting.place, images_per_s, conditions);
    let count = tasks.samples.len() as f64;
    let before = get("orchestration_s")
        + match setting.place {
            Place::StepFunctions => get("initialize_s"),
            Place::Slurm => get("queue_wait_s"),
            Place::Local => reading_s(conditions),
        };
    let child_start =
        if is_cloud { get("child_start_s").max(get("gets_per_task") / get("s3_gets_per_s")) } else { 0.0 };
    let limits = if is_cloud {
        let concurrency = setting.concurrency.min(get("concurrency"));
        Limits { concurrency, burst: get("ramp_burst"), ramp_per_s: get("ramp_per_10_s") / 10.0 }
    } else {
        Limits { concurrency: setting.concurrency, burst: setting.concurrency, ramp_per_s: 1.0 }
    };
    Execution {
        task_s: tasks.samples.iter().map(|samples| seconds_of(*samples)).collect(),
        begin_s: begin_s(setting, conditions),
        before_s: before,
        after_s: get("summarize_s_per_task") * count,
        child_start_s: child_start,
        straying: Straying {
            jitter: get("jitter"),
            straggler_fraction: get("straggler_fraction"),
            straggler_factor: get("straggler_factor"),
        },
        limits,
    }
}

/// What all executions cost, if each is like this one; charged together, as months have tiers and free units once.
fn cost(setting: &Setting, work: &Work, simulated: &Simulated, grounds: Grounds<'_>) -> f64 {
    let Grounds { prices, conditions, free_tier } = grounds;
    let get = |name| conditions.get(name);
    let terms = Terms { prices, circumstances: conditions, free_tier };
    let (tasks, executions) = (work.tasks as f64, work.executions as f64);
    match setting.place {
        Place::Local => Bill::of_machine_seconds(simulated.total_s * executions, terms).total_usd,
        Place::Slurm => {
            let core_s = simulated.worker_s * executions * setting.threads;
            Bill::of_core_seconds(core_s, "foretold".to_owned(), terms).total_usd
        }
        Place::StepFunctions => {
            let billed_s = simulated.worker_s * executions + ROUNDING_S * tasks;
            let control_s = get("initialize_s") * executions + get("summarize_s_per_task") * tasks;
            let gb_s = (setting.memory_mb * billed_s + get("control_memory_mb") * control_s) / MB_PER_GB;
            let ephemeral_gb = (get("ephemeral_mb") - crate::bill::EPHEMERAL_FREE_MB).max(0.0) / MB_PER_GB;
            let consumed = Consumed {
                gb_s,
                gb_s_reckoned: (Basis::Assumed, String::new()),
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
