//! Reads and writes the file format of `torch.save` (PyTorch 1.6 and later): zip directory, pickle and tensor layouts.
//!
//! A file is a zip archive of uncompressed entries in one folder F. `F/data.pkl` is a pickle that describes the
//! objects, `F/data/K` holds the elements of storage `K`, and `F/byteorder` states their byte order. This module does
//! not access files or the network: the caller passes the bytes of a whole file (a checkpoint), or the byte ranges that
//! the functions here return (a partition in object storage).
//!
//! Nothing in a pickle is executed. [`pickle`] builds plain values and rejects every class or function that is not on
//! the list of the caller.

pub mod pickle;
pub mod tensor;
pub mod zip;

mod archive;
mod view;

pub use archive::Archive;
pub use tensor::{Dtype, TensorSpec};
pub use view::{TensorView, encode_f32, encode_f64, row_major_strides};

/// Reason why a file of PyTorch cannot be read. Messages contain the entry or offset; the caller adds the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    /// The file is truncated, inconsistent or exceeds a limit. PyTorch does not write such a file.
    #[error("{0}")]
    Malformed(String),
    /// The file is valid, but in a form that is not supported: compressed, big-endian, or older than PyTorch 1.6.
    #[error("{0}")]
    Unsupported(String),
    /// The pickle refers to a class or function that is not on the list of the caller, given here by its full name.
    #[error(
        "the pickle refers to `{0}`, which this file does not need; it was rejected and nothing in it was executed"
    )]
    Refused(String),
}

impl TorchError {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}

/// Message for TorchScript archives. They are recognised by compressed code or by the entry `constants.pkl`.
const TORCHSCRIPT: &str =
    "the file is a TorchScript archive of torch.jit.save; save the module or its state dict with torch.save instead";

/// Returns true for the classes and functions that the pickle of any tensor refers to. The lists for models and
/// partitions contain these and more.
pub fn is_tensor_global(module: &str, name: &str) -> bool {
    match module {
        "torch" => Dtype::from_storage_class(name).is_some(),
        "torch._utils" => name == "_rebuild_tensor_v2",
        "collections" => name == "OrderedDict",
        _ => false,
    }
}
