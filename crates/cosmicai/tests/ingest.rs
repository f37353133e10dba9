//! `cosmicai ingest` and the commands after it: from arrays, or a catalogue and cutouts, to predictions with object
//! ids.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Sandbox, cosmicai, csv, error_of, reference_data};

/// Path of a file that astropy or numpy wrote. The script that made it is in the same folder.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources/tests/golden/ingest").join(name)
}

/// Bytes of an `.npy` file of float32, written from its specification.
fn npy(shape: &str, values: impl Iterator<Item = f32>) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    values.for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// Bytes of a FITS file with one image of float32, written from its specification.
fn fits(sizes: &[usize], values: impl Iterator<Item = f32>) -> Vec<u8> {
    let mut cards = vec![("SIMPLE".to_owned(), "T".to_owned()), ("BITPIX".into(), "-32".into())];
    cards.push(("NAXIS".into(), sizes.len().to_string()));
    cards.extend(sizes.iter().enumerate().map(|(axis, size)| (format!("NAXIS{}", axis + 1), size.to_string())));
    let mut bytes: Vec<u8> =
        cards.iter().flat_map(|(name, value)| format!("{name:<8}= {value:>20}{:50}", "").into_bytes()).collect();
    bytes.extend(format!("{:<80}", "END").into_bytes());
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    values.for_each(|value| bytes.extend(value.to_be_bytes()));
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// Pixel of a galaxy of these tests. Images have 36×36 pixels per band.
fn pixel(object: usize, band: usize, at: usize) -> f32 {
    ((object * 7 + band * 3 + at * 13) % 101) as f32 * 0.01
}

fn image(object: usize) -> impl Iterator<Item = f32> {
    (0..5).flat_map(move |band| (0..36 * 36).map(move |at| pixel(object, band, at)))
}

/// Writes the same four galaxies as arrays, as a catalogue with cubes, and as a catalogue with a file for each band.
fn sky(sandbox: &Sandbox) {
    sandbox.write("i.npy", &npy("(4, 5, 36, 36)", (0..4).flat_map(image)));
    sandbox.write("m.npy", &npy("(4, 5)", (0..20).map(|value| 16.0 + value as f32 * 0.25)));
    sandbox.write("z.npy", &npy("(4,)", [0.125, f32::NAN, 0.25, 0.5].into_iter()));
    let mut table = "objID,raj2000,DEC,z_spec,u,g,r,i,z\n".to_owned();
    for object in 0..4 {
        let magnitudes: Vec<String> =
            (0..5).map(|band| (16.0 + (object * 5 + band) as f32 * 0.25).to_string()).collect();
        let z_spec = ["0.125", "", "0.25", "0.5"][object];
        table += &format!("10{object},{}.5,-{object},{z_spec},{}\n", 90 * object, magnitudes.join(","));
        sandbox.write(&format!("cubes/10{object}.fits"), &fits(&[36, 36, 5], image(object)));
        for (band, name) in ["u", "g", "r", "i", "z"].into_iter().enumerate() {
            let plane = (0..36 * 36).map(|at| pixel(object, band, at));
            sandbox.write(&format!("bands/10{object}/{name}.fits"), &fits(&[36, 36], plane));
        }
    }
    sandbox.write("t.csv", table.as_bytes());
}

fn ingest(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let mut command = cosmicai();
    command.current_dir(sandbox.folder.path()).args(["ingest", "--format", "json"]).args(arguments);
    serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
}

fn predicted(sandbox: &Sandbox, input: &str) -> Vec<Vec<String>> {
    let mut command = cosmicai();
    command.current_dir(sandbox.folder.path()).arg("predict").arg("--model").arg(sandbox.model()).arg(input);
    csv(&command.assert().success().get_output().stdout)
}

#[test]
fn all_input_forms_give_the_same_predictions_and_object_ids() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    ingest(&sandbox, &["--images", "i.npy", "--magnitudes", "m.npy", "--redshift", "z.npy", "--out", "arrays.pt"]);
    let report = ingest(&sandbox, &["t.csv", "--cutouts", "cubes/{object_id}.fits", "--out", "cubes.pt"]);
    ingest(&sandbox, &["t.csv", "--cutouts", "bands/{objID}/{band}.fits", "--out", "bands/"]);
    assert_eq!((&report["images"], &report["height"], &report["redshift"]), (&json!(4), &json!(36), &json!(true)));
    assert_eq!((&report["objects"], &report["rows_without_redshift"]), (&json!("cubes.objects.parquet"), &json!(1)));
    assert!(report["notes"][0].as_str().unwrap().contains("ra=raj2000 dec=DEC"), "{report}");

    let (arrays, cubes, bands) =
        (predicted(&sandbox, "arrays.pt"), predicted(&sandbox, "cubes.pt"), predicted(&sandbox, "bands/1.pt"));
    assert_eq!(arrays[0], ["data_path", "row", "z_phot", "z_spec", "flags"]);
    assert_eq!(cubes[0], ["data_path", "row", "z_phot", "z_spec", "flags", "object_id", "ra", "dec"]);
    for row in 1..5 {
        assert_eq!(arrays[row][1..5], cubes[row][1..5]);
        assert_eq!(cubes[row][1..], bands[row][1..]);
    }
    assert_eq!(cubes[2][3], "", "an unknown redshift has a value");
    assert_eq!(cubes[4][5..], ["103", "270.5", "-3"]);

    // Metrics of a Parquet catalogue from one input with object ids and one without.
    let out = sandbox.path("all.parquet");
    let mut command = cosmicai();
    command.arg("predict").arg("--model").arg(sandbox.model()).arg(sandbox.path("arrays.pt"));
    command.arg(sandbox.path("cubes.pt")).arg("--out").arg(&out).assert().success();
    let printed = cosmicai().args(["metrics", "--format", "json"]).arg(&out).assert().success();
    let metrics: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!((&metrics["rows"], &metrics["excluded_unknown"]), (&json!(8), &json!(2)));

    let printed = cosmicai().args(["inspect", "--format", "json"]).arg(sandbox.path("cubes.pt")).assert().success();
    let inspected: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!(inspected["objects"], json!({"rows_with_object_id": 4, "rows_with_position": 4, "object_id": "100"}));
}

