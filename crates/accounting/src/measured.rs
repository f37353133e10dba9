//! Measurements of a finished run: records in the study's format, and the report of a run that cosmicai made.

use std::collections::BTreeSet;

use records::ExecutorKind;
use records::plan::Plan;
use records::report::RunReport;
use records::time::seconds_between;

use crate::MB_PER_GB;
use crate::record::Record;
use crate::statistics::sorted;

/// Device in records of workers that compute on processors. Any other device is an accelerator.
const CPU: &str = "cpu";

/// Measurements of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// Path or URL that the run was read from.
    pub name: String,
    /// Records of its tasks, in the CAI study's format: one for each worker.
    pub records: Vec<Record>,
    /// Records of the files, if they have several for each worker (see
    /// [`WorkerRecords`](crate::record::WorkerRecords)); otherwise empty.
    pub written: Vec<Record>,
    /// Report of the run; `None` if cosmicai did not make the run.
    pub report: Option<RunReport>,
    /// Plan of the run; `None` if cosmicai did not make the run.
    pub plan: Option<Plan>,
    /// Facts that the user states because no file has them.
    pub stated: Stated,
}

/// Facts about a run that a file of records does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stated {
    /// Nominal size of a partition, in binary MB.
    pub partition_mb: Option<f64>,
    /// Wall seconds of the whole execution.
    pub total_seconds: Option<f64>,
    /// Wall seconds of the Map alone.
    pub map_seconds: Option<f64>,
    /// Executor that ran the tasks.
    pub executor: Option<ExecutorKind>,
}

/// Error of [`MeasuredRun::check`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeasuredRunError {
    /// A record has no time, or one that is not above 0.
    #[error(
        "`{run}`: record {index} of {records} (counted from 0): the time, `total_cpu_time (seconds)` or \
         `total_execution_time (seconds)`, is not a number above 0; run `cosmicai audit` to find all errors in the \
         records"
    )]
    NoTime {
        /// Name of the run.
        run: String,
        /// Index of the record.
        index: usize,
        /// Number of records.
        records: usize,
    },
    /// The run has no records.
    #[error("`{run}`: no records found; the run may not be finished")]
    NoRecords {
        /// Name of the run.
        run: String,
    },
}

impl MeasuredRun {
    /// Nominal size of a partition in binary MB: the stated one, or else the median of the records.
    ///
    /// Of two values in the middle it takes the larger one, because the shorter file is usually the last one of a set.
    pub fn partition_mb(&self) -> Option<f64> {
        let of_records = || {
            let sizes = sorted(self.records.iter().filter_map(Record::partition_mb));
            sizes.get(sizes.len() / 2).copied()
        };
        self.stated.partition_mb.or_else(of_records)
    }

    /// Number of finished tasks.
    pub fn tasks(&self) -> usize {
        self.report.as_ref().map_or(self.records.len(), |report| report.tasks.len())
    }

    /// Number of partition files of all records, or of the report's tasks if there are no records.
    pub fn files(&self) -> usize {
        match &self.report {
            Some(report) if self.records.is_empty() => report.tasks.iter().map(|task| task.files.len()).sum(),
            _ => self.records.iter().map(|record| record.files().len().max(1)).sum(),
        }
    }

    /// Data in binary GB as the CAI study counts it: nominal size × files, or the GB that a record of `total.json` has.
    ///
    /// The nominal size is the stated one, or else that of each record. A last file that is shorter than all others
    /// counts as much as they do, as it does in the study, where the name of the folder gives the size.
    pub fn data_gb(&self) -> Option<f64> {
        /// Relative difference up to which partitions have the same size.
        const ALIKE: f64 = 0.05;
        if let Some(gb) = self.records.iter().map(|record| record.gb_processed).sum::<Option<f64>>()
            && !self.records.is_empty()
        {
            return Some(gb);
        }
        let usual = self.partition_mb()?;
        let sizes: Vec<f64> = self.records.iter().map(|record| record.partition_mb().unwrap_or(usual)).collect();
        let is_of_one_size = sizes.iter().all(|mb| *mb <= usual * (1.0 + ALIKE))
            && sizes.iter().filter(|mb| **mb < usual * (1.0 - ALIKE)).count() <= 1;
        let of_record = |(record, mb): (&Record, f64)| {
            let is_nominal = record.partition_mb_named().is_some() || !is_of_one_size;
            let partition = self.stated.partition_mb.unwrap_or(if is_nominal { mb } else { usual });
            partition * record.files().len().max(1) as f64
        };
        Some(self.records.iter().zip(sizes).map(of_record).sum::<f64>() / MB_PER_GB)
    }

    /// Checks that sums over the records are possible.
    ///
    /// # Errors
    /// If there are no records, or if one has no time above 0.
    pub fn check(&self) -> Result<(), MeasuredRunError> {
        let count = self.records.len();
        let is_time = |record: &Record| record.seconds.is_some_and(|seconds| seconds > 0.0);
        match self.records.iter().position(|record| !is_time(record)) {
            Some(index) => Err(MeasuredRunError::NoTime { run: self.name.clone(), index, records: count }),
            None if count == 0 => Err(MeasuredRunError::NoRecords { run: self.name.clone() }),
            None => Ok(()),
        }
    }

