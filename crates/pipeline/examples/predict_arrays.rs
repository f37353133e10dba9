//! Predicts redshifts of galaxies whose images and magnitudes are arrays in memory.
//!
//! Run it with `cargo run --release -p pipeline --example predict_arrays`. To use a trained model, replace `seeded(…)`
//! with the bytes of a checkpoint file. Only `crop` comes from `pipeline`; everything else comes from `astromae`.

#![allow(clippy::print_stdout, reason = "an example prints what it did")]

use std::error::Error;

use astromae::init::{Sizes, seeded};
use astromae::{Isa, Model, Precision};
use pipeline::predict::crop;

const GALAXIES: usize = 4;
/// Width and height of the images, larger than those that the model expects.
const IMAGE_SIZE: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    // A small model with random weights, so its redshifts mean nothing.
    let model = Model::from_bytes(&seeded(&Sizes::small(), 1), None, Precision::F32, Isa::detect())?;
    println!("model: {} parameters, {}, {}", model.parameters(), model.precision(), model.isa());

    // Fluxes in nanomaggies, shape (galaxies, bands, height, width), with the bands u, g, r, i, z.
    let images: Vec<f32> = (0..GALAXIES).flat_map(|galaxy| image(galaxy, model.bands())).collect();
    // Magnitudes, shape (galaxies, bands).
    let magnitudes: Vec<f32> = (0..GALAXIES * model.bands()).map(|index| 16.0 + 0.1 * index as f32).collect();

    let cropped = crop(&images, (IMAGE_SIZE, IMAGE_SIZE), model.image_size());
    let mut redshifts = [0.0; GALAXIES];
    model.predict(&cropped, &magnitudes, &mut model.scratch(), &mut redshifts);
    for (galaxy, redshift) in redshifts.iter().enumerate() {
        println!("galaxy {galaxy}: z_phot = {redshift:.4}");
    }
    Ok(())
}

/// Image of a round galaxy, shape (bands, height, width).
fn image(galaxy: usize, bands: usize) -> impl Iterator<Item = f32> {
    let centre = (IMAGE_SIZE as f32 - 1.0) / 2.0;
    (0..bands * IMAGE_SIZE * IMAGE_SIZE).map(move |pixel| {
        let (band, row, column) = (pixel / IMAGE_SIZE.pow(2), pixel / IMAGE_SIZE % IMAGE_SIZE, pixel % IMAGE_SIZE);
        let radius = (row as f32 - centre).hypot(column as f32 - centre);
        (1.0 + band as f32) * (-radius / (2.0 + galaxy as f32)).exp()
    })
}
