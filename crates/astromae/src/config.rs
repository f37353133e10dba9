//! The sizes of a model, as its checkpoint has them.

use crate::checkpoint::CheckpointError;
use crate::layers::Layers;

/// Sizes that a caller or another part of the model needs. Nothing here is a constant of the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Bands of an image, and magnitudes of a galaxy.
    pub bands: usize,
    /// Lines and columns of an image.
    pub image_size: usize,
    /// Lines and columns of a patch.
    pub patch_size: usize,
    /// Patches along one side of an image.
    pub grid: usize,
    /// Values per token.
    pub dim: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Parameters in the checkpoint, buffers left out, a shared tensor counted once.
    pub parameters: usize,
    /// What the checkpoint did not say and was therefore assumed, in words.
    pub assumed: Vec<String>,
}

impl Config {
    pub(crate) fn read(layers: &Layers<'_, '_>) -> Result<Config, CheckpointError> {
        let proj = layers.shape("patch_embed.proj.weight")?;
        let &[dim, bands, patch_size, patch_width] = proj else {
            return Err(unsupported(format!("`patch_embed.proj.weight` is {proj:?}, not (dim, bands, patch, patch)")));
        };
        let positions = layers.shape("pos_embed")?;
        let &[1, tokens, width] = positions else {
            return Err(unsupported(format!("`pos_embed` is {positions:?}, not (1, tokens, dim)")));
        };
        if dim == 0 || bands == 0 || patch_size == 0 || patch_width != patch_size || width != dim {
            return Err(unsupported(format!(
                "patches {proj:?} and positions {positions:?} do not fit: square patches of the same width expected"
            )));
        }
        let grid = tokens.saturating_sub(1).isqrt();
        if grid == 0 || grid * grid + 1 != tokens {
            return Err(unsupported(format!("{tokens} positions are not a class token and a square of patches")));
        }
        let depth = (0..).take_while(|i| layers.has(&format!("blocks.{i}.norm1.weight"))).count();
        if depth == 0 {
            return Err(CheckpointError::MissingTensor { name: "blocks.0.norm1.weight".to_owned() });
        }
        Ok(Config {
            bands,
            image_size: grid * patch_size,
            patch_size,
            grid,
            dim,
            depth,
            heads: layers.heads("blocks.0", dim)?,
            parameters: layers.parameters(),
            assumed: Vec::new(),
        })
    }

    /// Tokens of an image: its patches and the class token.
    pub fn tokens(&self) -> usize {
        self.grid * self.grid + 1
    }
}

fn unsupported(what: String) -> CheckpointError {
    CheckpointError::Unsupported(what)
}
