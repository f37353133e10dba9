//! The vision transformer: computes the mean token (n, dim) of images (n, bands, size, size).
//!
//! Blocks may have a PCM, a parallel convolutional module: grouped convolutions in parallel to the attention. The
//! residual stream then keeps its channels in the order (channel within group, group), called *stream order*, from the
//! patch embedding to the last block. The grouped convolutions need this order. Weights are reordered once, when the
//! model is loaded.

use kernels::{
    Activation, AttentionShape, GroupedConv, InvertedBottleneck, Isa, Layout, Product, Staging, StagingSize, Taps,
    Weights, add_rows, attention, attention_scratch_len, gemm, grouped_conv, inverted_bottleneck, layer_norm,
    mean_rows,
};

use crate::checkpoint::CheckpointError;
use crate::config::{Config, Transformer};
use crate::fold::{Affine, OutputNorm, to_f32};
use crate::layers::Layers;
use crate::packing::Packing;
use crate::part::{Observer, Part};

/// Number of images that the blocks process together. Their activations stay in the cache of a core while the weights
/// are read.
pub(crate) const GROUP: usize = 12;

/// Largest window of the convolutions of a PCM.
const PCM_WINDOW_MAX: usize = 7;

#[derive(Debug)]
pub(crate) struct Vit {
    isa: Isa,
    sizes: Transformer,
    bands: usize,
    image_size: usize,
    patch_embed: Weights,
    patch_taps: Vec<usize>,
    /// Initial tokens of every image: positions, and the class token in the first.
    start: Vec<f32>,
    blocks: Vec<Block>,
    /// Largest number of values per token inside a block: q, k and v, or the hidden layer of the MLP.
    widest: usize,
    /// Largest number of values per token in the output of an attention.
    attended: usize,
    /// Largest number of hidden values per token of a PCM, or 0 if none keeps hidden values in memory.
    pcm_width: usize,
    fc_norm_eps: f32,
}

#[derive(Debug)]
struct Block {
    pcm: Option<Pcm>,
    norm1_eps: f32,
    qkv: Weights,
    shape: AttentionShape,
    proj: Weights,
    norm2_eps: f32,
    fc1: Weights,
    fc2: Weights,
}

/// Parallel convolutional module: grouped convolution, batch norm (folded), SiLU, grouped convolution.
#[derive(Debug)]
enum Pcm {
    /// Convolutions of window 1 and 4 channels per group, as in the published model. Hidden values stay in registers.
    Pointwise(InvertedBottleneck),
    /// Convolutions of any other size.
    Windowed { expand: GroupedConv, reduce: GroupedConv },
}

/// Working memory of the transformer for one thread: the activations of a group of images.
#[derive(Debug)]
pub(crate) struct VitScratch {
    tokens: Vec<f32>,
    normed: Vec<f32>,
    wide: Vec<f32>,
    pcm_hidden: Vec<f32>,
    pcm: Vec<f32>,
    attention: Vec<f32>,
    staging: Staging,
}

