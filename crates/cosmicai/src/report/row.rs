//! A row of a report: one setting, measured once or several times.

use std::cmp::Ordering;

use accounting::audit::straggler_threshold;
use accounting::bill::Bill;
use accounting::statistics::{Estimate, estimate, median};
use accounting::study::StudyFigures;
use pipeline::report::{Foretold, PhaseSeconds};
use serde::{Deserialize, Serialize};

/// The experiment of runs that are of none.
pub(crate) const RUNS: &str = "Runs";

/// One run, as far as a report needs it.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    /// The experiment, or the kind of table that it belongs to.
    pub(crate) experiment: String,
    pub(crate) setting: Setting,
    pub(crate) study: StudyFigures,
    pub(crate) bill: Bill,
    /// Wall seconds of the whole run.
    pub(crate) total_s: Option<f64>,
    pub(crate) map_s: Option<f64>,
    /// Images, and bytes of these.
    pub(crate) samples: Option<f64>,
    pub(crate) bytes: Option<f64>,
    /// Sum of the rates of the workers, bytes per second.
    pub(crate) sum_of_workers: Option<f64>,
    pub(crate) memory_peak_mb: Option<f64>,
    pub(crate) phases: Option<PhaseSeconds>,
    /// Seconds of the workers' loops.
    pub(crate) task_s: Vec<f64>,
    /// MB that the loops allocated, by the study's count.
    pub(crate) allocated_mb: Option<f64>,
    pub(crate) foretold: Option<Foretold>,
}

/// What distinguishes rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) executor: String,
    pub(crate) partition_mb: Option<f64>,
    pub(crate) files: usize,
    pub(crate) tasks: usize,
    pub(crate) batch_size: Option<f64>,
    /// Whether the records have several batch sizes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_batch_mixed: bool,
    /// What computed, where that was not processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    pub(crate) precision: Option<String>,
    pub(crate) workers: Option<f64>,
    pub(crate) threads: Option<f64>,
    /// Memory asked for a worker, in MB.
    pub(crate) memory_asked_mb: Option<f64>,
}

/// A setting with the middle of its repeats.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) experiment: String,
    #[serde(flatten)]
    pub(crate) setting: Setting,
    pub(crate) repeats: usize,
    /// By the study's formulas, from the medians of mean runtime and mean memory.
    pub(crate) study: StudyFigures,
    pub(crate) total_s: Option<Estimate>,
    pub(crate) map_s: Option<Estimate>,
    pub(crate) images_per_s: Option<Estimate>,
    /// Binary GB per second, end to end, of the Map, and as the sum of all workers.
    pub(crate) end_to_end_gb_per_s: Option<Estimate>,
    pub(crate) map_gb_per_s: Option<Estimate>,
    pub(crate) sum_of_workers_gb_per_s: Option<Estimate>,
    pub(crate) memory_mb: Option<Estimate>,
    pub(crate) memory_peak_mb: Option<Estimate>,
    pub(crate) bill_usd: Option<Estimate>,
    /// The bill of the first repeat, line by line.
    pub(crate) bill: Bill,
    /// (GB/s)/USD, end to end, by the bill.
    pub(crate) efficiency_bill: Option<f64>,
    /// Median of all tasks of all repeats, the time from which on one is a straggler, and how many are.
    pub(crate) task_s_median: Option<f64>,
    pub(crate) straggler_s: Option<f64>,
    pub(crate) stragglers: usize,
    pub(crate) tasks_measured: usize,
    pub(crate) phases: Option<PhaseSeconds>,
    pub(crate) allocated_mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) foretold: Option<Foretold>,
    #[serde(skip)]
    pub(crate) task_s: Vec<f64>,
}

/// Bytes of a binary GB.
const GB: f64 = 1_073_741_824.0;

/// Rows, in the order in which their settings come first; runs of the same setting and experiment are repeats.
pub(crate) fn rows(measurements: Vec<Measurement>) -> Vec<Row> {
    let mut groups: Vec<Vec<Measurement>> = Vec::new();
    for one in measurements {
        let same =
            |group: &&mut Vec<Measurement>| group[0].experiment == one.experiment && group[0].setting == one.setting;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let mut rows: Vec<Row> = groups.iter().map(|group| Row::of(group)).collect();
    // A sweep says in which order its settings are to be read; loose runs come in the order of a shell's listing.
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
    fn of(repeats: &[Measurement]) -> Row {
        let first = &repeats[0];
        let of = |value: &dyn Fn(&Measurement) -> Option<f64>| estimate(repeats.iter().filter_map(value));
        let middle = |value: &dyn Fn(&Measurement) -> Option<f64>| median(repeats.iter().filter_map(value));
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
            foretold: first.foretold.clone(),
            bill: first.bill.clone(),
            end_to_end_gb_per_s,
            efficiency_bill,
            task_s_median,
            bill_usd,
            memory_mb,
            study,
            task_s,
        }
    }

    /// The row in a few words.
    pub(crate) fn label(&self) -> String {
        self.setting.label()
    }
}

/// For serde, which asks about a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Setting {
    /// The setting in a few words.
    pub(crate) fn label(&self) -> String {
        let Setting { partition_mb, files, batch_size, is_batch_mixed, device, precision, workers, threads, .. } = self;
        let partition = partition_mb.map_or_else(String::new, |mb| format!("{} MB × ", short(mb)));
        let batch = match batch_size {
            Some(size) => format!(", batch {size:.0}"),
            None if *is_batch_mixed => ", mixed batches".to_owned(),
            None => String::new(),
        };
        let device = device.as_ref().map_or_else(String::new, |name| format!(", {name}"));
        let precision =
            precision.as_ref().filter(|name| *name != "f32").map_or_else(String::new, |name| format!(", {name}"));
        let workers =
            workers.filter(|count| *count > 1.0).map_or_else(String::new, |count| format!(", {count:.0} workers"));
        let threads = threads.map_or_else(String::new, |count| format!(", {count:.0} threads"));
        format!("{partition}{files}{batch}{device}{precision}{workers}{threads}")
    }
}

/// Means over the repeats that have phases.
fn phases(repeats: &[Measurement]) -> Option<PhaseSeconds> {
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

/// A size with no more digits than it needs: 25, 0.5, 1.25.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
