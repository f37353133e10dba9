//! The Inception network: one image (bands, size, size) in, one row of features out, channels innermost all the way.

use kernels::{
    Activation, Isa, Layout, Product, Staging, StagingSize, Taps, Weights, avg_pool, avg_pool_planar, gemm, max_pool,
};

use crate::checkpoint::CheckpointError;
use crate::config::Config;
use crate::fold::Affine;
use crate::layers::Layers;
use crate::packing::Packing;

/// More stages than any such network has: a bound on the search for them.
const STAGES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Inception {
    isa: Isa,
    bands: usize,
    image_size: usize,
    /// `conv2d_init`, for the max pool of the first block; its other branches have it folded in.
    first: Weights,
    stages: Vec<Stage>,
    /// Side and channels of the last map.
    output: (usize, usize),
}

#[derive(Debug)]
enum Stage {
    Block(Box<Block>),
    /// 2×2 means of a map (side, channels).
    AvgPool(usize, usize),
}

/// Four branches side by side: 1×1; 1×1 then 3×3; 1×1 then 5×5; 3×3 maximum then 1×1. ReLU after each convolution.
#[derive(Debug)]
struct Block {
    isa: Isa,
    side: usize,
    outputs: usize,
    branch1: Weights,
    branch2: Window,
    branch3: Option<Window>,
    branch4: Weights,
}

/// A 1×1 convolution into a map with a border of zeros, then a wider one over it.
#[derive(Debug)]
struct Window {
    reduce: Weights,
    convolve: Weights,
    /// Lines and columns of the border.
    border: usize,
    taps: Vec<usize>,
}

/// Maps of one image; allocated once per thread.
#[derive(Debug)]
pub(crate) struct InceptionScratch {
    input: Vec<f32>,
    output: Vec<f32>,
    pooled: Vec<f32>,
    first: Vec<f32>,
    /// Per stage, the bordered maps of branches 2 and 3. Their borders are zero from the start and never written.
    bordered: Vec<[Vec<f32>; 2]>,
    staging: Staging,
}

impl Inception {
    /// Reads, folds and packs `vis_inception` up to its first linear layer, whose name it returns.
    pub(crate) fn read(
        layers: &Layers<'_, '_>,
        config: &Config,
        packing: Packing,
    ) -> Result<(Inception, String), CheckpointError> {
        let name = |stage: usize| format!("inception_model.vis_inception.{stage}");
        let first = layers.convolution(&name(0), config.bands, 1)?;
        for part in ["weight", "bias"] {
            // One module under two names.
            layers.ignore(&format!("inception_model.conv2d_init.{part}"));
        }
        let is_block = |stage: usize| layers.has(&format!("{}.branch1.conv.weight", name(stage)));
        let is_linear = |stage: usize| layers.has(&format!("{}.weight", name(stage)));
        let linear = (1..STAGES_MAX)
            .find(|stage| is_linear(*stage))
            .ok_or_else(|| CheckpointError::MissingTensor { name: format!("{}.weight", name(10)) })?;
        // A stage without parameters is a pool, but for the flattening before the linear layer.
        if is_block(1) || linear < 3 {
            return Err(unsupported("`vis_inception.1` is not the average pool that AstroMAE has there".to_owned()));
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
                            "`{}` takes {flat} features, which are no whole number of {last}×{last} maps",
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
                "`vis_inception` ends in {side}×{side}×{channels}, but `{}` takes {flat} features",
                name(linear)
            )));
        }
        let inception = Inception {
            isa: packing.isa,
            bands: config.bands,
            image_size: config.image_size,
            first: first.pack_windows(packing, first.k),
            stages,
            output: (side, channels),
        };
        Ok((inception, name(linear)))
    }

    /// Features of an image.
    pub(crate) fn features_len(&self) -> usize {
        self.output.0 * self.output.0 * self.output.1
    }

    /// Puts the inputs of the linear layer behind, which the checkpoint has channels outermost, into our order.
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

    /// Multiply-adds of one image.
    pub(crate) fn multiply_adds(&self) -> usize {
        let first = (self.image_size / 2).pow(2) * self.first.multiply_adds();
        let of_stage = |stage: &Stage| match stage {
            Stage::AvgPool(..) => 0,
            Stage::Block(block) => block.multiply_adds(),
        };
        first + self.stages.iter().map(of_stage).sum::<usize>()
    }

    /// `image` (bands, size, size) into `features`.
    pub(crate) fn features(&self, image: &[f32], scratch: &mut InceptionScratch, features: &mut [f32]) {
        let side = self.image_size / 2;
        let InceptionScratch { input, output, pooled, first, bordered, staging } = scratch;
        let mut len = side * side * self.bands;
        // The first convolution has no activation, so it may come after the pool instead of before.
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
        let of_window = |window: &Window| {
            let bordered = (block.side + 2 * window.border).pow(2) * window.reduce.n();
            pointwise(&window.reduce).max(window.convolve.staging(pixels, bordered))
        };
        let windows = of_window(&block.branch2).max(block.branch3.as_ref().map(of_window).unwrap_or_default());
        pointwise(&block.branch1).max(pointwise(&block.branch4)).max(windows)
    }

    fn bordered(&self) -> [Vec<f32>; 2] {
        let map = |side: usize, window: &Window| vec![0.0; (side + 2 * window.border).pow(2) * window.reduce.n()];
        match self {
            Stage::AvgPool(..) => [vec![], vec![]],
            Stage::Block(block) => {
                let third = block.branch3.as_ref().map_or_else(Vec::new, |window| map(block.side, window));
                [map(block.side, &block.branch2), third]
            }
        }
    }
}

