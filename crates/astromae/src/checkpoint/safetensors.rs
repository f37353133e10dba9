//! Reads and writes safetensors files.

use std::collections::HashMap;

use ::safetensors::serialize;
use ::safetensors::tensor::{Dtype as FileDtype, Metadata, TensorInfo, TensorView as FileTensor};

use super::attributes::{Attributes, Origin, from_json, is_general, to_json};
use super::source::File;
use super::tensor::Place;
use super::{Checkpoint, CheckpointError, Form, MAX_TENSORS, Tensor};
use crate::file_kind::{FileKind, START_BYTES, identify};
use crate::torch::{Dtype, row_major_strides};

/// Metadata key of the attributes, which are a JSON object. This crate writes it.
const CONFIG: &str = "config.json";
/// Metadata key that other programs write instead.
const OTHER_CONFIG: &str = "config";

/// Size of the first field of a file, which is the length of the header.
const LENGTH_BYTES: u64 = 8;
/// Largest length of the header: the limit of the safetensors library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Returns true if the file starts like safetensors.
pub(super) fn is_safetensors(file: File<'_>) -> Result<bool, CheckpointError> {
    let buffer = &mut Vec::new();
    let start = file.read(0..file.bytes().min(START_BYTES as u64), buffer)?;
    Ok(identify(start, "") == Some(FileKind::Safetensors))
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
    let metadata = header.metadata().clone().unwrap_or_default();
    let attributes = attributes(&metadata)?;
    if header.tensors().len() > MAX_TENSORS {
        return Err(malformed(format!("more than {MAX_TENSORS} tensors")));
    }

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
    let mut notes = Vec::new();
    add_shared(&metadata, &mut tensors, &mut notes);
    Checkpoint::new(file, Form::Safetensors, tensors, attributes, notes)
}

/// Numbers in the metadata: JSON objects under [`CONFIG`] or [`OTHER_CONFIG`], and general keys such as `num_heads`.
fn attributes(metadata: &HashMap<String, String>) -> Result<Attributes, CheckpointError> {
    let mut attributes = Attributes::default();
    for key in [CONFIG, OTHER_CONFIG] {
        if let Some(text) = metadata.get(key) {
            attributes.add(Origin { name: Some(key.to_owned()), numbers: from_json(text, key)? });
        }
    }
    let general = metadata.iter().filter(|(key, _)| is_general(key)).map(|(key, text)| match text.trim().parse() {
        Ok(number) => Ok((key.clone(), number)),
        Err(_) => Err(CheckpointError::Unsupported(format!(
            "`{key}` in the metadata of the file is `{}`; a number is expected",
            text.chars().take(64).flat_map(char::escape_debug).collect::<String>()
        ))),
    });
    attributes.add(Origin { name: Some("metadata".to_owned()), numbers: general.collect::<Result<_, _>>()? });
    Ok(attributes)
}

/// Adds the names that `safetensors.torch.save_model` left out: of several names of one tensor it writes one, and the
/// metadata map each of the others to it.
fn add_shared(metadata: &HashMap<String, String>, tensors: &mut Vec<(String, Tensor)>, notes: &mut Vec<String>) {
    let written: HashMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let is_left_out = |name: &str| !written.contains_key(name);
    let mut shared: Vec<(String, Tensor)> = metadata
        .iter()
        .filter(|(name, _)| is_left_out(name))
        .filter_map(|(name, kept)| Some((name.clone(), (*written.get(kept.as_str())?).clone())))
        .collect();
    shared.sort_by(|a, b| a.0.cmp(&b.0));
    shared.truncate(MAX_TENSORS);
    if !shared.is_empty() {
        notes.push(format!("{} tensors are shared with others, as the metadata state", shared.len()));
    }
    tensors.append(&mut shared);
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
    let metadata = HashMap::from([(CONFIG.to_owned(), to_json(&checkpoint.attributes()))]);
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
