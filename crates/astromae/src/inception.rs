//! The Inception network: computes the features of one image (bands, size, size).
//!
//! Maps inside are (line, column, channel). A checkpoint has (channel, line, column).

use kernels::{
    Activation, Isa, Layout, Product, Staging, StagingSize, Taps, Weights, avg_pool, avg_pool_planar, gemm, max_pool,
};

use crate::checkpoint::CheckpointError;
use crate::config::Config;
use crate::fold::Affine;
use crate::layers::Layers;
use crate::packing::Packing;

/// Upper bound of the search for stages of `vis_inception`.
const STAGES_MAX: usize = 64;
/// Largest height and width of an image, if only the number of inputs of a linear layer states it.
const MAX_IMAGE_SIZE: usize = 4096;

#[derive(Debug)]
pub(crate) struct Inception {
    isa: Isa,
    bands: usize,
    image_size: usize,
    /// `conv2d_init`. Only the max pool of the first block uses its output; it is folded into the other branches.
    first: Weights,
    stages: Vec<Stage>,
    /// Side length and channels of the last map.
    output: (usize, usize),
}

#[derive(Debug)]
enum Stage {
    Block(Box<Block>),
    /// Average pool of 2×2 windows, for a map of (side, channels).
    AvgPool(usize, usize),
}

/// Inception block. Its four branches are: 1×1 convolution; 1×1 then 3×3; 1×1 then 5×5; 3×3 max pool then 1×1. A ReLU
/// follows each convolution.
#[derive(Debug)]
struct Block {
    isa: Isa,
    side: usize,
    outputs: usize,
    branch1: Weights,
    branch2: TwoConvs,
    branch3: Option<TwoConvs>,
    branch4: Weights,
}

/// Branch of two convolutions: a 1×1 convolution into a map with a border of zeros, then a 3×3 or 5×5 convolution of
/// that map.
#[derive(Debug)]
struct TwoConvs {
    reduce: Weights,
    convolve: Weights,
    /// Number of lines and columns of the border on each side.
    border: usize,
    taps: Vec<usize>,
}

/// Working memory of the Inception network for one thread: the maps of one image.
#[derive(Debug)]
pub(crate) struct InceptionScratch {
    input: Vec<f32>,
    output: Vec<f32>,
    pooled: Vec<f32>,
    first: Vec<f32>,
    /// For each stage, the maps with borders of branches 2 and 3. The borders are zero and never written.
    bordered: Vec<[Vec<f32>; 2]>,
    staging: Staging,
}

impl Inception {
    /// Reads, folds and packs `vis_inception` up to its first linear layer. Also returns the name of that layer.
    pub(crate) fn read(
        layers: &Layers<'_, '_>,
        config: &Config,
        packing: Packing,
    ) -> Result<(Inception, String), CheckpointError> {
        let path = config.inception_path();
        let name = |stage: usize| format!("{path}vis_inception.{stage}");
        let first = layers.convolution(&name(0), config.bands, 1)?;
        for part in ["weight", "bias"] {
            // The checkpoint has this module a second time, under this name.
            layers.copy_of(&format!("{}.{part}", name(0)), &format!("{path}conv2d_init.{part}"))?;
        }
        let is_block = |stage: usize| layers.has(&format!("{}.branch1.conv.weight", name(stage)));
        let linear = first_linear(layers, path)?;
        // A stage without parameters is a pool, except for the flattening before the linear layer.
        if is_block(1) || linear < 3 {
            return Err(unsupported(format!("`{}` is not an average pool, as in AstroMAE", name(1))));
        }
        let flat = layers.shape(&format!("{}.weight", name(linear)))?.get(1).copied().unwrap_or(0);

        let (mut side, mut channels) = (config.image_size / 2, first.n);
        let mut stages = Vec::new();
        for stage in 2..linear - 1 {
            if !is_block(stage) {
                stages.push(Stage::AvgPool(side, channels));
                side /= 2;
                continue;
            }
            let next_block = (stage + 1..linear - 1).find(|next| is_block(*next));
            let expected = match next_block {
                Some(next) => {
                    layers.shape(&format!("{}.branch1.conv.weight", name(next)))?.get(1).copied().unwrap_or(0)
                }
                None => {
                    let pools = linear - 2 - stage;
                    let last = side >> pools;
                    if last == 0 || flat % (last * last) != 0 {
                        return Err(unsupported(format!(
                            "`{}` has {flat} inputs, which is not a multiple of a map of {last}×{last} pixels",
                            name(linear)
                        )));
                    }
                    flat / (last * last)
                }
            };
            let fold = (stage == 2).then_some(&first);
            let block = Block::read(layers, &name(stage), (side, channels), expected, fold, packing)?;
            channels = block.outputs;
            stages.push(Stage::Block(Box::new(block)));
        }
        if !matches!(stages.first(), Some(Stage::Block(_))) || side == 0 || side * side * channels != flat {
            return Err(unsupported(format!(
                "the last map of `vis_inception` has {side}×{side} pixels and {channels} channels, but `{}` has {flat} \
                 inputs",
                name(linear)
            )));
        }
        let inception = Inception {
            isa: packing.isa,
            bands: config.bands,
            image_size: config.image_size,
            first: first.pack_convolution(packing, first.k),
            stages,
            output: (side, channels),
        };
        Ok((inception, name(linear)))
    }