impl Vit {
    /// Reads, folds and packs everything before `head` and `vit_block`. Also returns the gain and bias of `fc_norm` and
    /// the stream order, to be folded into `head`.
    pub(crate) fn read(
        layers: &Layers<'_, '_>,
        config: &Config,
        sizes: Transformer,
        packing: Packing,
    ) -> Result<(Vit, OutputNorm), CheckpointError> {
        let &Config { bands, image_size, .. } = config;
        let Transformer { patch_size, dim, .. } = sizes;
        let order = stream_order(layers, sizes)?;
        let tokens = sizes.tokens();

        let patch_embed = layers.affine("patch_embed.proj", dim, &[bands, patch_size, patch_size])?;
        let class = layers.values("cls_token", &[1, 1, dim])?;
        let positions = layers.values("pos_embed", &[1, tokens, dim])?;
        let mut start = Vec::with_capacity(tokens * dim);
        for (token, position) in positions.chunks_exact(dim).enumerate() {
            let class = |channel: usize| if token == 0 { class[channel] } else { 0.0 };
            start.extend(order.iter().map(|&channel| (position[channel] + class(channel)) as f32));
        }

        let blocks = (0..sizes.depth)
            .map(|index| Block::read(layers, &format!("blocks.{index}"), sizes, &order, packing))
            .collect::<Result<Vec<_>, _>>()?;
        let (gain, bias, eps) = layers.layer_norm("fc_norm", dim)?;
        let vit = Vit {
            isa: packing.isa,
            patch_embed: patch_embed.reorder_outputs(&order).pack_convolution(packing, patch_size),
            patch_taps: (0..bands * patch_size)
                .map(|run| run / patch_size * image_size * image_size + run % patch_size * image_size)
                .collect(),
            start,
            widest: blocks.iter().map(|block| block.qkv.n().max(block.fc1.n())).max().unwrap_or(0),
            attended: blocks.iter().map(|block| block.proj.k()).max().unwrap_or(0),
            pcm_width: blocks.iter().filter_map(|block| block.pcm.as_ref()).map(Pcm::width).max().unwrap_or(0),
            blocks,
            fc_norm_eps: eps as f32,
            sizes,
            bands,
            image_size,
        };
        Ok((vit, OutputNorm { gain, bias, order }))
    }

    /// Number of features of an image.
    pub(crate) fn features_len(&self) -> usize {
        self.sizes.dim
    }

    pub(crate) fn scratch(&self) -> VitScratch {
        let (tokens, patches) = (GROUP * self.sizes.tokens(), GROUP * self.sizes.grid.pow(2));
        let shapes = self.blocks.iter().map(|block| attention_scratch_len(block.shape));
        let products = self.blocks.iter().flat_map(|block| [&block.qkv, &block.proj, &block.fc1, &block.fc2]);
        let products = products.map(|weights| weights.staging_of_rows(tokens));
        let pixels = self.bands * self.image_size.pow(2);
        let embed = self.patch_embed.staging(patches, GROUP * pixels);
        VitScratch {
            tokens: vec![0.0; tokens * self.sizes.dim],
            normed: vec![0.0; tokens * self.attended.max(self.sizes.dim)],
            wide: vec![0.0; tokens * self.widest],
            pcm_hidden: vec![0.0; patches * self.pcm_width],
            pcm: vec![0.0; if self.pcm_width > 0 { patches * self.sizes.dim } else { 0 }],
            attention: vec![0.0; shapes.max().unwrap_or(0)],
            staging: Staging::new(products.fold(embed, StagingSize::max)),
        }
    }

    /// Number of multiply-adds for one image in `part`.
    pub(crate) fn multiply_adds(&self, part: Part) -> usize {
        let (tokens, patches) = (self.sizes.tokens(), self.sizes.grid.pow(2));
        let per_block = |block: &Block| match part {
            Part::Qkv => tokens * block.qkv.multiply_adds(),
            Part::Attention => tokens * (2 * tokens * self.sizes.dim + block.proj.multiply_adds()),
            Part::Pcm => patches * block.pcm.as_ref().map_or(0, Pcm::multiply_adds),
            Part::Mlp => tokens * (block.fc1.multiply_adds() + block.fc2.multiply_adds()),
            _ => 0,
        };
        match part {
            Part::PatchEmbed => patches * self.patch_embed.multiply_adds(),
            _ => self.blocks.iter().map(per_block).sum(),
        }
    }

