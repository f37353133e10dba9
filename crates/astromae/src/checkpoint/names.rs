//! Names of tensors without the prefixes of wrappers.
//!
//! Wrappers add a component to all names (`module.` of `DataParallel`, `_orig_mod.` of `torch.compile`), and a program
//! that holds the model in an attribute adds the name of the attribute (`model.`, `net.`, `backbone.`).

use super::find::{ANCHOR, INCEPTION_ANCHOR};
use super::{CheckpointError, Tensor};

/// Components that wrappers insert, also in the middle of a name.
const INSERTED: [&str; 4] = ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
/// Prefixes of the model if there are several, the first one that exists counts.
const PREFERRED: [&str; 4] = ["model.", "net.", "network.", "student."];
/// First components of tensors that belong to the training and not to the model: losses, metrics and counters.
const OF_TRAINING: [&str; 8] =
    ["criterion", "loss", "loss_fn", "loss_function", "metrics", "train_metrics", "val_metrics", "n_averaged"];
/// Largest number of prefixes that a message lists.
const MAX_LISTED: usize = 4;

/// Name without the components that wrappers insert.
pub(super) fn without_wrappers(name: &str) -> String {
    if !name.split('.').any(|part| INSERTED.contains(&part)) {
        return name.to_owned();
    }
    name.split('.').filter(|part| !INSERTED.contains(part)).collect::<Vec<_>>().join(".")
}

/// Removes the prefix of the model from all names, and the tensors that belong to another model or to the training.
/// Adds what it removes to `notes`.
///
/// # Errors
/// If there are several models and none of them has a preferred prefix.
pub(super) fn within_model(
    tensors: Vec<(String, Tensor)>,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let mut prefixes: Vec<String> = tensors.iter().filter_map(|(name, _)| prefix_of_model(name)).collect();
    if prefixes.is_empty() {
        prefixes = tensors.iter().filter_map(|(name, _)| prefix_of_inception(name)).collect();
    }
    prefixes.sort();
    prefixes.dedup();
    let prefix = match prefixes.as_slice() {
        [] => return Ok(tensors),
        [only] => only.clone(),
        [first, ..] if first.is_empty() => String::new(),
        several => match PREFERRED.iter().find(|prefix| several.iter().any(|other| other == *prefix)) {
            Some(preferred) => (*preferred).to_owned(),
            None => {
                let listed: Vec<String> = several.iter().take(MAX_LISTED).map(|prefix| format!("`{prefix}`")).collect();
                return Err(CheckpointError::Unsupported(format!(
                    "the file has several models, with names after {}; save the state dict of one of them",
                    listed.join(", ")
                )));
            }
        },
    };
    let (mut kept, mut removed) = (Vec::new(), 0);
    for (name, tensor) in tensors {
        match name.strip_prefix(&prefix) {
            Some(inner) if !is_of_training(inner) => kept.push((inner.to_owned(), tensor)),
            _ if is_of_training(&name) || is_of_other_model(&name, &prefix, &prefixes) => removed += 1,
            _ => {
                return Err(CheckpointError::Unsupported(format!(
                    "the names of the model's tensors start with `{prefix}`, but `{name}` does not; the model may be \
                     part of another one; save the state dict of AstroMAE alone"
                )));
            }
        }
    }
    if !prefix.is_empty() {
        notes.push(format!("the names of the tensors start with `{prefix}`"));
    }
    if removed > 0 {
        notes.push(format!("tensors of the training or of another copy of the model that are not used: {removed}"));
    }
    Ok(kept)
}

/// Prefix of the model if `name` ends with [`ANCHOR`].
fn prefix_of_model(name: &str) -> Option<String> {
    let prefix = name.strip_suffix(ANCHOR)?;
    (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_owned())
}

/// Prefix of an Inception network that is the model, if `name` ends with [`INCEPTION_ANCHOR`]. Within AstroMAE, the
/// network has a prefix of its own.
fn prefix_of_inception(name: &str) -> Option<String> {
    let prefix = name.strip_suffix(INCEPTION_ANCHOR)?;
    let is_prefix = prefix.is_empty() || prefix.ends_with('.') && !prefix.ends_with("inception_model.");
    is_prefix.then(|| prefix.to_owned())
}

/// Returns true for a tensor of a loss or metric, or a counter.
fn is_of_training(name: &str) -> bool {
    OF_TRAINING.contains(&name.split('.').next().unwrap_or(name))
}

/// Returns true for a tensor of one of the models with other prefixes.
fn is_of_other_model(name: &str, prefix: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|other| other != prefix && !other.is_empty() && name.starts_with(other.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_wrappers_removes_components_everywhere() {
        for (name, expected) in [
            ("module.head.weight", "head.weight"),
            ("_orig_mod.module.blocks.0._orig_mod.norm1.weight", "blocks.0.norm1.weight"),
            ("module._fsdp_wrapped_module.blocks.0._checkpoint_wrapped_module.norm1.bias", "blocks.0.norm1.bias"),
            ("modules.0.weight", "modules.0.weight"),
            ("head.weight", "head.weight"),
        ] {
            assert_eq!(without_wrappers(name), expected);
        }
    }

    #[test]
    fn prefix_of_model_ends_at_a_component() {
        assert_eq!(prefix_of_model("model.patch_embed.proj.weight").as_deref(), Some("model."));
        assert_eq!(prefix_of_model("patch_embed.proj.weight").as_deref(), Some(""));
        assert_eq!(prefix_of_model("my_patch_embed.proj.weight"), None);
        assert_eq!(prefix_of_model("patch_embed.proj.bias"), None);
        assert_eq!(prefix_of_inception("net.vis_inception.0.weight").as_deref(), Some("net."));
        assert_eq!(prefix_of_inception("inception_model.vis_inception.0.weight"), None);
        assert_eq!(prefix_of_inception("my_vis_inception.0.weight"), None);
    }
}
