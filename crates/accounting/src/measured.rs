//! A finished run as it was measured, whoever measured it: the study's records, and our report where there is one.

use pipeline::event::seconds_between;
use pipeline::plan::Plan;
use pipeline::report::RunReport;

use crate::MB_PER_GB;
use crate::record::Record;
use crate::statistics::median;

/// What reports call Lambda under a state machine.
pub const STEP_FUNCTIONS: &str = "step-functions";

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// Where it was read from.
    pub name: String,
    /// The study's records of its tasks.
    pub records: Vec<Record>,
    /// Our report; None of a run that we did not make.
    pub report: Option<RunReport>,
    /// Our plan, likewise.
    pub plan: Option<Plan>,
    /// What somebody says that no file does.
    pub told: Told,
}

/// What a file of records does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Nominal size of a partition, in binary MB.
    pub partition_mb: Option<f64>,
    /// Wall seconds of the whole execution.
    pub total_seconds: Option<f64>,
    /// Wall seconds of the Map alone.
    pub map_seconds: Option<f64>,
}

impl MeasuredRun {
    /// Nominal size of a partition in binary MB: as told, else the middle of what the records say.
    pub fn partition_mb(&self) -> Option<f64> {
        self.told.partition_mb.or_else(|| median(self.records.iter().filter_map(Record::partition_mb)))
    }

    /// Tasks that are finished.
    pub fn tasks(&self) -> usize {
        self.report.as_ref().map_or(self.records.len(), |report| report.tasks.len())
    }

    /// Partition files of all records; where only the report is known, of its tasks.
    pub fn files(&self) -> usize {
        match &self.report {
            Some(report) if self.records.is_empty() => report.tasks.iter().map(|task| task.files.len()).sum(),
            _ => self.records.iter().map(|record| record.files().len().max(1)).sum(),
        }
    }

    /// Data in binary GB as the study counts it: nominal size × files, of each record its own unless one is told.
    pub fn data_gb(&self) -> Option<f64> {
        let usual = self.partition_mb()?;
        let of_record = |record: &Record| {
            let partition = self.told.partition_mb.or_else(|| record.partition_mb()).unwrap_or(usual);
            partition * record.files().len().max(1) as f64
        };
        Some(self.records.iter().map(of_record).sum::<f64>() / MB_PER_GB)
    }

    /// Whether sums can be made of its records.
    ///
    /// # Errors
    /// Names the first record without a time, or with one that is none.
    pub fn check(&self) -> Result<(), String> {
        let count = self.records.len();
        let is_time = |record: &Record| record.seconds.is_some_and(|seconds| seconds > 0.0);
        match self.records.iter().position(|record| !is_time(record)) {
            Some(index) => Err(format!(
                "`{}`: record {index} of {count} (counted from 0): `total_cpu_time (seconds)` is not a number above 0, so that \
                 no sum can be made; `cosmicai audit` says what else is wrong",
                self.name
            )),
            None if count == 0 => Err(format!("`{}`: no records are in it; is the run finished?", self.name)),
            None => Ok(()),
        }
    }

    /// What somebody told that cannot be; None where all can.
    pub fn doubt(&self) -> Option<String> {
        let slowest = self.runtimes().into_iter().fold(0.0, f64::max);
        let Told { total_seconds, map_seconds, .. } = self.told;
        match (total_seconds, map_seconds) {
            (Some(total), Some(map)) if map > total => {
                Some(format!("the Map took {map} s, and the whole run {total} s"))
            }
            (Some(seconds), _) | (None, Some(seconds)) if seconds < slowest => Some(format!(
                "a worker took {slowest:.2} s, longer than the run's {seconds} s; one of both is another run's"
            )),
            _ => None,
        }
    }

    /// Bytes of images and magnitudes that went through the model.
    pub fn bytes(&self) -> Option<f64> {
        match &self.report {
            Some(report) => Some(report.bytes as f64),
            None => self.records.iter().map(Record::bytes).sum(),
        }
    }

    /// Images.
    pub fn samples(&self) -> Option<f64> {
        match &self.report {
            Some(report) => Some(report.samples as f64),
            None => self.records.iter().map(|record| Some(record.samples()?.round())).sum(),
        }
    }

    /// Seconds of the workers' loops, by record.
    pub fn runtimes(&self) -> Vec<f64> {
        self.records.iter().filter_map(|record| record.seconds).collect()
    }

    /// The batch size, where all records have the same.
    pub fn batch_size(&self) -> Option<f64> {
        let mut sizes = self.records.iter().map(|record| record.batch_size);
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }

    /// Wall seconds from the beginning of the run to its end.
    pub fn total_seconds(&self) -> Option<f64> {
        self.told.total_seconds.or_else(|| Some(self.report.as_ref()?.seconds))
    }

    /// Wall seconds from the first task's start to the last one's end.
    pub fn map_seconds(&self) -> Option<f64> {
        self.told.map_seconds.or_else(|| {
            let tasks = &self.report.as_ref()?.tasks;
            let first = tasks.iter().map(|task| &task.started).min()?;
            let last = tasks.iter().map(|task| &task.finished).max()?;
            seconds_between(first, last)
        })
    }

    /// Where its tasks ran; the study's ran on Lambda under Step Functions.
    pub fn executor(&self) -> &str {
        self.report.as_ref().map_or(STEP_FUNCTIONS, |report| &report.executor)
    }

    /// Whether our workers made it.
    pub fn is_ours(&self) -> bool {
        self.report.is_some()
    }
}
