//! Time over data size for each kind of machine, as the CAI study compares a laptop, a cluster and the cloud.

use std::collections::BTreeMap;
use std::fmt;

use records::ExecutorKind;

use super::row::{Row, RowSetting};
use crate::statistics::Estimate;

/// Kind of machine that ran the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MachineKind {
    /// One machine, such as a laptop.
    OneMachine,
    /// One machine with an accelerator.
    OneMachineGpu,
    /// Workers that the user started.
    Workers,
    /// Processors of a cluster.
    HpcCpu,
    /// Processors of a cluster, used by one process.
    HpcCpuOneProcess,
    /// Accelerators of a cluster.
    HpcGpu,
    /// Accelerators of a cluster, used by one process.
    HpcGpuOneProcess,
    /// Lambda.
    Cloud,
}

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneMachine => "one machine",
            Self::OneMachineGpu => "one machine, GPU",
            Self::Workers => "workers started by hand",
            Self::HpcCpu => "HPC CPU",
            Self::HpcCpuOneProcess => "HPC CPU, one process",
            Self::HpcGpu => "HPC GPU",
            Self::HpcGpuOneProcess => "HPC GPU, one process",
            Self::Cloud => "cloud (Lambda)",
        })
    }
}

impl MachineKind {
    /// Kind of the machines of a setting.
    pub fn of(setting: &RowSetting) -> Self {
        match (setting.executor, &setting.device) {
            (ExecutorKind::Local, None) => Self::OneMachine,
            (ExecutorKind::Local, Some(_)) => Self::OneMachineGpu,
            (ExecutorKind::Slurm, None) if setting.tasks == 1 => Self::HpcCpuOneProcess,
            (ExecutorKind::Slurm, None) => Self::HpcCpu,
            (ExecutorKind::Slurm, Some(_)) if setting.tasks == 1 => Self::HpcGpuOneProcess,
            (ExecutorKind::Slurm, Some(_)) => Self::HpcGpu,
            (ExecutorKind::StepFunctions, _) => Self::Cloud,
            (ExecutorKind::Workers, _) => Self::Workers,
        }
    }
}

/// Time of a run that [`fastest_by_data`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparedTime {
    /// Time of the whole run.
    WholeRun,
    /// Time of the slowest worker's loop, which is shorter.
    SlowestWorker,
}

/// Binary GB and time of the fastest run of each data size, by kind of machine, in the order of the data sizes.
pub type FastestByData = BTreeMap<MachineKind, Vec<(f64, Estimate)>>;

/// Finds the fastest run of each data size for each kind of machine. Sizes within a tenth count as one, because
/// partitions of another size hold the same data in another number of files. The time is that of whole runs if every row
/// has it, and otherwise that of the slowest worker of every row, so that one kind of time is never compared with the
/// other. Of a process that reports many data sizes, it takes those near powers of two, and the last.
pub fn fastest_by_data(rows: &[Row]) -> (ComparedTime, FastestByData) {
    let is_whole = rows.iter().all(|row| row.total_s.is_some() && row.steps.is_empty());
    let compared = if is_whole { ComparedTime::WholeRun } else { ComparedTime::SlowestWorker };
    let mut fastest = FastestByData::new();
    for row in rows {
        let points = fastest.entry(MachineKind::of(&row.setting)).or_default();
        let time = if is_whole { row.total_s } else { row.slowest_s };
        let steps = doubling(&row.steps)
            .map(|(gb, seconds)| (gb, Estimate { median: seconds, low: seconds, high: seconds, count: 1 }));
        let whole = row.study.data_gb.zip(time).filter(|_| row.steps.is_empty());
        for (gb, time) in steps.chain(whole).filter(|(gb, _)| *gb > 0.0) {
            add(points, gb, time);
        }
    }
    for points in fastest.values_mut() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    fastest.retain(|_, points| !points.is_empty());
    (compared, fastest)
}

/// Adds a run, or replaces one of a similar size that took more time for each GB.
fn add(points: &mut Vec<(f64, Estimate)>, gb: f64, time: Estimate) {
    /// Largest ratio of sizes that count as one.
    const ALIKE: f64 = 1.1;
    match points.iter_mut().find(|(known, _)| (ALIKE.recip()..=ALIKE).contains(&(known / gb))) {
        Some(point) if time.median / gb < point.1.median / point.0 => *point = (gb, time),
        Some(_) => {}
        None => points.push((gb, time)),
    }
}