impl Block {
    /// `first`, where given, is the map before this block without an activation between: all branches but the one
    /// behind the max pool take its inputs instead of its outputs.
    fn read(
        layers: &Layers<'_, '_>,
        name: &str,
        (side, channels): (usize, usize),
        expected: usize,
        first: Option<&Affine>,
        packing: Packing,
    ) -> Result<Block, CheckpointError> {
        let behind_first = |map: Affine| match first {
            Some(first) => first.before(&map),
            None => map,
        };
        let window = |branch: &str, window: usize| {
            let reduce = conv_block(layers, &format!("{name}.{branch}.0"), channels, 1)?;
            let convolve = conv_block(layers, &format!("{name}.{branch}.1"), reduce.n, window)?;
            Ok::<_, CheckpointError>(Window::new(behind_first(reduce), &convolve, window, side, packing))
        };
        let branch1 = conv_block(layers, &format!("{name}.branch1"), channels, 1)?;
        let branch2 = window("branch2", 3)?;
        let branch4 = conv_block(layers, &format!("{name}.branch4.1"), channels, 1)?;
        let without = branch1.n + branch2.convolve.n() + branch4.n;
        let branch3 = if without == expected {
            // The last block has a 5×5 branch that is never used.
            layers.ignore_all(&format!("{name}.branch3."));
            None
        } else {
            Some(window("branch3", 5)?)
        };
        let outputs = without + branch3.as_ref().map_or(0, |window| window.convolve.n());
        if outputs != expected {
            return Err(unsupported(format!("`{name}` gives {outputs} channels, but what follows takes {expected}")));
        }
        let pack = |map: Affine| map.pack_windows(packing, map.k);
        Ok(Block {
            isa: packing.isa,
            side,
            outputs,
            branch1: pack(behind_first(branch1)),
            branch2,
            branch3,
            branch4: pack(branch4),
        })
    }

    fn multiply_adds(&self) -> usize {
        let of_window = |window: &Window| window.reduce.multiply_adds() + window.convolve.multiply_adds();
        let of_pixel = self.branch1.multiply_adds()
            + of_window(&self.branch2)
            + self.branch3.as_ref().map_or(0, of_window)
            + self.branch4.multiply_adds();
        self.side.pow(2) * of_pixel
    }

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

impl Window {
    fn new(reduce: Affine, convolve: &Affine, window: usize, side: usize, packing: Packing) -> Window {
        let (border, channels) = (window / 2, reduce.n);
        // The checkpoint has (input, line, column), a bordered map (line, column, input).
        let order: Vec<usize> = (0..convolve.k).map(|i| i % channels * window * window + i / channels).collect();
        let line_stride = (side + 2 * border) * channels;
        Window {
            reduce: reduce.pack_windows(packing, reduce.k),
            convolve: convolve.reorder_inputs(&order).pack_windows(packing, channels),
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

/// Where a branch's channels lie within the pixels of a map.
#[derive(Clone, Copy)]
struct Slot {
    stride: usize,
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

/// A `ConvBlock`: convolution and batch norm, folded.
fn conv_block(layers: &Layers<'_, '_>, name: &str, inputs: usize, window: usize) -> Result<Affine, CheckpointError> {
    let convolution = layers.convolution(&format!("{name}.conv"), inputs, window)?;
    let norm = layers.batch_norm(&format!("{name}.bn"), convolution.n)?;
    Ok(convolution.before_batch_norm(&norm))
}

fn unsupported(what: String) -> CheckpointError {
    CheckpointError::Unsupported(what)
}
