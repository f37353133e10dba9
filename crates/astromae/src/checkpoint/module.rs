//! Reads a pickled module: the tensors, the numeric attributes and the tree of its modules.
//!
//! A module is recognised by its `_modules`, `_parameters` and `_buffers`, not by its class. A module that occurs
//! several times in the tree is listed under each of its names. Modules that only wrap another one, such as
//! `DataParallel`, are replaced by it.

use std::collections::BTreeMap;

use super::modules::{Constant, Module, Modules};
use super::{CheckpointError, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_TENSORS};
use crate::torch::TensorSpec;
use crate::torch::pickle::{Node, Pickle, Value};

/// Largest depth of a module tree. AstroMAE has 6 levels.
const MAX_DEPTH: usize = 64;
/// Largest number of modules in a tree, with a module counted each time it occurs. AstroMAE has 380.
const MAX_MODULES: usize = 16_384;
/// Largest number of attributes, modules and tensors to visit. It bounds the time, because shared modules let a small
/// pickle describe a tree of any size.
const MAX_STEPS: usize = 1_000_000;
/// Largest length of a tuple that may be a kernel size.
const MAX_REPEATED: usize = 8;

/// Classes that only call the module that they wrap, and the name of that module.
const WRAPPERS: &[(&str, &str)] = &[
    ("AveragedModel", "module"),
    ("CheckpointWrapper", "_checkpoint_wrapped_module"),
    ("DataParallel", "module"),
    ("DistributedDataParallel", "module"),
    ("FullyShardedDataParallel", "_fsdp_wrapped_module"),
    ("ModelEma", "ema"),
    ("ModelEmaV2", "module"),
    ("ModelEmaV3", "module"),
    ("OptimizedModule", "_orig_mod"),
];

/// Tensors, numeric attributes and modules of a pickled module.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) tensors: Vec<(String, TensorSpec)>,
    pub(super) numbers: BTreeMap<String, f64>,
    pub(super) modules: Modules,
}

