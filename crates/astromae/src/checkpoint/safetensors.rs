//! Reads and writes safetensors files.

use std::collections::HashMap;

use ::safetensors::serialize;
use ::safetensors::tensor::{Dtype as FileDtype, Metadata, TensorInfo, TensorView as FileTensor};

use super::source::File;
use super::tensor::Place;
use super::{Checkpoint, CheckpointError, Form, Tensor, attributes};
use crate::torch::{Dtype, row_major_strides};

/// Metadata key of the attributes, which are a JSON object.
const CONFIG: &str = "config.json";

/// Size of the first field of a file, which is the length of the header.
const LENGTH_BYTES: u64 = 8;
/// Largest length of the header: the limit of the safetensors library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Returns true if the file starts like safetensors: with a length, then a JSON object.
pub(super) fn is_safetensors(file: File<'_>) -> Result<bool, CheckpointError> {
    let buffer = &mut Vec::new();
    let start = file.read(0..file.bytes().min(LENGTH_BYTES + 1), buffer)?;
    Ok(!start.starts_with(b"PK") && start.get(LENGTH_BYTES as usize) == Some(&b'{'))
}

pub(super) fn open(file: File<'_>) -> Result<Checkpoint<'_>, CheckpointError> {
    let malformed = |what: String| CheckpointError::Malformed(format!("safetensors: {what}"));
    let buffer = &mut Vec::new();
    let length = file.read(0..LENGTH_BYTES, buffer)?.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    if length > MAX_HEADER_BYTES {
        return Err(malformed(format!("the header has {length} bytes; at most {MAX_HEADER_BYTES} are allowed")));
    }
    if LENGTH_BYTES + length > file.bytes() {
        return Err(malformed(format!(
            "the header has {length} bytes, but the file has {}; the file is truncated or damaged, copy it again",
            file.bytes()
        )));
    }
    let start = LENGTH_BYTES + length;
    let header: Metadata = serde_json::from_slice(file.read(LENGTH_BYTES..start, buffer)?)
        .map_err(|error| malformed(format!("invalid header: {error}")))?;
    let config = header.metadata().as_ref().and_then(|map| map.get(CONFIG));
    let attributes = config.map(|text| attributes::from_json(text)).transpose()?.unwrap_or_default();

    let mut infos: Vec<(String, &TensorInfo)> = header.tensors().into_iter().collect();
    infos.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = start;
    let mut tensors = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let (from, to) = info.data_offsets;
        let (from, to) = (start.saturating_add(from as u64), start.saturating_add(to as u64));
        if from != end || to < from || to > file.bytes() {
            return Err(malformed(format!(
                "tensor `{name}` is at bytes {from} to {to}, but should start at byte {end} in a file of {} bytes; the \
                 file is truncated or damaged, copy it again",
                file.bytes()
            )));
        }
        end = to;
        let dtype = from_file(info.dtype).ok_or_else(|| {
            CheckpointError::Unsupported(format!("tensor `{name}` has the unsupported type {}", info.dtype))
        })?;
        let place = Place { storage: from..to, entry: None };
        let tensor = Tensor::new(dtype, info.shape.clone(), row_major_strides(&info.shape), place, 0)
            .map_err(|error| CheckpointError::from(error).in_tensor(&name))?;
        if tensor.bytes() as u64 != to - from {
            return Err(malformed(format!("tensor `{name}` has shape {:?}, but {} bytes", info.shape, to - from)));
        }
        tensors.push((name, tensor));
    }
    if end != file.bytes() {
        return Err(malformed(format!("the tensors end at byte {end}, but the file has {} bytes", file.bytes())));
    }
    Checkpoint::new(file, Form::Safetensors, tensors, attributes)
}

pub(super) fn write(checkpoint: &Checkpoint<'_>) -> Result<Vec<u8>, CheckpointError> {
    let unsupported = |error| CheckpointError::Unsupported(format!("safetensors: {error}"));
    let buffer = &mut Vec::new();
    let mut data = Vec::with_capacity(checkpoint.tensors.len());
    for tensor in checkpoint.tensors.values() {
        data.push(checkpoint.view(tensor, buffer)?.to_le_bytes());
    }
    let mut tensors = Vec::with_capacity(data.len());
    for ((name, tensor), data) in checkpoint.tensors.iter().zip(&data) {
        let tensor = FileTensor::new(to_file(tensor.dtype()), tensor.shape().to_vec(), data).map_err(unsupported)?;
        tensors.push((name.as_str(), tensor));
    }
    // Only one key, because the order of several keys would differ from run to run.
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
