//! [`Config`]: the networks and sizes of a model, read from the names and shapes of its checkpoint.

use std::collections::BTreeMap;
use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::inception;
use crate::layers::Layers;

/// Name of the module that holds the Inception network and the network of the magnitudes, if there is a transformer.
const INCEPTION_MODEL: &str = "inception_model.";

/// Networks and sizes of a model, from its checkpoint.
///
/// AstroMAE has a transformer, an Inception network and a network of the magnitudes. Its variants lack some of them: the
/// transformer alone, or the Inception network alone, or either of the images' networks without the magnitudes.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Number of bands of an image, and of magnitudes of a galaxy.
    pub bands: usize,
    /// Height and width of an image, in pixels.
    pub image_size: usize,
    /// Sizes of the transformer; `None` if the model has none.
    pub transformer: Option<Transformer>,
    /// True if the model has an Inception network.
    pub has_inception: bool,
    /// True if the model uses magnitudes. Otherwise, a redshift depends on the image alone.
    pub has_magnitudes: bool,
    /// Number of parameters in the checkpoint. Buffers are not counted, and a shared tensor is counted once.
    pub parameters: usize,
    /// Numbers that the checkpoint states, with their places.
    pub stated: Vec<StatedNumber>,
    /// Attributes that the checkpoint lacks, with the values that were assumed instead. One is `attention heads: 12`.
    pub assumed: Vec<String>,
    /// Description of the layers without tensors that were assumed, because the checkpoint has no classes; `None` for a
    /// pickled module, whose classes were checked.
    pub assumed_layers: Option<&'static str>,
    /// Decisions about the content of the file, such as which of two models in it was taken.
    pub notes: Vec<String>,
    /// Attributes of the modules that are not known and not used. One is `blocks.0.attn.temperature: 2`.
    pub unused: Vec<String>,
}

/// Number that a checkpoint states. It is shown as ``attention heads: 8, from `num_heads` in `config.json` ``.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatedNumber {
    /// Name and value, such as `attention heads: 8`.
    pub number: String,
    /// Place that states it, such as `` `num_heads` in `config.json` ``.
    pub place: String,
    /// File, object or modules that the place is in, such as `` `config.json` ``.
    pub origin: String,
}

impl fmt::Display for StatedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, from {}", self.number, self.place)
    }
}

/// Sizes of a vision transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transformer {
    /// Height and width of a patch, in pixels.
    pub patch_size: usize,
    /// Number of patches along one side of an image.
    pub grid: usize,
    /// Number of values per token.
    pub dim: usize,
    /// Number of transformer blocks.
    pub depth: usize,
    /// Number of attention heads in a block.
    pub heads: usize,
}

impl Transformer {
    /// Number of tokens of an image: its patches and the class token.
    pub fn tokens(&self) -> usize {
        self.grid * self.grid + 1
    }

    /// Reads the sizes. Also returns the number of bands.
    fn read(layers: &Layers<'_, '_>) -> Result<(Transformer, usize), CheckpointError> {
        let proj = layers.shape("patch_embed.proj.weight")?;
        let &[dim, bands, patch_size, patch_width] = proj else {
            return Err(unsupported(format!(
                "tensor `patch_embed.proj.weight`: shape (dim, bands, patch, patch) expected, {proj:?} found"
            )));
        };
        let positions = layers.shape("pos_embed")?;
        let &[1, tokens, width] = positions else {
            return Err(unsupported(format!(
                "tensor `pos_embed`: shape (1, tokens, dim) expected, {positions:?} found"
            )));
        };
        if dim == 0 || bands == 0 || patch_size == 0 || patch_width != patch_size || width != dim {
            return Err(unsupported(format!(
                "`patch_embed.proj.weight` {proj:?} and `pos_embed` {positions:?} do not match; square patches and the \
                 same dim are expected"
            )));
        }
        let grid = tokens.saturating_sub(1).isqrt();
        if grid == 0 || grid * grid + 1 != tokens {
            return Err(unsupported(format!(
                "`pos_embed` has {tokens} positions; a class token and a square number of patches are expected"
            )));
        }
        let depth = (0..).take_while(|i| layers.has(&format!("blocks.{i}.norm1.weight"))).count();
        if depth == 0 {
            return Err(layers.missing("blocks.0.norm1.weight"));
        }
        let heads = layers.heads("blocks.0", dim)?;
        Ok((Transformer { patch_size, grid, dim, depth, heads }, bands))
    }
}

impl Config {
    pub(crate) fn read(layers: &Layers<'_, '_>) -> Result<Config, CheckpointError> {
        // The Inception network alone has no prefix.
        let is_alone = layers.has("vis_inception.0.weight") && !layers.has("patch_embed.proj.weight");
        let path = if is_alone { "" } else { INCEPTION_MODEL };
        let (transformer, bands, image_size) = if is_alone {
            let (bands, image_size) = inception::sizes(layers, path)?;
            (None, bands, image_size)
        } else {
            let (sizes, bands) = Transformer::read(layers)?;
            (Some(sizes), bands, sizes.grid * sizes.patch_size)
        };
        Ok(Config {
            bands,
            image_size,
            transformer,
            has_inception: is_alone || layers.has_any(INCEPTION_MODEL),
            has_magnitudes: layers.has_any(&format!("{path}magnitude_block.")),
            parameters: layers.parameters(),
            stated: Vec::new(),
            assumed: Vec::new(),
            assumed_layers: None,
            notes: Vec::new(),
            unused: Vec::new(),
        })
    }

    /// Lines about what was chosen, read from the file, assumed and not used, for the standard error of a command.
    pub fn messages(&self) -> Vec<String> {
        let mut lines = self.notes.clone();
        let mut by_origin: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for stated in &self.stated {
            by_origin.entry(&stated.origin).or_default().push(&stated.number);
        }
        lines.extend(by_origin.into_iter().map(|(origin, numbers)| format!("{} (from {origin})", numbers.join("; "))));
        lines.extend(self.assumed.iter().map(|assumed| format!("assumed {assumed}, which the file does not state")));
        if !self.unused.is_empty() {
            lines.push(format!("attributes that are not used: {}", self.unused.join("; ")));
        }
        lines
    }

    /// Start of the names of the Inception network and of the network of the magnitudes.
    pub(crate) fn inception_path(&self) -> &'static str {
        if self.transformer.is_some() { INCEPTION_MODEL } else { "" }
    }
}

fn unsupported(what: String) -> CheckpointError {
    CheckpointError::Unsupported(what)
}

#[cfg(test)]
mod tests {
    use crate::init::{Sizes, seeded};
    use crate::{Isa, Model, Precision};

    #[test]
    fn messages_state_the_numbers_of_a_place_in_one_line() {
        let bytes = seeded(&Sizes::small(), 1);
        let model = Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap();
        let mut config = model.config().clone();
        config.assumed = vec!["attention heads: 12".to_owned()];
        config.notes = vec!["the model is under `net`".to_owned()];
        assert_eq!(
            config.messages(),
            [
                "the model is under `net`",
                "attention heads: 3; eps of batch norms: 0.00001; eps of layer norms: 0.000001 (from `config.json`)",
                "assumed attention heads: 12, which the file does not state",
            ]
        );
    }
}
