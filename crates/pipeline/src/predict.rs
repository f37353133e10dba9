//! Predicts one partition as a stream: it reads the next rows while it predicts the current ones.
//!
//! In: an open [`Partition`] and a [`Worker`]. Out: a [`Predicted`] in the order of the rows. Its bits do not depend on
//! the number of threads, the batch size or the sizes of the reads. The result takes about 60 bytes of memory per row.
//! All other memory does not grow with the partition.

mod rows;
mod worker;

use std::ops::Range;
use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::event::Stopwatch;
use crate::objects::Objects;
use crate::partition::{Partition, PartitionError, Rows};
use crate::storage::counted_here;
pub use rows::crop;
pub(crate) use worker::Start;
pub use worker::{MAX_THREADS, Worker};

/// Size of a read in bytes per compute thread. It keeps the threads busy while the next rows are read.
const READ_BYTES_PER_THREAD: usize = 1 << 20;
/// Minimum and maximum size of a read in bytes. They limit the number of requests and the memory.
const READ_BYTES: std::ops::RangeInclusive<usize> = 2 << 20..=8 << 20;
/// Size of the first read in bytes per compute thread. It gives each thread enough images to start soon after the first
/// request is answered. The size of the following reads doubles.
const FIRST_READ_BYTES_PER_THREAD: usize = 128 << 10;
/// Number of reads at the same time. The latency of one read overlaps with the transfer of another.
const READS_AT_ONCE: usize = 2;
/// Number of finished reads that wait to be predicted.
const READS_WAITING: usize = 1;

/// Error of predicting a partition.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The partition could not be read.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The shape of the images does not fit the model.
    #[error("partition `{path}`: the model expects images of {expected}, found {found}")]
    Shape {
        /// Path of the partition.
        path: String,
        /// Shape in the partition: bands × height × width.
        found: String,
        /// Shape that the model expects: bands × height × width.
        expected: String,
    },
    /// A compute thread panicked. Its rows are in no result.
    #[error("partition `{path}`: rows {rows:?}: a compute thread panicked: {message}; this is a bug, please report it")]
    Panicked {
        /// Path of the partition.
        path: String,
        /// Rows that were being predicted.
        rows: Range<usize>,
        /// Message of the panic.
        message: String,
    },
}

/// Predictions of one partition with n rows, and their cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicted {
    /// Predicted redshifts, shape (n).
    pub z_phot: Vec<f32>,
    /// Known redshifts, shape (n), if the partition has them. NaN for rows whose redshift is unknown.
    pub z_spec: Option<Vec<f64>>,
    /// Magnitudes as stored, shape (n, bands).
    pub magnitudes: Vec<f64>,
    /// [Flags](records::flags) of the predictions, shape (n).
    pub flags: Vec<u8>,
    /// Identifiers and positions, n of them, if they are known. [`predict`] leaves this empty. The caller reads them
    /// from the file beside the partition.
    pub objects: Option<Objects>,
    /// Time and memory that predicting took.
    pub cost: Cost,
}

/// Time and memory that predicting one or more partitions took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Wall seconds from the first read to the last prediction.
    pub seconds: f64,
    /// Part of `seconds` in which the worker waited for rows. Reading during predicting does not count.
    pub read_seconds: f64,
    /// Part of `seconds` in which rows were converted and cropped for the model.
    pub decode_seconds: f64,
    /// Part of `seconds` in which the model ran.
    pub infer_seconds: f64,
    /// Processor seconds of the threads that convert and predict.
    pub cpu_seconds: f64,
    /// Number of bytes fetched from storage.
    pub bytes_fetched: u64,
    /// Size in bytes of all buffers that were allocated: fetched ranges, images, magnitudes, results.
    pub bytes_allocated: u64,
}

impl Cost {
    /// Adds the cost of another partition.
    pub fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.read_seconds += other.read_seconds;
        self.decode_seconds += other.decode_seconds;
        self.infer_seconds += other.infer_seconds;
        self.cpu_seconds += other.cpu_seconds;
        self.bytes_fetched += other.bytes_fetched;
        self.bytes_allocated += other.bytes_allocated;
    }
}

