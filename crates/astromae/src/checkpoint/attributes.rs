//! Numbers that tensors do not contain, such as the number of attention heads: where a checkpoint may state them, and
//! how they are looked up.
//!
//! A number counts only at a named place: an attribute of the module itself, or a documented key in the configuration
//! of the checkpoint. A training file has many other numbers, and some have the same names: the `scale` beside a state
//! dict may be that of the pixels, and `eps` that of the optimizer.

mod json;

use std::collections::BTreeMap;

use super::CheckpointError;

pub(super) use json::{from_json, to_json};

/// Keys that state a number for all layers of a kind.
const GENERAL: [&str; 5] = ["num_heads", "num_attention_heads", "qk_scale", "layer_norm_eps", "batch_norm_eps"];

/// Place that may state numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    /// Name of the place in messages, such as `hyper_parameters`. `None` for the attributes of the modules themselves.
    pub(super) name: Option<String>,
    /// Numbers by their dotted names.
    pub(super) numbers: BTreeMap<String, f64>,
}

/// Number that a checkpoint states.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// The number.
    pub value: f64,
    /// Description of the place that states it, such as `` `num_heads` in `config.json` ``.
    pub place: String,
    /// Description of the file, object or modules that the place is in, such as `` `config.json` ``.
    pub origin: String,
}

/// Numbers of a checkpoint, by place. Earlier places take precedence.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    places: Vec<Origin>,
    /// Numbers of attention heads at places that are not read, with their paths.
    elsewhere: Vec<(String, f64)>,
}

impl Attributes {
    pub(super) fn add(&mut self, place: Origin) {
        if !place.numbers.is_empty() {
            self.places.push(place);
        }
    }

    /// Records a number of attention heads at a place that is not read.
    pub(super) fn add_elsewhere(&mut self, path: String, value: f64) {
        self.elsewhere.push((path, value));
    }

    /// All numbers by name. If several places state one, the first counts.
    pub(super) fn merged(&self) -> BTreeMap<String, f64> {
        let mut merged = BTreeMap::new();
        for (name, &value) in self.places.iter().flat_map(|place| &place.numbers) {
            merged.entry(name.clone()).or_insert(value);
        }
        merged
    }

