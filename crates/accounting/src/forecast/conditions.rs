//! What is assumed of the place where a run will be: beside the [`circumstances`](crate::circumstances) of a bill, how
//! quickly tasks are handed out, how many may run at a time, how processors come with memory, and how far workers stray
//! from their usual time.

use crate::circumstances::{Assumption, Circumstances, MODEL_MB};

/// Where the values come from that were fitted to the study's executions.
const FITTED: &str = "fitted to 7 of the study's 28 configurations (experiments/forecast)";

/// Of Step Functions and Lambda, whoever the workers are.
const CLOUD: &[Assumption] = &[
    of("orchestration_s", 3.26, "s", FITTED),
    of("child_start_s", 0.036, "s", FITTED),
    of("straggler_fraction", 0.048, "of the tasks", FITTED),
    of("straggler_factor", 1.88, "× the usual time", FITTED),
    of("between_runs", 0.08, "σ of the logarithm", "runs of one configuration in the study's table of worker times"),
    of(
        "between_totals",
        0.14,
        "σ of the logarithm",
        "total times of the 7 configurations around what is fitted to them",
    ),
    of("jitter", 0.05, "σ of the logarithm", "tasks of one run in the study's records, without stragglers"),
    of("concurrency", 1_000.0, "environments", "the default of an account, in a region"),
    of("ramp_burst", 1_000.0, "environments", "a function may begin so many at once"),
    of("ramp_per_10_s", 1_000.0, "environments", "and so many more every 10 s"),
    of("vcpu_mb", 1_769.0, "MB", "memory with which one vCPU comes"),
    of("vcpus_max", 6.0, "vCPUs", "at 10,240 MB"),
    of("timeout_s", 900.0, "s", "the longest a function may run"),
    of("timeout_share", 0.8, "of the timeout", "the part of it that the slowest task may be expected to take"),
    of("tasks_max", 10_000.0, "tasks", "of one Distributed Map"),
    of("files_max", 1e6, "files", "of one plan"),
    of("s3_gets_per_s", 5_500.0, "requests/s", "of one prefix"),
    of("lambda_vcpu_over_measured_thread", 1.0, "×", "not measured: a vCPU is a hardware thread, like one here"),
    of("arm64_over_x86_64", 0.8, "×", "not measured: the ratio of the prices, so that neither is preferred"),
    of("worker_memory_mb", 300.0, "MB", "of the process, and what a function needs beside it"),
];

/// Of a cluster.
const CLUSTER: &[Assumption] = &[
    of("queue_wait_s", 0.0, "s", "unknown: how long a cluster lets the first job wait"),
    of("job_start_s", 1.0, "s", "of a cluster's job, before the worker begins"),
    of(
        "cluster_thread_over_measured_thread",
        1.0,
        "×",
        "not measured: a processor there is like one here, however many",
    ),
];

/// Of this machine and of a cluster.
const MACHINES: &[Assumption] = &[
    of("orchestration_s", 0.01, "s", "listing, plan and claim of a small run here: its time less that of its task"),
    of("straggler_fraction", 0.0, "of the tasks", "none seen on a machine of one's own"),
    of("straggler_factor", 1.0, "× the usual time", "none seen on a machine of one's own"),
    of("between_runs", 0.08, "σ of the logarithm", "repeats of a setting in record/2026-11-25-zen3-2c-study.jsonl"),
    of("between_totals", 0.0, "σ of the logarithm", "nothing was seen beside that"),
    of("jitter", 0.05, "σ of the logarithm", "machines are shared, clocks change"),
    of("worker_memory_mb", 200.0, "MB", "of the process"),
    of("tasks_max", 10_000.0, "tasks", "of one plan"),
    of("files_max", 1e6, "files", "of one plan"),
    MODEL_MB,
    of("import_s", 0.14, "s", "a start to its first redshift, model of 61 MB (README); grows as model_mb does"),
    of("summarize_s_per_task", 0.005, "s", "records and reports are read many at a time"),
];

const fn of(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Assumption {
    Assumption { name, value, unit, source }
}

/// Of our workers on Lambda.
pub fn of_lambda() -> Circumstances {
    let fetch = of("fetch_hidden", 1.0, "0 or 1", "rows are fetched while others are predicted");
    // How many begin anew is what is simulated.
    Circumstances::of_ours().without("cold_fraction").and(CLOUD).and(&[fetch])
}

/// Of the study's workers on Lambda.
pub fn of_study() -> Circumstances {
    let fetch = of("fetch_hidden", 0.0, "0 or 1", "a partition is fetched whole, then predicted");
    Circumstances::of_study().without("cold_fraction").and(CLOUD).and(&[fetch])
}

/// Of our workers on this machine, which has so many cores.
pub fn of_local(cores: usize) -> Circumstances {
    let cores = Assumption { value: cores as f64, ..of("cores", 1.0, "cores", "of this machine") };
    Circumstances::new(MACHINES).and(&[cores])
}

/// Of our workers on a cluster.
pub fn of_cluster() -> Circumstances {
    Circumstances::new(MACHINES).and(CLUSTER)
}
