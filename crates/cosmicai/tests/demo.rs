//! `cosmicai demo`: its files and messages, in a new folder and in a folder that it has already filled.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Sandbox, cosmicai, file_names, stdout};

#[test]
fn demo_writes_predictions_and_plots_and_replaces_them() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("demo");
    let demo = |galaxies: &str| {
        let mut command = cosmicai();
        let printed = command.arg("demo").arg("--out").arg(&out).args(["--galaxies", galaxies]).assert().success();
        let output = printed.get_output();
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let rows = || {
        let json = stdout(cosmicai().args(["metrics", "--format", "json"]).arg(out.join("predictions.parquet")));
        serde_json::from_str::<Value>(&json).unwrap()["rows"].clone()
    };

    let [table, messages] = demo("600");
    assert!(table.contains("authors: NMAD") && table.contains("RAIL: bias") && table.contains("images"), "{table}");
    for named in ["predictions.parquet", "plots/z_phot_z_spec.png", "sky/model/astromae.safetensors"] {
        assert!(messages.contains(&out.join(named).display().to_string()), "{messages}");
    }
    for file in ["combined_data.json", "report.json", "plan.json", "summary.json", "predictions/2.parquet", "2.json"] {
        assert!(out.join("sky/results").join(file).exists(), "{file}");
    }
    assert_eq!(file_names(&out.join("plots")).len(), 6);
    assert_eq!(rows(), 600);

    // A second demo with fewer galaxies leaves no files of the first one.
    demo("300");
    assert_eq!(rows(), 300);
    assert_eq!(file_names(&out.join("sky/5MB")), ["1.pt", "2.pt"]);
    assert!(!out.join("sky/results/predictions/2.parquet").exists());

    // The merged file has the predictions of all tasks, in the order of their ranks.
    let merged = out.join("merged.parquet");
    let results = out.join("sky/results");
    cosmicai().arg("summarize").arg(&results).arg("--predictions").arg(&merged).assert().success();
    assert_eq!(std::fs::read(&merged).unwrap(), std::fs::read(out.join("predictions.parquet")).unwrap());

    // A run with a missing task has no merged file.
    std::fs::remove_file(results.join("tasks/1.json")).unwrap();
    std::fs::remove_file(&merged).unwrap();
    cosmicai().arg("summarize").arg(&results).arg("--predictions").arg(&merged).assert().code(1);
    assert!(!merged.exists());
}

/// The commands that the demo prints are for a shell. Their words once broke at spaces.
#[test]
fn printed_command_repeats_the_run_in_a_folder_with_a_space() {
    let sandbox = Sandbox::new();
    let mut command = cosmicai();
    let printed = command.current_dir(sandbox.folder.path()).args(["demo", "--out", "my demo", "--galaxies", "300"]);
    let messages = String::from_utf8_lossy(&printed.assert().success().get_output().stderr).into_owned();
    let line = messages.lines().find_map(|line| line.strip_prefix("to repeat the run: ")).unwrap().to_owned();
    let report = sandbox.path("my demo/sky/results/report.json");
    std::fs::remove_file(&report).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_cosmicai")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &line]).env("PATH", path).current_dir(sandbox.folder.path()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(report.exists(), "{line}");
}
