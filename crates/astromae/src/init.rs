//! Makes checkpoints with random weights, for tests and benchmarks. The same sizes and seed give the same bytes.
//!
//! The weights are not trained, so the redshifts of such a model mean nothing. They are scaled so that activations
//! neither vanish nor grow.

mod draw;

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use draw::Draw;

/// Sizes of the model to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Height and width of an image, in pixels: a multiple of `patch_size`, and of 8 because of the three pools.
    pub image_size: usize,
    /// Height and width of a patch, in pixels.
    pub patch_size: usize,
    /// Number of values per token: a multiple of `heads`, and of the PCM's groups if there is a PCM.
    pub dim: usize,
    /// Number of transformer blocks.
    pub depth: usize,
    /// Number of attention heads in a block.
    pub heads: usize,
    /// Hidden width of the MLP of a block, and of its PCM if there is one.
    pub mlp: usize,
    /// Groups and window of the PCM (parallel convolutional module); `None` makes blocks without a PCM.
    pub pcm: Option<(usize, usize)>,
    /// Channels of `conv2d_init`, and channels of each branch of the five Inception blocks.
    pub inception: (usize, [usize; 5]),
    /// Width of `vit_block` and of the linear layers of `vis_inception`.
    pub features: usize,
    /// Width of `magnitude_block` and of `concat_block`.
    pub hidden: usize,
    /// Networks of the model.
    pub variant: Variant,
}

/// Networks of a model: all of AstroMAE, or some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Transformer, Inception network and magnitudes: AstroMAE.
    Full,
    /// Transformer and Inception network.
    WithoutMagnitudes,
    /// Transformer, whose layer `head` gives the redshift.
    TransformerOnly,
    /// Inception network and magnitudes.
    WithoutTransformer,
    /// Inception network.
    InceptionOnly,
}

impl Variant {
    /// All variants.
    pub const ALL: [Variant; 5] = [
        Variant::Full,
        Variant::WithoutMagnitudes,
        Variant::TransformerOnly,
        Variant::WithoutTransformer,
        Variant::InceptionOnly,
    ];

    fn has_transformer(self) -> bool {
        !matches!(self, Variant::WithoutTransformer | Variant::InceptionOnly)
    }

    fn has_inception(self) -> bool {
        self != Variant::TransformerOnly
    }

    fn has_magnitudes(self) -> bool {
        matches!(self, Variant::Full | Variant::WithoutTransformer)
    }
}

/// Number of bands: u, g, r, i, z.
const BANDS: usize = 5;
const MAGNITUDE_LAYERS: usize = 5;

impl Sizes {
    /// Sizes of the published model, which has 15,902,889 parameters.
    pub fn full() -> Sizes {
        Sizes {
            image_size: 32,
            patch_size: 8,
            dim: 192,
            depth: 12,
            heads: 12,
            mlp: 768,
            pcm: Some((48, 1)),
            inception: (32, [16, 16, 8, 8, 4]),
            features: 1096,
            hidden: 1024,
            variant: Variant::Full,
        }
    }

    /// Sizes of a model for tests: the same structure in a few hundred kilobytes.
    pub fn small() -> Sizes {
        Sizes {
            image_size: 32,
            patch_size: 8,
            dim: 24,
            depth: 2,
            heads: 3,
            mlp: 48,
            pcm: Some((6, 1)),
            inception: (8, [4, 4, 3, 3, 2]),
            features: 40,
            hidden: 32,
            variant: Variant::Full,
        }
    }
}

/// Returns the bytes of a safetensors file with a model of these sizes and random weights. Its metadata contain the
/// attributes that [`Model::from_checkpoint`](crate::Model::from_checkpoint) needs.
///
/// # Panics
/// If a size is not a multiple of another one as [`Sizes`] requires.
pub fn seeded(sizes: &Sizes, seed: u64) -> Vec<u8> {
    let &Sizes { image_size, patch_size, dim, heads, features, hidden, variant, .. } = sizes;
    assert!(
        image_size.is_multiple_of(patch_size) && image_size.is_multiple_of(8),
        "the image size is not a multiple of the patch size and of 8"
    );
    assert!(dim.is_multiple_of(heads), "dim is not a multiple of heads");
    let mut draw = Draw { rng: ChaCha8Rng::seed_from_u64(seed), tensors: BTreeMap::new() };
    if variant.has_transformer() {
        transformer(sizes, &mut draw);
    }
    let path = if variant.has_transformer() { "inception_model." } else { "" };
    if variant.has_inception() {
        inception(sizes, path, &mut draw);
    }
    if variant.has_magnitudes() {
        for layer in 0..MAGNITUDE_LAYERS {
            let inputs = if layer == 0 { BANDS } else { hidden };
            draw.linear(&format!("{path}magnitude_block.{}", 2 * layer), &[hidden, inputs]);
        }
    }
    let mut last = |name: &str, inputs: usize| {
        draw.linear(&format!("{name}.0"), &[hidden, inputs]);
        draw.linear(&format!("{name}.2"), &[1, hidden]);
    };
    match variant {
        Variant::Full => last("concat_block", 2 * features + hidden),
        Variant::WithoutMagnitudes => last("concat_block", 2 * features),
        Variant::WithoutTransformer => last("head_incept_mag", features + hidden),
        Variant::InceptionOnly => draw.linear("Inception_head_block.1", &[1, features]),
        Variant::TransformerOnly => {}
    }

    let config = serde_json::json!({ "num_heads": heads, "layer_norm_eps": 1e-6, "batch_norm_eps": 1e-5 });
    draw.into_safetensors(&config.to_string())
}

