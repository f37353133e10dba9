//! Reads checkpoints that PyTorch wrote, and compares the values with those that PyTorch reads.

use astromae::checkpoint::{Checkpoint, CheckpointError};
use serde_json::Value;

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/checkpoints/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; run make_checkpoints.py"))
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&file("expected.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn assert_expected(name: &str, checkpoint: &Checkpoint<'_>, expected: &Value) {
    let tensors = expected["tensors"].as_object().unwrap();
    let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(checkpoint.tensors().map(|(name, _)| name).collect::<Vec<_>>(), names, "{name}");
    for (tensor_name, expected) in tensors {
        let tensor = checkpoint.tensor(tensor_name).unwrap();
        assert_eq!(tensor.dtype().name(), expected["dtype"], "{name} {tensor_name}");
        let shape: Vec<f64> = tensor.shape().iter().map(|&length| length as f64).collect();
        assert_eq!(shape, numbers(&expected["shape"]), "{name} {tensor_name}");
        let values = numbers(&expected["values"]);
        let mut buffer = Vec::new();
        let view = checkpoint.view(tensor, &mut buffer).unwrap();
        assert_eq!(view.to_f64(), values, "{name} {tensor_name}");
        let rounded: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        assert_eq!(view.to_f32(), rounded, "{name} {tensor_name}");
    }
    for (attribute, value) in expected["attributes"].as_object().unwrap() {
        assert_eq!(checkpoint.attribute(attribute), value.as_f64(), "{name} {attribute}");
    }
}

#[test]
fn checkpoints_have_the_values_that_pytorch_reads() {
    let mut good = 0;
    for (name, expected) in &expected() {
        if expected.get("error").is_some() {
            continue;
        }
        good += 1;
        let bytes = file(&format!("{name}.pt"));
        let checkpoint = Checkpoint::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{:?}", checkpoint.form()), expected["form"], "{name}");
        assert_expected(name, &checkpoint, expected);

        let written = checkpoint.to_safetensors().unwrap();
        let read = Checkpoint::read(&written).unwrap();
        assert_expected(name, &read, expected);
        assert_eq!(read.attributes(), checkpoint.attributes(), "{name}");
        assert_eq!(read.to_safetensors().unwrap(), written, "{name}");
    }
    assert!(good >= 9, "{good} checkpoints");
}

#[test]
fn rejected_checkpoints_have_the_expected_message() {
    let mut rejected = 0;
    for (name, expected) in &expected() {
        let Some(words) = expected.get("error").and_then(Value::as_array) else {
            continue;
        };
        rejected += 1;
        let bytes = file(&format!("{name}.pt"));
        let error = Checkpoint::read(&bytes).expect_err(name);
        for word in words {
            assert!(error.to_string().contains(word.as_str().unwrap()), "{name}: {error}");
        }
        assert_eq!(matches!(error, CheckpointError::Refused(_)), name == "function", "{name}: {error:?}");
    }
    assert!(rejected >= 9, "{rejected} checkpoints");
}
