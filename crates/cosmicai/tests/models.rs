//! Model files as people have them: training files, folders, and files of another kind.

mod support;

use std::path::PathBuf;

use serde_json::Value;
use support::{Sandbox, cosmicai, error_of};

/// File that PyTorch wrote (`make_trainings.py` in the same folder).
fn training_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../astromae/tests/trainings").join(name)
}

fn inspected(model: &PathBuf) -> Value {
    let printed = cosmicai().args(["inspect", "--format", "json"]).arg(model).assert().success();
    serde_json::from_slice(&printed.get_output().stdout).unwrap()
}

#[test]
fn predict_reports_what_was_read_and_assumed() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 2);
    let mut command = cosmicai();
    command.arg("predict").arg("--model").arg(training_file("training.pt")).arg(sandbox.path("sky/cutouts"));
    let done = command.assert().success();
    let messages = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    for line in [
        "the model is under `model`",
        "attention heads: 4 (from `args`)",
        "assumed eps of layer norms: 0.000001, which the file does not state",
    ] {
        assert!(messages.contains(line), "{line}: {messages}");
    }
}

#[test]
fn inspect_states_what_was_checked_and_what_was_assumed() {
    let module = inspected(&training_file("timm_module.pt"));
    assert_eq!(module["assumed_layers"], Value::Null);
    assert_eq!(module["assumed"], Value::Array(Vec::new()));
    assert!(module["stated"].to_string().contains("attention heads: 4, from the attributes of the modules"));
    let state_dict = inspected(&training_file("lightning.ckpt"));
    assert!(state_dict["assumed_layers"].as_str().unwrap().contains("ReLU"));
    assert!(state_dict["notes"].to_string().contains("`model.`"), "{}", state_dict["notes"]);

    let last_line = |name: &str| {
        let printed = cosmicai().arg("inspect").arg(training_file(name)).assert().success();
        String::from_utf8_lossy(&printed.get_output().stdout).lines().last().unwrap().to_owned()
    };
    assert!(last_line("distributed.pt").starts_with("valid "));
    assert!(last_line("training.pt").starts_with("complete "));
    let error = error_of(cosmicai().arg("inspect").arg(training_file("gelu.pt")));
    assert!(error.contains("`concat_block.1` is a `torch.nn.modules.activation.GELU`"), "{error}");
    assert!(!error.contains("partition"), "{error}");
}

#[test]
fn a_module_that_computes_something_else_is_not_converted() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("model.safetensors");
    let error = error_of(cosmicai().arg("convert").arg(training_file("gelu.pt")).arg("--out").arg(&out));
    assert!(error.contains("`concat_block.1`") && !out.exists(), "{error}");
}

#[test]
fn a_folder_as_model_names_the_files_in_it() {
    let sandbox = Sandbox::with_partitions("cutouts", 2, 1);
    let error = |folder: &str| {
        let mut command = cosmicai();
        command.arg("predict").arg("--model").arg(sandbox.path(folder)).arg(sandbox.path("sky/cutouts"));
        error_of(&mut command)
    };
    let one = error("sky/Anomaly Detection");
    assert!(one.contains("is a folder") && one.contains("Anomaly Detection/model.safetensors"), "{one}");
    let several = error("sky/cutouts");
    assert!(several.contains("is a folder") && several.contains("2 files"), "{several}");
    let missing = error("sky/none");
    assert!(!missing.contains("folder;"), "{missing}");
    let inspect = error_of(cosmicai().arg("inspect").arg(sandbox.path("sky/Anomaly Detection")));
    assert!(inspect.contains("is a folder"), "{inspect}");
}

#[test]
fn files_of_another_kind_are_named() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 1);
    let kinds: [(&[u8], &str, &str); 7] = [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer of Git LFS", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page", "download it again"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip", "gunzip"),
        (b"BZh91AY&SY\0\0", "bzip2", "bunzip2"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file", "torch.save(model.state_dict()"),
        (b"\x08\x08\x12\x07pytorch\x1a\x05", "an ONNX model", "torch.save(model.state_dict()"),
        (b"\x93NUMPY\x01\0", "a NumPy array", "model file"),
    ];
    for (bytes, name, advice) in kinds {
        sandbox.write("model.pt", bytes);
        let mut predict = cosmicai();
        predict.arg("predict").arg("--model").arg(sandbox.path("model.pt")).arg(sandbox.path("sky/cutouts"));
        let mut inspect = cosmicai();
        inspect.arg("inspect").arg(sandbox.path("model.pt"));
        for error in [error_of(&mut predict), error_of(&mut inspect)] {
            assert!(error.contains(name) && error.contains(advice), "{name}: {error}");
        }
    }
}

#[test]
fn partitions_and_models_in_the_place_of_the_other_are_named() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 1);
    let partition = sandbox.path("sky/cutouts/1.pt");
    let error = error_of(cosmicai().arg("predict").arg("--model").arg(&partition).arg(&partition));
    assert!(error.contains("a partition of images, not a model"), "{error}");

    std::fs::copy(training_file("distributed.pt"), sandbox.path("sky/cutouts/2.pt")).unwrap();
    let mut command = cosmicai();
    command.arg("predict").arg("--model").arg(sandbox.model()).arg(sandbox.path("sky/cutouts"));
    let error = error_of(&mut command);
    assert!(error.contains("2.pt") && error.contains("not a partition"), "{error}");
}
