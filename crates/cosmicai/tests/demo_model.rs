//! The model that the program carries: as good as its model card says, on a sky that it has not seen and, where they are
//! here, on real galaxies.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Sandbox, cosmicai, shared};

fn model(sandbox: &Sandbox) -> PathBuf {
    let model = sandbox.path("demo.safetensors");
    if model.exists() {
        return model;
    }
    cosmicai().args(["model-init", "--demo", "--out"]).arg(&model).assert().success();
    model
}

/// The scores of the model on a partition, in float32.
fn scores(sandbox: &Sandbox, partition: &Path) -> Value {
    scores_in(sandbox, partition, "f32", None)
}

/// The scores of the model on a partition, in a precision, on an instruction set or the best one.
fn scores_in(sandbox: &Sandbox, partition: &Path, precision: &str, isa: Option<&str>) -> Value {
    let predictions = sandbox.path(&format!("predictions-{precision}-{}.parquet", isa.unwrap_or("best")));
    let mut predict = cosmicai();
    predict.args(["predict", "--precision", precision, "--model"]).arg(model(sandbox)).arg(partition);
    predict.arg("--out").arg(&predictions).envs(isa.map(|isa| ("COSMICAI_ISA", isa)));
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

/// Portable code rounds inputs as well as weights to bfloat16, as CPUs with an instruction for it do, and has integers of
/// eight bits where AVX2 has seven for weights.
#[test]
fn shorter_arithmetic_hardly_changes_the_scores() {
    let sandbox = Sandbox::new();
    let sky = sandbox.path("sky.pt");
    cosmicai().args(["simulate", "--count", "5000", "--seed", "2027", "--out"]).arg(&sky).assert().success();
    let exact = number(&scores(&sandbox, &sky), "/authors/nmad");
    for (precision, allowed) in [("bf16", 0.01), ("int8", 0.02)] {
        for isa in [None, Some("scalar")] {
            let nmad = number(&scores_in(&sandbox, &sky, precision, isa), "/authors/nmad");
            let change = (nmad / exact - 1.0).abs();
            assert!(change < allowed, "{precision} {isa:?}: NMAD {nmad} instead of {exact}");
            assert!(change > 0.0, "{precision} {isa:?} is not what it says: not one digit changed");
        }
    }
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
