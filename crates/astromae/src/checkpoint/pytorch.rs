//! Reads a file of `torch.save`: finds the positions of the tensors from the zip directory and the pickle.

use std::collections::BTreeMap;
use std::ops::Range;

use super::source::File;
use super::tensor::Place;
use super::{Checkpoint, CheckpointError, Tensor, globals, state_dict};
use crate::file_kind::{Purpose, START_BYTES};
use crate::torch::pickle::{MAX_PICKLE_BYTES, Pickle};
use crate::torch::zip::{Entry, LOCAL_HEADER_BYTES, TAIL_BYTES, locate_directory, parse_directory};
use crate::torch::{Archive, TensorSpec, TorchError};

pub(super) fn open(file: File<'_>) -> Result<Checkpoint<'_>, CheckpointError> {
    let archive = open_archive(file)?;
    if let Some(byte_order) = archive.byte_order() {
        Archive::check_byte_order(entry_data(file, byte_order, &mut Vec::new())?)?;
    }
    if archive.pickle().bytes > MAX_PICKLE_BYTES {
        return Err(CheckpointError::Malformed(format!(
            "the pickle has {} bytes; at most {MAX_PICKLE_BYTES} are allowed",
            archive.pickle().bytes
        )));
    }
    let mut buffer = Vec::new();
    let pickle = Pickle::read(entry_data(file, archive.pickle(), &mut buffer)?, globals::may_occur)?;
    let content = state_dict::read(&pickle)?;

    let mut storages = BTreeMap::new();
    let mut tensors = Vec::with_capacity(content.tensors.len());
    for (name, spec) in content.tensors {
        let tensor = place(file, &archive, &mut storages, spec).map_err(|error| error.in_tensor(&name))?;
        tensors.push((name, tensor));
    }
    let checkpoint = Checkpoint::new(file, content.form, tensors, content.attributes, content.notes)?;
    Ok(Checkpoint { modules: content.modules, unreadable: content.unreadable, ..checkpoint })
}

fn open_archive(file: File<'_>) -> Result<Archive, CheckpointError> {
    let buffer = &mut Vec::new();
    let bytes = file.bytes();
    Archive::check_start(file.read(0..bytes.min(START_BYTES as u64), buffer)?, Purpose::Model)?;
    let location = locate_directory(file.read(bytes - bytes.min(TAIL_BYTES)..bytes, buffer)?, bytes)?;
    let directory = file.read(location.range.clone(), buffer)?;
    Ok(Archive::new(parse_directory(directory, &location)?)?)
}

/// Reads the data of `entry` and verifies its checksum.
fn entry_data<'b>(file: File<'b>, entry: &Entry, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CheckpointError> {
    let data = file.read(data_range(file, entry)?, buffer)?;
    entry.check_crc32(crc32fast::hash(data))?;
    Ok(data)
}

fn data_range(file: File<'_>, entry: &Entry) -> Result<Range<u64>, CheckpointError> {
    let header = entry.header_offset..file.bytes().min(entry.header_offset + LOCAL_HEADER_BYTES);
    Ok(entry.data_range(file.read(header, &mut Vec::new())?)?)
}

/// Finds the position of a tensor. `storages` caches the positions of storages, because several tensors may share one.
fn place(
    file: File<'_>,
    archive: &Archive,
    storages: &mut BTreeMap<String, Place>,
    spec: TensorSpec,
) -> Result<Tensor, CheckpointError> {
    let place = match storages.get(&spec.storage) {
        Some(place) => place.clone(),
        None => {
            let entry = archive.storage(&spec.storage)?;
            let place = Place { storage: data_range(file, entry)?, entry: Some(entry.clone().into()) };
            storages.insert(spec.storage.clone(), place.clone());
            place
        }
    };
    let stored = place.storage.end - place.storage.start;
    spec.check_storage_bytes(stored)?;
    let start = spec.offset.checked_mul(spec.dtype.bytes() as u64).filter(|start| *start <= stored);
    let start = start.ok_or_else(|| TorchError::malformed("the tensor starts after the end of its storage"))?;
    Ok(Tensor::new(spec.dtype, spec.shape, spec.strides, place, start)?)
}
