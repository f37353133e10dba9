//! Finds the model in the pickle of a training file.
//!
//! A file may hold the model alone, or a dict with the model under a key such as `model` and, beside it, an optimizer,
//! the arguments of the program, a second copy of the weights and anything else.

use std::collections::VecDeque;

use super::attributes::is_number_of_heads;
use super::module::module_state;
use crate::torch::TensorSpec;
use crate::torch::pickle::{Node, Pickle, Value};

/// Keys of the model, the usual ones first. The last ones are of averaged weights.
const KEYS: [&str; 22] = [
    "model",
    "state_dict",
    "model_state_dict",
    "net",
    "network",
    "model_state",
    "net_state_dict",
    "module",
    "weights",
    "params",
    "checkpoint",
    "student",
    "teacher",
    "ema",
    "model_ema",
    "ema_model",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_params",
    "shadow",
    "averaged_model",
];
/// Name that only a vision transformer has. It tells a model from other dicts of tensors.
pub(super) const ANCHOR: &str = "patch_embed.proj.weight";
/// Name that tells a model that is an Inception network without a transformer.
pub(super) const INCEPTION_ANCHOR: &str = "vis_inception.0.weight";

/// Largest depth of the search. Files of trainings have the model at depth 1 or 2.
const MAX_DEPTH: usize = 4;
/// Largest number of items that the search looks at.
const MAX_STEPS: usize = 200_000;
/// Largest number of dicts, objects and lists that the search enters. It bounds the memory.
const MAX_ENTERED: usize = 10_000;
/// Longest key that the search follows, in bytes.
const MAX_KEY_BYTES: usize = 128;
/// Largest number of items of a tuple or list that is searched.
const MAX_ITEMS: usize = 16;

/// Model in a pickle.
pub(super) struct Found<'p> {
    /// Module or state dict.
    pub(super) object: Value<'p>,
    /// Path from the root of the pickle, such as `model`; empty if the root is the model.
    pub(super) path: String,
    /// Dicts around the model, the inner ones first, which may hold its configuration.
    pub(super) around: Vec<Value<'p>>,
    /// Paths of other models in the file.
    pub(super) others: Vec<String>,
    /// Numbers of attention heads anywhere else, with their paths.
    pub(super) heads: Vec<(String, Value<'p>)>,
}

struct Candidate<'p> {
    object: Value<'p>,
    path: String,
    around: Vec<Value<'p>>,
    /// Sorts the candidates: those with an anchor first, then by key.
    rank: (bool, usize),
}

/// Finds the model, or returns `None` if there is no dict of tensors and no module.
pub(super) fn find<'p>(pickle: &Pickle<'p>) -> Option<Found<'p>> {
    let root = pickle.root();
    let mut candidates: Vec<Candidate<'p>> = Vec::new();
    let mut heads = Vec::new();
    let mut pending = VecDeque::from([(root, String::new(), None, Vec::new())]);
    let (mut steps, mut entered) = (0, 0);
    while let Some((value, path, key, around)) = pending.pop_front() {
        if let Some(is_anchored) = kind_of_model(pickle, value) {
            let rank = (!is_anchored, rank_of_key(key));
            candidates.push(Candidate { object: value, path: path.clone(), around: around.clone(), rank });
            // A dict of other tensors may have a state dict beside them, and so may the root.
            if is_anchored && key.is_some() || module_state(pickle, value).is_some() {
                continue;
            }
        }
        if around.len() == MAX_DEPTH {
            continue;
        }
        for (key, inner) in parts(pickle, value) {
            steps += 1;
            if steps > MAX_STEPS || entered > MAX_ENTERED {
                break;
            }
            let inner_path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            match inner {
                Value::Node(_) if !TensorSpec::is_tensor(pickle, inner) => {
                    let around = [&[value], around.as_slice()].concat();
                    entered += 1;
                    pending.push_back((inner, inner_path, Some(key), around));
                }
                _ if is_number_of_heads(key) => heads.push((inner_path, inner)),
                _ => {}
            }
        }
    }
    let best = (0..candidates.len()).min_by_key(|&index| candidates[index].rank)?;
    let Candidate { object, path, around, rank } = candidates.swap_remove(best);
    let is_other = |other: &Candidate<'p>| other.rank.0 == rank.0 && other.object != object && !rank.0;
    let mut others: Vec<String> = candidates.into_iter().filter(is_other).map(|other| other.path).collect();
    others.sort();
    Some(Found { object, path, around, others, heads })
}

/// Returns `None` if `value` is neither a module nor a dict of tensors, else whether it has an anchor.
fn kind_of_model<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Option<bool> {
    if module_state(pickle, value).is_some() {
        return Some(has_network(pickle, value));
    }
    let items = pickle.fields(value)?;
    let mut is_dict_of_tensors = false;
    for &(name, item) in items {
        if let (Value::Str(name), true) = (name, TensorSpec::is_tensor(pickle, item)) {
            is_dict_of_tensors = true;
            if name.ends_with(ANCHOR) || name.ends_with(INCEPTION_ANCHOR) {
                return Some(true);
            }
        }
    }
    is_dict_of_tensors.then_some(false)
}

/// Returns true if a module, or the module that it wraps, has a child `patch_embed` or `vis_inception`.
fn has_network<'p>(pickle: &Pickle<'p>, module: Value<'p>) -> bool {
    let mut level = vec![module];
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for module in level {
            let children = module_state(pickle, module).and_then(|state| pickle.get(state, "_modules"));
            for &(name, child) in children.and_then(|children| pickle.items(children)).unwrap_or_default() {
                if [Value::Str("patch_embed"), Value::Str("vis_inception")].contains(&name) {
                    return true;
                }
                if next.len() < MAX_ITEMS {
                    next.push(child);
                }
            }
        }
        level = next;
    }
    false
}

/// Position of a key in [`KEYS`]. The root comes before the averaged weights, and unusual keys come last.
fn rank_of_key(key: Option<&str>) -> usize {
    let ema = KEYS.iter().position(|known| *known == "ema").unwrap_or(KEYS.len());
    match key {
        None => 2 * ema - 1,
        Some(key) => KEYS.iter().position(|known| *known == key).map_or(2 * KEYS.len(), |at| 2 * at),
    }
}

/// Parts of a dict, of an object with attributes, or of a short tuple or list, with their names.
fn parts<'p>(pickle: &Pickle<'p>, value: Value<'p>) -> Vec<(&'p str, Value<'p>)> {
    const INDICES: [&str; MAX_ITEMS] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    if let Some(items) = pickle.fields(value) {
        let named = items.iter().filter_map(|&(name, item)| match name {
            Value::Str(name) if name.len() <= MAX_KEY_BYTES => Some((name, item)),
            _ => None,
        });
        return named.take(MAX_STEPS).collect();
    }
    let is_plain = matches!(value, Value::Node(id) if matches!(pickle.node(id), Node::Tuple(_) | Node::List(_)));
    match pickle.sequence(value) {
        Some(items) if is_plain && items.len() <= MAX_ITEMS => INDICES.into_iter().zip(items.iter().copied()).collect(),
        _ => Vec::new(),
    }
}
