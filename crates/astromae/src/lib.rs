//! AstroMAE: checkpoint bytes in, redshifts out.
//!
//! [`Checkpoint`](checkpoint::Checkpoint) reads what PyTorch or safetensors wrote; [`Model`] folds and packs it, and
//! predicts: `redshift = head(transformer(image), inception(image), magnitudes)`. [`mod@reference`] computes the same by
//! the book in `f64` and judges it; [`init`] makes seeded weights for trials and benchmarks.
//!
//! Never here: files, sockets, clocks, the environment, an async runtime, threads.

pub mod checkpoint;
mod config;
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
pub mod reference;
pub mod torch;
mod vit;

pub use config::Config;
pub use join::{InTurn, Join};
pub use kernels::{Arithmetic, Isa, UnknownIsa};
pub use model::{Model, Precision, Scratch, UnknownPrecision};
pub use part::{Observer, Part};
pub use peak::peak_operations;
