//! AstroMAE: checkpoint bytes in.
//!
//! [`Checkpoint`](checkpoint::Checkpoint) reads what PyTorch or safetensors wrote.
//!
//! Never here: files, sockets, clocks, the environment, an async runtime, threads.

pub mod checkpoint;
pub mod torch;
