//! A model of the published size (15,902,889 parameters) agrees with PyTorch in float64.
//!
//! `golden/full_size.py` wrote `golden/full_size.json`. Weights and galaxies are not committed. The script and this
//! test both compute them, and compare their SHA-256 sums.

mod support;

use std::fs;
use std::path::Path;

use pipeline::partition::{Dtype, Layout, Writer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{Sandbox, cosmicai, isas};

const GALAXIES: usize = 17;
const BANDS: usize = 5;
const SIZE: usize = 32;

/// Largest error in float32, relative to the redshift.
const F32_BOUND: f64 = 1e-5;
/// Largest error in bfloat16 and int8, relative to the redshift: the bound of `cosmicai bench`. The error is larger
/// with random weights than with a trained model.
const SHORT_BOUND: f64 = 0.1;

/// Pseudorandom number from 0 to 1 for an index, computed as in `full_size.py`.
fn uniform(index: usize) -> f64 {
    let x = u32::try_from(index).unwrap();
    let x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    let x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    f64::from(x ^ (x >> 16)) / 4_294_967_296.0
}

/// Pixels and magnitudes, computed with the same operations in the same order as in `full_size.py`.
fn galaxies() -> (Vec<f32>, Vec<f64>) {
    let first = GALAXIES * BANDS * SIZE * SIZE;
    let pixel_of = |pixel: usize| {
        let (column, line) = ((pixel % SIZE) as f64, (pixel / SIZE % SIZE) as f64);
        let (band, galaxy) = ((pixel / (SIZE * SIZE) % BANDS) as f64, pixel / (SIZE * SIZE * BANDS));
        let drawn = |which: usize| uniform(first + 5 * galaxy + which);
        let x = column - 15.5 + 4.0 * (drawn(0) - 0.5);
        let y = line - 15.5 + 4.0 * (drawn(1) - 0.5);
        let squared_radius = x * x + (0.3 + drawn(2)) * (y * y);
        let spread = 1.0 + squared_radius / (1.0 + 40.0 * drawn(3));
        let light = drawn(4);
        let peak = (0.2 + 60.0 * (light * light)) * (1.0 + band) / 5.0;
        (peak / (spread * spread) + 0.2 * (uniform(pixel) - 0.5)) as f32
    };
    let magnitude_of = |index: usize| 14.0 + 6.0 * uniform(first + 5 * GALAXIES + index);
    ((0..first).map(pixel_of).collect(), (0..GALAXIES * BANDS).map(magnitude_of).collect())
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the partition, and checks that its galaxies are those that PyTorch predicted.
fn write_partition(path: &Path, golden: &Value) {
    let (pixels, magnitudes) = galaxies();
    let pixel_bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
    let magnitude_bytes: Vec<u8> = magnitudes.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(golden["pixels_sha256"], sha256(pixel_bytes), "the pixels differ from those of full_size.py");
    assert_eq!(
        golden["magnitudes_sha256"],
        sha256(magnitude_bytes),
        "the magnitudes differ from those of full_size.py"
    );
    let layout =
        Layout { samples: GALAXIES, height: SIZE, width: SIZE, magnitude_dtype: Dtype::F64, redshift_dtype: None };
    let mut writer = Writer::new(fs::File::create(path).unwrap(), layout).unwrap();
    writer.write_images(&pixels).unwrap();
    writer.finish(&magnitudes, None).unwrap();
}

/// Largest error of the redshifts of `cosmicai predict`, relative to the redshift.
fn largest_error(model: &Path, partition: &Path, isa: &str, precision: &str, expected: &[f64]) -> f64 {
    let mut command = cosmicai();
    command.env("COSMICAI_ISA", isa).args(["predict", "--precision", precision, "--model"]).arg(model).arg(partition);
    let printed = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
    let found: Vec<f64> =
        printed.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{printed}");
    let errors = found.iter().zip(expected).map(|(found, expected)| (found / expected - 1.0).abs());
    errors.fold(0.0, |largest, error| if error > largest || error.is_nan() { error } else { largest })
}

#[test]
fn full_size_model_agrees_with_pytorch_in_float64() {
    let golden: Value = serde_json::from_str(include_str!("golden/full_size.json")).unwrap();
    let expected: Vec<f64> = serde_json::from_value(golden["redshifts"].clone()).unwrap();
    assert_eq!(expected.len(), GALAXIES);
    let sandbox = Sandbox::new();
    let (model, partition) = (sandbox.path("model.safetensors"), sandbox.path("galaxies.pt"));
    cosmicai().args(["model-init", "--seed", "1", "--out"]).arg(&model).assert().success();
    let found = sha256(fs::read(&model).unwrap());
    assert_eq!(golden["weights_sha256"], found, "`model-init --seed 1` made other weights; run full_size.py again");
    write_partition(&partition, &golden);

    for isa in isas() {
        for (precision, bound) in [("f32", F32_BOUND), ("bf16", SHORT_BOUND), ("int8", SHORT_BOUND)] {
            let error = largest_error(&model, &partition, &isa, precision, &expected);
            eprintln!("{isa} {precision}: largest relative error {error:.1e}");
            assert!(error <= bound, "{isa} {precision}: largest relative error {error:e}, at most {bound:e} expected");
        }
    }
}