    /// Number of features of an image.
    pub(crate) fn features_len(&self) -> usize {
        self.output.0 * self.output.0 * self.output.1
    }

    /// Reorders the inputs of the next linear layer from (channel, line, column), as in the checkpoint, to (line,
    /// column, channel).
    pub(crate) fn fold_into(&self, next: &Affine) -> Affine {
        let (side, channels) = self.output;
        let order: Vec<usize> = (0..self.features_len()).map(|i| i % channels * side * side + i / channels).collect();
        next.reorder_inputs(&order)
    }

    pub(crate) fn scratch(&self) -> InceptionScratch {
        let pooled = (self.image_size / 2).pow(2);
        let largest = self.stages.iter().map(Stage::largest_map).max().unwrap_or(0).max(pooled * self.bands);
        let first = self.first.staging(pooled, pooled * self.bands);
        InceptionScratch {
            input: vec![0.0; largest],
            output: vec![0.0; largest],
            pooled: vec![0.0; largest],
            first: vec![0.0; pooled * self.first.n()],
            bordered: self.stages.iter().map(Stage::bordered).collect(),
            staging: Staging::new(self.stages.iter().map(Stage::staging).fold(first, StagingSize::max)),
        }
    }

    /// Number of multiply-adds for one image.
    pub(crate) fn multiply_adds(&self) -> usize {
        let first = (self.image_size / 2).pow(2) * self.first.multiply_adds();
        let stage = |stage: &Stage| match stage {
            Stage::AvgPool(..) => 0,
            Stage::Block(block) => block.multiply_adds(),
        };
        first + self.stages.iter().map(stage).sum::<usize>()
    }

    /// Computes `features` ([`Inception::features_len`]) of `image` (bands, size, size).
    pub(crate) fn features(&self, image: &[f32], scratch: &mut InceptionScratch, features: &mut [f32]) {
        let side = self.image_size / 2;
        let InceptionScratch { input, output, pooled, first, bordered, staging } = scratch;
        let mut len = side * side * self.bands;
        // The first convolution has no activation, so computing it after the pool instead of before gives the same
        // result.
        avg_pool_planar((self.bands, self.image_size, self.image_size), image, &mut input[..len]);
        let mut initial = Some(&mut first[..]);
        if let Some(map) = &mut initial {
            pointwise(
                &self.first,
                side * side,
                &input[..len],
                staging,
                map,
                Slot::whole(&self.first),
                Activation::Identity,
            );
        }
        for (stage, bordered) in self.stages.iter().zip(bordered) {
            len = match stage {
                Stage::AvgPool(side, channels) => {
                    let pooled_len = (side / 2).pow(2) * channels;
                    avg_pool(self.isa, (*side, *side, *channels), &input[..len], &mut output[..pooled_len]);
                    pooled_len
                }
                Stage::Block(block) => {
                    let to_pool = match initial.take() {
                        Some(map) => &*map,
                        None => &input[..len],
                    };
                    let produced = block.side.pow(2) * block.outputs;
                    block.forward(&input[..len], to_pool, bordered, pooled, staging, &mut output[..produced]);
                    produced
                }
            };
            std::mem::swap(input, output);
        }
        features.copy_from_slice(&input[..len]);
    }
}

