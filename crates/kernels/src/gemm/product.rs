//! [`Product`], the arguments of a matrix product, and [`gemm`], which checks and runs it.

use crate::activation::Activation;
use crate::gemm::dispatch::dispatch_dot;
use crate::gemm::dot::{Arithmetic, Staging};
use crate::gemm::pack::Weights;
use crate::gemm::tile::Gemm;
use crate::layout::Layout;

/// Positions of the k inputs of a row, relative to the start of the row: a run of `len` values at each offset.
///
/// A linear layer has one tap. A 3×3 convolution has nine, one for each position of the window.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// Start of each run, in the order of the weights.
    pub offsets: &'a [usize],
    /// Values in a run; the number of offsets × `len` is k.
    pub len: usize,
}

impl Taps<'_> {
    /// A single run of k values, for a linear layer.
    pub fn one(k: usize) -> Taps<'static> {
        Taps { offsets: &[0], len: k }
    }
}

/// Arguments of [`gemm`], which computes `output[row] = activation(input[row] · weightsᵀ + bias)`. If `accumulate` is
/// set, it computes `output[row] += input[row] · weightsᵀ + bias`.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Packed weights and bias.
    pub weights: &'a Weights,
    /// Positions where the rows of the input start.
    pub input: Layout,
    /// Positions of the k inputs within a row.
    pub taps: Taps<'a>,
    /// Positions where the rows of the output start; it has as many rows as the input.
    pub output: Layout,
    /// Function applied to each value of the output. It must be [`Activation::Identity`] if `accumulate` is set.
    pub activation: Activation,
    /// True if the result is added to the output (a residual), false if it replaces the output.
    pub accumulate: bool,
}

impl Product<'_> {
    /// One past the index of the last input that any row reads.
    pub(crate) fn input_extent(&self) -> usize {
        let furthest = self.taps.offsets.iter().max().map_or(0, |tap| tap + self.taps.len);
        self.input.extent(furthest)
    }
}

/// Computes `product` from `input` into `output`. `staging` is working memory.
///
/// Each output value is a sum over k in an order that does not depend on the number of rows. The result of a row is
/// therefore the same bits whatever other rows are computed with it.
///
/// # Panics
/// If a layout reaches outside its slice, the sizes differ, an activation is combined with `accumulate`, or `staging`
/// is smaller than [`Weights::staging`].
pub fn gemm(product: &Product<'_>, input: &[f32], staging: &mut Staging, output: &mut [f32]) {
    let Product { weights, taps, .. } = product;
    let plain = product.activation == Activation::Identity;
    assert!(plain || !product.accumulate, "an activation cannot be combined with `accumulate`");
    assert_eq!(taps.offsets.len() * taps.len, weights.k(), "taps do not cover k");
    assert!(weights.isa().multiplies(weights.arithmetic(), taps.len), "taps are not whole steps of k");
    assert_eq!(product.input.rows(), product.output.rows(), "input and output rows differ");
    let extent = product.input_extent();
    assert!(extent <= input.len(), "input rows reach outside the slice");
    assert!(product.output.extent(weights.n()) <= output.len(), "output rows reach outside the slice");
    assert!(staging.holds(weights.staging(product.input.rows(), extent)), "staging is too small");
    let arithmetic = weights.arithmetic();
    assert!(
        arithmetic != Arithmetic::Int8 || taps.offsets == [0],
        "Int8 has one scale per row and supports only one tap"
    );
    dispatch_dot(weights.isa(), arithmetic, taps.len, Gemm { product, input, staging, output });
}
