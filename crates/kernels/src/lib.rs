//! CPU operations of the AstroMAE model (Fathkouhi & Fox, [arXiv:2409.01825](https://arxiv.org/abs/2409.01825)). All
//! inputs and outputs are slices of `f32`.
//!
//! - [`Isa`] is an instruction set that this CPU supports. Choose it once: [`Isa::detect`] returns the fastest. Every
//!   operation is written once over a vector type and compiled for each instruction set.
//! - [`gemm`] multiplies rows by a weight matrix. Pack the matrix once with [`Weights::pack`] and use it many times.
//! - [`Layout`] states where the rows of an input or output start, so that operations work on parts of a slice without
//!   copying.
//! - The other operations are [`attention()`], [`layer_norm`], [`grouped_conv()`], [`inverted_bottleneck()`],
//!   [`max_pool`], [`avg_pool`], [`mean_rows`] and [`add_rows`].
//!
//! ```
//! use kernels::{Activation, Arithmetic, Isa, Layout, Product, Staging, Taps, Weights, gemm};
//!
//! // A linear layer with k = 3 inputs and n = 2 outputs, weights (n, k) as in `torch.nn.Linear`.
//! let (weight, bias) = ([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], [0.5, -1.0]);
//! let weights = Weights::pack(Isa::detect(), Arithmetic::F32, (2, 3), 3, &weight, &bias);
//!
//! // Two rows of input (2, 3), two rows of output (2, 2).
//! let product = Product {
//!     weights: &weights,
//!     input: Layout::plain(2, 3),
//!     taps: Taps::one(3),
//!     output: Layout::plain(2, 2),
//!     activation: Activation::Relu,
//!     accumulate: false,
//! };
//! let mut staging = Staging::new(weights.staging_of_rows(2));
//! let mut output = [0.0; 4];
//! gemm(&product, &[1.0, 2.0, 3.0, -4.0, 5.0, 6.0], &mut staging, &mut output);
//! assert_eq!(output, [1.5, 4.0, 0.0, 10.0]);
//! ```
//!
//! Every operation checks the lengths of its slices and panics if they do not fit. After weights are packed, nothing
//! here allocates. Nothing here knows a model or starts a thread.
//!
//! This is the only crate with `unsafe`: in `simd`, which wraps the instructions of each instruction set, and in loops
//! that use pointers after the operation has asserted their bounds.

mod activation;
mod aligned;
mod attention;
mod gemm;
mod grouped_conv;
mod inverted_bottleneck;
mod isa;
mod layout;
mod norm;
mod peak;
mod pool;
mod simd;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod testing;

pub use activation::Activation;
pub use aligned::AlignedVec;
pub use attention::{AttentionShape, attention, attention_scratch_len};
pub use gemm::{Arithmetic, Product, Staging, StagingSize, Taps, Weights, gemm};
pub use grouped_conv::{GroupedConv, grouped_conv};
pub use inverted_bottleneck::{InvertedBottleneck, inverted_bottleneck};
pub use isa::{Isa, UnknownIsa};
pub use layout::Layout;
pub use norm::{add_rows, layer_norm, mean_rows};
pub use peak::multiply_adds;
pub use pool::{avg_pool, avg_pool_planar, max_pool};
