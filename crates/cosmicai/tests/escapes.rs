//! Control characters in files and names reach a terminal only as escapes, from every command that shows them.

mod support;

use support::{Sandbox, cosmicai};

/// Sets the title of a terminal, turns its text red, and turns the direction of text.
const HOSTILE: &str = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{202e}";

#[test]
fn control_characters_of_files_and_names_are_shown_as_escapes() {
    let sandbox = Sandbox::with_partitions("10MB", 1, 4);
    sandbox.write("columns.csv", format!("objid,{HOSTILE},g,r\n1,2,3,4\n").as_bytes());
    sandbox.write("cells.csv", format!("u,g,r,i,z,redshift\n1{HOSTILE},2,3,4,5,0.1\n").as_bytes());
    sandbox.write("metrics.csv", format!("data_path,row,{HOSTILE}\n1,2,3\n").as_bytes());
    sandbox.write("audit.json", serde_json::json!([{ "batch_size": HOSTILE }]).to_string().as_bytes());
    sandbox.write("sweep.toml", format!("'{}' = 1\n", HOSTILE.replace(['\u{1b}', '\u{7}'], "")).as_bytes());
    sandbox.write(&format!("{HOSTILE}.pt"), &sandbox.bytes("sky/10MB/1.pt")[..100]);
    sandbox.write("model", HOSTILE.as_bytes());
    let payload = sandbox.payload(serde_json::json!({ HOSTILE: 1 }));
    let name = payload.to_str().unwrap();
    let model = sandbox.model();
    let model = model.to_str().unwrap();
    let hostile = format!("{HOSTILE}.pt");
    let commands: [&[&str]; 10] = [
        &["simulate", "--catalogue", "columns.csv", "--out", "o.pt"],
        &["simulate", "--catalogue", "cells.csv", "--out", "o.pt"],
        &["metrics", "metrics.csv"],
        &["audit", "audit.json"],
        &["sweep", "sweep.toml"],
        &["inspect", &hostile],
        &["predict", "--model", model, &hostile],
        &["predict", "--model", "model", "sky/10MB/1.pt"],
        &["run", name],
        &["ingest", "columns.csv", "--cutouts", "{objid}.fits", "--out", "o.pt"],
    ];
    for command in commands {
        let output = cosmicai().current_dir(sandbox.folder.path()).args(command).output().unwrap();
        assert!(!output.status.success(), "{command:?}");
        for text in [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)) {
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{command:?}: {text:?}");
        }
        let shown = String::from_utf8_lossy(&output.stderr);
        let is_shown = !command.contains(&"model");
        assert_eq!(shown.contains("\\u{202e}"), is_shown, "{command:?}: {shown}");
    }
}
