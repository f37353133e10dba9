//! Rows of a comparison: one setting each, measured once or several times.

mod setting;

use std::cmp::Ordering;

use records::report::{PhaseSeconds, RunForecast};
use serde::Serialize;

use crate::audit::straggler_threshold;
use crate::bill::Bill;
use crate::s3_requests::S3Requests;
use crate::statistics::{Estimate, estimate, median, trimmed_mean};
use crate::study::StudyFigures;
pub use setting::{RowSetting, short};

/// Experiment of runs that do not belong to a sweep.
pub const RUNS: &str = "Runs";

/// Measurements of one run, as a comparison uses them.
#[derive(Debug, Clone)]
pub struct RowMeasurement {
    /// Experiment of a sweep, or [`RUNS`].
    pub experiment: String,
    /// Settings of the run.
    pub setting: RowSetting,
    /// Figures by the formulas of the CAI study.
    pub study: StudyFigures,
    /// Bill of the run.
    pub bill: Bill,
    /// Wall seconds of the whole run.
    pub total_s: Option<f64>,
    /// Seconds from the start of the first task to the end of the last one.
    pub map_s: Option<f64>,
    /// Number of images.
    pub samples: Option<f64>,
    /// Bytes of the images.
    pub bytes: Option<f64>,
    /// Sum of the rates of the workers in bytes per second.
    pub sum_of_workers: Option<f64>,
    /// Largest resident memory of any worker in MB.
    pub memory_peak_mb: Option<f64>,
    /// Seconds by phase, summed over the tasks.
    pub phases: Option<PhaseSeconds>,
    /// Seconds of the workers' loops.
    pub task_s: Vec<f64>,
    /// Binary GB and seconds at each step of a process that reports several times; empty for other runs.
    pub steps: Vec<(f64, f64)>,
    /// MB that the loops allocated, as the CAI study counts them.
    pub allocated_mb: Option<f64>,
    /// Requests to S3; `None` if nobody counted them.
    pub s3_requests: Option<S3Requests>,
    /// Forecast that was made before the run.
    pub forecast: Option<RunForecast>,
}

/// One setting with statistics over its repeats.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Experiment of a sweep, or [`RUNS`].
    pub experiment: String,
    /// Settings of the row.
    #[serde(flatten)]
    pub setting: RowSetting,
    /// Number of runs.
    pub repeats: usize,
    /// Figures by the formulas of the CAI study, from the medians of mean runtime and mean memory.
    pub study: StudyFigures,
    /// Wall seconds of the whole run.
    pub total_s: Option<Estimate>,
    /// Seconds from the start of the first task to the end of the last one.
    pub map_s: Option<Estimate>,
    /// Images per second over the whole run.
    pub images_per_s: Option<Estimate>,
    /// Binary GB per second over the whole run.
    pub end_to_end_gb_per_s: Option<Estimate>,
    /// Binary GB per second from the start of the first task to the end of the last one.
    pub map_gb_per_s: Option<Estimate>,
    /// Sum of the rates of all workers in binary GB per second.
    pub sum_of_workers_gb_per_s: Option<Estimate>,
    /// Mean memory of the workers in MB, as the CAI study counts it.
    pub memory_mb: Option<Estimate>,
    /// Largest resident memory of any worker in MB.
    pub memory_peak_mb: Option<Estimate>,
    /// Bill in USD.
    pub bill_usd: Option<Estimate>,
    /// Bill of the first repeat, line by line.
    pub bill: Bill,
    /// End-to-end throughput over the bill, in (GB/s)/USD.
    pub efficiency_bill: Option<f64>,
    /// Loop seconds of the slowest worker.
    pub slowest_s: Option<Estimate>,
    /// Median over the tasks of all repeats.
    pub task_s_median: Option<f64>,
    /// Mean over the tasks of all repeats, without outliers: see
    /// [`trimmed_mean`].
    pub task_s_mean_trimmed: Option<f64>,
    /// Seconds above which a task is a straggler.
    pub straggler_s: Option<f64>,
    /// Number of stragglers in all repeats.
    pub stragglers: usize,
    /// Number of tasks in all repeats.
    pub tasks_measured: usize,
    /// Seconds by phase, summed over the tasks; means over the repeats.
    pub phases: Option<PhaseSeconds>,
    /// MB that the loops allocated, as the CAI study counts them.
    pub allocated_mb: Option<f64>,
    /// Requests to S3 of the first repeat that counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_requests: Option<S3Requests>,
    /// Forecast that was made before the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<RunForecast>,
    /// Seconds of the loops of all tasks of all repeats.
    #[serde(skip)]
    pub task_s: Vec<f64>,
    /// Binary GB and seconds at each step of the first repeat.
    #[serde(skip)]
    pub steps: Vec<(f64, f64)>,
}

/// Bytes of a binary GB.
const GB: f64 = 1_073_741_824.0;

