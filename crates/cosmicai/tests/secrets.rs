//! A password in an address is refused, and reaches no message and no file.

mod support;

use support::{Sandbox, cosmicai};

const SECRET: &str = "PassW0rdX";

#[test]
fn addresses_with_a_password_are_refused_and_not_repeated() {
    let sandbox = Sandbox::with_partitions("10MB", 1, 4);
    let url = format!("http://user:{SECRET}@127.0.0.1:9");
    let file = format!("{url}/a.pt");
    let pattern = format!("{url}/{{objid}}.fits");
    let payload = sandbox.payload(serde_json::json!({ "model": file }));
    let payload = payload.to_str().unwrap();
    let plain = sandbox.payload(serde_json::json!({ "result_path": "plain" }));
    let plain = plain.to_str().unwrap();
    sandbox.write("c.csv", b"objid,u,g,r,i,z\n1,2,3,4,5,6\n");
    let commands: [&[&str]; 12] = [
        &["predict", "--model", &file, "sky/10MB/1.pt"],
        &["inspect", &file],
        &["split", &file, "--size", "1MB", "--out", "parts"],
        &["split", "sky/10MB/1.pt", "--size", "1MB", "--out", &url],
        &["run", payload, "--store", "."],
        &["run", plain, "--store", &url],
        &["run", plain, "--store", ".", "--executor", "slurm", "--dry-run", "--endpoint-url", &url],
        &["run", plain, "--store", "s3", "--endpoint-url", &url],
        &["ingest", "c.csv", "--cutouts", &pattern, "--out", "o.pt"],
        &["report", &url, "--out", "report"],
        &["audit", &file],
        &["cost", &file],
    ];
    for command in commands {
        let output = cosmicai().current_dir(sandbox.folder.path()).args(command).output().unwrap();
        assert!(!output.status.success(), "{command:?}");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("contains a name or password") && !text.contains(SECRET), "{command:?}: {text}");
    }
    let found = std::process::Command::new("grep").arg("-rl").arg(SECRET).arg(sandbox.folder.path()).output().unwrap();
    let files = String::from_utf8(found.stdout).unwrap();
    assert_eq!(files.lines().collect::<Vec<_>>(), [payload], "only the payload that a user wrote");
}
