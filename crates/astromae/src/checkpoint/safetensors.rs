//! Safetensors: bytes in, tensors and attributes out, and back.

use std::collections::HashMap;

use ::safetensors::tensor::{Dtype as FileDtype, TensorView as FileTensor};
use ::safetensors::{SafeTensors, serialize};

use super::{Checkpoint, CheckpointError, Form, TensorView, attributes};
use crate::torch::{Dtype, row_major_strides};

/// Metadata key of the attributes, a JSON object.
const CONFIG: &str = "config.json";

/// Whether the bytes start like safetensors: a length, then a JSON object.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"PK") && bytes.get(8) == Some(&b'{')
}

pub(super) fn read(bytes: &[u8]) -> Result<Checkpoint<'_>, CheckpointError> {
    let malformed = |error| CheckpointError::Malformed(format!("safetensors: {error}"));
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let config = metadata.metadata().as_ref().and_then(|map| map.get(CONFIG));
    let attributes = config.map(|text| attributes::from_json(text)).transpose()?.unwrap_or_default();

    let file = SafeTensors::deserialize(bytes).map_err(malformed)?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, tensor) in file.iter() {
        let dtype = from_file(tensor.dtype()).ok_or_else(|| {
            CheckpointError::Unsupported(format!("tensor `{name}` is of type {}, which is not read", tensor.dtype()))
        })?;
        let shape = tensor.shape().to_vec();
        let strides = row_major_strides(&shape);
        let view = TensorView::new(dtype, shape, strides, tensor.data())?;
        tensors.push((name.to_owned(), view));
    }
    Checkpoint::new(Form::Safetensors, tensors, attributes, bytes.len())
}

pub(super) fn write(checkpoint: &Checkpoint<'_>) -> Result<Vec<u8>, CheckpointError> {
    let unsupported = |error| CheckpointError::Unsupported(format!("safetensors: {error}"));
    let data: Vec<Vec<u8>> = checkpoint.tensors.values().map(TensorView::to_le_bytes).collect();
    let mut tensors = Vec::with_capacity(data.len());
    for ((name, tensor), data) in checkpoint.tensors.iter().zip(&data) {
        let tensor = FileTensor::new(to_file(tensor.dtype()), tensor.shape().to_vec(), data).map_err(unsupported)?;
        tensors.push((name.as_str(), tensor));
    }
    // One key only: the order of several would change from run to run.
    let metadata = HashMap::from([(CONFIG.to_owned(), attributes::to_json(&checkpoint.attributes))]);
    serialize(tensors, Some(metadata)).map_err(unsupported)
}

fn from_file(dtype: FileDtype) -> Option<Dtype> {
    Some(match dtype {
        FileDtype::F64 => Dtype::F64,
        FileDtype::F32 => Dtype::F32,
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::Bf16,
        FileDtype::I64 => Dtype::I64,
        FileDtype::I32 => Dtype::I32,
        FileDtype::I16 => Dtype::I16,
        FileDtype::I8 => Dtype::I8,
        FileDtype::U8 => Dtype::U8,
        FileDtype::BOOL => Dtype::Bool,
        _ => return None,
    })
}

fn to_file(dtype: Dtype) -> FileDtype {
    match dtype {
        Dtype::F64 => FileDtype::F64,
        Dtype::F32 => FileDtype::F32,
        Dtype::F16 => FileDtype::F16,
        Dtype::Bf16 => FileDtype::BF16,
        Dtype::I64 => FileDtype::I64,
        Dtype::I32 => FileDtype::I32,
        Dtype::I16 => FileDtype::I16,
        Dtype::I8 => FileDtype::I8,
        Dtype::U8 => FileDtype::U8,
        Dtype::Bool => FileDtype::BOOL,
    }
}
