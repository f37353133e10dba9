//! PyTorch's file format (`torch.save` since 1.6) as pure data: bytes in, a directory of entries, a
//! pickle's values and tensor layouts out.
//!
//! A file is a zip of stored entries under one folder: `F/data.pkl` says what the objects are,
//! `F/data/K` holds the elements of storage `K`, `F/byteorder` how they are laid out. Nothing here
//! opens a file or waits for a network: the caller brings the bytes, either a whole file (a
//! checkpoint) or the ranges this module asks for (a partition in object storage).
//!
//! Never here: code named by a pickle. [`pickle`] builds plain values and refuses every global that
//! the caller's allow-list lacks.

pub mod pickle;
pub mod tensor;
pub mod zip;

mod archive;
mod view;

pub use archive::Archive;
pub use tensor::{Dtype, TensorSpec};
pub use view::{TensorView, encode_f32, encode_f64, row_major_strides};

/// Why bytes are not a PyTorch file that can be read. Messages name the entry or offset; the caller
/// adds the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    /// Truncated, inconsistent or beyond a named limit: no valid writer produces it.
    #[error("{0}")]
    Malformed(String),
    /// A valid file in a form that is not read here (compressed, big-endian, the format before 1.6).
    #[error("{0}")]
    Unsupported(String),
    /// The pickle names a class or function outside the allow-list, given here in full.
    #[error("the pickle names `{0}`, which such a file does not need; it was refused and nothing was executed")]
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

/// Its archives hold compressed code and `constants.pkl`; either gives them away.
const TORCHSCRIPT: &str = "a TorchScript archive (torch.jit.save); save the module or its state dict with torch.save";

/// Globals through which every tensor is pickled. Allow-lists of models and partitions build on it.
pub fn is_tensor_global(module: &str, name: &str) -> bool {
    match module {
        "torch" => Dtype::from_storage_class(name).is_some(),
        "torch._utils" => name == "_rebuild_tensor_v2",
        "collections" => name == "OrderedDict",
        _ => false,
    }
}
