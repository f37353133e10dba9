//! Reference implementation of the model in `f64`: one layer after another, with the tensors of the checkpoint, nothing
//! folded and nothing reordered.
//!
//! It is slow. Tests compare [`Model`] with it, and compare it with PyTorch, layer by layer.

use kernels::Isa;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::Config;
use crate::layers::Layers;
use crate::model::Model;
use crate::precision::Precision;

mod inception;
mod ops;
mod vit;

/// Predicts redshifts (n) from `images` (n, bands, size, size) and `magnitudes` (n, bands).
///
/// Calls `observe` with the name and the output of each layer, image by image: `patch_embed` and `blocks.i`
/// (tokens, dim), `vit` (dim), `vis_inception.i` (channels, side, side), `inception`, `magnitude` and `vit_block`.
///
/// # Errors
/// The errors of [`Model::from_checkpoint`].
///
/// # Panics
/// If the lengths of the slices do not match these shapes.
pub fn predict(
    checkpoint: &Checkpoint<'_>,
    images: &[f32],
    magnitudes: &[f32],
    observe: &mut dyn FnMut(&str, &[f64]),
) -> Result<Vec<f64>, CheckpointError> {
    // Making the model checks all shapes, so the code below does not.
    Model::from_checkpoint(checkpoint, Precision::F32, Isa::detect())?;
    let layers = Layers::new(checkpoint);
    let config = Config::read(&layers)?;
    let pixels = config.bands * config.image_size * config.image_size;
    assert_eq!(images.len() / pixels, magnitudes.len() / config.bands, "the numbers of images and magnitudes differ");
    assert_eq!(images.len() % pixels, 0, "images are not (n, bands, size, size)");
    let vit = vit::Vit::read(&layers, &config)?;
    let inception = inception::Inception::read(&layers, &config)?;
    let head = Head::read(&layers)?;
    let galaxies = images.chunks_exact(pixels).zip(magnitudes.chunks_exact(config.bands));
    let redshift = galaxies.map(|(image, magnitudes)| {
        let image: Vec<f64> = image.iter().map(|x| f64::from(*x)).collect();
        let magnitudes: Vec<f64> = magnitudes.iter().map(|x| f64::from(*x)).collect();
        let tokens = vit.forward(&image, observe);
        let features = inception.forward(&image, observe);
        head.forward(&tokens, &features, &magnitudes, observe)
    });
    Ok(redshift.collect())
}

/// The linear layers `head`, `vit_block`, `magnitude_block` and `concat_block`.
struct Head {
    head: ops::Linear,
    vit_block: [ops::Linear; 2],
    magnitude_block: Vec<ops::Linear>,
    concat_block: [ops::Linear; 2],
}

impl Head {
    fn read(layers: &Layers<'_, '_>) -> Result<Head, CheckpointError> {
        let mut magnitude_block = Vec::new();
        while layers.has(&format!("inception_model.magnitude_block.{}.weight", 2 * magnitude_block.len())) {
            let name = format!("inception_model.magnitude_block.{}", 2 * magnitude_block.len());
            magnitude_block.push(ops::Linear::read(layers, &name)?);
        }
        Ok(Head {
            head: ops::Linear::read(layers, "head")?,
            vit_block: [ops::Linear::read(layers, "vit_block.0")?, ops::Linear::read(layers, "vit_block.2")?],
            magnitude_block,
            concat_block: [ops::Linear::read(layers, "concat_block.0")?, ops::Linear::read(layers, "concat_block.2")?],
        })
    }

    fn forward(
        &self,
        tokens: &[f64],
        inception: &[f64],
        magnitudes: &[f64],
        observe: &mut dyn FnMut(&str, &[f64]),
    ) -> f64 {
        let vit = two_layers(&self.vit_block, &self.head.forward(tokens));
        observe("vit_block", &vit);
        let mut magnitude = magnitudes.to_vec();
        for (index, layer) in self.magnitude_block.iter().enumerate() {
            magnitude = layer.forward(&magnitude);
            if index + 1 < self.magnitude_block.len() {
                ops::relu(&mut magnitude);
            }
        }
        observe("magnitude", &magnitude);
        two_layers(&self.concat_block, &[&vit, inception, &magnitude[..]].concat())[0]
    }
}

/// Linear layer, ReLU, linear layer.
fn two_layers(layers: &[ops::Linear; 2], x: &[f64]) -> Vec<f64> {
    let mut hidden = layers[0].forward(x);
    ops::relu(&mut hidden);
    layers[1].forward(&hidden)
}