/// Predicts every row of a partition. Calls `on_rows` with the number of rows of each group that is done.
///
/// Images that are larger than the model expects are cropped about their centre. `batch_size` is the maximum number of
/// images that go through the model together.
///
/// # Errors
/// Returns a [`PredictError`] if the partition cannot be read, or if its images do not fit the model.
pub async fn predict(
    partition: Arc<Partition>,
    worker: &mut Worker,
    batch_size: usize,
    on_rows: &(dyn Fn(usize) + Sync),
) -> Result<Predicted, PredictError> {
    check_shape(&partition, worker)?;
    let watch = Stopwatch::start();
    let rows = partition.len();
    let mut predicted = Predicted {
        z_phot: Vec::with_capacity(rows),
        magnitudes: Vec::with_capacity(rows * partition.bands()),
        flags: Vec::with_capacity(rows),
        ..Predicted::default()
    };
    let mut reads = read_ahead(&partition, worker.threads());
    let mut done = 0;
    loop {
        let waiting = Stopwatch::start();
        let Some(read) = reads.receiver.recv().await else { break };
        let rows = read?;
        predicted.cost.read_seconds += waiting.seconds();
        let (fetched, images) = (rows.bytes_fetched, rows.images.len());
        let rows = rows::predict(rows, &partition, worker, batch_size, done).await?;
        let count = rows.z_phot.len();
        predicted.cost.bytes_fetched += fetched;
        predicted.cost.bytes_allocated += fetched + images as u64 * 4 + rows.bytes_allocated;
        predicted.cost.decode_seconds += rows.decode_seconds;
        predicted.cost.infer_seconds += rows.infer_seconds;
        predicted.cost.cpu_seconds += rows.cpu_seconds;
        predicted.z_phot.extend(rows.z_phot);
        predicted.flags.extend(rows.flags);
        predicted.magnitudes.extend(rows.magnitudes);
        if let Some(redshift) = rows.redshift {
            predicted.z_spec.get_or_insert_with(|| Vec::with_capacity(partition.len())).extend(redshift);
        }
        done += count;
        on_rows(count);
    }
    assert_eq!(done, partition.len(), "rows were lost between reading and predicting");
    predicted.cost.seconds = watch.seconds();
    Ok(predicted)
}

/// Checks that the images fit the model. Larger images fit too, because they are cropped to their centre.
fn check_shape(partition: &Partition, worker: &Worker) -> Result<(), PredictError> {
    let (bands, size) = (worker.model().bands(), worker.model().image_size());
    if partition.bands() == bands && partition.height() >= size && partition.width() >= size {
        return Ok(());
    }
    Err(PredictError::Shape {
        path: partition.path().to_string(),
        found: format!("{}×{}×{}", partition.bands(), partition.height(), partition.width()),
        expected: format!("{bands}×{size}×{size} (or larger, to be cropped)"),
    })
}

/// Rows that a background task reads in order. The task ends when this is dropped.
struct Reads {
    receiver: mpsc::Receiver<Result<Rows, PartitionError>>,
    _reader: AbortOnDropHandle<()>,
}

fn read_ahead(partition: &Arc<Partition>, threads: usize) -> Reads {
    let (sender, receiver) = mpsc::channel(READS_WAITING);
    let partition = partition.clone();
    let reader = async move {
        let ranges = read_ranges(partition.len(), partition.bytes_per_sample(), threads);
        let mut reads = futures::stream::iter(ranges).map(|rows| partition.read(rows)).buffered(READS_AT_ONCE);
        while let Some(read) = reads.next().await {
            let failed = read.is_err();
            if sender.send(read).await.is_err() || failed {
                break;
            }
        }
    };
    Reads { receiver, _reader: AbortOnDropHandle::new(tokio::spawn(counted_here(reader))) }
}

/// Splits all rows into the ranges in which they are read. The first ranges are smaller.
fn read_ranges(rows: usize, row_bytes: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (threads * READ_BYTES_PER_THREAD).clamp(*READ_BYTES.start(), *READ_BYTES.end());
    let (mut start, mut bytes) = (0, (threads * FIRST_READ_BYTES_PER_THREAD).min(most));
    std::iter::from_fn(move || {
        let piece = start..rows.min(start + (bytes / row_bytes.max(1)).max(1));
        (start, bytes) = (piece.end, most.min(2 * bytes));
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::{READ_BYTES, read_ranges};

    #[test]
    fn reads_double_and_cover_all_rows_once() {
        for (rows, row_bytes, threads) in [(1, 20_520, 2), (5_000, 20_520, 2), (777, 20_520, 64), (3, 64 << 20, 1)] {
            let ranges: Vec<_> = read_ranges(rows, row_bytes, threads).collect();
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, rows));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(ranges.iter().all(|range| range.len() * row_bytes <= *READ_BYTES.end() || range.len() == 1));
        }
        let lengths: Vec<usize> = read_ranges(5_000, 20_520, 2).map(|range| range.len()).take(5).collect();
        assert_eq!(lengths, [12, 25, 51, 102, 102]);
    }
}
