//! Assembles PyTorch files operation by operation, also malicious ones that PyTorch never writes.
//!
//! Each function returns the pickle operations that push its value on the stack.

#![allow(dead_code, reason = "each test file uses a part of this module")]

pub(crate) mod model_tree;

use astromae::torch::zip::Writer;

pub(crate) fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub(crate) fn int(value: i64) -> Vec<u8> {
    [b"\x8a\x08", &value.to_le_bytes()[..]].concat()
}

pub(crate) fn float(value: f64) -> Vec<u8> {
    [b"G", &value.to_be_bytes()[..]].concat()
}

pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub(crate) fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

pub(crate) fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    [b"}", &set_items(items)[..]].concat()
}

pub(crate) fn ordered_dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    [call(global("collections", "OrderedDict"), tuple(&[])), set_items(items)].concat()
}

fn set_items(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let flat: Vec<u8> = items.iter().flat_map(|(key, value)| [string(key), value.clone()].concat()).collect();
    [b"(", &flat[..], b"u"].concat()
}

pub(crate) fn call(function: Vec<u8>, arguments: Vec<u8>) -> Vec<u8> {
    [&function[..], &arguments, b"R"].concat()
}

pub(crate) fn object(class: Vec<u8>, state: Vec<u8>) -> Vec<u8> {
    [&class[..], b")\x81", &state, b"b"].concat()
}

/// Module of `class` with the given tensors, children and attributes.
pub(crate) fn module(
    class: Vec<u8>,
    parameters: &[(&str, Vec<u8>)],
    children: &[(&str, Vec<u8>)],
    attributes: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let mut state = vec![
        ("training", b"\x89".to_vec()),
        ("_parameters", ordered_dict(parameters)),
        ("_buffers", ordered_dict(&[])),
        ("_modules", ordered_dict(children)),
    ];
    state.extend(attributes.iter().cloned());
    object(class, dict(&state))
}

pub(crate) fn storage(class: &str, key: &str, elements: i64) -> Vec<u8> {
    let id = tuple(&[string("storage"), global("torch", class), string(key), string("cpu"), int(elements)]);
    [&id[..], b"Q"].concat()
}

pub(crate) fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = ordered_dict(&[]);
    let arguments = [storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    call(global("torch._utils", "_rebuild_tensor_v2"), tuple(&arguments))
}

pub(crate) fn parameter(tensor: Vec<u8>) -> Vec<u8> {
    let arguments = [tensor, b"\x88".to_vec(), ordered_dict(&[])];
    call(global("torch._utils", "_rebuild_parameter"), tuple(&arguments))
}

/// Pickle (protocol 2) of one value.
pub(crate) fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

/// PyTorch file of `value` with the given storages (key, data).
pub(crate) fn archive(value: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let storages: Vec<_> = storages.iter().map(|(key, data)| (format!("data/{key}"), *data)).collect();
    let mut entries = vec![("data.pkl", pickle(value)), ("byteorder", b"little".to_vec())];
    entries.extend(storages.iter().map(|(name, data)| (name.as_str(), data.to_vec())));
    entries.push(("version", b"3\n".to_vec()));
    zip(&entries)
}

/// Zip archive of the given entries in the folder `archive`.
pub(crate) fn zip(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, data) in entries {
        writer.start(&format!("archive/{name}"), data.len() as u64).unwrap();
        writer.write(data).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
