//! Why a checkpoint cannot be used, grouped by what the caller can do.

use std::ops::Range;

use crate::torch::TorchError;

/// Why a checkpoint cannot be used. The caller adds the path.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// Truncated, damaged or inconsistent: the file must be made or copied again.
    #[error("{0}")]
    Malformed(String),
    /// The pickle names something that no model needs; the file should not be trusted.
    #[error(
        "the pickle names `{0}`, which a model does not need; it was refused and nothing was executed: save the state dict instead, `torch.save(model.state_dict(), …)`"
    )]
    Refused(String),
    /// A valid file of a kind or an architecture that is not read here.
    #[error("{0}")]
    Unsupported(String),
    /// The file's bytes could not be had; nothing is known to be wrong with them.
    #[error("bytes {range:?} could not be read: {said}")]
    Unreadable {
        /// The bytes.
        range: Range<u64>,
        /// What the system said.
        said: String,
    },
    /// The model needs a tensor that the checkpoint lacks.
    #[error("tensor `{name}` is missing")]
    MissingTensor {
        /// Its name, without a leading `module.`.
        name: String,
    },
    /// A tensor's shape does not fit its place in the model.
    #[error("tensor `{name}`: shape {expected:?} expected, {found:?} found")]
    Shape {
        /// Its name, without a leading `module.`.
        name: String,
        /// The shape that the rest of the model calls for.
        expected: Vec<usize>,
        /// The shape in the checkpoint.
        found: Vec<usize>,
    },
}

impl CheckpointError {
    /// The same, of the tensor `name`.
    pub(crate) fn in_tensor(self, name: &str) -> Self {
        match self {
            Self::Malformed(what) => Self::Malformed(format!("tensor `{name}`: {what}")),
            Self::Unsupported(what) => Self::Unsupported(format!("tensor `{name}`: {what}")),
            other => other,
        }
    }
}

impl From<TorchError> for CheckpointError {
    fn from(error: TorchError) -> Self {
        match error {
            TorchError::Malformed(what) => Self::Malformed(what),
            TorchError::Unsupported(what) => Self::Unsupported(what),
            TorchError::Refused(global) => Self::Refused(global),
        }
    }
}