    /// Contradiction between stated times and the records; `None` if there is none.
    pub fn contradiction(&self) -> Option<String> {
        let slowest = self.runtimes().into_iter().fold(0.0, f64::max);
        let Stated { total_seconds, map_seconds, .. } = self.stated;
        match (total_seconds, map_seconds) {
            (Some(total), Some(map)) if map > total => {
                Some(format!("the Map took {map} s, longer than the whole run, {total} s"))
            }
            (Some(seconds), _) | (None, Some(seconds)) if seconds < slowest => Some(format!(
                "a worker took {slowest:.2} s, longer than the run, {seconds} s; the time or the records belong to \
                 another run"
            )),
            _ => None,
        }
    }

    /// Size of the images and magnitudes that the model processed, in bytes.
    pub fn bytes(&self) -> Option<f64> {
        match &self.report {
            Some(report) => Some(report.bytes as f64),
            None => self.records.iter().map(Record::bytes).sum(),
        }
    }

    /// Number of images.
    pub fn samples(&self) -> Option<f64> {
        match &self.report {
            Some(report) => Some(report.samples as f64),
            None => self.records.iter().map(|record| Some(record.samples()?.round())).sum(),
        }
    }

    /// Wall seconds of the workers' loops, for each record that has them.
    pub fn runtimes(&self) -> Vec<f64> {
        self.records.iter().filter_map(|record| record.seconds).collect()
    }

    /// Batch size, if all records have the same one.
    pub fn batch_size(&self) -> Option<f64> {
        let mut sizes = self.records.iter().map(|record| record.batch_size);
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }

    /// Returns true if the records differ in batch size, because they belong to several runs.
    pub fn has_mixed_batch_sizes(&self) -> bool {
        let mut sizes = self.records.iter().map(|record| record.batch_size);
        let first = sizes.next().flatten();
        sizes.any(|size| size != first)
    }

    /// Devices that computed, if any was not a processor: `cuda`, or several joined by `+`.
    pub fn other_device(&self) -> Option<String> {
        let named = self.records.iter().filter_map(|record| record.device.as_deref());
        let devices: BTreeSet<&str> = named.collect();
        let has_other = devices.iter().any(|device| !device.eq_ignore_ascii_case(CPU));
        has_other.then(|| devices.into_iter().collect::<Vec<_>>().join("+"))
    }

    /// Wall seconds of the whole run.
    pub fn total_seconds(&self) -> Option<f64> {
        self.stated.total_seconds.or_else(|| Some(self.report.as_ref()?.total_seconds()))
    }

    /// Wall seconds from the start of the first task to the end of the last one.
    ///
    /// The time between the executions of a resumed run does not count: only the time in which a task ran.
    pub fn map_seconds(&self) -> Option<f64> {
        self.stated.map_seconds.or_else(|| {
            let report = self.report.as_ref()?;
            let mut spans: Vec<(&str, &str)> =
                report.tasks.iter().map(|task| (task.started.as_str(), task.finished.as_str())).collect();
            spans.sort_unstable();
            let (first, last) = (spans.first()?.0, spans.iter().map(|span| span.1).max()?);
            if report.seconds_before == 0.0 {
                return seconds_between(first, last);
            }
            let (mut seconds, mut until) = (0.0, first);
            for (started, finished) in spans {
                if finished > until {
                    seconds += seconds_between(started.max(until), finished)?;
                    until = finished;
                }
            }
            Some(seconds)
        })
    }

    /// Executor of the run: the stated one, or that of the report, or else the one that the records suggest.
    pub fn executor(&self) -> ExecutorKind {
        let reported = || self.report.as_ref().map(|report| report.executor);
        self.stated.executor.or_else(reported).unwrap_or_else(|| self.executor_of_records())
    }

    /// Data and time of the steps of a `total.json`, in binary GB and seconds; empty for other runs.
    pub fn steps(&self) -> Vec<(f64, f64)> {
        self.written.iter().filter_map(|step| Some((step.gb_processed?, step.seconds?))).collect()
    }

    /// Loop seconds of the slowest worker.
    pub fn slowest_seconds(&self) -> Option<f64> {
        self.runtimes().into_iter().reduce(f64::max)
    }

    /// Executor that the records suggest.
    ///
    /// The CAI study's scripts for a cluster write the GB that they processed, or the number of the file. Its worker on
    /// Lambda writes the file that it read and the place of its results. Its script for one machine writes none of
    /// these. Lambda has no accelerators.
    fn executor_of_records(&self) -> ExecutorKind {
        if !self.records.is_empty() && self.records.iter().all(is_of_cluster) {
            return ExecutorKind::Slurm;
        }
        let has_paths = self.records.iter().any(|record| record.result_path.is_some() || !record.files().is_empty());
        if has_paths && self.other_device().is_none() { ExecutorKind::StepFunctions } else { ExecutorKind::Local }
    }

    /// Reason why the run counts as one on this executor although neither user nor report states it; `None` if one
    /// does, or if the run counts as one on Lambda.
    pub fn why_assumed(&self) -> Option<&'static str> {
        if self.stated.executor.is_some() || self.is_ours() {
            return None;
        }
        match self.executor_of_records() {
            ExecutorKind::Slurm => Some("all records have `GB_processed` or `file_index`"),
            ExecutorKind::Local if self.other_device().is_some() => Some("`device` is not `cpu`"),
            ExecutorKind::Local => Some("no record has a `result_path` or a `data_path`"),
            ExecutorKind::StepFunctions | ExecutorKind::Workers => None,
        }
    }

    /// Returns true if cosmicai made the run.
    pub fn is_ours(&self) -> bool {
        self.report.is_some()
    }
}

/// Returns true for a record of the CAI study's scripts for a cluster.
fn is_of_cluster(record: &Record) -> bool {
    record.gb_processed.is_some() || record.file_index.is_some()
}

#[cfg(test)]
mod tests;
