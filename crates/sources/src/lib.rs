//! Sources of partitions: the code that makes the files that a run reads.
//!
//! [`ingest`] reads a catalogue with FITS cutouts, or numpy arrays. [`simulate`] draws galaxies whose redshifts are
//! known. Both write partitions with [`pipeline::partition::Writer`]. A worker needs neither of them.
//!
//! This crate does not know models, plans or command lines.
//!
//! # Example
//!
//! Simulate three galaxies of the SDSS main sample and write them as one partition:
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use sources::simulate::{Galaxies, Sample, Sky, write_partition};
//!
//! let sky = Sky { galaxies: Galaxies::Drawn(3, Sample::Main), seed: 7, image_size: 32 };
//! let threads = NonZeroUsize::MIN;
//! let partition: Vec<u8> = write_partition(sky, threads, Vec::new(), |done| assert_eq!(done, 3))?;
//!
//! // A partition is a zip archive, as `torch.save` writes it. The same seed gives the same bytes.
//! assert!(partition.starts_with(b"PK"));
//! assert_eq!(partition, write_partition(sky, threads, Vec::new(), |_| {})?);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod ingest;
pub mod simulate;

#[cfg(test)]
#[path = "../../../tests/reference_data.rs"]
mod reference_data;
