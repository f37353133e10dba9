//! Shared by the tests of the program: folders with partitions and a small model, payloads, an S3 server, and a command
//! that runs the program without the environment variables of the tester.

#![allow(dead_code, reason = "each test file uses a part of this module")]

pub(crate) mod process;
#[path = "../../../../tests/reference_data.rs"]
mod reference_data;
pub(crate) mod s3;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use astromae::init::{Sizes, seeded};
#[allow(unused_imports, reason = "each test file uses a part of this module")]
pub(crate) use reference_data::reference_data;
use serde_json::{Value, json};
use sources::simulate::{Galaxies, Sample, Sky, write_partition};
use tempfile::TempDir;

/// Folder store with one bucket, `sky`, which has a small model.
pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox { folder };
        let model = sandbox.path("sky/Anomaly Detection/model.safetensors");
        std::fs::create_dir_all(model.parent().unwrap()).unwrap();
        std::fs::write(model, seeded(&Sizes::small(), 1)).unwrap();
        sandbox
    }

    /// Makes a sandbox with partitions `1.pt` to `{count}.pt` of `images` images each under `prefix`.
    pub(crate) fn with_partitions(prefix: &str, count: usize, images: usize) -> Sandbox {
        let sandbox = Sandbox::new();
        for number in 1..=count {
            sandbox.partition(&format!("{prefix}/{number}.pt"), images, number as u64);
        }
        sandbox
    }

    pub(crate) fn partition(&self, key: &str, images: usize, seed: u64) {
        self.write(&format!("sky/{key}"), &partition(images, seed));
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.path("sky/Anomaly Detection/model.safetensors")
    }

    /// Writes a payload file like the CAI study's for this bucket, with `changes` applied. A null removes a key.
    pub(crate) fn payload(&self, changes: Value) -> PathBuf {
        let mut payload = json!({
            "bucket": "sky",
            "file_limit": "11",
            "batch_size": 256,
            "object_type": "folder",
            "S3_object_name": "Anomaly Detection",
            "script": "/tmp/Anomaly Detection/Inference/inference.py",
            "result_path": "results/",
            "data_bucket": "sky",
            "data_prefix": "10MB"
        });
        for (key, value) in changes.as_object().unwrap() {
            if value.is_null() {
                payload.as_object_mut().unwrap().remove(key);
            } else {
                payload[key] = value.clone();
            }
        }
        let name = format!("payload-{}.json", payload["result_path"].as_str().unwrap_or("x").replace('/', "-"));
        self.write(&name, payload.to_string().as_bytes());
        self.path(&name)
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        let path = self.path(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Command `cosmicai run PAYLOAD --store FOLDER`.
    pub(crate) fn run(&self, payload: &Path) -> Command {
        let mut command = cosmicai();
        command.arg("run").arg(payload).arg("--store").arg(self.folder.path());
        command
    }
}

/// Bytes of a simulated partition.
pub(crate) fn partition(images: usize, seed: u64) -> Vec<u8> {
    let sky = Sky { galaxies: Galaxies::Drawn(images, Sample::Main), seed, image_size: 32 };
    write_partition(sky, NonZeroUsize::MIN, Vec::new(), |_| {}).unwrap()
}

/// Command that runs the program with only `PATH` and, if set, `COSMICAI_ISA` in its environment.
pub(crate) fn cosmicai() -> Command {
    process::command(env!("CARGO_BIN_EXE_cosmicai")).into()
}

/// Names of the instruction sets to test: the one in `COSMICAI_ISA`, or all of this CPU.
pub(crate) fn isas() -> Vec<String> {
    match std::env::var("COSMICAI_ISA") {
        Ok(isa) => vec![isa],
        Err(_) => astromae::Isa::available().map(|isa| isa.to_string()).collect(),
    }
}

/// Cells of a CSV file without quotes.
pub(crate) fn csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Sorted names of the files in a folder.
pub(crate) fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a command that must succeed, and returns its standard output.
pub(crate) fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// Runs a command that must fail, and returns its standard error.
pub(crate) fn error_of(command: &mut Command) -> String {
    let output = command.assert().failure().get_output().clone();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!error.contains("panicked"), "{error}");
    error
}
