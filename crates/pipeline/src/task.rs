//! One task from its files to its results: what a worker invocation does, wherever it runs.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Event, EventSink, Stopwatch, memory_peak_mb, now};
use crate::objects::{Objects, ObjectsError};
use crate::output::{Format, OutputError, Writer};
use crate::partition::{Partition, PartitionError};
use crate::payload::PredictionsFormat;
use crate::plan::{FileIdentity, Plan, Task};
use crate::predict::{Cost, PredictError, Predicted, Worker, predict};
use crate::record::{Measured, StudyRecord};
use crate::report::{FlagCounts, PhaseSeconds, REPORT_FORMAT, TaskReport};
use crate::results::Results;
use crate::storage::{Bucket, StorageError, is_transient};

/// Why a task failed. Nothing of it counts as finished; the other tasks are not touched.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A store did not do what was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A partition cannot be predicted.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Who the galaxies of a partition are cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The predictions could not be encoded.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl TaskError {
    /// Whether another attempt may succeed. Not where the data are malformed, or where access is denied.
    pub fn retry_can_help(&self) -> bool {
        match self {
            Self::Storage(error) | Self::Objects(ObjectsError::Storage(error)) => error.is_transient(),
            Self::Predict(PredictError::Partition(PartitionError::Storage { source, .. })) => is_transient(source),
            Self::Predict(_) | Self::Objects(_) | Self::Output(_) => false,
        }
    }
}

/// What the tasks of one run share.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The run's plan.
    pub plan: &'a Plan,
    /// The bucket of the partitions.
    pub data: &'a Bucket,
    /// The folder of the results.
    pub results: &'a Results,
    /// Who listens.
    pub events: &'a dyn EventSink,
}

/// Which time a task is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first time.
    pub number: u32,
    /// When the executor had the task ready, RFC 3339.
    pub queued: String,
}

/// Predicts the files of a task and writes its results, in this order: predictions, the study's record, our report.
/// The report says that the others are complete. A task without files writes the report alone, as the study's workers
/// wrote no record for it.
///
/// Dropping the future abandons the task between two groups of rows; every object is then whole or absent.
pub async fn run_task(
    run: Run<'_>,
    task: &Task,
    attempt: Attempt,
    worker: &mut Worker,
) -> Result<TaskReport, TaskError> {
    let Run { plan, results, events, .. } = run;
    events.record(&Event::TaskStarted { rank: task.rank, attempt: attempt.number, bytes: task.bytes() });
    let started = now();
    let whole = Stopwatch::start();
    let (init_seconds, warm) = worker.begin_task();
    let mut done = Done::new(plan, task, worker)?;
    for file in &task.files {
        done.add(run, task.rank, file, worker).await?;
    }
    let Done { cost, samples, bytes, flagged, list_seconds, .. } = done;
    let writing = Stopwatch::start();
    let memory_peak_mb = memory_peak_mb();
    if !task.files.is_empty() {
        let record = done.record(plan, task, worker, memory_peak_mb);
        if let Some(predictions) = done.predictions {
            results.bucket().write(&results.predictions(task.rank), predictions.finish()?).await?;
        }
        results.bucket().write(&results.record(task.rank), json(&record)).await?;
    }
    let report = TaskReport {
        format_version: REPORT_FORMAT,
        run_id: plan.run_id.clone(),
        rank: task.rank,
        model_sha256: plan.model.sha256.clone(),
        files: task.files.clone(),
        batch_size: plan.payload.batch_size,
        precision: worker.model().precision().to_string(),
        isa: worker.model().isa().to_string(),
        threads: worker.threads(),
        samples,
        bytes,
        bytes_fetched: cost.bytes_fetched,
        flagged,
        queued: attempt.queued,
        started,
        finished: now(),
        seconds: PhaseSeconds {
            init: init_seconds,
            list: list_seconds,
            read: cost.read_seconds,
            decode: cost.decode_seconds,
            infer: cost.infer_seconds,
            write: writing.seconds(),
        },
        cpu_seconds: cost.cpu_seconds,
        memory_peak_mb,
        attempts: attempt.number,
        warm,
    };
    results.bucket().write(&results.task_report(task.rank), json(&report)).await?;
    let samples = usize::try_from(samples).unwrap_or(usize::MAX);
    events.record(&Event::TaskFinished { rank: task.rank, samples, seconds: whole.seconds() });
    Ok(report)
}

