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
/// (tokens, dim), `vit` (dim), `vis_inception.i` (channels, side, side), `inception`, `magnitude` and `vit_block`. A model
/// without some of these layers skips them.
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
    let vit = config.transformer.map(|sizes| vit::Vit::read(&layers, &config, sizes)).transpose()?;
    let inception = config.has_inception.then(|| inception::Inception::read(&layers, &config)).transpose()?;
    let head = Head::read(&layers, &config)?;
    let galaxies = images.chunks_exact(pixels).zip(magnitudes.chunks_exact(config.bands));
    let redshift = galaxies.map(|(image, magnitudes)| {
        let image: Vec<f64> = image.iter().map(|x| f64::from(*x)).collect();
        let magnitudes: Vec<f64> = magnitudes.iter().map(|x| f64::from(*x)).collect();
        let tokens = vit.as_ref().map(|vit| vit.forward(&image, observe));
        let features = inception.as_ref().map(|inception| inception.forward(&image, observe));
        head.forward(tokens.as_deref(), features.as_deref(), &magnitudes, observe)
    });
    Ok(redshift.collect())
}

/// The linear layers `head`, `vit_block` and `magnitude_block`, and those that give the redshift.
struct Head {
    head: Option<ops::Linear>,
    vit_block: Vec<ops::Linear>,
    magnitude_block: Vec<ops::Linear>,
    /// `concat_block`, `head_incept_mag`, or the linear layer of `Inception_head_block`.
    last: Vec<ops::Linear>,
    /// True for `Inception_head_block`, which begins with a ReLU.
    begins_with_relu: bool,
}

impl Head {
    fn read(layers: &Layers<'_, '_>, config: &Config) -> Result<Head, CheckpointError> {
        let chain = |name: &str| {
            let names = (0..).step_by(2).map(|index| format!("{name}.{index}"));
            names
                .take_while(|name| layers.has(&format!("{name}.weight")))
                .map(|name| ops::Linear::read(layers, &name))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut last = chain("concat_block")?;
        last.extend(chain("head_incept_mag")?);
        let begins_with_relu = layers.has("Inception_head_block.1.weight");
        if begins_with_relu {
            last.push(ops::Linear::read(layers, "Inception_head_block.1")?);
        }
        let has_head = layers.has("head.weight");
        Ok(Head {
            head: has_head.then(|| ops::Linear::read(layers, "head")).transpose()?,
            vit_block: chain("vit_block")?,
            magnitude_block: chain(&format!("{}magnitude_block", config.inception_path()))?,
            last,
            begins_with_relu,
        })
    }

    fn forward(
        &self,
        tokens: Option<&[f64]>,
        inception: Option<&[f64]>,
        magnitudes: &[f64],
        observe: &mut dyn FnMut(&str, &[f64]),
    ) -> f64 {
        let mut joined = Vec::new();
        if let (Some(tokens), Some(head)) = (tokens, &self.head) {
            let vit = perceptron(&self.vit_block, &head.forward(tokens));
            observe("vit_block", &vit);
            joined.extend(vit);
        }
        joined.extend_from_slice(inception.unwrap_or_default());
        if !self.magnitude_block.is_empty() {
            let magnitude = perceptron(&self.magnitude_block, magnitudes);
            observe("magnitude", &magnitude);
            joined.extend(magnitude);
        }
        if self.begins_with_relu {
            ops::relu(&mut joined);
        }
        perceptron(&self.last, &joined)[0]
    }
}

/// Linear layers with a ReLU between them.
fn perceptron(layers: &[ops::Linear], x: &[f64]) -> Vec<f64> {
    let mut values = x.to_vec();
    for (index, layer) in layers.iter().enumerate() {
        if index > 0 {
            ops::relu(&mut values);
        }
        values = layer.forward(&values);
    }
    values
}
