//! Nearest names: helps the reader of "tensor `…` is missing".

use super::CheckpointError;

/// Largest number of names in a message.
const MAX_LISTED: usize = 3;
/// Longest names that are compared, in bytes. The time is the product of two lengths.
const MAX_COMPARED_BYTES: usize = 128;
/// Names with a smaller similarity, from 0 to 1, are not listed.
const MIN_SIMILARITY: f64 = 0.5;

/// Error for a tensor that is not among `names`, with the nearest of them.
pub(super) fn missing_tensor<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> CheckpointError {
    let mut ranked: Vec<(f64, &str)> = names
        .filter(|other| other.len() <= MAX_COMPARED_BYTES)
        .map(|other| (similarity(name, other), other))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    // Names are sorted within a similarity, so that the message is the same in every run.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let nearest: Vec<String> = ranked.iter().take(MAX_LISTED).map(|(_, other)| format!("`{other}`")).collect();
    let nearest = match nearest.len() {
        0 => String::new(),
        _ => format!("the nearest names in the file are {}; ", nearest.join(", ")),
    };
    let advice = format!(
        "{nearest}save the state dict of the complete fine-tuned AstroMAE model: `torch.save(model.state_dict(), …)`"
    );
    CheckpointError::MissingTensor { name: name.to_owned(), advice }
}

/// Similarity from 0 to 1. A name with another prefix, such as `encoder.head.weight` for `head.weight`, counts as nearly
/// the same.
fn similarity(name: &str, other: &str) -> f64 {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|prefix| prefix.ends_with('.'));
    if ends(other, name) { 0.99 } else { strsim::normalized_damerau_levenshtein(name, other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, names: &[&str]) -> String {
        missing_tensor(name, names.iter().copied()).to_string()
    }

    #[test]
    fn lists_the_nearest_names_first() {
        let names = ["fc_norm.bias", "fc_norm.weight", "norm.weight", "vit.head.weight", "x"];
        assert!(message("head.weight", &names).contains("are `vit.head.weight`"), "{}", message("head.weight", &names));
        let text = message("fc_norm.wieght", &names);
        assert!(
            text.starts_with("tensor `fc_norm.wieght` is missing; the nearest names in the file are `fc_norm.weight`")
        );
        assert!(!text.contains("`x`"), "{text}");
    }

    #[test]
    fn long_and_unlike_names_are_not_compared() {
        let long = "a".repeat(MAX_COMPARED_BYTES + 1);
        let text = message(&long, &[&long, "other"]);
        assert!(!text.contains("nearest"), "{text}");
        assert!(text.contains("state_dict()"), "{text}");
    }
}