/// Number of the first linear layer of `vis_inception`.
fn first_linear(layers: &Layers<'_, '_>, path: &str) -> Result<usize, CheckpointError> {
    let weight = |stage: usize| format!("{path}vis_inception.{stage}.weight");
    (1..STAGES_MAX).find(|stage| layers.has(&weight(*stage))).ok_or_else(|| layers.missing(&weight(10)))
}

/// Numbers of bands and of pixels along one side of an image, for a network without a transformer, whose positions
/// would state the size.
///
/// The last map has as many values as the first linear layer has inputs. This fixes the number of its pixels, because
/// the number of channels of a block is known up to its branch 3, which the last block may not use.
pub(crate) fn sizes(layers: &Layers<'_, '_>, path: &str) -> Result<(usize, usize), CheckpointError> {
    let name = |stage: usize| format!("{path}vis_inception.{stage}");
    let axis = |name: &str, axis: usize| {
        Ok::<_, CheckpointError>(layers.shape(&format!("{name}.weight"))?.get(axis).copied().unwrap_or(0))
    };
    let bands = axis(&name(0), 1)?;
    let linear = first_linear(layers, path)?;
    let inputs = axis(&name(linear), 1)?;
    let is_block = |stage: &usize| layers.has(&format!("{}.branch1.conv.weight", name(*stage)));
    let stages = 1..linear.saturating_sub(1);
    let pools = stages.clone().filter(|stage| !is_block(stage)).count();
    let last =
        stages.rev().find(is_block).ok_or_else(|| layers.missing(&format!("{}.branch1.conv.weight", name(2))))?;
    let outputs = |branch: &str| axis(&format!("{}.{branch}.conv", name(last)), 0);
    let without_branch3 = outputs("branch1")? + outputs("branch2.1")? + outputs("branch4.1")?;
    let channels = [without_branch3, without_branch3 + outputs("branch3.1")?];
    let sides: Vec<usize> = channels
        .into_iter()
        .filter(|&channels| channels > 0 && inputs.is_multiple_of(channels))
        .map(|channels| inputs / channels)
        .filter(|pixels| *pixels > 0 && pixels.isqrt().pow(2) == *pixels)
        .map(usize::isqrt)
        .collect();
    let &[side] = sides.as_slice() else {
        return Err(unsupported(format!(
            "`{}` has {inputs} inputs, which fit {} square maps of {} or {} channels; the size of the images cannot be \
             known",
            name(linear),
            if sides.is_empty() { "no" } else { "two" },
            channels[0],
            channels[1]
        )));
    };
    let image_size = side.checked_shl(pools as u32).filter(|size| size >> pools == side).unwrap_or(0);
    if image_size == 0 || image_size > MAX_IMAGE_SIZE {
        return Err(unsupported(format!("`{}` has {inputs} inputs, for images that are too large", name(linear))));
    }
    layers.assume(format!("image size: {image_size}×{image_size} pixels, a multiple of {}", 1 << pools));
    Ok((bands, image_size))
}

impl Stage {
    fn largest_map(&self) -> usize {
        match self {
            Stage::AvgPool(side, channels) => side * side * channels,
            Stage::Block(block) => block.side.pow(2) * block.outputs.max(block.branch4.k()),
        }
    }

