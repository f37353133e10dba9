//! One partition through the model, as a stream: while some rows are predicted, the next ones are read.
//!
//! In: an open [`Partition`] and a [`Worker`]. Out: a [`Predicted`] in the order of the rows, the same bits whatever
//! the number of threads, the batch size and the sizes of the reads. Memory does not grow with the partition, but for
//! some 60 bytes a row that are its result. Never here: where the result is written.

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
pub(crate) use rows::crop;
pub use worker::{MAX_THREADS, Worker};

/// Bytes of rows read at once, for each compute thread: enough images to keep it busy while the next are read.
const READ_BYTES_PER_THREAD: usize = 1 << 20;
/// The least and the most bytes read at once: few requests, and flat memory.
const READ_BYTES: std::ops::RangeInclusive<usize> = 2 << 20..=8 << 20;
/// Bytes of the first read, for each compute thread: enough images for each thread to begin, so that computing waits
/// little more than a request's latency. Reads double from there.
const FIRST_READ_BYTES_PER_THREAD: usize = 128 << 10;
/// Reads under way at once, so that one's latency hides behind another's transfer.
const READS_AT_ONCE: usize = 2;
/// Reads finished and waiting to be predicted.
const READS_WAITING: usize = 1;

/// Why a partition was not predicted.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// It could not be read.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Its images are not what this model takes.
    #[error("partition `{path}`: images of {found} found, {expected} expected by the model")]
    Shape {
        /// The partition.
        path: String,
        /// Bands × lines × columns.
        found: String,
        /// The same, as the model wants them.
        expected: String,
    },
    /// A thread of ours panicked; the rows it was given are in no result.
    #[error("partition `{path}`: rows {rows:?}: a compute thread panicked: {said}; this is a bug, please report it")]
    Panicked {
        /// The partition.
        path: String,
        /// The rows that were being predicted.
        rows: Range<usize>,
        /// What the panic said.
        said: String,
    },
}

/// The predictions of one partition, one entry for each of its n rows, and what they cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicted {
    /// Predicted redshift (n).
    pub z_phot: Vec<f32>,
    /// Known redshift (n), where the partition has them; NaN for a row whose redshift is not known.
    pub z_spec: Option<Vec<f64>>,
    /// Magnitudes as stored (n, bands).
    pub magnitudes: Vec<f64>,
    /// [`flags`](crate::flags) (n).
    pub flags: Vec<u8>,
    /// Who they are (n), where that is known; the caller has it from beside the partition.
    pub objects: Option<Objects>,
    /// What it cost.
    pub cost: Cost,
}

/// What the predicting of one or more partitions cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Wall seconds from the first read to the last prediction.
    pub seconds: f64,
    /// Of these, waiting for rows: the part of the reading that was not hidden behind predicting.
    pub read_seconds: f64,
    /// Of these, converting and cropping rows for the model.
    pub decode_seconds: f64,
    /// Of these, in the model.
    pub infer_seconds: f64,
    /// Processor seconds of the threads that convert and predict.
    pub cpu_seconds: f64,
    /// Bytes fetched from storage.
    pub bytes_fetched: u64,
    /// Bytes of the buffers that were allocated on the way: fetched ranges, images, magnitudes, results.
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

/// Predicts every row of a partition; `on_rows` hears of each group of rows that is done.
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

/// Bands × lines × columns must be the model's; larger images are cropped to their centre.
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

/// Rows in order, read by a task of their own that ends with this.
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
    Reads { receiver, _reader: AbortOnDropHandle::new(tokio::spawn(reader)) }
}

/// All rows in the pieces in which they are read, the first ones smaller.
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