    /// Computes `features` (n, dim) of `images` (n, bands, size, size), n ≤ [`GROUP`]. The features are the normalised
    /// mean of the patch tokens, in stream order, without the gain and bias of `fc_norm`.
    pub(crate) fn features(
        &self,
        images: &[f32],
        scratch: &mut VitScratch,
        features: &mut [f32],
        observer: &mut impl Observer,
    ) {
        observer.begin(Part::PatchEmbed);
        let Transformer { patch_size, grid, dim, .. } = self.sizes;
        let (bands, image_size) = (self.bands, self.image_size);
        let count = features.len() / dim;
        let tokens = self.sizes.tokens();
        let rows = count * tokens;
        // The patch tokens are a map that follows the class token of each image.
        let patches = Layout {
            offset: dim,
            images: count,
            image_stride: tokens * dim,
            lines: grid,
            line_stride: grid * dim,
            columns: grid,
            column_stride: dim,
        };

        let x = &mut scratch.tokens[..rows * dim];
        for image in x.chunks_exact_mut(tokens * dim) {
            image.copy_from_slice(&self.start);
        }
        let embed = Product {
            weights: &self.patch_embed,
            input: Layout {
                offset: 0,
                images: count,
                image_stride: bands * image_size * image_size,
                lines: grid,
                line_stride: patch_size * image_size,
                columns: grid,
                column_stride: patch_size,
            },
            taps: Taps { offsets: &self.patch_taps, len: patch_size },
            output: patches,
            activation: Activation::Identity,
            accumulate: true,
        };
        gemm(&embed, images, &mut scratch.staging, x);

        for block in &self.blocks {
            block.forward(self.isa, rows, &patches, scratch, observer);
        }
        observer.begin(Part::Head);

        let normed = &mut scratch.normed[..count * dim];
        mean_rows(dim, &scratch.tokens[..rows * dim], &patches, normed);
        layer_norm(self.isa, dim, self.fc_norm_eps, normed, features);
    }
}

impl Block {
    fn read(
        layers: &Layers<'_, '_>,
        name: &str,
        sizes: Transformer,
        order: &[usize],
        packing: Packing,
    ) -> Result<Block, CheckpointError> {
        let dim = sizes.dim;
        let heads = layers.heads(name, dim)?;
        let head_dim = dim / heads;
        let (gain, bias, norm1_eps) = layers.layer_norm(&format!("{name}.norm1"), dim)?;
        let mut qkv = read_qkv(layers, &format!("{name}.attn"), dim)?;
        qkv.scale_outputs(0..dim, layers.scale(name, head_dim)?);
        let shape = AttentionShape { tokens: sizes.tokens(), heads, head_dim };
        // q, k and v are put into the order of values that the attention needs. Its output has the same order, which
        // the inputs of the projection follow.
        let values = shape.order(packing.isa);
        let parts = (0..3).flat_map(|part| values.iter().map(move |value| value.map(|value| part * dim + value)));
        let qkv = qkv.after_gain(&gain, &bias).reorder_inputs(order).place_outputs(&parts.collect::<Vec<_>>());
        let proj = layers.affine(&format!("{name}.attn.proj"), dim, &[dim])?.reorder_outputs(order);
        let proj = proj.place_inputs(&values);
        let (gain, bias, norm2_eps) = layers.layer_norm(&format!("{name}.norm2"), dim)?;
        let fc1 = layers.linear(&format!("{name}.mlp.fc1"), dim)?;
        let fc2 = layers.affine(&format!("{name}.mlp.fc2"), dim, &[fc1.n])?.reorder_outputs(order);
        let fc1 = fc1.after_gain(&gain, &bias).reorder_inputs(order);
        Ok(Block {
            pcm: Pcm::read(layers, &format!("{name}.PCM"), dim, packing.isa)?,
            norm1_eps: norm1_eps as f32,
            qkv: qkv.pack_linear(packing),
            shape,
            proj: proj.pack_linear(packing),
            norm2_eps: norm2_eps as f32,
            fc1: fc1.pack_linear(packing),
            fc2: fc2.pack_linear(packing),
        })
    }