    fn staging(&self) -> StagingSize {
        let Stage::Block(block) = self else { return StagingSize::default() };
        let pixels = block.side.pow(2);
        let pointwise = |weights: &Weights| weights.staging(pixels, pixels * weights.k());
        let two_convs = |branch: &TwoConvs| {
            let bordered = (block.side + 2 * branch.border).pow(2) * branch.reduce.n();
            pointwise(&branch.reduce).max(branch.convolve.staging(pixels, bordered))
        };
        let both = two_convs(&block.branch2).max(block.branch3.as_ref().map(two_convs).unwrap_or_default());
        pointwise(&block.branch1).max(pointwise(&block.branch4)).max(both)
    }

    fn bordered(&self) -> [Vec<f32>; 2] {
        let map = |side: usize, branch: &TwoConvs| vec![0.0; (side + 2 * branch.border).pow(2) * branch.reduce.n()];
        match self {
            Stage::AvgPool(..) => [vec![], vec![]],
            Stage::Block(block) => {
                let third = block.branch3.as_ref().map_or_else(Vec::new, |branch| map(block.side, branch));
                [map(block.side, &block.branch2), third]
            }
        }
    }
}

impl Block {
    /// Reads, folds and packs the block `name`.
    ///
    /// `first` is the convolution before this block, if there is no activation in between. It is folded into all
    /// branches except the one with the max pool, so these branches take its inputs instead of its outputs.
    fn read(
        layers: &Layers<'_, '_>,
        name: &str,
        (side, channels): (usize, usize),
        expected: usize,
        first: Option<&Affine>,
        packing: Packing,
    ) -> Result<Block, CheckpointError> {
        let after_first = |map: Affine| match first {
            Some(first) => first.before(&map),
            None => map,
        };
        let two_convs = |branch: &str, window: usize| {
            let reduce = conv_block(layers, &format!("{name}.{branch}.0"), channels, 1)?;
            let convolve = conv_block(layers, &format!("{name}.{branch}.1"), reduce.n, window)?;
            Ok::<_, CheckpointError>(TwoConvs::new(after_first(reduce), &convolve, window, side, packing))
        };
        let branch1 = conv_block(layers, &format!("{name}.branch1"), channels, 1)?;
        let branch2 = two_convs("branch2", 3)?;
        let branch4 = conv_block(layers, &format!("{name}.branch4.1"), channels, 1)?;
        let without_branch3 = branch1.n + branch2.convolve.n() + branch4.n;
        let branch3 = if without_branch3 == expected {
            // The last block has weights for branch 3 that are never used.
            layers.ignore_all(&format!("{name}.branch3."));
            layers.flag(name, "is_custom", true)?;
            None
        } else {
            layers.flag(name, "is_custom", false)?;
            Some(two_convs("branch3", 5)?)
        };
        let outputs = without_branch3 + branch3.as_ref().map_or(0, |branch| branch.convolve.n());
        if outputs != expected {
            return Err(unsupported(format!(
                "`{name}` has {outputs} output channels, but the next layer has {expected} input channels"
            )));
        }
        let pack = |map: Affine| map.pack_convolution(packing, map.k);
        Ok(Block {
            isa: packing.isa,
            side,
            outputs,
            branch1: pack(after_first(branch1)),
            branch2,
            branch3,
            branch4: pack(branch4),
        })
    }

    fn multiply_adds(&self) -> usize {
        let two_convs = |branch: &TwoConvs| branch.reduce.multiply_adds() + branch.convolve.multiply_adds();
        let per_pixel = self.branch1.multiply_adds()
            + two_convs(&self.branch2)
            + self.branch3.as_ref().map_or(0, two_convs)
            + self.branch4.multiply_adds();
        self.side.pow(2) * per_pixel
    }

