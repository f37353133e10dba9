//! Matrix products with weights packed once: rows · Wᵀ + bias, then an activation.
//!
//! Convolutions are the same product: a row is a pixel, and each tap of the window is a further run of inputs at a
//! fixed distance from it ([`Taps`]), so nothing is copied into columns. One loop serves every [`Arithmetic`]; `dot`
//! says how each multiplies.

mod dispatch;
mod dot;
mod pack;
mod product;
#[cfg(test)]
mod tests;
mod tile;

pub(crate) use dispatch::{dispatch_dot, panel_shape};
pub use dot::{Arithmetic, Staging, StagingSize};
pub(crate) use dot::{Bf16Pairs, Bf16Weights, Columns, Dot, DotKernel, Floats, Int8, Pairs, Quantised, Weight};
pub use pack::Weights;
pub use product::{Product, Taps, gemm};
