//! The model that the program carries: as good as its model card says, on a sky that it has not seen and, where they are
//! here, on real galaxies.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Sandbox, cosmicai, shared};

fn model(sandbox: &Sandbox) -> PathBuf {
    let model = sandbox.path("demo.safetensors");
    cosmicai().args(["model-init", "--demo", "--out"]).arg(&model).assert().success();
    model
}

/// The scores of the model on a partition.
fn scores(sandbox: &Sandbox, partition: &Path) -> Value {
    let predictions = sandbox.path("predictions.parquet");
    let mut predict = cosmicai();
    predict.arg("predict").arg("--model").arg(model(sandbox)).arg(partition).arg("--out").arg(&predictions);
    predict.assert().success();
    let printed = cosmicai().args(["metrics", "--format", "json"]).arg(&predictions).assert().success();
    serde_json::from_slice::<Value>(&printed.get_output().stdout).unwrap()["all"].clone()
}

fn number(scores: &Value, pointer: &str) -> f64 {
    scores.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {scores}"))
}

#[test]
fn a_sky_that_it_has_not_seen_is_predicted() {
    let sandbox = Sandbox::new();
    let sky = sandbox.path("sky.pt");
    cosmicai().args(["simulate", "--count", "5000", "--seed", "2026", "--out"]).arg(&sky).assert().success();
    let scores = scores(&sandbox, &sky);
    assert!(number(&scores, "/authors/nmad") <= 0.020, "{scores}");
    assert!(number(&scores, "/authors/bias").abs() <= 0.002, "{scores}");
    assert!(number(&scores, "/eta_0_15") < 0.01, "{scores}");
    assert!(number(&scores, "/authors/r2") >= 0.9, "{scores}");
}

#[test]
fn real_magnitudes_are_predicted() {
    let Some(catalogue) = shared("data/sdss_mgs_5000.csv.gz") else { return };
    let sandbox = Sandbox::new();
    let sky = sandbox.path("sky.pt");
    cosmicai().args(["simulate", "--catalogue"]).arg(catalogue).arg("--out").arg(&sky).assert().success();
    let scores = scores(&sandbox, &sky);
    assert_eq!(number(&scores, "/rows"), 5000.0);
    assert!(number(&scores, "/authors/nmad") <= 0.025, "{scores}");
}

#[test]
fn real_galaxies_are_predicted() {
    let Some(cutouts) = shared("data/sdss_cutouts_15.npz") else { return };
    let sandbox = Sandbox::new();
    let partition = sandbox.path("real.pt");
    cosmicai().arg("ingest").arg(cutouts).arg("--out").arg(&partition).assert().success();
    let scores = scores(&sandbox, &partition);
    assert_eq!(number(&scores, "/rows"), 15.0);
    assert!(number(&scores, "/authors/nmad") <= 0.03, "{scores}");
}
