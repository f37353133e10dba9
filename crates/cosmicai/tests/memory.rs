//! Memory of `cosmicai predict`: the model and a constant, independent of the size of a partition.

mod support;

use astromae::init::{Sizes, seeded};
use serde_json::Value;
use support::{Sandbox, cosmicai};

/// Memory in MB that a larger partition may add: its results (about 60 bytes per row), and read buffers that the
/// allocator keeps for each thread, which grow only during the first 100 MB. The images of the larger partition would
/// add 92 MB.
const GROWTH_MB: f64 = 24.0;

fn peak_mb(sandbox: &Sandbox, partition: &str) -> f64 {
    let out = sandbox.path("out.parquet");
    let mut command = cosmicai();
    command.args(["predict", "--format", "json", "--threads", "2", "--model"]).arg(sandbox.model());
    let report = command.arg(sandbox.path(partition)).arg("--out").arg(&out).assert().success();
    let report: Value = serde_json::from_slice(&report.get_output().stdout).unwrap();
    report["memory_peak_mb"].as_f64().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_partition() {
    let sandbox = Sandbox::new();
    sandbox.partition("small.pt", 1_500, 1);
    sandbox.partition("large.pt", 6_000, 2);
    let (small, large) = (peak_mb(&sandbox, "sky/small.pt"), peak_mb(&sandbox, "sky/large.pt"));
    assert!(large < small + GROWTH_MB, "{large:.1} MB for 123 MB of images, {small:.1} MB for a quarter of them");
}

/// The model file and the packed model have 61 MB each. The test fails if both are in memory at the same time.
#[test]
fn model_file_and_packed_model_are_not_in_memory_together() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 2);
    let empty = peak_mb(&sandbox, "sky/cutouts/1.pt");
    let model = seeded(&Sizes::full(), 1);
    sandbox.write("sky/Anomaly Detection/model.safetensors", &model);
    let full = peak_mb(&sandbox, "sky/cutouts/1.pt");
    let file_mb = model.len() as f64 / f64::from(1 << 20);
    assert!(
        full - empty < 1.7 * file_mb,
        "{full:.1} MB with a model of {file_mb:.1} MB, {empty:.1} MB with a small one"
    );
}
