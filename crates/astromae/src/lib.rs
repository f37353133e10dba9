//! Predicts photometric redshifts of galaxies with a trained AstroMAE model (Fathkouhi & Fox, *AstroMAE: Redshift
//! Prediction Using a Masked Autoencoder with a Novel Fine-Tuning Architecture*,
//! [arXiv:2409.01825](https://arxiv.org/abs/2409.01825)).
//!
//! The model computes `redshift = head(transformer(image), inception(image), magnitudes)`.
//!
//! - [`checkpoint`] reads a checkpoint file that PyTorch or safetensors wrote. Nothing in a pickle is executed.
//! - [`Model`] prepares the weights for the CPU and predicts. [`Precision`] and [`Isa`] choose the arithmetic and the
//!   instruction set.
//! - [`mod@reference`] computes the same in `f64`, without any optimisation. Tests compare [`Model`] with it.
//! - [`init`] makes checkpoints with random weights, for tests and benchmarks.
//! - [`torch`] reads and writes the file format of `torch.save`.
//! - [`file_kind`] recognises files of other formats, for messages.
//!
//! ```
//! use astromae::checkpoint::Checkpoint;
//! use astromae::init::{Sizes, seeded};
//! use astromae::{Isa, Model, Precision};
//!
//! // The bytes of a checkpoint file. Here, a small model with random weights; its redshifts mean nothing.
//! let bytes = seeded(&Sizes::small(), 1);
//! let checkpoint = Checkpoint::read(&bytes)?;
//! let model = Model::from_checkpoint(&checkpoint, Precision::F32, Isa::detect())?;
//!
//! // Two images (2, bands, size, size) in nanomaggies, and their magnitudes (2, bands).
//! let images = vec![0.1; 2 * model.bands() * model.image_size().pow(2)];
//! let magnitudes = vec![20.0; 2 * model.bands()];
//!
//! let mut scratch = model.scratch();
//! let mut redshift = [0.0; 2];
//! model.predict(&images, &magnitudes, &mut scratch, &mut redshift);
//! assert!(redshift.iter().all(|z| z.is_finite()));
//! # Ok::<(), astromae::checkpoint::CheckpointError>(())
//! ```
//!
//! This crate does not access files, the network, the clock or the environment, and starts no threads.

pub mod checkpoint;
mod config;
pub mod file_kind;
mod fold;
mod head;
mod inception;
pub mod init;
mod join;
mod layers;
mod model;
mod packing;
mod part;
mod peak;
mod precision;
pub mod reference;
mod structure;
pub mod torch;
mod vit;

pub use config::{Config, StatedNumber, Transformer};
pub use join::{Join, Sequential};
pub use kernels::{Arithmetic, Isa, UnknownIsa};
pub use model::{Model, Scratch};
pub use part::{Observer, Part};
pub use peak::peak_operations;
pub use precision::{Precision, UnknownPrecision};