    /// Computes the map `output` from the map `input`. `to_pool` is the input of the max pool; it differs from `input`
    /// only in the first block.
    fn forward(
        &self,
        input: &[f32],
        to_pool: &[f32],
        bordered: &mut [Vec<f32>; 2],
        pooled: &mut [f32],
        staging: &mut Staging,
        output: &mut [f32],
    ) {
        let pixels = self.side * self.side;
        let [bordered2, bordered3] = bordered;
        let mut slot = Slot { stride: self.outputs, first: 0 };
        pointwise(&self.branch1, pixels, input, staging, output, slot, Activation::Relu);
        slot.first += self.branch1.n();
        self.branch2.forward(self.side, input, bordered2, staging, output, slot);
        slot.first += self.branch2.convolve.n();
        if let Some(branch3) = &self.branch3 {
            branch3.forward(self.side, input, bordered3, staging, output, slot);
            slot.first += branch3.convolve.n();
        }
        let pooled = &mut pooled[..to_pool.len()];
        max_pool(self.isa, (self.side, self.side, self.branch4.k()), to_pool, pooled);
        pointwise(&self.branch4, pixels, pooled, staging, output, slot, Activation::Relu);
    }
}

impl TwoConvs {
    fn new(reduce: Affine, convolve: &Affine, window: usize, side: usize, packing: Packing) -> TwoConvs {
        let (border, channels) = (window / 2, reduce.n);
        // The weights of the checkpoint are (input, line, column); the map with the border is (line, column, input).
        let order: Vec<usize> = (0..convolve.k).map(|i| i % channels * window * window + i / channels).collect();
        let line_stride = (side + 2 * border) * channels;
        TwoConvs {
            reduce: reduce.pack_convolution(packing, reduce.k),
            convolve: convolve.reorder_inputs(&order).pack_convolution(packing, channels),
            border,
            taps: (0..window * window).map(|tap| tap / window * line_stride + tap % window * channels).collect(),
        }
    }

    fn forward(
        &self,
        side: usize,
        input: &[f32],
        bordered: &mut [f32],
        staging: &mut Staging,
        output: &mut [f32],
        slot: Slot,
    ) {
        let channels = self.reduce.n();
        let line_stride = (side + 2 * self.border) * channels;
        let map = Layout {
            offset: 0,
            images: 1,
            image_stride: 0,
            lines: side,
            line_stride,
            columns: side,
            column_stride: channels,
        };
        let reduce = Product {
            weights: &self.reduce,
            input: Layout::plain(side * side, self.reduce.k()),
            taps: Taps::one(self.reduce.k()),
            output: map.shifted(self.border * (line_stride + channels)),
            activation: Activation::Relu,
            accumulate: false,
        };
        gemm(&reduce, input, staging, bordered);
        let convolve = Product {
            weights: &self.convolve,
            input: map,
            taps: Taps { offsets: &self.taps, len: channels },
            output: slot.layout(side * side),
            activation: Activation::Relu,
            accumulate: false,
        };
        gemm(&convolve, bordered, staging, output);
    }
}

/// Channels of one branch within the pixels of an output map.
#[derive(Clone, Copy)]
struct Slot {
    /// Number of channels of the output map.
    stride: usize,
    /// First channel of the branch.
    first: usize,
}

impl Slot {
    fn whole(weights: &Weights) -> Slot {
        Slot { stride: weights.n(), first: 0 }
    }

    fn layout(self, pixels: usize) -> Layout {
        Layout::plain(pixels, self.stride).shifted(self.first)
    }
}

/// Computes a 1×1 convolution.
fn pointwise(
    weights: &Weights,
    pixels: usize,
    input: &[f32],
    staging: &mut Staging,
    output: &mut [f32],
    slot: Slot,
    activation: Activation,
) {
    let product = Product {
        weights,
        input: Layout::plain(pixels, weights.k()),
        taps: Taps::one(weights.k()),
        output: slot.layout(pixels),
        activation,
        accumulate: false,
    };
    gemm(&product, input, staging, output);
}

/// Reads a `ConvBlock`: a convolution with its batch norm folded in.
fn conv_block(layers: &Layers<'_, '_>, name: &str, inputs: usize, window: usize) -> Result<Affine, CheckpointError> {
    let convolution = layers.convolution(&format!("{name}.conv"), inputs, window)?;
    let norm = layers.batch_norm(&format!("{name}.bn"), convolution.n)?;
    Ok(convolution.before_batch_norm(&norm))
}

fn unsupported(what: String) -> CheckpointError {
    CheckpointError::Unsupported(what)
}