    /// Updates the tokens x: a = norm1(x); x += PCM(x); x += attention(a); x += mlp(norm2(x)).
    fn forward(&self, isa: Isa, rows: usize, patches: &Layout, scratch: &mut VitScratch, observer: &mut impl Observer) {
        let dim = self.proj.n();
        let VitScratch { tokens, normed, wide, pcm_hidden, pcm, attention: attention_scratch, staging } = scratch;
        let x = &mut tokens[..rows * dim];
        let attended = rows * self.proj.k();

        // The attention uses the input of the block, so norm1 is computed before the PCM changes x.
        observer.begin(Part::Qkv);
        layer_norm(isa, dim, self.norm1_eps, x, &mut normed[..rows * dim]);
        if let Some(module) = &self.pcm {
            observer.begin(Part::Pcm);
            module.add_to(x, patches, pcm_hidden, pcm);
            observer.begin(Part::Qkv);
        }
        let qkv = &mut wide[..3 * attended];
        linear(&self.qkv, rows, normed, staging, qkv, Activation::Identity, false);
        observer.begin(Part::Attention);
        attention(isa, self.shape, qkv, attention_scratch, &mut normed[..attended]);
        linear(&self.proj, rows, normed, staging, x, Activation::Identity, true);

        observer.begin(Part::Mlp);
        layer_norm(isa, dim, self.norm2_eps, x, &mut normed[..rows * dim]);
        let hidden = &mut wide[..rows * self.fc1.n()];
        linear(&self.fc1, rows, normed, staging, hidden, Activation::Gelu, false);
        linear(&self.fc2, rows, hidden, staging, x, Activation::Identity, true);
    }
}

impl Pcm {
    fn read(layers: &Layers<'_, '_>, name: &str, dim: usize, isa: Isa) -> Result<Option<Pcm>, CheckpointError> {
        let Some(groups) = pcm_groups(layers, name, dim)? else {
            return Ok(None);
        };
        let (hidden, window) = pcm_sizes(layers, name)?;
        let (inputs, per_group) = (dim / groups, hidden / groups);
        let expand = layers.affine(&format!("{name}.0"), hidden, &[inputs, window, window])?;
        let expand = expand.before_batch_norm(&layers.batch_norm(&format!("{name}.1"), hidden)?);
        let reduce = layers.affine(&format!("{name}.3"), dim, &[per_group, window, window])?;
        let [expand_weight, expand_bias] = [&expand.weight, &expand.bias].map(|values| to_f32(values));
        let [reduce_weight, reduce_bias] = [&reduce.weight, &reduce.bias].map(|values| to_f32(values));
        if window == 1 && inputs == InvertedBottleneck::CHANNELS {
            let (expand, reduce) = ((&expand_weight[..], &expand_bias[..]), (&reduce_weight[..], &reduce_bias[..]));
            return Ok(Some(Pcm::Pointwise(InvertedBottleneck::new(isa, (groups, per_group), expand, reduce))));
        }
        let grouped = |inputs, outputs, weight: &[f32], bias: &[f32], activation| {
            GroupedConv::new(isa, (groups, inputs, outputs, window), weight, bias, activation)
        };
        Ok(Some(Pcm::Windowed {
            expand: grouped(inputs, per_group, &expand_weight, &expand_bias, Activation::Silu),
            reduce: grouped(per_group, inputs, &reduce_weight, &reduce_bias, Activation::Identity),
        }))
    }

    /// Number of hidden values per token that are kept in memory.
    fn width(&self) -> usize {
        match self {
            Pcm::Pointwise(_) => 0,
            Pcm::Windowed { expand, .. } => expand.output_width(),
        }
    }

    /// Number of multiply-adds for one patch.
    fn multiply_adds(&self) -> usize {
        match self {
            Pcm::Pointwise(bottleneck) => bottleneck.multiply_adds(),
            Pcm::Windowed { expand, reduce } => expand.multiply_adds() + reduce.multiply_adds(),
        }
    }

    /// Computes x += PCM(x) for the tokens at `patches`.
    fn add_to(&self, x: &mut [f32], patches: &Layout, hidden: &mut [f32], output: &mut [f32]) {
        let (expand, reduce) = match self {
            Pcm::Pointwise(bottleneck) => return inverted_bottleneck(bottleneck, x, patches),
            Pcm::Windowed { expand, reduce } => (expand, reduce),
        };
        let map = |width: usize| Layout {
            offset: 0,
            image_stride: patches.lines * patches.columns * width,
            line_stride: patches.columns * width,
            column_stride: width,
            ..*patches
        };
        let width = reduce.output_width();
        let (inside, outside) = (map(expand.output_width()), map(width));
        grouped_conv(expand, x, patches, hidden, &inside);
        grouped_conv(reduce, hidden, &inside, output, &outside);
        add_rows(width, &output[..patches.rows() * width], patches, x);
    }
}

