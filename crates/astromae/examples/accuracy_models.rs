//! Writes the models and galaxies of the test `accuracy` for PyTorch: `accuracy_models FOLDER`.
//!
//! `crates/astromae/tests/accuracy/measure_pytorch.py` runs it.

use std::path::PathBuf;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

#[path = "../tests/accuracy/models.rs"]
mod models;

fn main() -> std::io::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).expect("give the folder to write to").into();
    for model in 0..models::MODELS {
        std::fs::write(folder.join(format!("{model}.safetensors")), models::checkpoint(model))?;
        let (images, magnitudes) = models::galaxies(model);
        let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let (images, magnitudes) = (bytes(images), bytes(magnitudes));
        let view = |shape: &[usize], data| TensorView::new(Dtype::F32, shape.to_vec(), data).expect("whole values");
        let galaxies = [
            ("images", view(&[models::GALAXIES, 5, 32, 32], &images)),
            ("magnitudes", view(&[models::GALAXIES, 5], &magnitudes)),
        ];
        let galaxies = safetensors::serialize(galaxies, None).expect("two names");
        std::fs::write(folder.join(format!("{model}.galaxies.safetensors")), galaxies)?;
    }
    Ok(())
}
