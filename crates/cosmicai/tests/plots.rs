//! `cosmicai metrics --plots`: plot files and output.

mod support;

use serde_json::Value;
use support::{Sandbox, cosmicai, error_of, file_names, stdout};

const PLOTS: [&str; 6] = [
    "z_phot_z_spec.svg",
    "z_phot_z_spec.png",
    "dz_z_spec.svg",
    "dz_z_spec.png",
    "dz_histogram.svg",
    "dz_histogram.png",
];

/// Writes a catalogue of 40 galaxies. The redshift of every second one is unknown.
fn catalogue(sandbox: &Sandbox) -> std::path::PathBuf {
    let rows = (0..40).map(|row| {
        let z = 0.01 * f64::from(row);
        if row % 2 == 0 { format!("1.pt,{row},{},{z},0\n", z + 0.003) } else { format!("1.pt,{row},{z},,0\n") }
    });
    let csv: String = ["data_path,row,z_phot,z_spec,flags\n".to_owned()].into_iter().chain(rows).collect();
    sandbox.write("catalogue.csv", csv.as_bytes());
    sandbox.path("catalogue.csv")
}

#[test]
fn writes_plots_and_lists_them_in_text_and_json() {
    let sandbox = Sandbox::new();
    let (catalogue, folder) = (catalogue(&sandbox), sandbox.path("plots"));
    let plain = stdout(cosmicai().args(["metrics", "--format", "json"]).arg(&catalogue));
    let drawn = stdout(cosmicai().args(["metrics", "--format", "json"]).arg(&catalogue).arg("--plots").arg(&folder));
    let mut with_plots: Value = serde_json::from_str(&drawn).unwrap();
    let listed = with_plots.as_object_mut().unwrap().remove("plots").unwrap();
    let expected: Vec<String> = PLOTS.iter().map(|name| folder.join(name).display().to_string()).collect();
    assert_eq!(listed, Value::from(expected.clone()));
    // Apart from the list of plots, the output is the same.
    assert_eq!(serde_json::to_string_pretty(&with_plots).unwrap() + "\n", plain);
    assert_eq!(file_names(&folder).len(), PLOTS.len());

    let text = stdout(cosmicai().arg("metrics").arg(&catalogue).arg("--plots").arg(&folder));
    assert!(text.contains("NMAD") && text.ends_with(&(expected.join("\n") + "\n")), "{text}");
}

#[test]
fn writes_no_plots_without_known_redshifts() {
    let sandbox = Sandbox::new();
    sandbox.write("unknown.csv", b"data_path,row,z_phot,z_spec,flags\n1.pt,0,0.1,,0\n");
    let (catalogue, folder) = (sandbox.path("unknown.csv"), sandbox.path("plots"));
    let error = error_of(cosmicai().arg("metrics").arg(&catalogue).arg("--plots").arg(&folder));
    assert!(error.contains("--plots: nothing to plot: of 1 predictions, 1 have no known redshift"), "{error}");
    assert!(!folder.exists());
    cosmicai().arg("metrics").arg(&catalogue).assert().success();
}
