//! Inputs of a report: runs, files of records, and sweeps, read from paths or URLs.

use accounting::comparison::row::{RUNS, RowMeasurement, RowSetting};
use std::collections::HashSet;

use accounting::MB_PER_GB;
use accounting::assumptions::Assumptions;
use accounting::bill::{Bill, BillTerms};
use accounting::measured::{MeasuredRun, Stated};
use accounting::prices::Prices;
use accounting::s3_requests::S3Requests;
use accounting::study::StudyFigures;
use anyhow::{Result, bail, ensure};
use pipeline::storage::Stores;
use records::ExecutorKind;
use records::report::{PhaseSeconds, RunReport, TaskReport};
use records::sweep::SweepPoint;
use serde::Serialize;

use crate::accounting_options::TermsOptions;
use crate::measurements;
use crate::printer::count;

/// Ending of the name of a sweep's file.
const SWEEP_ENDING: &str = ".jsonl";
/// Largest sweep file that is read, in bytes.
const MAX_SWEEP_BYTES: u64 = 1 << 30;

/// One input of a report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReportInput {
    /// Path or URL, as the user named it.
    pub(crate) name: String,
    /// Kind of input.
    pub(crate) kind: &'static str,
    /// Number of runs in the input.
    pub(crate) runs: usize,
    /// Machines of the runs, with their instruction sets.
    pub(crate) machines: Vec<String>,
    /// Versions and commits of the program that made the runs; empty for records of the CAI study.
    pub(crate) programs: Vec<String>,
    /// Start of the first run and end of the last one, RFC 3339.
    pub(crate) when: Option<[String; 2]>,
}

/// Everything that was read.
pub(crate) struct Gathered {
    pub(crate) measurements: Vec<RowMeasurement>,
    pub(crate) sources: Vec<ReportInput>,
    /// Name and tasks of each run that can be drawn over time.
    pub(crate) timelines: Vec<(String, Vec<TaskReport>)>,
    /// Runs, for the audit.
    pub(crate) runs: Vec<MeasuredRun>,
}

/// Prices and options that costs are computed with.
pub(crate) struct CostTerms<'a> {
    pub(crate) prices: &'a Prices,
    pub(crate) options: &'a TermsOptions,
}

/// Facts about inputs that the user states because the files do not have them.
#[derive(Default)]
pub(crate) struct StatedByUser<'a> {
    /// Wall seconds of the whole run, by input.
    pub(crate) totals: &'a [(String, f64)],
    /// Executor of the tasks, by input.
    pub(crate) executors: &'a [(String, ExecutorKind)],
}

impl StatedByUser<'_> {
    fn of(&self, input: &str) -> Stated {
        Stated {
            total_seconds: self.totals.iter().find(|(name, _)| name == input).map(|(_, seconds)| *seconds),
            executor: self.executors.iter().find(|(name, _)| name == input).map(|(_, executor)| *executor),
            ..Stated::default()
        }
    }
}

/// Checks that each name of an option is one of the inputs, and is named once.
fn check_stated<'a>(option: &str, names: impl Iterator<Item = &'a String>, inputs: &[String]) -> Result<()> {
    let mut seen: Vec<&String> = Vec::new();
    for name in names {
        ensure!(inputs.contains(name), "{option}: `{name}` is not one of the inputs");
        ensure!(!seen.contains(&name), "{option}: `{name}` is named twice");
        seen.push(name);
    }
    Ok(())
}

/// Reads all inputs.
pub(crate) async fn gather(
    stores: &Stores,
    inputs: &[String],
    stated: &StatedByUser<'_>,
    cost_terms: &CostTerms<'_>,
) -> Result<Gathered> {
    check_stated("--total-seconds", stated.totals.iter().map(|(name, _)| name), inputs)?;
    check_stated("--executor", stated.executors.iter().map(|(name, _)| name), inputs)?;
    if let Some((_, name)) = inputs.iter().enumerate().find(|(index, name)| inputs[..*index].contains(name)) {
        bail!("`{name}` is named twice; name each input once");
    }
    let mut all = Gathered { measurements: Vec::new(), sources: Vec::new(), timelines: Vec::new(), runs: Vec::new() };
    for input in inputs {
        if input.ends_with(SWEEP_ENDING) {
            let mut points = sweep(stores, input).await?;
            // A sweep runs its points in a shuffled order.
            points.sort_by_key(|point| (point.point, point.repeat));
            let longest = points.iter().max_by_key(|point| point.tasks_finished);
            if let Some(point) = longest
                && let Ok(run) = measurements::read(stores, &point.results_url, Stated::default()).await
                && let Some(report) = run.report.filter(|report| report.run_id == point.run_id)
            {
                all.timelines.push((format!("{}, run {}", point.experiment, point.run_id), report.tasks));
            }
            all.sources.push(source_of_sweep(input, &points));
            for point in &points {
                all.measurements.push(measurement_of_point(point, cost_terms)?);
            }
        } else {
            let run = measurements::read(stores, input, stated.of(input)).await?;
            run.check()?;
            all.sources.push(source_of_run(&run));
            all.measurements.push(measurement_of_run(&run, cost_terms)?);
            if let Some(report) = &run.report {
                all.timelines.push((format!("run {}", report.run_id), report.tasks.clone()));
            }
            all.runs.push(run);
        }
    }
    Ok(all)
}

