//! CPU operations of the AstroMAE model: slices of `f32` in, slices of `f32` out.
//!
//! An [`Isa`] names an instruction set that this CPU runs and is chosen once; every operation is written once over a
//! vector type and compiled for each of them. Weights are packed once ([`Weights`]) and multiplied many times
//! ([`gemm`]); the other operations work on whole rows in place.
//!
//! Nothing here allocates once weights are packed, knows a model, or starts a thread. This is the only crate with
//! `unsafe`: in `simd`, where a vector type is an instruction set's, and in the loops that read and write by pointer
//! after their bounds were asserted at the entry of the operation.

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
