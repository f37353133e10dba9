//! Twenty seeded models of the published size, whose weights and inputs have different scales. The test and the example
//! `accuracy_models`, which writes the models for PyTorch, share this file.

use astromae::init::{Sizes, seeded};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

/// Number of models.
pub(crate) const MODELS: usize = 20;
/// Number of galaxies of each model.
pub(crate) const GALAXIES: usize = 32;

/// Scales of one model.
struct Scales {
    /// Factor of the weights of all linear layers and convolutions.
    weights: f32,
    /// Additional factor of the last layer of the magnitudes. If it is small, the images determine the redshift.
    magnitude_weights: f32,
    /// Standard deviation of the pixels.
    pixels: f32,
    /// Mean and standard deviation of the magnitudes.
    magnitudes: (f32, f32),
}

fn scales(model: usize) -> Scales {
    Scales {
        weights: [0.5, 0.75, 1.0, 1.5, 2.0][model % 5],
        magnitude_weights: [1.0, 1.0 / 16.0][model % 2],
        pixels: [0.1, 1.0, 10.0, 100.0][model / 5],
        magnitudes: [(18.0, 2.0), (0.0, 1.0), (22.0, 0.5)][model % 3],
    }
}

/// Returns the bytes of the safetensors file of a model.
pub(crate) fn checkpoint(model: usize) -> Vec<u8> {
    let Scales { weights, magnitude_weights, .. } = scales(model);
    let bytes = seeded(&Sizes::full(), model as u64 + 1);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let scaled: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor.shape().to_vec();
            let is_weight = name.ends_with(".weight") && shape.len() > 1;
            let last_of_magnitudes = name == "inception_model.magnitude_block.8.weight";
            let factor =
                if is_weight { weights } else { 1.0 } * if last_of_magnitudes { magnitude_weights } else { 1.0 };
            let values = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b) * factor);
            (name.to_owned(), shape, values.flat_map(f32::to_le_bytes).collect())
        })
        .collect();
    let views = scaled.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, metadata.metadata().clone()).unwrap()
}

/// Returns images (GALAXIES, 5, 32, 32) and magnitudes (GALAXIES, 5) of a model.
pub(crate) fn galaxies(model: usize) -> (Vec<f32>, Vec<f32>) {
    let Scales { pixels, magnitudes: (mean, deviation), .. } = scales(model);
    let mut normal = Normal(model as u64);
    let images = (0..GALAXIES * 5 * 32 * 32).map(|_| normal.draw() * pixels).collect();
    let magnitudes = (0..GALAXIES * 5).map(|_| mean + normal.draw() * deviation).collect();
    (images, magnitudes)
}

/// Seeded values that are nearly normally distributed: sums of twelve uniform values of a 64-bit linear congruential
/// generator.
struct Normal(u64);

impl Normal {
    fn draw(&mut self) -> f32 {
        let uniform = |_| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..12).map(uniform).sum::<f32>() - 6.0
    }
}