/// Reads the points of a sweep.
pub(crate) async fn sweep(stores: &Stores, url: &str) -> Result<Vec<SweepPoint>> {
    let (bucket, key) = stores.open_url(url)?;
    let bytes = bucket.read(&key, MAX_SWEEP_BYTES, "the lines of a sweep").await?;
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let mut points: Vec<SweepPoint> = Vec::new();
    let mut seen = HashSet::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        match SweepPoint::parse(line) {
            Ok(point) => {
                let (sweep, number, repeat) = point.run_key();
                let is_new = seen.insert((sweep.to_owned(), number, repeat));
                ensure!(is_new, "`{url}`, line {}: repeat {repeat} of point {number} is there twice", index + 1);
                points.push(point);
            }
            // The last line is incomplete if the sweep still runs or was killed.
            Err(_) if index + 1 == lines.len() => {}
            Err(problem) => bail!("`{url}`, line {}: {problem}", index + 1),
        }
    }
    ensure!(!points.is_empty(), "`{url}` has no finished run yet");
    Ok(points)
}

fn bill_terms<'a>(cost_terms: &CostTerms<'a>, assumptions: &'a Assumptions) -> BillTerms<'a> {
    BillTerms { prices: cost_terms.prices, assumptions, free_tier: cost_terms.options.free_tier }
}

fn measurement_of_run(run: &MeasuredRun, cost_terms: &CostTerms<'_>) -> Result<RowMeasurement> {
    let assumptions = if run.is_ours() { Assumptions::of_ours() } else { Assumptions::of_study() };
    let assumptions = cost_terms.options.assume(assumptions)?;
    let report = run.report.as_ref();
    let sum: Option<f64> = run.records.iter().map(|record| Some(record.throughput_bps? / 8.0)).sum();
    let allocated: Option<f64> = run.records.iter().map(|record| record.allocated_mb).sum();
    Ok(RowMeasurement {
        experiment: RUNS.to_owned(),
        setting: RowSetting {
            executor: run.executor(),
            partition_mb: run.partition_mb(),
            files: run.files(),
            tasks: run.records.len(),
            batch_size: run.batch_size(),
            is_batch_mixed: run.has_mixed_batch_sizes(),
            device: run.other_device(),
            precision: report.map(|report| report.precision.clone()),
            workers: report.map(|report| report.workers as f64),
            threads: report.map(|report| report.threads as f64),
            memory_asked_mb: None,
        },
        study: StudyFigures::of(run),
        bill: Bill::of(run, bill_terms(cost_terms, &assumptions)),
        total_s: run.total_seconds(),
        map_s: run.map_seconds(),
        samples: run.samples(),
        bytes: run.bytes(),
        sum_of_workers: sum,
        memory_peak_mb: run.records.iter().filter_map(|record| record.process_memory_mb).reduce(f64::max),
        phases: report.map(|report| sum_of_phases(&report.tasks)),
        task_s: run.runtimes(),
        steps: run.steps(),
        allocated_mb: allocated,
        s3_requests: S3Requests::of(run),
        forecast: report.and_then(|report| report.forecast.clone()),
    })
}

