//! The Inception network. Maps are (channels, side, side), as in PyTorch.

use super::ops::{BatchNorm, Conv, Linear, relu};
use crate::checkpoint::CheckpointError;
use crate::config::Config;
use crate::layers::Layers;

pub(super) struct Inception {
    size: usize,
    stages: Vec<Stage>,
    linear: [Linear; 2],
}

enum Stage {
    Conv(Conv),
    AvgPool,
    Block(Box<Block>),
}

struct Block {
    branch1: ConvBlock,
    branch2: [ConvBlock; 2],
    /// `None` in the last block, which has weights for this branch but does not use them.
    branch3: Option<[ConvBlock; 2]>,
    branch4: ConvBlock,
}

struct ConvBlock(Conv, BatchNorm);

impl Inception {
    pub(super) fn read(layers: &Layers<'_, '_>, config: &Config) -> Result<Inception, CheckpointError> {
        let name = |stage: usize| format!("{}vis_inception.{stage}", config.inception_path());
        let mut stages = vec![Stage::Conv(Conv::read(layers, &name(0))?)];
        while !layers.has(&format!("{}.weight", name(stages.len() + 1))) {
            let stage = name(stages.len());
            stages.push(if layers.has(&format!("{stage}.branch1.conv.weight")) {
                let block = |branch: &str| ConvBlock::read(layers, &format!("{stage}.{branch}"));
                let is_last = !layers.has(&format!("{}.branch1.conv.weight", name(stages.len() + 1)))
                    && layers.has(&format!("{}.weight", name(stages.len() + 2)));
                let branch3 = if is_last { None } else { Some([block("branch3.0")?, block("branch3.1")?]) };
                Stage::Block(Box::new(Block {
                    branch1: block("branch1")?,
                    branch2: [block("branch2.0")?, block("branch2.1")?],
                    branch3,
                    branch4: block("branch4.1")?,
                }))
            } else {
                Stage::AvgPool
            });
        }
        let linear = stages.len() + 1;
        Ok(Inception {
            size: config.image_size,
            stages,
            linear: [Linear::read(layers, &name(linear))?, Linear::read(layers, &name(linear + 2))?],
        })
    }

    pub(super) fn forward(&self, image: &[f64], observe: &mut dyn FnMut(&str, &[f64])) -> Vec<f64> {
        let mut side = self.size;
        let mut map = image.to_vec();
        for (index, stage) in self.stages.iter().enumerate() {
            map = match stage {
                Stage::Conv(conv) => conv.forward(&map, (side, side)),
                Stage::AvgPool => {
                    side /= 2;
                    avg_pool(&map, 2 * side)
                }
                Stage::Block(block) => block.forward(&map, side),
            };
            observe(&format!("vis_inception.{index}"), &map);
        }
        let mut hidden = self.linear[0].forward(&map);
        relu(&mut hidden);
        let features = self.linear[1].forward(&hidden);
        observe("inception", &features);
        features
    }
}

impl Block {
    fn forward(&self, map: &[f64], side: usize) -> Vec<f64> {
        let two = |[reduce, convolve]: &[ConvBlock; 2]| convolve.forward(&reduce.forward(map, side), side);
        let mut output = self.branch1.forward(map, side);
        output.extend(two(&self.branch2));
        output.extend(self.branch3.iter().flat_map(two));
        output.extend(self.branch4.forward(&max_pool(map, side), side));
        output
    }
}

impl ConvBlock {
    fn read(layers: &Layers<'_, '_>, name: &str) -> Result<ConvBlock, CheckpointError> {
        let conv = Conv::read(layers, &format!("{name}.conv"))?;
        let norm = BatchNorm::read(layers, &format!("{name}.bn"), conv.outputs)?;
        Ok(ConvBlock(conv, norm))
    }

    fn forward(&self, map: &[f64], side: usize) -> Vec<f64> {
        let mut output = self.0.forward(map, (side, side));
        self.1.forward(&mut output);
        relu(&mut output);
        output
    }
}

/// Means of 2×2 windows at stride 2, for maps with an even side.
fn avg_pool(map: &[f64], side: usize) -> Vec<f64> {
    let half = side / 2;
    let mut output = Vec::new();
    for plane in map.chunks_exact(side * side) {
        for (y, x) in (0..half).flat_map(|y| (0..half).map(move |x| (2 * y, 2 * x))) {
            let at = |dy: usize, dx: usize| plane[(y + dy) * side + x + dx];
            output.push((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0);
        }
    }
    output
}

/// Maxima of 3×3 windows at stride 1. At the border, a window contains only the pixels inside the map. The maximum is
/// NaN if the window contains NaN.
fn max_pool(map: &[f64], side: usize) -> Vec<f64> {
    let mut output = Vec::new();
    for plane in map.chunks_exact(side * side) {
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let lines = y.saturating_sub(1)..(y + 2).min(side);
            let window = lines.flat_map(|y| &plane[y * side + x.saturating_sub(1)..y * side + (x + 2).min(side)]);
            output.push(window.fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || *b <= a { a } else { *b }));
        }
    }
    output
}
