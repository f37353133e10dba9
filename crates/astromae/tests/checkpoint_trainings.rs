//! Files that PyTorch, timm and safetensors wrote, as trainings save them: each gives the redshifts that PyTorch
//! computes, or the expected message.

use astromae::{Isa, Model, Precision};
use serde_json::Value;

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/trainings/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; run make_trainings.py"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn files_of_trainings_give_the_redshifts_of_pytorch() {
    let expected: Value = serde_json::from_slice(&file("expected.json")).unwrap();
    let inputs = |name: &str| numbers(&expected[name]).into_iter().map(|value| value as f32).collect::<Vec<f32>>();
    let (images, magnitudes) = (inputs("images"), inputs("magnitudes"));
    let files = expected["files"].as_object().unwrap();
    assert!(files.len() >= 7, "{} files", files.len());
    for (name, expected) in files {
        let model = Model::from_bytes(&file(name), None, Precision::F32, Isa::detect());
        if let Some(words) = expected["error"].as_array() {
            let error = model.expect_err(name).to_string();
            for word in words {
                assert!(error.contains(word.as_str().unwrap()), "{name}: {error}");
            }
            continue;
        }
        let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut redshift = vec![0.0; 2];
        model.predict(&images, &magnitudes, &mut model.scratch(), &mut redshift);
        for (found, expected) in redshift.iter().zip(numbers(&expected["redshift"])) {
            let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
            assert!(error <= 1e-5, "{name}: {found}, not {expected}");
        }
        assert!(!model.config().stated.is_empty(), "{name}");
    }
}
