//! Reads the object in a pickle: a module, a state dict, or a dict with one of them inside.

use std::collections::BTreeMap;

use super::attributes::{Attributes, Origin, is_general};
use super::find::{Found, find};
use super::module::{self, checked_name, number, spec};
use super::modules::Modules;
use super::names::without_wrappers;
use super::{CheckpointError, Form, MAX_NAME_BYTES, MAX_TENSORS};
use crate::torch::TensorSpec;
use crate::torch::pickle::{Call, Pickle, Value};

/// Keys of the dict around a model that hold its configuration.
const CONFIGURATIONS: [&str; 3] = ["hyper_parameters", "config", "args"];
/// Largest number of keys that a message lists.
const MAX_LISTED: usize = 8;

/// Content of the pickle of a checkpoint.
pub(super) struct Content {
    pub(super) form: Form,
    pub(super) tensors: Vec<(String, TensorSpec)>,
    pub(super) attributes: Attributes,
    /// Classes and constants; `None` for a state dict.
    pub(super) modules: Option<Modules>,
    /// Names in the state dict whose values are not tensors that this crate reads, with their descriptions.
    pub(super) unreadable: BTreeMap<String, String>,
    /// Decisions that the reader of the file should know.
    pub(super) notes: Vec<String>,
}

/// Reads the model in a pickle.
pub(super) fn read(pickle: &Pickle<'_>) -> Result<Content, CheckpointError> {
    let Some(found) = find(pickle) else { return Err(no_model(pickle)) };
    let mut content = Content {
        form: Form::PickledModule,
        tensors: Vec::new(),
        attributes: Attributes::default(),
        modules: None,
        unreadable: BTreeMap::new(),
        notes: notes(&found),
    };
    if module::module_state(pickle, found.object).is_some() {
        let tree = module::read(pickle, found.object)?;
        content.tensors = tree.tensors;
        content.modules = Some(tree.modules);
        content.attributes.add(Origin { name: None, numbers: tree.numbers });
    } else {
        content.form = Form::StateDict;
        read_state_dict(pickle, found.object, &mut content)?;
    }
    for &dict in &found.around {
        for key in CONFIGURATIONS {
            let fields = pickle.fields(dict).unwrap_or_default();
            if let Some(&(_, configuration)) = fields.iter().rev().find(|(name, _)| *name == Value::Str(key)) {
                let numbers = configured_numbers(pickle, key, configuration)?;
                content.attributes.add(Origin { name: Some(key.to_owned()), numbers });
            }
        }
    }
    for (path, value) in found.heads {
        if let Some(heads) = number(pickle, value) {
            content.attributes.add_elsewhere(path, heads);
        }
    }
    Ok(content)
}

fn read_state_dict<'p>(pickle: &Pickle<'p>, object: Value<'p>, content: &mut Content) -> Result<(), CheckpointError> {
    let items = pickle.fields(object).unwrap_or_default();
    if items.len() > MAX_TENSORS {
        return Err(CheckpointError::Malformed(format!(
            "the state dict has {} items; at most {MAX_TENSORS} are allowed",
            items.len()
        )));
    }
    for &(name, value) in items {
        let Value::Str(name) = name else { continue };
        if TensorSpec::is_tensor(pickle, value) {
            content.tensors.push((checked_name(name.to_owned())?, spec(pickle, name, value)?));
        } else if pickle.call(value).is_some_and(is_other_tensor) {
            content.unreadable.insert(checked_name(without_wrappers(name))?, pickle.describe(value));
        }
    }
    Ok(())
}

/// Returns true for a sparse or quantised tensor, and for an array of NumPy.
fn is_other_tensor(call: &Call<'_>) -> bool {
    call.module == "torch._utils" || call.module.starts_with("numpy.") && call.name == "_reconstruct"
}

/// Numbers of a configuration: a dict, or an object such as an `argparse.Namespace`.
///
/// # Errors
/// If the value of a general key is not a number.
fn configured_numbers<'p>(
    pickle: &Pickle<'p>,
    place: &str,
    configuration: Value<'p>,
) -> Result<BTreeMap<String, f64>, CheckpointError> {
    let mut numbers = BTreeMap::new();
    for &(key, value) in pickle.fields(configuration).unwrap_or_default() {
        let Value::Str(key) = key else { continue };
        if key.len() > MAX_NAME_BYTES {
            continue;
        }
        let text = match value {
            Value::Str(text) if is_general(key) => text.trim().parse().ok(),
            _ => None,
        };
        if let Some(number) = number(pickle, value).or(text) {
            numbers.insert(key.to_owned(), number);
        } else if is_general(key) && value != Value::None {
            return Err(CheckpointError::Unsupported(format!(
                "`{key}` in `{place}` is {}; a number is expected",
                pickle.describe(value)
            )));
        }
    }
    Ok(numbers)
}

fn notes(found: &Found<'_>) -> Vec<String> {
    let Found { path, others, .. } = found;
    match (path.is_empty(), others.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => vec![format!("the model is the whole file; not the ones under {}", quoted(others))],
        (false, true) => vec![format!("the model is under `{path}`")],
        (false, false) => vec![format!("the model is the one under `{path}`, not the ones under {}", quoted(others))],
    }
}

fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    let mut listed: Vec<String> =
        names.iter().take(MAX_LISTED).map(|name| format!("`{}`", name.as_ref().escape_debug())).collect();
    if names.len() > MAX_LISTED {
        listed.push("…".to_owned());
    }
    listed.join(", ")
}

/// Error for a pickle without a model. It states what the pickle has.
fn no_model(pickle: &Pickle<'_>) -> CheckpointError {
    let root = pickle.root();
    const SAVE: &str = "save the state dict: `torch.save(model.state_dict(), …)`";
    if pickle.call(root).is_some_and(|call| call.is("torch.utils.data.dataset", "TensorDataset")) {
        return CheckpointError::IsPartition;
    }
    match pickle.items(root) {
        Some([]) => CheckpointError::Malformed(format!("there is no tensor in the file, only an empty dict; {SAVE}")),
        Some(items) => {
            let keys: Vec<String> = items
                .iter()
                .map(|&(key, _)| match key {
                    Value::Str(key) => key.chars().take(64).collect(),
                    other => pickle.describe(other),
                })
                .collect();
            let unreadable = items.iter().find(|(_, value)| pickle.call(*value).is_some());
            let unreadable =
                unreadable.map_or_else(String::new, |&(_, value)| format!(" and {}", pickle.describe(value)));
            CheckpointError::Unsupported(format!(
                "there is no tensor in the file, but a dict with the keys {}{unreadable}; {SAVE}",
                quoted(&keys)
            ))
        }
        None => CheckpointError::Unsupported(format!(
            "the pickle contains {}, which is neither a module nor a state dict; {SAVE}",
            pickle.describe(root)
        )),
    }
}