/// Reads the tree below `root`.
pub(super) fn read<'p>(pickle: &Pickle<'p>, root: Value<'p>) -> Result<Tree, CheckpointError> {
    let mut tree = Tree::default();
    let mut pending = vec![(String::new(), unwrapped(pickle, root), 0)];
    let (mut modules, mut constants, mut steps) = (1, 0, 0);
    while let Some((path, value, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            return Err(CheckpointError::Malformed(format!(
                "module `{path}` is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let (call, state) = pickle.call(value).zip(module_state(pickle, value)).ok_or_else(|| {
            CheckpointError::Malformed(format!("`{path}` is {}, which is not a module", pickle.describe(value)))
        })?;
        let mut module = Module {
            package: call.module.to_owned(),
            class: call.name.to_owned(),
            children: Vec::new(),
            absent: Vec::new(),
            constants: BTreeMap::new(),
            changed_by: None,
        };
        for &(key, value) in pickle.items(state).unwrap_or_default() {
            steps += 1 + pickle.items(value).map_or(0, <[_]>::len);
            if steps > MAX_STEPS {
                return Err(CheckpointError::Malformed(format!("the model has more than {MAX_STEPS} attributes")));
            }
            let Value::Str(key) = key else { continue };
            match key {
                "_parameters" | "_buffers" => {
                    for (name, value) in named(pickle, &path, value)? {
                        match value {
                            Value::None => module.absent.push(name.to_owned()),
                            _ => {
                                let name = checked_name(join(&path, name))?;
                                let spec = spec(pickle, &name, value)?;
                                tree.tensors.push((name, spec));
                            }
                        }
                    }
                }
                "_modules" => {
                    for (name, child) in named(pickle, &path, value)? {
                        if child == Value::None {
                            continue;
                        }
                        modules += 1;
                        if modules > MAX_MODULES {
                            return Err(CheckpointError::Malformed(format!(
                                "the model has more than {MAX_MODULES} modules"
                            )));
                        }
                        module.children.push(name.to_owned());
                        pending.push((checked_name(join(&path, name))?, unwrapped(pickle, child), depth + 1));
                    }
                }
                "_forward_hooks" | "_forward_pre_hooks" => {
                    if pickle.items(value).is_some_and(|hooks| !hooks.is_empty()) {
                        module.changed_by = Some(key.trim_start_matches('_').trim_end_matches('s').replace('_', " "));
                    }
                }
                "forward" | "__call__" | "_call_impl" => module.changed_by = Some(format!("method `{key}` of its own")),
                // The flag for training mode, and private state of PyTorch.
                "training" => {}
                _ if key.starts_with('_') => {}
                _ => {
                    let name = checked_name(join(&path, key))?;
                    if let Some(number) = number(pickle, value) {
                        tree.numbers.insert(name, number);
                    }
                    constants += 1;
                    module.constants.insert(key.to_owned(), Constant::read(pickle, value));
                }
            }
            if tree.tensors.len() > MAX_TENSORS || constants > MAX_ATTRIBUTES {
                return Err(CheckpointError::Malformed(format!(
                    "the model has more than {MAX_TENSORS} tensors or more than {MAX_ATTRIBUTES} attributes"
                )));
            }
        }
        tree.modules.insert(path, module);
    }
    Ok(tree)
}

/// Module inside wrappers such as `DataParallel`.
fn unwrapped<'p>(pickle: &Pickle<'p>, mut value: Value<'p>) -> Value<'p> {
    for _ in 0..MAX_DEPTH {
        let inner = pickle.call(value).and_then(|call| {
            let (_, child) = WRAPPERS.iter().find(|(class, _)| *class == call.name)?;
            let children = pickle.get(module_state(pickle, value)?, "_modules")?;
            pickle.get(children, child).filter(|&child| module_state(pickle, child).is_some())
        });
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    value
}

/// Entries of `_modules`, `_parameters` or `_buffers`, with their names.
fn named<'a, 'p>(
    pickle: &'a Pickle<'p>,
    path: &str,
    dict: Value<'p>,
) -> Result<impl Iterator<Item = (&'p str, Value<'p>)> + use<'a, 'p>, CheckpointError> {
    let items = pickle
        .items(dict)
        .ok_or_else(|| CheckpointError::Malformed(format!("module `{path}`: its parts are not in a dict")))?;
    if items.iter().any(|(name, _)| !matches!(name, Value::Str(_))) {
        return Err(CheckpointError::Malformed(format!("module `{path}`: the name of a part is not a string")));
    }
    Ok(items.iter().filter_map(|&(name, value)| match name {
        Value::Str(name) => Some((name, value)),
        _ => None,
    }))
}

/// Dict with the attributes of a pickled module, or `None` if `value` is not a module.
pub(super) fn module_state<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<Value<'p>> {
    let state = pickle.call(value)?.state?;
    pickle.get(state, "_modules").map(|_| state)
}

/// Value of a number, or of the number that a tuple or list repeats, such as a kernel size.
pub(super) fn number<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(flag))),
        Value::Int(int) => Some(int as f64),
        Value::Float(float) => Some(float),
        Value::Node(id) if matches!(pickle.node(id), Node::Tuple(_) | Node::List(_)) => {
            let items = pickle.sequence(value).filter(|items| items.len() <= MAX_REPEATED)?;
            match *items.first()? {
                Value::Int(int) if items.iter().all(|&item| item == Value::Int(int)) => Some(int as f64),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn spec<'p>(pickle: &Pickle<'p>, name: &str, value: Value<'p>) -> Result<TensorSpec, CheckpointError> {
    TensorSpec::from_pickle(pickle, value).map_err(|error| CheckpointError::from(error).in_tensor(name))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub(super) fn checked_name(name: String) -> Result<String, CheckpointError> {
    if name.len() <= MAX_NAME_BYTES {
        return Ok(name);
    }
    let start: String = name.chars().take(64).collect();
    Err(CheckpointError::Malformed(format!(
        "the name `{start}…` has {} bytes; at most {MAX_NAME_BYTES} are allowed",
        name.len()
    )))
}