/// Reads `qkv.weight` (3·dim, dim) and its bias. The bias is `qkv.bias` if it exists. Otherwise it consists of `q_bias`
/// and `v_bias`, and 0 for k; if both are missing, there is no bias.
fn read_qkv(layers: &Layers<'_, '_>, name: &str, dim: usize) -> Result<Affine, CheckpointError> {
    if layers.has(&format!("{name}.qkv.bias")) {
        return layers.affine(&format!("{name}.qkv"), 3 * dim, &[dim]);
    }
    let weight = layers.values(&format!("{name}.qkv.weight"), &[3 * dim, dim])?;
    let [q, v] = ["q_bias", "v_bias"].map(|part| format!("{name}.{part}"));
    let bias = if layers.has(&q) || layers.has(&v) {
        [layers.values(&q, &[dim])?, vec![0.0; dim], layers.values(&v, &[dim])?].concat()
    } else {
        vec![0.0; 3 * dim]
    };
    Ok(Affine::new(3 * dim, dim, weight, bias))
}

/// Order of the channels of the residual stream: stream channel `i` is checkpoint channel `order[i]`.
fn stream_order(layers: &Layers<'_, '_>, sizes: Transformer) -> Result<Vec<usize>, CheckpointError> {
    let mut groups = None;
    for index in 0..sizes.depth {
        let name = format!("blocks.{index}.PCM");
        match (groups, pcm_groups(layers, &name, sizes.dim)?) {
            (Some(before), Some(here)) if before != here => {
                return Err(CheckpointError::Unsupported(format!(
                    "`{name}` has {here} groups, but an earlier block has {before}; all blocks must have the same \
                     number of groups"
                )));
            }
            (None, found) => groups = found,
            _ => {}
        }
    }
    let groups = groups.unwrap_or(1);
    let inputs = sizes.dim / groups;
    Ok((0..sizes.dim).map(|stream| stream % groups * inputs + stream / groups).collect())
}

/// Number of groups of the PCM `name`, or `None` if the block has no PCM.
fn pcm_groups(layers: &Layers<'_, '_>, name: &str, dim: usize) -> Result<Option<usize>, CheckpointError> {
    if !layers.has(&format!("{name}.0.weight")) {
        return Ok(None);
    }
    let inputs = layers.shape(&format!("{name}.0.weight"))?.get(1).copied().unwrap_or(0);
    let (hidden, _) = pcm_sizes(layers, name)?;
    if inputs == 0 || !dim.is_multiple_of(inputs) || hidden == 0 || !hidden.is_multiple_of(dim / inputs) {
        return Err(CheckpointError::Unsupported(format!(
            "`{name}.0`: {dim} input and {hidden} output channels cannot be divided into groups of {inputs} inputs"
        )));
    }
    Ok(Some(dim / inputs))
}

/// Number of hidden channels and window size of the PCM `name`.
fn pcm_sizes(layers: &Layers<'_, '_>, name: &str) -> Result<(usize, usize), CheckpointError> {
    let shape = layers.shape(&format!("{name}.0.weight"))?;
    match shape {
        &[hidden, _, window, same] if window == same && window % 2 == 1 && window <= PCM_WINDOW_MAX => {
            Ok((hidden, window))
        }
        _ => Err(CheckpointError::Unsupported(format!(
            "tensor `{name}.0.weight`: shape (hidden, inputs, window, window) with an odd window of at most \
             {PCM_WINDOW_MAX} expected, {shape:?} found"
        ))),
    }
}

/// Computes a linear layer of `rows` rows: `y = activation(x · weightsᵀ + bias)`, or `y += …` if `accumulate` is set.
fn linear(
    weights: &Weights,
    rows: usize,
    x: &[f32],
    staging: &mut Staging,
    y: &mut [f32],
    activation: Activation,
    accumulate: bool,
) {
    let product = Product {
        weights,
        input: Layout::plain(rows, weights.k()),
        taps: Taps::one(weights.k()),
        output: Layout::plain(rows, weights.n()),
        activation,
        accumulate,
    };
    gemm(&product, x, staging, y);
}
