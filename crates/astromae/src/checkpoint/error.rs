//! [`CheckpointError`]: reasons why a checkpoint cannot be used.

use std::ops::Range;

use crate::torch::TorchError;

/// Reason why a checkpoint cannot be used. Messages do not contain the path of the file; the caller adds it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// The file is truncated, damaged or inconsistent. It must be copied or saved again.
    #[error("{0}")]
    Malformed(String),
    /// The pickle refers to a class or function that no model needs, given here by its full name. Do not trust the
    /// file.
    #[error(
        "the pickle refers to `{0}`, which AstroMAE does not need; the file was rejected and nothing was executed; \
         save the state dict instead: `torch.save(model.state_dict(), …)`"
    )]
    Refused(String),
    /// The file is valid, but its format or its model is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The file could not be read. Its content may be correct.
    #[error("cannot read bytes {} to {}: {reason}", .range.start, .range.end)]
    Unreadable {
        /// Bytes that could not be read.
        range: Range<u64>,
        /// Error message of the [`Source`](super::Source).
        reason: String,
    },
    /// The checkpoint lacks a tensor of the model.
    #[error("tensor `{name}` is missing; save the state dict of the complete fine-tuned AstroMAE model")]
    MissingTensor {
        /// Name of the tensor, without the prefix `module.`.
        name: String,
    },
    /// The shape of a tensor does not match the other tensors of the model.
    #[error("tensor `{name}`: shape {expected:?} expected, {found:?} found")]
    Shape {
        /// Name of the tensor, without the prefix `module.`.
        name: String,
        /// Shape that the other tensors require.
        expected: Vec<usize>,
        /// Shape in the checkpoint.
        found: Vec<usize>,
    },
}

impl CheckpointError {
    /// Adds the name of the tensor that the error is about.
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
