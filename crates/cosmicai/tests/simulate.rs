//! `cosmicai simulate`, from a seed and from a catalogue.

mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::process::{self, Running};
use support::{Sandbox, cosmicai, error_of};

#[test]
fn seed_and_sample_determine_the_bytes() {
    let sandbox = Sandbox::new();
    let make = |sample: &str, name: &str| {
        let mut command = cosmicai();
        command.args(["simulate", "--count", "40", "--seed", "7", "--sample", sample, "--format", "json", "--out"]);
        let printed = command.arg(sandbox.path(name)).assert().success();
        let report: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
        assert_eq!((report["images"].as_u64(), report["seed"].as_u64()), (Some(40), Some(7)), "{report}");
        sandbox.bytes(name)
    };
    let main = make("main", "a.pt");
    assert_eq!(main, make("main", "b.pt"));
    assert_ne!(main, make("luminous-red", "c.pt"));
    assert_ne!(main, make("faint", "d.pt"));
}

#[test]
fn simulates_images_of_catalogue_galaxies() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "c.csv",
        b"objid,modelMag_u,modelMag_g,modelMag_r,modelMag_i,modelMag_z,z\n5,19.2,17.9,17.2,16.9,16.6,0.08\n",
    );
    let (catalogue, out) = (sandbox.path("c.csv"), sandbox.path("c.pt"));
    let simulate = || {
        let mut command = cosmicai();
        command.arg("simulate").arg("--catalogue").arg(&catalogue).arg("--out").arg(&out);
        command
    };
    // A column `z` can be a redshift or a magnitude, so the user must choose.
    assert!(error_of(&mut simulate()).contains("--columns redshift=NAME"));
    assert!(!out.exists());
    simulate().args(["--columns", "redshift=z"]).assert().success();
    let printed = cosmicai().args(["inspect", "--format", "json"]).arg(&out).assert().success();
    let report: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!(report["images"].as_u64(), Some(1), "{report}");
}

#[test]
fn rejects_catalogue_rows_with_invalid_values() {
    let sandbox = Sandbox::new();
    for (row, message) in [
        ("19,18,17,-9999,16,0.1", "row 1: i: expected 5 to 30, found -9999"),
        ("19,18,17,16.5,16,nan", "row 1: redshift: expected 0.0001 to 1, found NaN"),
        ("19,18,17,16.5,16,x", "row 1, column `redshift`: expected a number, found `x`"),
    ] {
        sandbox.write("bad.csv", format!("u,g,r,i,z,redshift\n19,18,17,16.5,16,0.1\n{row}\n").as_bytes());
        let out = sandbox.path("bad.pt");
        let mut command = cosmicai();
        let error =
            error_of(command.arg("simulate").arg("--catalogue").arg(sandbox.path("bad.csv")).arg("--out").arg(&out));
        assert!(error.contains(message), "{error}");
        assert!(!out.exists());
    }
}

/// Writing end of a pipe without a reader.
fn closed_pipe() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

/// Regression test: an interrupted simulation once left a large hidden file.
#[cfg(unix)]
#[test]
fn interrupted_simulation_leaves_no_files() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("out");
    let mut command = process::command(env!("CARGO_BIN_EXE_cosmicai"));
    command
        .args(["simulate", "--count", "1000000", "--out"])
        .arg(folder.join("sky.pt"))
        // Nobody reads the messages, as after the reader of a pipe has ended.
        .stderr(closed_pipe());
    let simulation = Running::start(&mut command);
    let names = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    let begun = std::time::Instant::now();
    while names() == 0 {
        assert!(begun.elapsed().as_secs() < 60, "no file was created");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    simulation.send(Signal::SIGINT);
    assert_eq!(simulation.end().0.code(), Some(130));
    assert_eq!(names(), 0);
}
