//! Partitions: the data files with the images, magnitudes and redshifts of galaxies.
//!
//! A partition is a `TensorDataset` that `torch.save` wrote: images float32 (n, 5, H, W), magnitudes float32 or float64
//! (n, 5), and redshift float32 or float64 (n) or (n, 1), which may be missing. [`Partition::open`] reads the zip
//! directory and the pickle and validates the layout. [`Partition::read`] fetches rows by byte range, so memory depends
//! on the batch and not on the file. [`Writer`] writes the same format, [`split`](split()) divides one partition
//! into many, and [`concat`](concat()) joins many into one.
//!
//! Never runs code from the pickle, which may name only the classes of such a file.

mod checksum;
mod column;
mod concat;
mod error;
mod fingerprint;
mod limits;
mod opening;
mod reader;
mod size;
mod source;
mod split;
mod upload;
mod writer;

pub use astromae::torch::Dtype;
pub use concat::{ConcatError, ConcatInput, concat};
pub use error::PartitionError;
pub use limits::{BANDS, MAX_BATCH_BYTES, MAX_IMAGE_SIDE};
pub use reader::{Partition, Rows};
pub use size::{SizeError, parse_size, samples_per_part};
pub use split::{Part, split};
pub use writer::{Layout, Writer};

#[cfg(test)]
mod tests;