/// Groups measurements into rows, in the order in which each setting first occurs. Runs of the same setting and
/// experiment are repeats.
pub fn rows(measurements: Vec<RowMeasurement>) -> Vec<Row> {
    let mut groups: Vec<Vec<RowMeasurement>> = Vec::new();
    for one in measurements {
        let same =
            |group: &&mut Vec<RowMeasurement>| group[0].experiment == one.experiment && group[0].setting == one.setting;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let mut rows: Vec<Row> = groups.iter().map(|group| Row::of(group)).collect();
    // A sweep defines the order of its settings; single runs come in the order of the command line, so sort them.
    if rows.iter().all(|row| row.experiment == RUNS) {
        let sizes = |row: &Row| {
            [row.setting.partition_mb, row.study.data_gb, row.setting.batch_size].map(Option::unwrap_or_default)
        };
        rows.sort_by(|a, b| {
            let pairs = sizes(a).into_iter().zip(sizes(b));
            pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }
    rows
}

impl Row {
    fn of(repeats: &[RowMeasurement]) -> Row {
        let first = &repeats[0];
        let of = |value: &dyn Fn(&RowMeasurement) -> Option<f64>| estimate(repeats.iter().filter_map(value));
        let middle = |value: &dyn Fn(&RowMeasurement) -> Option<f64>| median(repeats.iter().filter_map(value));
        let over = |amount: Option<f64>, seconds: Option<f64>| {
            amount.zip(seconds).map(|(amount, seconds)| amount / seconds).filter(|rate| rate.is_finite())
        };
        let memory_mb = of(&|one| one.study.memory_mb_mean);
        let study = match repeats {
            [one] => one.study,
            _ => StudyFigures::from_means(
                first.study.files,
                first.setting.tasks,
                first.study.data_gb,
                middle(&|one| one.study.runtime_s_mean),
                middle(&|one| one.study.memory_mb_mean),
            ),
        };
        let end_to_end_gb_per_s = of(&|one| over(one.bytes.map(|bytes| bytes / GB), one.total_s));
        let bill_usd = of(&|one| Some(one.bill.total_usd));
        let task_s: Vec<f64> = repeats.iter().flat_map(|one| one.task_s.iter().copied()).collect();
        let task_s_median = median(task_s.iter().copied());
        let task_s_mean_trimmed = trimmed_mean(task_s.iter().copied());
        let straggler_s = straggler_threshold(&task_s);
        let efficiency_bill = end_to_end_gb_per_s
            .zip(bill_usd)
            .map(|(rate, usd)| rate.median / usd.median)
            .filter(|efficiency| efficiency.is_finite());
        Row {
            experiment: first.experiment.clone(),
            setting: first.setting.clone(),
            repeats: repeats.len(),
            total_s: of(&|one| one.total_s),
            map_s: of(&|one| one.map_s),
            images_per_s: of(&|one| over(one.samples, one.total_s)),
            map_gb_per_s: of(&|one| over(one.bytes.map(|bytes| bytes / GB), one.map_s)),
            sum_of_workers_gb_per_s: of(&|one| one.sum_of_workers.map(|bytes| bytes / GB)),
            memory_peak_mb: of(&|one| one.memory_peak_mb),
            stragglers: straggler_s.map_or(0, |limit| task_s.iter().filter(|seconds| **seconds > limit).count()),
            straggler_s,
            tasks_measured: task_s.len(),
            phases: phases(repeats),
            allocated_mb: middle(&|one| one.allocated_mb),
            s3_requests: repeats.iter().find_map(|one| one.s3_requests),
            forecast: first.forecast.clone(),
            bill: first.bill.clone(),
            end_to_end_gb_per_s,
            efficiency_bill,
            slowest_s: of(&|one| one.task_s.iter().copied().reduce(f64::max)),
            steps: first.steps.clone(),
            task_s_median,
            task_s_mean_trimmed,
            bill_usd,
            memory_mb,
            study,
            task_s,
        }
    }

    /// Short description of the row.
    pub fn label(&self) -> String {
        self.setting.label()
    }
}

/// Means of the phases over the repeats that have them.
fn phases(repeats: &[RowMeasurement]) -> Option<PhaseSeconds> {
    let known: Vec<&PhaseSeconds> = repeats.iter().filter_map(|one| one.phases.as_ref()).collect();
    let mean =
        |phase: fn(&PhaseSeconds) -> f64| known.iter().map(|phases| phase(phases)).sum::<f64>() / known.len() as f64;
    (!known.is_empty()).then(|| PhaseSeconds {
        init: mean(|phases| phases.init),
        list: mean(|phases| phases.list),
        read: mean(|phases| phases.read),
        decode: mean(|phases| phases.decode),
        infer: mean(|phases| phases.infer),
        write: mean(|phases| phases.write),
    })
}