#[test]
fn split_and_run_keep_object_ids() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    let out = ["t.csv", "--cutouts", "cubes/{objid}.fits", "--crop", "32", "--out", "whole.pt"];
    ingest(&sandbox, &out);
    let mut command = cosmicai();
    command.current_dir(sandbox.folder.path());
    command.args(["split", "whole.pt", "--size", "41016", "--out", "sky/10MB"]).assert().success();
    let mut names: Vec<String> = fs::read_dir(sandbox.path("sky/10MB"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["1.objects.parquet", "1.pt", "2.objects.parquet", "2.pt"]);
    let parts = predicted(&sandbox, "sky/10MB");
    assert_eq!(parts[1..].iter().map(|row| row[5].as_str()).collect::<Vec<_>>(), ["100", "101", "102", "103"]);
    // The file of object ids is also found if the input is a file, not a folder.
    assert_eq!(predicted(&sandbox, "sky/10MB/2.pt")[1..], parts[3..]);

    sandbox.run(&sandbox.payload(json!({}))).assert().success();
    let plan = sandbox.json("sky/results/plan.json");
    assert_eq!(plan["tasks"][1]["files"][0]["objects"]["key"], "10MB/2.objects.parquet");
    let predictions = sandbox.bytes("sky/results/predictions/1.parquet");
    let has = |name: &str| predictions.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(has("object_id") && has("102") && has("103") && !has("100"));
    assert_eq!(sandbox.json("sky/results/summary.json")["accuracy"]["rows"], 4);

    // The object ids are not joined with another partition of the same name.
    sandbox.partition("10MB/2.pt", 2, 9);
    let payload = sandbox.payload(json!({"result_path": "again"}));
    let error = error_of(&mut sandbox.run(&payload));
    assert!(error.contains("10MB/2.objects.parquet") && error.contains("other images or magnitudes"), "{error}");
}

#[test]
fn missing_cutout_is_an_error_unless_skip_missing_is_set() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    fs::remove_file(sandbox.path("cubes/102.fits")).unwrap();
    sandbox.write("out/1.pt", b"an older one");
    let run = |more: &[&str]| {
        let mut command = cosmicai();
        command.current_dir(sandbox.folder.path());
        command.args(["ingest", "t.csv", "--cutouts", "cubes/{objid}.fits", "--out", "out/1.pt"]).args(more);
        command
    };
    let error = error_of(&mut run(&[]));
    assert!(error.contains("1 object cannot be ingested: `102` (row 2): `"), "{error}");
    let left: Vec<_> = fs::read_dir(sandbox.path("out")).unwrap().collect();
    assert_eq!((left.len(), sandbox.bytes("out/1.pt")), (1, b"an older one".to_vec()));

    let output = run(&["--skip-missing"]).assert().code(1).get_output().clone();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("error: skipped 1 row: `102` (row 2)"), "{error}");
    let rows = predicted(&sandbox, "out/1.pt");
    assert_eq!(rows[1..].iter().map(|row| row[5].as_str()).collect::<Vec<_>>(), ["100", "101", "103"]);

    // A new partition without object ids also deletes the object ids of the old one.
    ingest(&sandbox, &["--images", "i.npy", "--magnitudes", "m.npy", "--out", "out/1.pt"]);
    assert!(!sandbox.path("out/1.objects.parquet").exists());
}