fn measurement_of_point(point: &SweepPoint, cost_terms: &CostTerms<'_>) -> Result<RowMeasurement> {
    let assumptions = cost_terms.options.assume(Assumptions::of_ours())?;
    let terms = bill_terms(cost_terms, &assumptions);
    let settings = &point.settings;
    let data_gb = settings.partition_mb * settings.files() as f64 / MB_PER_GB;
    let bill = match settings.executor {
        ExecutorKind::StepFunctions => Bill::of_workers(point.billed.as_ref(), &workers_of(point), terms),
        ExecutorKind::Slurm => {
            let cores = settings.threads.unwrap_or(1) as f64;
            let seconds: f64 = point.task_seconds.iter().sum();
            Bill::of_core_seconds(seconds * cores, "threads × time of the tasks".to_owned(), terms)
        }
        _ => Bill::of_machine_seconds(point.seconds, terms),
    };
    let of_workers: f64 = workers_of(point).iter().map(|(seconds, bytes)| bytes / seconds).sum();
    Ok(RowMeasurement {
        experiment: point.experiment.clone(),
        setting: RowSetting {
            executor: settings.executor,
            partition_mb: Some(settings.partition_mb),
            files: settings.files(),
            tasks: point.tasks,
            batch_size: Some(settings.batch_size as f64),
            is_batch_mixed: false,
            device: None,
            precision: Some(settings.precision.clone()),
            workers: settings.workers.map(|workers| workers as f64),
            threads: settings.threads.map(|threads| threads as f64),
            memory_asked_mb: settings.memory_mb,
        },
        study: StudyFigures::from_means(
            settings.files(),
            point.tasks_finished,
            Some(data_gb),
            Some(point.runtime_seconds_mean),
            Some(point.memory_mb_mean),
        ),
        bill,
        total_s: Some(point.seconds),
        map_s: Some(point.map_seconds),
        samples: Some(point.samples as f64),
        bytes: Some(point.bytes as f64),
        sum_of_workers: Some(of_workers).filter(|rate| rate.is_finite()),
        memory_peak_mb: Some(point.memory_mb_peak),
        phases: Some(point.phases),
        task_s: point.task_seconds.clone(),
        steps: Vec::new(),
        allocated_mb: point.allocated_mb,
        s3_requests: None,
        forecast: None,
    })
}

/// Loop seconds and bytes of each worker; the tasks of a point have about the same size.
fn workers_of(point: &SweepPoint) -> Vec<(f64, f64)> {
    let bytes = point.bytes as f64 / point.tasks_finished.max(1) as f64;
    point.task_seconds.iter().map(|seconds| (*seconds, bytes)).collect()
}

fn sum_of_phases(tasks: &[TaskReport]) -> PhaseSeconds {
    let sum = |phase: fn(&PhaseSeconds) -> f64| tasks.iter().map(|task| phase(&task.seconds)).sum();
    PhaseSeconds {
        init: sum(|phases| phases.init),
        list: sum(|phases| phases.list),
        read: sum(|phases| phases.read),
        decode: sum(|phases| phases.decode),
        infer: sum(|phases| phases.infer),
        write: sum(|phases| phases.write),
    }
}

fn source_of_run(run: &MeasuredRun) -> ReportInput {
    let report = run.report.as_ref();
    ReportInput {
        name: run.name.clone(),
        kind: if run.is_ours() { "run" } else { "records of the CAI study" },
        runs: 1,
        machines: report.map(machine_of_report).into_iter().collect(),
        programs: run.plan.as_ref().filter(|_| run.is_ours()).map(|plan| plan.created_by.clone()).into_iter().collect(),
        when: report.map(|report| [report.started.clone(), report.finished.clone()]),
    }
}

fn machine_of_report(report: &RunReport) -> String {
    machine(&report.machine, &report.isa)
}

fn machine(machine: &records::Machine, isa: &str) -> String {
    let cpu = machine.cpu.as_deref().unwrap_or(&machine.arch);
    let memory = machine.memory_mb.map_or_else(String::new, |mb| format!(", {:.0} GB", mb as f64 / MB_PER_GB));
    format!("{cpu}, {}{memory}, {}, {isa}", count(machine.cores, "core"), machine.os)
}

fn source_of_sweep(name: &str, points: &[SweepPoint]) -> ReportInput {
    let mut machines: Vec<String> = points.iter().map(|point| machine(&point.machine, &point.isa)).collect();
    let commit = |point: &SweepPoint| match point.commit.as_str() {
        "" => String::new(),
        commit => format!(", commit {commit}"),
    };
    let mut programs: Vec<String> = points.iter().map(|point| point.program.clone() + &commit(point)).collect();
    for list in [&mut machines, &mut programs] {
        list.sort_unstable();
        list.dedup();
    }
    let first = points.iter().map(|point| &point.started).min();
    let last = points.iter().map(|point| &point.finished).max();
    ReportInput {
        name: name.to_owned(),
        kind: "sweep",
        runs: points.len(),
        machines,
        programs,
        when: first.zip(last).map(|(first, last)| [first.clone(), last.clone()]),
    }
}
