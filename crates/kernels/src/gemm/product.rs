//! What a product is of, and the door to it: everything is checked here, once.

use crate::activation::Activation;
use crate::gemm::dispatch::dispatch_dot;
use crate::gemm::dot::{Arithmetic, Staging};
use crate::gemm::pack::Weights;
use crate::gemm::tile::Gemm;
use crate::layout::Layout;

/// Where the k inputs of a row lie, relative to the row's start: one run of `len` at each offset.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    /// Start of each run, in the order of the weights.
    pub offsets: &'a [usize],
    /// Length of a run; offsets × len is k.
    pub len: usize,
}

impl Taps<'_> {
    /// One run of k: a plain matrix.
    pub fn one(k: usize) -> Taps<'static> {
        Taps { offsets: &[0], len: k }
    }
}

/// What [`gemm`] computes: `output[row] = activation(input[row] · weightsᵀ + bias)`, or, when `accumulate` is set,
/// `output[row] += input[row] · weightsᵀ + bias`.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Packed weights and bias.
    pub weights: &'a Weights,
    /// Where the rows of the input start.
    pub input: Layout,
    /// Where a row's inputs lie.
    pub taps: Taps<'a>,
    /// Where the rows of the output start; as many rows as the input has.
    pub output: Layout,
    /// Applied to each element of the product; none where it is added to the output.
    pub activation: Activation,
    /// Whether the result is added to the output (a residual) or replaces it.
    pub accumulate: bool,
}

impl Product<'_> {
    /// One past the last input that any row reads.
    pub(crate) fn input_extent(&self) -> usize {
        let furthest = self.taps.offsets.iter().max().map_or(0, |tap| tap + self.taps.len);
        self.input.extent(furthest)
    }
}

/// Computes `product` from `input` into `output`. Each element is one chain of multiply-adds over k, in the same order
/// whatever the number of rows: a row's result never depends on its neighbours. `staging` is scratch.
///
/// # Panics
/// Where a layout reaches outside its slice, the sizes disagree, or `staging` is smaller than [`Weights::staging`] says.
pub fn gemm(product: &Product<'_>, input: &[f32], staging: &mut Staging, output: &mut [f32]) {
    let Product { weights, taps, .. } = product;
    let plain = product.activation == Activation::Identity;
    assert!(plain || !product.accumulate, "an activation of what is added to the output");
    assert_eq!(taps.offsets.len() * taps.len, weights.k(), "taps do not cover k");
    assert!(weights.isa().multiplies(weights.arithmetic(), taps.len), "runs are not whole steps of k");
    assert_eq!(product.input.rows(), product.output.rows(), "input and output rows differ");
    let extent = product.input_extent();
    assert!(extent <= input.len(), "input rows reach outside the slice");
    assert!(product.output.extent(weights.n()) <= output.len(), "output rows reach outside the slice");
    assert!(staging.holds(weights.staging(product.input.rows(), extent)), "staging is too small");
    let arithmetic = weights.arithmetic();
    assert!(arithmetic != Arithmetic::Int8 || taps.offsets == [0], "integers have one scale for a row");
    dispatch_dot(weights.isa(), arithmetic, taps.len, Gemm { product, input, staging, output });
}
