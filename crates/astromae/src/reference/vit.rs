//! The vision transformer. Tokens are (tokens, dim), in the channel order of the checkpoint.

use super::ops::{BatchNorm, Conv, LayerNorm, Linear, gelu, silu};
use crate::checkpoint::CheckpointError;
use crate::config::{Config, Transformer};
use crate::layers::Layers;

pub(super) struct Vit {
    sizes: Transformer,
    bands: usize,
    image_size: usize,
    patch_embed: Linear,
    cls_token: Vec<f64>,
    pos_embed: Vec<f64>,
    blocks: Vec<Block>,
    fc_norm: LayerNorm,
}

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    heads: usize,
    scale: f64,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    pcm: Option<(Conv, BatchNorm, Conv)>,
}

impl Vit {
    pub(super) fn read(layers: &Layers<'_, '_>, config: &Config, sizes: Transformer) -> Result<Vit, CheckpointError> {
        let Transformer { patch_size, dim, .. } = sizes;
        let embed = layers.affine("patch_embed.proj", dim, &[config.bands, patch_size, patch_size])?;
        Ok(Vit {
            patch_embed: Linear::from_parts(embed.k, embed.weight, embed.bias),
            cls_token: layers.values("cls_token", &[1, 1, dim])?,
            pos_embed: layers.values("pos_embed", &[1, sizes.tokens(), dim])?,
            blocks: (0..sizes.depth)
                .map(|index| Block::read(layers, &format!("blocks.{index}"), dim))
                .collect::<Result<_, _>>()?,
            fc_norm: LayerNorm::read(layers, "fc_norm", dim)?,
            sizes,
            bands: config.bands,
            image_size: config.image_size,
        })
    }

    pub(super) fn forward(&self, image: &[f64], observe: &mut dyn FnMut(&str, &[f64])) -> Vec<f64> {
        let Transformer { patch_size: patch, grid, dim, .. } = self.sizes;
        let (bands, size) = (self.bands, self.image_size);
        let mut tokens = self.cls_token.clone();
        for line in 0..grid {
            for column in 0..grid {
                let pixel = |i: usize| {
                    let (band, y, x) = (i / (patch * patch), i / patch % patch, i % patch);
                    image[(band * size + line * patch + y) * size + column * patch + x]
                };
                let window: Vec<f64> = (0..bands * patch * patch).map(pixel).collect();
                tokens.extend(self.patch_embed.forward(&window));
            }
        }
        tokens.iter_mut().zip(&self.pos_embed).for_each(|(x, p)| *x += p);
        observe("patch_embed", &tokens);
        for (index, block) in self.blocks.iter().enumerate() {
            block.forward(&mut tokens, grid, dim);
            observe(&format!("blocks.{index}"), &tokens);
        }
        let patches = (grid * grid) as f64;
        let mean: Vec<f64> =
            (0..dim).map(|channel| tokens[dim..].iter().skip(channel).step_by(dim).sum::<f64>() / patches).collect();
        let features = self.fc_norm.forward(&mean);
        observe("vit", &features);
        features
    }
}

impl Block {
    fn read(layers: &Layers<'_, '_>, name: &str, dim: usize) -> Result<Block, CheckpointError> {
        let heads = layers.heads(name, dim)?;
        let weight = layers.values(&format!("{name}.attn.qkv.weight"), &[3 * dim, dim])?;
        let mut bias = vec![0.0; 3 * dim];
        for (part, first, width) in [("qkv.bias", 0, 3 * dim), ("q_bias", 0, dim), ("v_bias", 2 * dim, dim)] {
            let part = format!("{name}.attn.{part}");
            if layers.has(&part) {
                bias[first..first + width].copy_from_slice(&layers.values(&part, &[width])?);
            }
        }
        let pcm = if layers.has(&format!("{name}.PCM.0.weight")) {
            let expand = Conv::read(layers, &format!("{name}.PCM.0"))?;
            let norm = BatchNorm::read(layers, &format!("{name}.PCM.1"), expand.outputs)?;
            Some((expand, norm, Conv::read(layers, &format!("{name}.PCM.3"))?))
        } else {
            None
        };
        Ok(Block {
            norm1: LayerNorm::read(layers, &format!("{name}.norm1"), dim)?,
            qkv: Linear::from_parts(dim, weight, bias),
            heads,
            scale: layers.scale(name, dim / heads)?,
            proj: Linear::read(layers, &format!("{name}.attn.proj"))?,
            norm2: LayerNorm::read(layers, &format!("{name}.norm2"), dim)?,
            fc1: Linear::read(layers, &format!("{name}.mlp.fc1"))?,
            fc2: Linear::read(layers, &format!("{name}.mlp.fc2"))?,
            pcm,
        })
    }

    fn forward(&self, tokens: &mut [f64], grid: usize, dim: usize) {
        let convolved = self.pcm.as_ref().map(|pcm| convolve(pcm, &tokens[dim..], grid, dim));
        let attended = self.attend(&self.norm1.forward(tokens), dim);
        tokens.iter_mut().zip(attended).for_each(|(x, a)| *x += a);
        if let Some(convolved) = convolved {
            tokens[dim..].iter_mut().zip(convolved).for_each(|(x, c)| *x += c);
        }
        let normed = self.norm2.forward(tokens);
        for (token, normed) in tokens.chunks_exact_mut(dim).zip(normed.chunks_exact(dim)) {
            let mut hidden = self.fc1.forward(normed);
            gelu(&mut hidden);
            token.iter_mut().zip(self.fc2.forward(&hidden)).for_each(|(x, m)| *x += m);
        }
    }

    fn attend(&self, normed: &[f64], dim: usize) -> Vec<f64> {
        let qkv: Vec<Vec<f64>> = normed.chunks_exact(dim).map(|token| self.qkv.forward(token)).collect();
        let head_dim = dim / self.heads;
        let mut output = Vec::new();
        for query in &qkv {
            let mut joined = Vec::new();
            for head in 0..self.heads {
                let part = |which: usize| which * dim + head * head_dim..which * dim + (head + 1) * head_dim;
                let scores: Vec<f64> = qkv
                    .iter()
                    .map(|key| query[part(0)].iter().zip(&key[part(1)]).map(|(q, k)| q * self.scale * k).sum())
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                for d in part(2) {
                    joined.push(weights.iter().zip(&qkv).map(|(w, value)| w / total * value[d]).sum());
                }
            }
            output.extend(self.proj.forward(&joined));
        }
        output
    }
}

/// Computes the PCM: turns patch tokens into a map (dim, grid, grid), applies both convolutions, and turns the result
/// back into tokens.
fn convolve((expand, norm, reduce): &(Conv, BatchNorm, Conv), patches: &[f64], grid: usize, dim: usize) -> Vec<f64> {
    let pixels = grid * grid;
    let map: Vec<f64> = (0..dim * pixels).map(|i| patches[i % pixels * dim + i / pixels]).collect();
    let mut hidden = expand.forward(&map, (grid, grid));
    norm.forward(&mut hidden);
    silu(&mut hidden);
    let map = reduce.forward(&hidden, (grid, grid));
    (0..dim * pixels).map(|i| map[i % dim * pixels + i / dim]).collect()
}