/// What the files of a task have come to so far.
struct Done {
    predictions: Option<Writer>,
    cost: Cost,
    samples: u64,
    batches: u64,
    bytes: u64,
    /// Bytes of the first batch.
    batch_bytes: u64,
    flagged: FlagCounts,
    list_seconds: f64,
}

impl Done {
    fn new(plan: &Plan, task: &Task, worker: &Worker) -> Result<Self, OutputError> {
        let bands = worker.model().bands();
        let with_objects = task.files.iter().any(|file| file.objects.is_some());
        let predictions = match plan.payload.predictions {
            PredictionsFormat::Parquet if with_objects => Some(Writer::with_objects(Format::Parquet, bands)?),
            PredictionsFormat::Parquet => Some(Writer::new(Format::Parquet, bands)?),
            PredictionsFormat::None => None,
        };
        let (cost, flagged) = Default::default();
        Ok(Self { predictions, cost, samples: 0, batches: 0, bytes: 0, batch_bytes: 0, flagged, list_seconds: 0.0 })
    }

    /// Predicts one file and adds it.
    async fn add(
        &mut self,
        run: Run<'_>,
        rank: usize,
        file: &FileIdentity,
        worker: &mut Worker,
    ) -> Result<(), TaskError> {
        let batch_size = run.plan.payload.batch_size;
        let opening = Stopwatch::start();
        let partition = Partition::open(run.data.store(), run.data.path(&file.key)?, file.e_tag.clone())
            .await
            .map_err(|error| place(error, run.data, file))?;
        let objects = match &file.objects {
            Some(listed) if self.predictions.is_some() => Some(Objects::read(run.data, listed, &partition).await?),
            _ => None,
        };
        self.list_seconds += opening.seconds();
        let sample_bytes = partition.bytes_per_sample() as u64;
        let on_rows = |samples: usize| {
            run.events.record(&Event::BatchPredicted { rank, samples, bytes: samples as u64 * sample_bytes });
        };
        let mut predicted = match predict(Arc::new(partition), worker, batch_size, &on_rows).await {
            Ok(predicted) => predicted,
            Err(PredictError::Partition(error)) => return Err(place(error, run.data, file)),
            Err(error) => return Err(error.into()),
        };
        predicted.objects = objects;
        if let Some(predictions) = &mut self.predictions {
            predictions.append(&file.key, &predicted)?;
        }
        self.count(&predicted, batch_size, sample_bytes);
        Ok(())
    }

    fn count(&mut self, predicted: &Predicted, batch_size: usize, sample_bytes: u64) {
        let samples = predicted.z_phot.len();
        if self.samples == 0 {
            self.batch_bytes = samples.min(batch_size) as u64 * sample_bytes;
        }
        self.samples += samples as u64;
        self.batches += samples.div_ceil(batch_size) as u64;
        self.bytes += samples as u64 * sample_bytes;
        self.flagged.add(FlagCounts::count(&predicted.flags));
        self.cost.add(&predicted.cost);
    }

    fn record(&self, plan: &Plan, task: &Task, worker: &Worker, process_memory_mb: f64) -> StudyRecord {
        let measured = Measured {
            seconds: self.cost.seconds,
            bytes_allocated: self.cost.bytes_allocated,
            samples: self.samples,
            batches: self.batches,
            bytes: self.bytes,
            batch_bytes: self.batch_bytes,
            process_memory_mb,
            parameters: worker.model().parameters(),
            batch_size: plan.payload.batch_size,
        };
        StudyRecord::new(&measured, plan.payload.result_path.clone(), task.data_path())
    }
}

/// An error of the store behind a partition, told as every other error of a store is.
fn place(error: PartitionError, data: &Bucket, file: &FileIdentity) -> TaskError {
    match error {
        PartitionError::Storage { source, .. } => {
            TaskError::Storage(StorageError::Request { action: "read", url: data.url(&file.key), said: source })
        }
        other => TaskError::Predict(other.into()),
    }
}

/// A record of ours as JSON, as short as can be.
pub(crate) fn compact_json(record: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(record).expect("our records have text keys and no failing serialisers"))
}

/// A record of ours as JSON, for people to read as well.
pub(crate) fn json(record: &impl serde::Serialize) -> Bytes {
    let mut json = serde_json::to_vec_pretty(record).expect("our records have text keys and no failing serialisers");
    json.push(b'\n');
    Bytes::from(json)
}
