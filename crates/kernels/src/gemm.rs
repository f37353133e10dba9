//! Matrix products with weights packed once: rows · Wᵀ + bias, then an activation.
//!
//! Convolutions are the same product: a row is a pixel, and each tap of the window is a further run of inputs at a
//! fixed distance from it ([`Taps`]), so nothing is copied into columns.

mod pack;
mod product;

pub use pack::Weights;
pub use product::{Product, Taps, gemm};