/// Steps whose data size is at least twice that of the step before, and the last step.
fn doubling(steps: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let is_double = kept.last().is_none_or(|last| step.0 >= 2.0 * last.0);
        if is_double || index + 1 == steps.len() {
            kept.push(*step);
        }
    }
    kept.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assumptions::Assumptions;
    use crate::bill::{Bill, BillTerms};
    use crate::comparison::row::{RUNS, RowMeasurement, rows};
    use crate::prices::Prices;
    use crate::study::StudyFigures;

    fn measured(executor: ExecutorKind, device: Option<&str>, gb: f64, task_s: &[f64]) -> RowMeasurement {
        let (prices, assumptions) = (Prices::default(), Assumptions::of_study());
        let terms = BillTerms { prices: &prices, assumptions: &assumptions, free_tier: false };
        RowMeasurement {
            experiment: RUNS.to_owned(),
            setting: RowSetting {
                executor,
                partition_mb: Some(gb),
                files: task_s.len(),
                tasks: task_s.len(),
                batch_size: Some(512.0),
                is_batch_mixed: false,
                device: device.map(str::to_owned),
                precision: None,
                workers: None,
                threads: None,
                memory_asked_mb: None,
            },
            study: StudyFigures::from_means(task_s.len(), task_s.len(), Some(gb), Some(1.0), None),
            bill: Bill::of_machine_seconds(1.0, terms),
            total_s: None,
            map_s: None,
            samples: None,
            bytes: None,
            sum_of_workers: None,
            memory_peak_mb: None,
            s3_requests: None,
            phases: None,
            task_s: task_s.to_vec(),
            steps: Vec::new(),
            allocated_mb: None,
            forecast: None,
        }
    }

    #[test]
    fn takes_the_fastest_run_of_each_size_and_kind() {
        let steps = RowMeasurement {
            steps: vec![(1.0, 100.0), (2.0, 200.0)],
            ..measured(ExecutorKind::Slurm, Some("cuda"), 2.0, &[200.0])
        };
        let all = rows(vec![
            measured(ExecutorKind::StepFunctions, None, 1.0, &[6.0, 8.0]),
            measured(ExecutorKind::StepFunctions, None, 1.0, &[7.0, 7.0, 7.0]),
            measured(ExecutorKind::Local, None, 1.0, &[40.0]),
            measured(ExecutorKind::Slurm, None, 1.0, &[30.0, 10.0]),
            measured(ExecutorKind::Slurm, None, 1.05, &[31.0, 10.0]),
            steps,
        ]);
        let (compared, fastest) = fastest_by_data(&all);
        assert_eq!(compared, ComparedTime::SlowestWorker);
        let of = |kind| -> Vec<(f64, f64)> { fastest[&kind].iter().map(|(gb, time)| (*gb, time.median)).collect() };
        assert_eq!(of(MachineKind::Cloud), [(1.0, 7.0)]);
        assert_eq!(of(MachineKind::OneMachine), [(1.0, 40.0)]);
        assert_eq!(of(MachineKind::HpcCpu), [(1.05, 31.0)], "one size, less time for each GB");
        assert_eq!(of(MachineKind::HpcGpuOneProcess), [(1.0, 100.0), (2.0, 200.0)]);
    }

    #[test]
    fn many_steps_are_thinned_to_doublings() {
        let steps: Vec<(f64, f64)> = (1..=1_000).map(|gb| (f64::from(gb), f64::from(gb) * 9.0)).collect();
        let kept: Vec<f64> = doubling(&steps).map(|(gb, _)| gb).collect();
        assert_eq!(kept, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_000.0]);
    }

    #[test]
    fn whole_runs_are_compared_only_if_all_rows_have_them() {
        let with_total = |gb: f64, total: f64| RowMeasurement {
            total_s: Some(total),
            ..measured(ExecutorKind::StepFunctions, None, gb, &[6.0])
        };
        let (compared, fastest) = fastest_by_data(&rows(vec![with_total(1.0, 20.0), with_total(2.0, 25.0)]));
        assert_eq!(compared, ComparedTime::WholeRun);
        assert_eq!(fastest[&MachineKind::Cloud][1].1.median, 25.0);
        let mixed = rows(vec![with_total(1.0, 20.0), measured(ExecutorKind::Local, None, 1.0, &[40.0])]);
        let (compared, fastest) = fastest_by_data(&mixed);
        assert_eq!(compared, ComparedTime::SlowestWorker);
        assert_eq!(fastest[&MachineKind::Cloud][0].1.median, 6.0);
    }
}
