//! Runs one task: predicts its files and writes its results. Every executor's workers call this.

use std::sync::Arc;

use records::json;
use records::payload::PredictionsFormat;
use records::plan::{FileIdentity, Plan, Task};
use records::report::{FlagCounts, PhaseSeconds, REPORT_FORMAT, StoreRequests, TaskReport};
use records::study_record::{S3Times, StudyMeasurements, StudyRecord};

use crate::event::{Event, EventSink, Stopwatch, memory_peak_mb, now};
use crate::objects::{Objects, ObjectsError};
use crate::output::{Format, OutputError, Writer};
use crate::partition::{Partition, PartitionError};
use crate::predict::{Cost, PredictError, Predicted, Start, Worker, predict};
use crate::results::Results;
use crate::storage::{Bucket, StorageError, count_requests, requests_so_far};
use crate::written_predictions::digest;

/// Error of a task. The task does not count as finished. Other tasks are not affected.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A request to a store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A partition cannot be predicted.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The file of objects beside a partition cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The predictions could not be encoded.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl TaskError {
    /// Returns true if another attempt may succeed. Returns false if the data are malformed or access is denied.
    pub fn retry_can_help(&self) -> bool {
        match self {
            Self::Storage(error) | Self::Objects(ObjectsError::Storage(error)) => error.is_transient(),
            Self::Predict(_) | Self::Objects(_) | Self::Output(_) => false,
        }
    }
}

/// Context that all tasks of a run share.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Plan of the run.
    pub plan: &'a Plan,
    /// Bucket of the partitions.
    pub data: &'a Bucket,
    /// Folder of the results.
    pub results: &'a Results,
    /// Receiver of the events.
    pub events: &'a dyn EventSink,
}

/// One attempt to run a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Time at which the executor queued the task, RFC 3339.
    pub queued: String,
}

/// Predicts the files of a task and writes its results: first the predictions, then the record in the CAI study's
/// format, then the report.
///
/// The report exists only if the other results are complete. A task without files writes only its report, because the
/// CAI study's workers wrote no record for such a task.
///
/// If the future is dropped, the task stops between two groups of rows. Every object is then complete or does not
/// exist.
///
/// # Errors
/// Returns a [`TaskError`] if a partition cannot be read or predicted, or if a result cannot be written.
/// [`TaskError::retry_can_help`] states whether another attempt may succeed.
pub async fn run_task(
    run: Run<'_>,
    task: &Task,
    attempt: Attempt,
    worker: &mut Worker,
) -> Result<TaskReport, TaskError> {
    count_requests(run_counted_task(run, task, attempt, worker)).await.0
}

async fn run_counted_task(
    run: Run<'_>,
    task: &Task,
    attempt: Attempt,
    worker: &mut Worker,
) -> Result<TaskReport, TaskError> {
    let Run { plan, results, events, .. } = run;
    events.record(&Event::TaskStarted { rank: task.rank, attempt: attempt.number, bytes: task.bytes() });
    let started = now();
    let whole = Stopwatch::start();
    let start = worker.begin_task();
    let mut totals = Totals::new(plan, task, worker)?;
    for file in &task.files {
        totals.add(run, task.rank, file, worker).await?;
    }
    let Totals { cost, samples, bytes, flagged, list_seconds, .. } = totals;
    let writing = Stopwatch::start();
    let memory_peak_mb = memory_peak_mb();
    let mut predictions_sha256 = None;
    if !task.files.is_empty() {
        let mut record = totals.record(plan, task, worker, memory_peak_mb);
        if let Some(predictions) = totals.predictions {
            let bytes = predictions.finish()?;
            predictions_sha256 = Some(digest(&bytes));
            results.bucket().write(&results.predictions(task.rank), bytes).await?;
        }
        record.s3 = requests(&start).map(S3Times::of);
        results.bucket().write(&results.record(task.rank), json(&record).into()).await?;
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
            init: start.seconds,
            list: list_seconds,
            read: cost.read_seconds,
            decode: cost.decode_seconds,
            infer: cost.infer_seconds,
            write: writing.seconds(),
        },
        cpu_seconds: cost.cpu_seconds,
        memory_peak_mb,
        attempts: attempt.number,
        warm: start.warm,
        requests: requests(&start),
        predictions_sha256,
    };
    results.bucket().write(&results.task_report(task.rank), json(&report).into()).await?;
    let samples = usize::try_from(samples).unwrap_or(usize::MAX);
    events.record(&Event::TaskFinished { rank: task.rank, samples, seconds: whole.seconds() });
    Ok(report)
}

/// Requests to S3 of the current task so far, with those of the start of its worker.
fn requests(start: &Start) -> Option<StoreRequests> {
    match (start.requests, requests_so_far()) {
        (Some(start), Some(task)) => Some(start.and(task)),
        (start, task) => start.or(task),
    }
}

/// Predictions and totals of the files that a task has predicted so far.
struct Totals {
    predictions: Option<Writer>,
    cost: Cost,
    samples: u64,
    batches: u64,
    bytes: u64,
    /// Size of the first batch in bytes.
    batch_bytes: u64,
    flagged: FlagCounts,
    list_seconds: f64,
}

impl Totals {
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
            .map_err(|error| task_error(error, run.data, file))?;
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
            Err(PredictError::Partition(error)) => return Err(task_error(error, run.data, file)),
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
        let measured = StudyMeasurements {
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

/// Turns the error of a partition into a task's error. Errors of its store become [`StorageError`]s with the URL, like
/// all other errors of stores.
fn task_error(error: PartitionError, data: &Bucket, file: &FileIdentity) -> TaskError {
    match error {
        PartitionError::Storage { error, .. } => {
            TaskError::Storage(StorageError::Request { action: "read", url: data.url(&file.key), error })
        }
        other => TaskError::Predict(other.into()),
    }
}
