//! Matrix products with weights packed once: `output = activation(input · weightsᵀ + bias)`.
//!
//! The input has m rows of k values, the weights are (n, k), the output has m rows of n values. Names follow BLIS:
//!
//! - A *tile* is MR rows × NR columns of the output. Its sums fit the vector registers: MR × NR is 6 × 16 with AVX2,
//!   8 × 48 with AVX-512, 6 × 16 with NEON. NR is a number of vectors times their lanes.
//! - A *panel* is NR columns of the output with all their weights, k × NR. It plays the part of a panel of B in BLIS.
//!   The input plays the part of A and is not packed: a tile broadcasts single values of it.
//! - A *block* is a range of k, of length KC in BLIS. The weights of a panel in one block fit the first-level cache.
//! - A *chain* is a part of a block whose products are added one after the other to one sum. Sums of chains are added
//!   to *totals*.
//!
//! ```text
//! for each panel of NR columns                              Gemm::run
//!     for each group of rows                                Panel::run (BLOCK_ROWS; all rows if k is one block)
//!         for each block of k                               Panel::run
//!             for each tile of MR rows                      Panel::rows
//!                 prefetch some weights of the next block
//!                 totals[MR][NR] = bias in the first block, 0 in the others
//!                 for each chain of the block               Panel::tile
//!                     sums[MR][NR] = 0
//!                     for each step p of the chain          the micro-kernel
//!                         sums[r][c] += input[r][p] · panel[p][c]      for all r < MR, c < NR
//!                     totals += sums
//!                 totals += partial sums of the previous blocks
//!                 last block: write the totals to the output; other blocks: keep them as partial sums
//!         apply the activation to the finished rows         Panel::activate
//! ```
//!
//! A **[`Dot`]** is one way to multiply: an arithmetic on an instruction set. It defines the types of inputs, weights
//! and sums, how many values of k one step takes, and the instructions of a step. The loops in `tile` are generic over
//! it, so `f32`, bfloat16 and 8-bit integers share them. An arithmetic that does not multiply `f32` inputs first
//! converts ("stages") them into a [`Staging`] buffer.
//!
//! **Rounding.** Each addition rounds to the last bit of the sum so far, so the error of a chain grows with its length:
//! for random terms it is 0.29·√k units of rounding (root mean square). Three levels of short sums (chain, block, k) keep
//! it near that of one chain ([`Dot::chain_len`]), and chains start at 0, not at the bias. The order of additions depends
//! on k, the taps, the arithmetic and the instruction set, never on the number of rows. Sums of integers are exact, and
//! bfloat16 rounds its factors much more than its sums; both use one chain, which continues the sums of the previous
//! block.
//!
//! **Packing** happens once, when a model is loaded. A packed panel holds the weights in the order in which the tile
//! reads them, padded with zeros to whole vectors. The micro-kernel then reads one contiguous stream and needs no
//! special case for the last columns.
//!
//! **Prefetching** hides memory latency. All weights together exceed the caches, and each weight is read once per group
//! of rows, so the weights of a block usually come from a slower cache or from memory. Each tile requests its share of
//! the next block's cache lines while it multiplies the current one.
//!
//! **Convolutions** use the same loops: a row is a pixel, and each position of the window adds a run of inputs at a
//! fixed distance ([`Taps`]). Nothing is copied into columns.
//!
//! | file | step |
//! |---|---|
//! | `product` | [`Product`], [`Taps`], and [`gemm`], which checks every size once |
//! | `dispatch` | chooses the [`Dot`] for an instruction set and an arithmetic |
//! | `pack` | [`Weights`]: the order of panels, rounding and quantisation of weights |
//! | `tile` | the loops above |
//! | `dot` | the trait [`Dot`] and its implementations: `floats`, `bf16`, `int8` |

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
