//! A finished run as it was measured, whoever measured it: the study's records, and our report where there is one.

use std::collections::BTreeSet;

use pipeline::event::seconds_between;
use pipeline::plan::Plan;
use pipeline::report::RunReport;

use crate::MB_PER_GB;
use crate::record::Record;
use crate::statistics::sorted;

/// What reports call Lambda under a state machine.
pub const STEP_FUNCTIONS: &str = "step-functions";
/// What reports call jobs of a cluster.
pub const SLURM: &str = "slurm";
/// What reports call one machine.
pub const LOCAL: &str = "local";
/// What reports call processors; whatever else a record has for its device computes otherwise.
const CPU: &str = "cpu";

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
    /// Where its tasks ran: [`STEP_FUNCTIONS`], [`SLURM`] or [`LOCAL`].
    pub executor: Option<&'static str>,
}

impl MeasuredRun {
    /// Nominal size of a partition in binary MB: as told, else the middle of what the records say, of two in the middle the
    /// larger one, as a short file is the last of others.
    pub fn partition_mb(&self) -> Option<f64> {
        let of_records = || {
            let sizes = sorted(self.records.iter().filter_map(Record::partition_mb));
            sizes.get(sizes.len() / 2).copied()
        };
        self.told.partition_mb.or_else(of_records)
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

    /// Data in binary GB as the study counts it: nominal size × files, of each record its own unless one is told. A last
    /// file that is shorter than all others counts as one of them, as it does where a folder's name says their size.
    pub fn data_gb(&self) -> Option<f64> {
        /// How far, relatively, partitions of one size lie from it.
        const ALIKE: f64 = 0.05;
        let usual = self.partition_mb()?;
        let said: Vec<f64> = self.records.iter().map(|record| record.partition_mb().unwrap_or(usual)).collect();
        let is_of_one_size = said.iter().all(|mb| *mb <= usual * (1.0 + ALIKE))
            && said.iter().filter(|mb| **mb < usual * (1.0 - ALIKE)).count() <= 1;
        let of_record = |(record, mb): (&Record, f64)| {
            let is_nominal = record.partition_mb_named().is_some() || !is_of_one_size;
            let partition = self.told.partition_mb.unwrap_or(if is_nominal { mb } else { usual });
            partition * record.files().len().max(1) as f64
        };
        Some(self.records.iter().zip(said).map(of_record).sum::<f64>() / MB_PER_GB)
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

    /// Whether its records have several batch sizes, which are of several runs.
    pub fn has_mixed_batch_sizes(&self) -> bool {
        let mut sizes = self.records.iter().map(|record| record.batch_size);
        let first = sizes.next().flatten();
        sizes.any(|size| size != first)
    }

    /// What computed, where that was not processors alone: `cuda`, or several by name.
    pub fn other_device(&self) -> Option<String> {
        let named = self.records.iter().filter_map(|record| record.device.as_deref());
        let devices: BTreeSet<&str> = named.collect();
        let has_other = devices.iter().any(|device| !device.eq_ignore_ascii_case(CPU));
        has_other.then(|| devices.into_iter().collect::<Vec<_>>().join("+"))
    }

    /// Wall seconds from the beginning of the run to its end.
    pub fn total_seconds(&self) -> Option<f64> {
        self.told.total_seconds.or_else(|| Some(self.report.as_ref()?.total_seconds()))
    }

    /// Wall seconds from the first task's start to the last one's end; of a run that was resumed, those in which a task
    /// was at work, without the time between its executions.
    pub fn map_seconds(&self) -> Option<f64> {
        self.told.map_seconds.or_else(|| {
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

    /// Where its tasks ran: as told, as our report says, else as its records do.
    pub fn executor(&self) -> &str {
        let reported = || self.report.as_ref().map(|report| report.executor.as_str());
        self.told.executor.or_else(reported).unwrap_or_else(|| self.executor_of_records())
    }

    /// Where the records say that they were made: on Lambda under Step Functions, whose worker writes which file it took
    /// and where its results go, and computes on processors; the study's script for one machine writes neither, and Lambda
    /// has no `cuda`.
    fn executor_of_records(&self) -> &'static str {
        let has_place = self.records.iter().any(|record| record.result_path.is_some() || !record.files().is_empty());
        if has_place && self.other_device().is_none() { STEP_FUNCTIONS } else { LOCAL }
    }

    /// Why it is taken for a run on one machine where nobody says so; None where somebody does, or where it is not.
    pub fn why_local(&self) -> Option<&'static str> {
        let is_said = self.told.executor.is_some() || self.is_ours() || self.executor_of_records() != LOCAL;
        let why = if self.other_device().is_some() {
            "`device` is not `cpu`"
        } else {
            "no record has a `result_path` or a `data_path`"
        };
        (!is_said).then_some(why)
    }

    /// Whether our workers made it.
    pub fn is_ours(&self) -> bool {
        self.report.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{MB, SAMPLE_BYTES};

    fn run(records: Vec<Record>) -> MeasuredRun {
        MeasuredRun { name: "run".into(), records, report: None, plan: None, told: Told::default() }
    }

    fn record(path: Option<&str>, samples: f64) -> Record {
        Record {
            seconds: Some(2.0),
            throughput_bps: Some(samples * SAMPLE_BYTES * 8.0 / 2.0),
            data_path: path.map_or(json!(null), |path| json!(path)),
            ..Record::default()
        }
    }

    #[test]
    fn records_say_where_they_were_made() {
        let lambda = run(vec![record(Some("25MB/1.pt"), 1_278.0)]);
        assert_eq!((lambda.executor(), lambda.why_local()), (STEP_FUNCTIONS, None));
        let laptop = run(vec![record(None, 5_113.0)]);
        assert_eq!(laptop.executor(), LOCAL);
        assert!(laptop.why_local().unwrap().contains("result_path"));
        let mut graphics = lambda.clone();
        graphics.records[0].device = Some("cuda".into());
        assert_eq!((graphics.executor(), graphics.other_device().as_deref()), (LOCAL, Some("cuda")));
        assert!(graphics.why_local().unwrap().contains("device"));
        let told = MeasuredRun { told: Told { executor: Some(SLURM), ..Told::default() }, ..graphics };
        assert_eq!((told.executor(), told.why_local()), (SLURM, None));
    }

    #[test]
    fn a_short_last_file_counts_as_the_others_do() {
        let files = |names: [&str; 3], samples: [f64; 3]| {
            run(names.iter().zip(samples).map(|(name, samples)| record(Some(name), samples)).collect())
        };
        let gb = |mb: f64| Some(mb / MB_PER_GB);
        let short = [1_278.0, 1_278.0, 40.0];
        assert_eq!(files(["25MB/1.pt", "25MB/2.pt", "25MB/3.pt"], short).data_gb(), gb(75.0));
        assert_eq!(files(["1.pt", "2.pt", "3.pt"], short).data_gb(), gb(75.0));
        let two = run(vec![record(Some("1.pt"), 1_278.0), record(Some("2.pt"), 255.0)]);
        assert_eq!((two.partition_mb(), two.data_gb()), (Some(25.0), gb(50.0)));
        // Files of any sizes are of the size that they are.
        let mixed = files(["1.pt", "2.pt", "3.pt"], [511.0, 1_278.0, 5_113.0]).data_gb();
        assert_eq!(mixed, gb(10.0 + 25.0 + 100.0));
        let alone = 300.0 * SAMPLE_BYTES / MB;
        assert_eq!(run(vec![record(None, 300.0)]).data_gb(), gb(alone));
    }
}
