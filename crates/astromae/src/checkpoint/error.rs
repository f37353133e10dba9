//! [`CheckpointError`]: reasons why a checkpoint cannot be used.

use std::ops::Range;

use crate::torch::TorchError;

/// Reason why a checkpoint cannot be used. Messages do not contain the path of the file; the caller adds it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// The file is truncated, damaged or inconsistent. It must be copied or saved again.
    #[error("{0}")]
    Malformed(String),
    /// The pickle refers to a class or function that has no place in a checkpoint, given here by its full name. Do not
    /// trust the file.
    #[error(
        "the pickle refers to `{0}`, which has no place in a model; the file was rejected and nothing was executed; if \
         you trust its origin, save the state dict instead: `torch.save(model.state_dict(), …)`"
    )]
    Refused(String),
    /// The file is a partition.
    #[error("the file is a partition (a `TensorDataset` of images), not a model; name the model file instead")]
    IsPartition,
    /// The file is valid, but its format or its model is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// A module of the model computes something else than AstroMAE does.
    #[error(
        "`{path}` is {found}; {expected} is expected, as in AstroMAE; the file was rejected, because its redshifts would \
         be wrong"
    )]
    Module {
        /// Path of the module, or of its attribute, such as `concat_block.1`.
        path: String,
        /// Description of what the file has.
        found: String,
        /// Description of what AstroMAE has.
        expected: String,
    },
    /// A tensor holds a value that is not finite as `f32`, so that every redshift would be NaN.
    #[error("tensor `{name}` holds a value that is not finite in float32 ({value}); the training may have diverged")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// The first such value.
        value: f64,
    },
    /// The file could not be read. Its content may be correct.
    #[error("cannot read bytes {} to {}: {reason}", .range.start, .range.end)]
    Unreadable {
        /// Bytes that could not be read.
        range: Range<u64>,
        /// Error message of the [`Source`](super::Source).
        reason: String,
    },
    /// The checkpoint lacks a tensor of the model.
    #[error("tensor `{name}` is missing; {}", .advice)]
    MissingTensor {
        /// Name of the tensor, without prefixes.
        name: String,
        /// The nearest names in the file, and what to do.
        advice: String,
    },
    /// The shape of a tensor does not match the other tensors of the model.
    #[error("tensor `{name}`: shape {expected:?} expected, {found:?} found")]
    Shape {
        /// Name of the tensor, without prefixes.
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
