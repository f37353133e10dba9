//! Reads the object in a pickle: finds the tensors and numeric attributes of a module tree or a state dict.
//!
//! A module is recognised by its `_modules`, `_parameters` and `_buffers`, not by its class. A module that occurs
//! several times in the tree is listed under each of its names.

use super::{CheckpointError, Form, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_TENSORS};
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

/// Tensors and numeric attributes in a pickle.
pub(super) struct Tree {
    pub(super) form: Form,
    pub(super) tensors: Vec<(String, TensorSpec)>,
    pub(super) attributes: Vec<(String, f64)>,
}

/// Reads the root of a pickle. It is a module, a state dict, or a dict with one of them under the key `"state_dict"` or
/// `"model"`.
pub(super) fn read(pickle: &Pickle<'_>) -> Result<Tree, CheckpointError> {
    let root = pickle.root();
    let mut attributes = Vec::new();
    let mut object = root;
    for wrapper in ["state_dict", "model"] {
        if let Some(inner) = pickle.get(root, wrapper).filter(|&inner| !TensorSpec::is_tensor(pickle, inner)) {
            object = inner;
            attributes = wrapper_attributes(pickle, root);
            break;
        }
    }
    let mut tree = if pickle.items(object).is_some() {
        read_state_dict(pickle, object)?
    } else if module_state(pickle, object).is_some() {
        read_modules(pickle, object)?
    } else {
        return Err(CheckpointError::Unsupported(format!(
            "the pickle contains {}, which is neither a module nor a state dict; save the state dict: \
             `torch.save(model.state_dict(), …)`",
            pickle.describe(object)
        )));
    };
    // Attributes of the module come last, because they take precedence over those of its wrapper.
    attributes.append(&mut tree.attributes);
    tree.attributes = attributes;
    Ok(tree)
}

fn read_state_dict<'p>(pickle: &Pickle<'p>, object: Value<'p>) -> Result<Tree, CheckpointError> {
    let items = pickle.items(object).unwrap_or_default();
    if items.len() > MAX_TENSORS {
        return Err(CheckpointError::Malformed(format!(
            "the state dict has {} items; at most {MAX_TENSORS} are allowed",
            items.len()
        )));
    }
    let mut tensors = Vec::new();
    for &(name, value) in items {
        // Modules may add state that is not a tensor (`_extra_state`).
        if let (Value::Str(name), true) = (name, TensorSpec::is_tensor(pickle, value)) {
            tensors.push((checked_name(name.to_owned())?, spec(pickle, name, value)?));
        }
    }
    Ok(Tree { form: Form::StateDict, tensors, attributes: Vec::new() })
}

fn read_modules<'p>(pickle: &Pickle<'p>, root: Value<'p>) -> Result<Tree, CheckpointError> {
    let mut tree = Tree { form: Form::PickledModule, tensors: Vec::new(), attributes: Vec::new() };
    let mut pending = vec![(String::new(), root, 0)];
    let mut modules = 1;
    let mut steps = 0;
    while let Some((path, module, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            return Err(CheckpointError::Malformed(format!(
                "module `{path}` is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let state = module_state(pickle, module).ok_or_else(|| {
            CheckpointError::Malformed(format!("`{path}` is {}, which is not a module", pickle.describe(module)))
        })?;
        for &(key, value) in pickle.items(state).unwrap_or_default() {
            steps += 1 + pickle.items(value).map_or(0, <[_]>::len);
            if steps > MAX_STEPS {
                return Err(CheckpointError::Malformed(format!("the model has more than {MAX_STEPS} attributes")));
            }
            let Value::Str(key) = key else { continue };
            match key {
                "_parameters" | "_buffers" => {
                    for (name, value) in named(pickle, &path, value)? {
                        let spec = spec(pickle, &name, value)?;
                        tree.tensors.push((name, spec));
                    }
                }
                "_modules" => {
                    let children = named(pickle, &path, value)?;
                    modules += children.len();
                    if modules > MAX_MODULES {
                        return Err(CheckpointError::Malformed(format!(
                            "the model has more than {MAX_MODULES} modules"
                        )));
                    }
                    pending.extend(children.into_iter().map(|(name, child)| (name, child, depth + 1)));
                }
                // Private state of PyTorch, and the flag for training mode.
                _ if key.starts_with('_') || key == "training" => {}
                _ => {
                    if let Some(number) = number(pickle, value) {
                        tree.attributes.push((checked_name(join(&path, key))?, number));
                    }
                }
            }
            if tree.tensors.len() > MAX_TENSORS || tree.attributes.len() > MAX_ATTRIBUTES {
                return Err(CheckpointError::Malformed(format!(
                    "the model has more than {MAX_TENSORS} tensors or more than {MAX_ATTRIBUTES} attributes"
                )));
            }
        }
    }
    Ok(tree)
}

/// Entries of `_modules`, `_parameters` or `_buffers` that are not `None`, with their full names.
fn named<'p>(pickle: &Pickle<'p>, path: &str, dict: Value<'p>) -> Result<Vec<(String, Value<'p>)>, CheckpointError> {
    let items = pickle
        .items(dict)
        .ok_or_else(|| CheckpointError::Malformed(format!("module `{path}`: its parts are not in a dict")))?;
    items
        .iter()
        .filter(|(_, value)| *value != Value::None)
        .map(|&(name, value)| match name {
            Value::Str(name) => Ok((checked_name(join(path, name))?, value)),
            _ => Err(CheckpointError::Malformed(format!("module `{path}`: the name of a part is not a string"))),
        })
        .collect()
}

/// Dict with the attributes of a pickled module, or `None` if `value` is not a module.
fn module_state<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<Value<'p>> {
    let state = pickle.call(value)?.state?;
    pickle.get(state, "_modules").map(|_| state)
}

/// Numbers that a training script saved together with the state dict, in the same dict or under its key `"config"`.
fn wrapper_attributes<'p>(pickle: &Pickle<'p>, root: Value<'p>) -> Vec<(String, f64)> {
    let config = pickle.get(root, "config").and_then(|config| pickle.items(config)).unwrap_or_default();
    let top = pickle.items(root).unwrap_or_default();
    top.iter()
        .chain(config)
        .filter_map(|&(name, value)| match name {
            Value::Str(name) if name.len() <= MAX_NAME_BYTES => Some((name.to_owned(), number(pickle, value)?)),
            _ => None,
        })
        .collect()
}

/// Value of a number, or of the number that a tuple or list repeats, such as a kernel size.
fn number<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<f64> {
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

fn spec<'p>(pickle: &Pickle<'p>, name: &str, value: Value<'p>) -> Result<TensorSpec, CheckpointError> {
    TensorSpec::from_pickle(pickle, value).map_err(|error| CheckpointError::from(error).in_tensor(name))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn checked_name(name: String) -> Result<String, CheckpointError> {
    if name.len() <= MAX_NAME_BYTES {
        return Ok(name);
    }
    let start: String = name.chars().take(64).collect();
    Err(CheckpointError::Malformed(format!(
        "the name `{start}…` has {} bytes; at most {MAX_NAME_BYTES} are allowed",
        name.len()
    )))
}