/// Draws the transformer, `head` and `vit_block`.
fn transformer(sizes: &Sizes, draw: &mut Draw) {
    let &Sizes { image_size, patch_size, dim, depth, mlp, pcm, features, variant, .. } = sizes;
    let tokens = (image_size / patch_size).pow(2) + 1;
    draw.normal("cls_token", &[1, 1, dim], 0.02);
    draw.normal("pos_embed", &[1, tokens, dim], 0.5);
    draw.linear("patch_embed.proj", &[dim, BANDS, patch_size, patch_size]);
    for block in 0..depth {
        let name = |part: &str| format!("blocks.{block}.{part}");
        draw.norm(&name("norm1"), dim);
        draw.norm(&name("norm2"), dim);
        draw.normal(&name("attn.qkv.weight"), &[3 * dim, dim], (dim as f64).powf(-0.5));
        draw.normal(&name("attn.q_bias"), &[dim], 0.1);
        draw.normal(&name("attn.v_bias"), &[dim], 0.1);
        draw.linear(&name("attn.proj"), &[dim, dim]);
        draw.linear(&name("mlp.fc1"), &[mlp, dim]);
        draw.linear(&name("mlp.fc2"), &[dim, mlp]);
        if let Some((groups, window)) = pcm {
            assert!(dim.is_multiple_of(groups) && mlp.is_multiple_of(groups), "dim or mlp is not a multiple of groups");
            draw.linear(&name("PCM.0"), &[mlp, dim / groups, window, window]);
            draw.batch_norm(&name("PCM.1"), mlp);
            draw.linear(&name("PCM.3"), &[dim, mlp / groups, window, window]);
        }
    }
    draw.norm("fc_norm", dim);
    if variant == Variant::TransformerOnly {
        return draw.linear("head", &[1, dim]);
    }
    draw.linear("head", &[dim, dim]);
    draw.linear("vit_block.0", &[features, dim]);
    draw.linear("vit_block.2", &[features, features]);
}

/// Draws `conv2d_init` and `vis_inception`. `path` is the start of their names.
fn inception(sizes: &Sizes, path: &str, draw: &mut Draw) {
    let &Sizes { image_size, features, inception: (first, branches), .. } = sizes;
    draw.linear(&format!("{path}vis_inception.0"), &[first, BANDS, 1, 1]);
    for part in ["weight", "bias"] {
        let (shape, values) = draw.tensors[&format!("{path}vis_inception.0.{part}")].clone();
        draw.tensors.insert(format!("{path}conv2d_init.{part}"), (shape, values));
    }
    let mut channels = first;
    for (stage, width) in [2, 3, 5, 6, 8].into_iter().zip(branches) {
        for (branch, inputs, window) in [
            ("branch1", channels, 1),
            ("branch2.0", channels, 1),
            ("branch2.1", width, 3),
            ("branch3.0", channels, 1),
            ("branch3.1", width, 5),
            ("branch4.1", channels, 1),
        ] {
            let name = format!("{path}vis_inception.{stage}.{branch}");
            draw.linear(&format!("{name}.conv"), &[width, inputs, window, window]);
            draw.batch_norm(&format!("{name}.bn"), width);
        }
        channels = 4 * width;
    }
    let flat = 3 * branches[4] * (image_size / 8).pow(2);
    draw.linear(&format!("{path}vis_inception.10"), &[features, flat]);
    draw.linear(&format!("{path}vis_inception.12"), &[features, features]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::{Isa, Model, Precision};

    #[test]
    fn full_sizes_have_the_published_number_of_parameters() {
        let bytes = seeded(&Sizes::full(), 1);
        let model = Model::from_bytes(&bytes, None, Precision::F32, Isa::detect()).unwrap();
        assert_eq!(model.parameters(), 15_902_889);
        assert_eq!(model.config().assumed, Vec::<String>::new());
    }

    #[test]
    fn same_seed_gives_same_bytes() {
        let small = Sizes::small();
        assert_eq!(seeded(&small, 7), seeded(&small, 7));
        assert_ne!(seeded(&small, 7), seeded(&small, 8));
        assert!(Checkpoint::read(&seeded(&small, 7)).is_ok());
    }
}