    /// Looks up a number by its full name, then by its general name. The documentation of
    /// [`Checkpoint::attribute`](super::Checkpoint::attribute) states the rules.
    ///
    /// # Errors
    /// If two places state different numbers under a general name.
    pub(super) fn find(&self, name: &str) -> Result<Option<Stated>, CheckpointError> {
        for place in &self.places {
            if let Some(&value) = place.numbers.get(name) {
                let place = match &place.name {
                    None => "the attributes of the modules".to_owned(),
                    Some(place) => format!("`{place}`"),
                };
                return Ok(Some(Stated { value, origin: place.clone(), place }));
            }
        }
        let mut found: Option<Stated> = None;
        for place in &self.places {
            let Some(place_name) = &place.name else { continue };
            for key in general_names(name) {
                let Some(&value) = place.numbers.get(*key) else { continue };
                let origin = format!("`{place_name}`");
                let stated = Stated { value, place: format!("`{key}` in {origin}"), origin };
                match &found {
                    None => found = Some(stated),
                    Some(first) if first.value == value => {}
                    Some(first) => {
                        return Err(CheckpointError::Unsupported(format!(
                            "{} is {}, but {} is {value}; correct or remove one of them",
                            first.place, first.value, stated.place
                        )));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Number of attention heads at a place that is not read, if it is not `assumed`.
    pub(super) fn heads_elsewhere(&self, assumed: f64) -> Option<(String, f64)> {
        let is_heads = |path: &str| is_number_of_heads(path.rsplit('.').next().unwrap_or(path));
        let nested = self.places.iter().filter_map(|place| Some((place.name.as_ref()?, &place.numbers)));
        let nested = nested.flat_map(|(place, numbers)| {
            let paths = numbers.iter().filter(|(path, _)| is_heads(path) && !path.starts_with("blocks."));
            paths.map(move |(path, &value)| (format!("{place}.{path}"), value))
        });
        nested.chain(self.elsewhere.iter().cloned()).find(|(_, value)| *value != assumed)
    }
}

/// Returns true for a key that states a number for all layers of a kind.
pub(super) fn is_general(key: &str) -> bool {
    GENERAL.contains(&key)
}

/// Returns true for the names that programs give to the number of attention heads. Only two of them are read.
pub(super) fn is_number_of_heads(key: &str) -> bool {
    const NAMES: [&str; 7] = ["num_heads", "num_attention_heads", "n_heads", "nheads", "nhead", "n_head", "heads"];
    NAMES.contains(&key)
}

/// General names of the attribute with the full name `name`.
fn general_names(name: &str) -> &'static [&'static str] {
    let Some((parents, last)) = name.rsplit_once('.') else { return &[] };
    let module = parents.rsplit('.').next().unwrap_or(parents);
    match last {
        "num_heads" => &["num_heads", "num_attention_heads"],
        "scale" => &["qk_scale"],
        "eps" if module.contains("norm") => &["layer_norm_eps"],
        "eps" => &["batch_norm_eps"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: Option<&str>, json: &str) -> Origin {
        Origin { name: name.map(str::to_owned), numbers: from_json(json, "a place").unwrap() }
    }

    fn value(attributes: &Attributes, name: &str) -> Option<f64> {
        attributes.find(name).unwrap().map(|stated| stated.value)
    }

    #[test]
    fn find_prefers_full_names_to_general_names() {
        let mut attributes = Attributes::default();
        attributes.add(place(
            Some("config.json"),
            r#"{"num_heads": 12, "layer_norm_eps": 1e-6, "blocks": {"1": {"attn": {"num_heads": 3}}},
                "patch_size": [8, 8], "scale": 0.396, "eps": 1e-8, "qkv_bias": true, "name": "AstroMAE"}"#,
        ));
        assert_eq!(value(&attributes, "blocks.0.attn.num_heads"), Some(12.0));
        assert_eq!(value(&attributes, "blocks.1.attn.num_heads"), Some(3.0));
        assert_eq!(value(&attributes, "blocks.0.norm1.eps"), Some(1e-6));
        assert_eq!(value(&attributes, "fc_norm.eps"), Some(1e-6));
        assert_eq!(value(&attributes, "blocks.0.PCM.1.eps"), None, "the eps of a batch norm is another number");
        assert_eq!(value(&attributes, "blocks.0.attn.scale"), None, "the scale may be that of the pixels");
        assert_eq!(value(&attributes, "patch_embed.patch_size"), None);
        assert_eq!(value(&attributes, "patch_size"), Some(8.0));
        assert_eq!(value(&attributes, "name"), None);
        let stated = attributes.find("blocks.0.attn.num_heads").unwrap().unwrap();
        assert_eq!(stated.place, "`num_heads` in `config.json`");
    }

    #[test]
    fn own_attributes_count_first_and_have_no_general_names() {
        let mut attributes = Attributes::default();
        attributes.add(place(None, r#"{"num_heads": 5, "blocks.0.attn.num_heads": 3}"#));
        attributes.add(place(Some("args"), r#"{"num_heads": 7, "blocks.0.attn.num_heads": 9, "qk_scale": 0.5}"#));
        assert_eq!(value(&attributes, "blocks.0.attn.num_heads"), Some(3.0));
        assert_eq!(value(&attributes, "blocks.1.attn.num_heads"), Some(7.0));
        assert_eq!(value(&attributes, "blocks.1.attn.scale"), Some(0.5));
        assert_eq!(attributes.merged()["num_heads"], 5.0);
    }

    #[test]
    fn find_rejects_places_that_contradict_each_other() {
        let mut attributes = Attributes::default();
        attributes.add(place(Some("args"), r#"{"num_heads": 8}"#));
        attributes.add(place(Some("config.json"), r#"{"num_attention_heads": 8}"#));
        assert_eq!(value(&attributes, "blocks.0.attn.num_heads"), Some(8.0));
        attributes.add(place(Some("config"), r#"{"num_heads": 12}"#));
        let error = attributes.find("blocks.0.attn.num_heads").unwrap_err().to_string();
        for words in ["`num_heads` in `args` is 8", "`num_heads` in `config` is 12"] {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn heads_elsewhere_finds_numbers_at_places_that_are_not_read() {
        let mut attributes = Attributes::default();
        attributes.add(place(Some("config"), r#"{"model": {"num_heads": 8}, "num_headsets": 3}"#));
        assert_eq!(value(&attributes, "blocks.0.attn.num_heads"), None);
        assert_eq!(attributes.heads_elsewhere(8.0), None);
        assert_eq!(attributes.heads_elsewhere(12.0), Some(("config.model.num_heads".to_owned(), 8.0)));
        let mut attributes = Attributes::default();
        attributes.add_elsewhere("num_heads".to_owned(), 6.0);
        assert_eq!(attributes.heads_elsewhere(12.0), Some(("num_heads".to_owned(), 6.0)));
    }
}