#[test]
fn rejects_invalid_arguments_and_inputs() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    for (arguments, message) in [
        (&["t.csv", "--out", "1.pt"][..], "`t.csv`: a catalogue needs the pattern of its cutouts: `--cutouts"),
        (&["i.npy", "--out", "1.pt"], "--images F.npy --magnitudes F.npy"),
        (&["none.npz", "--out", "1.pt"], "none.npz"),
        (&["none.npz", "--out", "1.txt"], "a name ending in .pt"),
        (&["none.npz", "--out", "s3://b/1.pt"], "cosmicai split"),
        (&["--out", "1.pt"], "required"),
        (&["--images", "i.npy", "--out", "1.pt"], "--magnitudes"),
        (&["t.csv", "--cutouts", "x/{objid}.fits", "--columns", "w1=a", "--out", "1.pt"], "unknown column role"),
        (&["t.csv", "--cutouts", "x/y.fits", "--out", "1.pt"], "the pattern has no column"),
        (
            &["--images", "i.npy", "--magnitudes", "m.npy", "--flux-scale", "0", "--out", "1.pt"],
            "expected a number other than 0",
        ),
    ] {
        let mut command = cosmicai();
        let error = error_of(command.current_dir(sandbox.folder.path()).arg("ingest").args(arguments));
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    let pickled = golden("objects.npy");
    let mut command = cosmicai();
    command.current_dir(sandbox.folder.path());
    command.args(["ingest", "--images", "i.npy", "--magnitudes", "m.npy", "--out", "1.pt", "--object-id"]).arg(pickled);
    let error = error_of(&mut command);
    assert!(error.contains("pickled programs and are not run"), "{error}");
    assert!(!sandbox.path("1.pt").exists());
}

#[test]
fn help_has_examples() {
    let printed = cosmicai().args(["ingest", "--help"]).assert().success();
    let text = String::from_utf8_lossy(&printed.get_output().stdout).into_owned();
    for example in ["cosmicai ingest cutouts.npz", "cutouts/{object_id}.fits", "pickles and are", "F.objects.parquet"] {
        assert!(text.contains(example), "{text}");
    }
}

/// Ingests and predicts cutouts of real SDSS galaxies.
#[test]
#[ignore = "needs the reference data: set COSMICAI_SHARED"]
fn predicts_real_cutouts() {
    let path = reference_data("data/sdss_cutouts_15.npz");
    let sandbox = Sandbox::new();
    let report = ingest(&sandbox, &[path.to_str().unwrap(), "--out", "real.pt"]);
    assert_eq!((&report["images"], &report["width"], &report["objects"]), (&json!(15), &json!(64), &Value::Null));
    let rows = predicted(&sandbox, "real.pt");
    assert_eq!((rows.len(), rows[0].len()), (16, 5));
}

/// Regression test: a partition was once left without its object ids when they could not be written.
#[test]
fn partition_is_not_written_without_its_object_ids() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    fs::create_dir_all(sandbox.path("o.objects.parquet/in-the-way")).unwrap();
    let mut command = cosmicai();
    command.current_dir(sandbox.folder.path());
    error_of(command.args(["ingest", "t.csv", "--cutouts", "cubes/{object_id}.fits", "--out", "o.pt"]));
    assert!(!sandbox.path("o.pt").exists());
}

#[test]
fn existing_partitions_are_not_overwritten() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    fs::create_dir(sandbox.path("parts")).unwrap();
    let arrays = ["--images", "i.npy", "--magnitudes", "m.npy", "--redshift", "z.npy", "--out", "parts"];
    ingest(&sandbox, &arrays);
    let before = sandbox.bytes("parts/1.pt");
    let mut again = cosmicai();
    let error = error_of(again.current_dir(sandbox.folder.path()).arg("ingest").args(arrays));
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(before, sandbox.bytes("parts/1.pt"));
    let mut remote = cosmicai();
    let error = error_of(remote.args(["simulate", "--count", "2", "--out", "s3://x/y.pt"]));
    assert!(error.contains("expected a file of this machine"), "{error}");
}

/// Regression test: parts of an earlier split and object ids of other galaxies once stayed in the folder.
#[test]
fn split_removes_object_ids_of_an_earlier_split() {
    let sandbox = Sandbox::new();
    sky(&sandbox);
    ingest(&sandbox, &["t.csv", "--cutouts", "cubes/{object_id}.fits", "--out", "named.pt"]);
    ingest(&sandbox, &["--images", "i.npy", "--magnitudes", "m.npy", "--out", "nameless.pt"]);
    let split = |input: &str, size: &str| {
        let mut command = cosmicai();
        command.current_dir(sandbox.folder.path()).args(["split", input, "--size", size, "--out", "cut"]);
        command
    };
    split("named.pt", "30KB").assert().success();
    assert!(sandbox.path("cut/4.objects.parquet").exists());
    assert!(error_of(&mut split("named.pt", "60KB")).contains("cut/3.pt"));
    split("nameless.pt", "30KB").assert().success();
    assert!(!sandbox.path("cut/4.objects.parquet").exists());
}
