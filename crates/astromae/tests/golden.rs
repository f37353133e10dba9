//! Compares the model with golden values from PyTorch. `tests/golden/make_golden.py` and `make_variants.py` made them,
//! layer by layer, in float64.

use std::collections::BTreeMap;
use std::path::Path;

use astromae::checkpoint::{Checkpoint, Form};
use astromae::{Isa, Model, Precision, reference};
use safetensors::SafeTensors;

/// (name of the expected values, model file, config.json, form)
const CASES: [(&str, &str, Option<&str>, Form); 7] = [
    ("pcm", "pcm.pt", None, Form::PickledModule),
    ("pcm3x3", "pcm3x3.pt", Some("pcm3x3.config.json"), Form::StateDict),
    ("plain", "plain.safetensors", None, Form::Safetensors),
    ("no_magnitudes", "no_magnitudes.pt", None, Form::PickledModule),
    ("transformer", "transformer.pt", None, Form::PickledModule),
    ("no_transformer", "no_transformer.pt", None, Form::StateDict),
    ("inception", "inception.pt", None, Form::PickledModule),
];

struct Golden {
    images: Vec<f32>,
    magnitudes: Vec<f32>,
    /// Outputs of all images, one after another, for each layer.
    layers: BTreeMap<String, Vec<f64>>,
}

fn read(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run make_golden.py", path.display()))
}

fn golden(name: &str) -> Golden {
    let bytes = read(&format!("{name}.expected.safetensors"));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let f32s = |name: &str| {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let layers = file.iter().filter(|(name, _)| !["images", "magnitudes"].contains(name)).map(|(name, tensor)| {
        let values = tensor.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        (name.to_owned(), values.collect())
    });
    Golden { images: f32s("images"), magnitudes: f32s("magnitudes"), layers: layers.collect() }
}

fn isas() -> Vec<Isa> {
    match std::env::var("COSMICAI_ISA") {
        Ok(name) => vec![name.parse().expect("COSMICAI_ISA must name an instruction set of this CPU")],
        Err(_) => Isa::available().collect(),
    }
}

fn largest_error(values: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(values.len(), expected.len());
    values
        .iter()
        .zip(expected)
        .map(|(value, expected)| (value - expected).abs() / expected.abs().max(1.0))
        .fold(0.0, |largest, error| if error > largest || error.is_nan() { error } else { largest })
}

#[test]
fn reference_matches_pytorch_layer_by_layer() {
    for (name, file, config, _) in CASES {
        let golden = golden(name);
        let (bytes, config) = (read(file), config.map(|file| String::from_utf8(read(file)).unwrap()));
        let checkpoint = Checkpoint::read_with_config(&bytes, config.as_deref()).unwrap();
        let mut observed: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let redshift = reference::predict(&checkpoint, &golden.images, &golden.magnitudes, &mut |layer, values| {
            observed.entry(layer.to_owned()).or_default().extend(values);
        });
        observed.insert("redshift".to_owned(), redshift.unwrap());
        assert_eq!(observed.keys().collect::<Vec<_>>(), golden.layers.keys().collect::<Vec<_>>(), "{name}");
        for (layer, values) in &observed {
            let error = largest_error(values, &golden.layers[layer]);
            assert!(error <= 1e-11, "{name} {layer}: {error:e}");
        }
    }
}

#[test]
fn model_matches_pytorch_on_every_instruction_set() {
    for (name, file, config, form) in CASES {
        let golden = golden(name);
        let (bytes, config) = (read(file), config.map(|file| String::from_utf8(read(file)).unwrap()));
        assert_eq!(Checkpoint::read(&bytes).unwrap().form(), form);
        for isa in isas() {
            let model = Model::from_bytes(&bytes, config.as_deref(), Precision::F32, isa).unwrap();
            let mut redshift = vec![f32::NAN; 2];
            model.predict(&golden.images, &golden.magnitudes, &mut model.scratch(), &mut redshift);
            let redshift: Vec<f64> = redshift.iter().map(|z| f64::from(*z)).collect();
            let error = largest_error(&redshift, &golden.layers["redshift"]);
            assert!(error <= 1e-5, "{name} {isa}: {error:e}");
        }
    }
}

#[test]
fn conversion_to_safetensors_changes_no_redshift() {
    for (name, file, config, _) in CASES {
        let golden = golden(name);
        let (bytes, config) = (read(file), config.map(|file| String::from_utf8(read(file)).unwrap()));
        let converted = Checkpoint::read_with_config(&bytes, config.as_deref()).unwrap().to_safetensors().unwrap();
        let isa = Isa::detect();
        let predict = |model: Model| {
            let mut redshift = vec![f32::NAN; 2];
            model.predict(&golden.images, &golden.magnitudes, &mut model.scratch(), &mut redshift);
            redshift
        };
        let before = Model::from_bytes(&bytes, config.as_deref(), Precision::F32, isa).unwrap();
        let after = Model::from_bytes(&converted, None, Precision::F32, isa).unwrap();
        assert_eq!(predict(before), predict(after), "{name}");
    }
}
